"""Lithium and silicon: lattices, elastic constants, polymorphs, surfaces, vacancies, stability of vibrations."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bcc100, bcc110, bcc111, bulk, diamond100, diamond111, surface

from lisi_nb.analysis.defects import surface_energy_J_m2, vacancy_formation_eV, vacancy_migration_eV
from lisi_nb.analysis.elasticity import Cubic, elastic_constants, relaxed, softest_mode_THz
from lisi_nb.potentials import Potential
from lisi_nb.structures.crystals import crystal
from lisi_nb.training.validation.findings import SOFTEST_THZ, Finding, over_members, reference_value

# quantity in published.csv, attribute of `Cubic`, allowed deviation in GPa for Li and Si
_ELASTIC = (
    ("elastic_c11", "C11_GPa", 3.0, 15.0),
    ("elastic_c12", "C12_GPa", 3.0, 10.0),
    ("elastic_c44", "C44_GPa", 2.0, 10.0),
    ("bulk_modulus", "bulk_modulus_GPa", 2.0, 9.0),
)
_SURFACES = {
    "Li": {"100": "Li_100_dft", "110": "Li_110_dft", "111": "Li_111_dft"},
    "Si": {"100": "Si_100_reconstructed_dft", "110": "Si_110_reconstructed_dft", "111": "Si_111_1x1_dft"},
}
_AS_BUILT = {"100": "p(2x1), buckled dimers", "110": "as cut; DFT's is reconstructed, so not judged", "111": "1x1"}
_DIMER_A, _BUCKLE_A = 2.35, 0.7


def lithium_slab(facet: str, lattice_A: float) -> Atoms:
    """A bcc slab of about 25 A with 12 A of vacuum."""
    if facet == "100":
        slab = bcc100("Li", (1, 1, 14), a=lattice_A, vacuum=6.0)
    elif facet == "110":
        slab = bcc110("Li", (1, 1, 10), a=lattice_A, vacuum=6.0)
    else:
        slab = bcc111("Li", (1, 1, 24), a=lattice_A, vacuum=6.0)
    slab.pbc = True
    return slab


def silicon_slab(facet: str, lattice_A: float) -> Atoms:
    """A diamond slab with 12 A of vacuum: (100) with rows of dimers, (110) as cut, (111) ends between double layers."""
    if facet == "100":
        slab = _with_dimers(diamond100("Si", (1, 2, 16), a=lattice_A, vacuum=6.0))
    elif facet == "111":
        slab = diamond111("Si", (1, 1, 14), a=lattice_A)[1:-1]  # as built, it ends within double layers
        slab.center(vacuum=6.0, axis=2)
    else:
        miller = tuple(int(c) for c in facet)
        slab = surface(bulk("Si", "diamond", a=lattice_A, cubic=True), miller, 4, vacuum=6.0)
    slab.pbc = True
    return slab


def _with_dimers(slab: Atoms) -> Atoms:
    """Draw the two atoms of each (100) face together along y until they bond, one of them higher than the other."""
    apart = slab.cell[1, 1] / 2
    across = (_DIMER_A**2 - _BUCKLE_A**2) ** 0.5
    for end, outward in ((slab.positions[:, 2].min(), -1), (slab.positions[:, 2].max(), 1)):
        face = np.flatnonzero(np.isclose(slab.positions[:, 2], end))
        near, far = face[np.argsort(slab.positions[face, 1])]
        slab.positions[near] += [0, (apart - across) / 2, outward * _BUCKLE_A / 2]
        slab.positions[far] -= [0, (apart - across) / 2, outward * _BUCKLE_A / 2]
    return slab


def lithium(potential: Potential) -> list[Finding]:
    """Bulk, polymorphs, three surfaces with their order, and the vacancy of lithium."""
    return _element(potential, "Li", crystal("Li"), 27, "Li_bcc_dft", "Li_bcc_experiment_78K") + _polymorphs(potential)


def silicon(potential: Potential) -> list[Finding]:
    """Bulk, three surfaces and the vacancy of silicon."""
    return _element(potential, "Si", crystal("Si"), 8, "Si_dft", "Si_experiment_0K")


def _element(potential: Potential, element: str, cell: Atoms, n_cells: int, dft: str, experiment: str) -> list[Finding]:
    repeat = round(n_cells ** (1 / 3))
    k = 0 if element == "Li" else 1

    @cache
    def bulk_of(calculator: Any) -> Atoms:
        return relaxed(cell, calculator, fmax_eV_A=0.002)

    @cache
    def elastic_of(calculator: Any) -> Cubic:
        return elastic_constants(bulk_of(calculator), calculator)

    def per_atom(calculator: Any) -> float:
        return bulk_of(calculator).get_potential_energy() / len(cell)

    def edge(calculator: Any) -> float:
        return float(bulk_of(calculator).cell.lengths().mean())

    found = [
        Finding("lattice parameter a", element, *over_members(potential, edge), "A",
                reference_value("lattice_a", dft),
                reference_value("lattice_a", "Li_bcc_experiment_80K" if element == "Li" else "Si_experiment"),
                0.01 * edge(potential.calculator())),
    ]  # fmt: skip
    for quantity, attribute, *allowed in _ELASTIC:
        values = over_members(potential, lambda c, name=attribute: getattr(elastic_of(c), name))  # type: ignore[misc]
        reference = "Si_dft_relaxed" if (element, quantity) == ("Si", "elastic_c44") else dft
        source = {"Li": "Li_bcc_experiment", "Si": "Si_experiment"}[element] if "bulk" in quantity else experiment
        found.append(
            Finding(attribute.removesuffix("_GPa"), element, *values, "GPa", reference_value(quantity, reference),
                    reference_value(quantity, source), allowed[k])
        )  # fmt: skip
    shear = over_members(potential, lambda c: elastic_of(c).C_prime_GPa)
    dft_shear = 0.5 * (reference_value("elastic_c11", dft) - reference_value("elastic_c12", dft))
    found.append(
        Finding("C' = (C11 - C12)/2", element, *shear, "GPa", dft_shear,
                note="at or below 0 the crystal is unstable to shear", at_least=1e-3)
    )  # fmt: skip
    slab = lithium_slab if element == "Li" else silicon_slab
    energies = {}
    for facet, key in _SURFACES[element].items():
        values = over_members(
            potential,
            lambda c, f=facet: surface_energy_J_m2(slab(f, edge(c)), c, per_atom(c)),  # type: ignore[misc]
        )
        energies[facet] = values[0]
        dft_value = reference_value("surface_energy", key)
        found.append(
            Finding(f"surface energy ({facet})", element, *values, "J/m2", dft_value, None,
                    None if (element, facet) == ("Si", "110") else 0.1 * dft_value,
                    "" if element == "Li" else _AS_BUILT[facet])
        )  # fmt: skip
    if element == "Li":
        order = sorted(energies, key=lambda f: energies[f])
        right = order == ["100", "110", "111"]
        found.append(
            Finding("surface order is (100) < (110) < (111)", element, float(right), 0.0, "1", 1.0, None, 0.0,
                    "ours: " + " < ".join(f"({f})" for f in order))
        )  # fmt: skip

    def supercell(calculator: Any) -> Atoms:
        return bulk_of(calculator) * (repeat, repeat, repeat)

    formation = over_members(potential, lambda c: vacancy_formation_eV(supercell(c), c))
    found.append(
        Finding("vacancy formation", element, *formation, "eV", reference_value("vacancy_formation_energy", dft),
                reference_value("vacancy_formation_energy", {"Li": "Li_bcc_experiment"}.get(element, "Si_experiment")),
                0.1 if element == "Li" else 0.3, f"{len(cell) * repeat**3} sites")
    )  # fmt: skip
    if element == "Li":
        barrier = over_members(potential, lambda c: vacancy_migration_eV(supercell(c), c))
        found.append(
            Finding("vacancy migration", element, *barrier, "eV", reference_value("vacancy_migration_energy", dft),
                    reference_value("vacancy_migration_energy", "Li_bcc_experiment"), 0.03)
        )  # fmt: skip
    first = potential.calculator()
    found.append(
        Finding("softest vibration", element, softest_mode_THz(supercell(first), first), float("nan"), "THz",
                note="negative is imaginary: unstable", at_least=SOFTEST_THZ)
    )  # fmt: skip
    return found


def _polymorphs(potential: Potential) -> list[Finding]:
    """Energies of fcc and hcp above bcc lithium."""
    hcp = bulk("Li", "hcp", a=3.06, c=4.98)
    found = []
    for name, atoms in (("fcc", crystal("Li_fcc")), ("hcp", hcp)):

        def difference(calculator: Any, atoms: Atoms = atoms) -> float:
            energies = [
                relaxed(each, calculator, fmax_eV_A=0.002).get_potential_energy() / len(each)
                for each in (atoms, crystal("Li"))
            ]
            return 1000 * float(np.subtract(*energies))

        dft = reference_value("energy_fcc_minus_bcc", "Li_dft") if name == "fcc" else None
        found.append(
            Finding(f"energy of {name} above bcc", "Li", *over_members(potential, difference), "meV/atom", dft, None,
                    5.0 if dft is not None else None)
        )  # fmt: skip
    return found
