"""Elastic constants, vibrations, surfaces and vacancies against exact Lennard-Jones and spring models."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc100
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.units import GPa, J, fs, m

from lisi_nb.analysis.defects import (
    migration_barrier_eV,
    surface_energy_J_m2,
    vacancy_formation_eV,
    vacancy_migration_eV,
)
from lisi_nb.analysis.elasticity import Cubic, elastic_constants, relaxed, softest_mode_THz

LJ = dict(sigma=2.5, epsilon=0.2, rc=6.25, smooth=True)


@pytest.fixture(scope="module")
def copper():
    return relaxed(bulk("Cu", cubic=True), EMT(), fmax_eV_A=1e-4)


def test_relaxed_finds_the_minimum_and_leaves_its_input(copper):
    given = bulk("Cu", cubic=True, a=3.7)
    out = relaxed(given, EMT(), fmax_eV_A=1e-4)
    assert given.cell[0, 0] == 3.7
    assert given.calc is None
    assert out.cell.lengths() == pytest.approx(copper.cell.lengths(), abs=1e-3)
    energies = [_energy(out, s) for s in (0.999, 1.0, 1.001)]
    assert energies[1] == min(energies)


def _energy(atoms, scale):
    work = atoms.copy()
    work.set_cell(atoms.cell * scale, scale_atoms=True)
    work.calc = EMT()
    return work.get_potential_energy()


def test_bulk_modulus_equals_the_curvature_of_the_energy(copper):
    found = elastic_constants(copper, EMT())
    h, volume = 1e-3, copper.get_volume()
    curvature = (_energy(copper, 1 + h) - 2 * _energy(copper, 1) + _energy(copper, 1 - h)) / h**2
    assert found.bulk_modulus_GPa == pytest.approx(curvature / 9 / volume / GPa, rel=0.01)
    assert found.stable


def test_pair_potentials_obey_cauchy():
    """C12 = C44 for central pair forces at zero pressure where every atom is a centre of inversion."""
    argon = relaxed(bulk("Ar", "fcc", a=3.9, cubic=True) * (2, 2, 2), LennardJones(**LJ), fmax_eV_A=1e-4)
    found = elastic_constants(argon, LennardJones(**LJ))
    assert found.C12_GPa == pytest.approx(found.C44_GPa, rel=0.01)


def test_born_conditions():
    assert not Cubic(10, 12, 5).stable
    assert Cubic(10, 12, 5).C_prime_GPa == -1
    assert Cubic(15, 12, 5).bulk_modulus_GPa == pytest.approx(13)


def test_softest_mode_of_a_dimer_is_its_vibration():
    """In a big box the free rotations are zero; a dimer along x has omega^2 = k / reduced mass."""
    dimer = Atoms("Cu2", positions=[(0, 0, 0), (2 ** (1 / 6) * 2.5, 0, 0)], cell=[20] * 3, pbc=True)
    calculator = LennardJones(**(LJ | {"smooth": False}))
    assert softest_mode_THz(dimer, calculator) == pytest.approx(0, abs=0.05)
    chain = Atoms("Cu2", positions=[(0, 0, 0), (2.5, 0, 0)], cell=[5.0, 5.0, 5.0], pbc=True)
    assert softest_mode_THz(chain, calculator) < 0, "a simple cubic Lennard-Jones crystal is unstable"


def test_softest_mode_equals_ase_phonons(copper, tmp_path):
    from ase.phonons import Phonons

    cell = copper * (2, 2, 2)
    ours = softest_mode_THz(cell, EMT())
    phonons = Phonons(copper, EMT(), supercell=(3, 3, 3), delta=0.01, name=str(tmp_path / "phonon"))
    phonons.run()
    phonons.read(acoustic=True)
    points = [q for q in np.ndindex(2, 2, 2) if any(q)]
    energies = phonons.band_structure(np.array(points) / 2)
    gamma = phonons.band_structure(np.zeros((1, 3)))[0][3:]
    theirs = min(energies.min(), gamma.min())  # eV
    planck_eV_s = 4.135667696e-15
    # EMT reaches beyond half the 3x3x3 cell by a little.
    assert ours == pytest.approx(theirs / planck_eV_s / 1e12, rel=0.02)
    assert fs > 0


def test_surface_energy_of_two_broken_halves(copper):
    slab = fcc100("Cu", (1, 1, 7), a=copper.cell[0, 0], vacuum=8.0)
    per_atom = _energy(copper, 1.0) / len(copper)
    found = surface_energy_J_m2(slab, EMT(), per_atom)
    work = relaxed(slab, EMT(), cell=False)
    area = np.prod(slab.cell.lengths()[:2])
    assert found * 2 * area * (J / m**2) + 7 * per_atom == pytest.approx(work.get_potential_energy(), abs=1e-6)
    assert found > 0
    with pytest.raises(ValueError, match="more than one element"):
        surface_energy_J_m2(Atoms("CuAu", cell=[5] * 3, pbc=True), EMT(), 0.0)


def test_vacancy_energies(copper):
    supercell = copper * (3, 3, 3)
    formation = vacancy_formation_eV(supercell, EMT())
    half = supercell.copy()
    del half[0]
    half.calc = EMT()
    unrelaxed = half.get_potential_energy() - (len(half) / len(supercell)) * _energy(supercell, 1.0)
    assert 0 < formation <= unrelaxed
    barrier = vacancy_migration_eV(supercell, EMT())
    # EMT copper: 0.6 to 0.8 eV in the literature of the method; the hop of the neighbour is symmetric.
    assert 0.4 < barrier < 1.0


def test_barrier_of_a_known_double_well():
    """One atom over a saddle of a cosine: the barrier is its height."""

    class Cosine(LennardJones):
        def calculate(self, atoms=None, properties=None, system_changes=()):
            x = 2 * np.pi * atoms.positions[:, 0] / 5.0
            forces = np.zeros((len(atoms), 3))
            forces[:, 0] = 0.3 * np.pi / 5.0 * np.sin(x) * -1
            forces[:, 1:] = -4.0 * (atoms.positions[:, 1:] - 2.0)
            self.results = {
                "energy": float((0.15 * (1 - np.cos(x))).sum() + 2.0 * ((atoms.positions[:, 1:] - 2.0) ** 2).sum()),
                "forces": forces,
            }

    start = Atoms("Li", positions=[(0.0, 2.0, 2.0)], cell=[10.0] * 3, pbc=True)
    end = start.copy()
    end.positions[0, 0] = 5.0
    assert migration_barrier_eV(start, end, Cosine()) == pytest.approx(0.3, abs=0.003)
