"""The shipped ensemble as physics: forces and stress are derivatives, symmetries hold, LAMMPS computes the same.

The network is float32: a sum of n_atoms energies of a few eV carries a relative rounding error of about
2^-24 * sqrt(n_layers * width), seen below as NOISE_EV on the total energy of some 60 atoms.
"""

import numpy as np
import pytest
from ase import Atoms
from ase.units import bar

from lisi_nb import potentials
from lisi_nb.engine import parse
from lisi_nb.engine.devices import Device
from lisi_nb.engine.execute import run_blocking
from lisi_nb.engine.lammps import DEVIATION, TRAJECTORY, Segment, Stage
from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.packing import random_packing

# Per-atom energies of about 5 eV in float32: 2^-24 * 5 eV = 3e-7 eV each, times sqrt(64) atoms and about 10 rounded
# operations after the last large sum.
NOISE_EV = 3e-5


@pytest.fixture(scope="module")
def potential():
    return potentials.get("lisi")


@pytest.fixture(scope="module")
def alloy() -> Atoms:
    """A disordered Li2Si, rattled: no symmetry that could hide a wrong force."""
    return random_packing(["Li"] * 42 + ["Si"] * 21, (10.2, 10.4, 10.6), seed=7)


def energy(potential, atoms: Atoms) -> float:
    work = atoms.copy()
    work.calc = potential.calculator()
    return work.get_potential_energy()


def forces(potential, atoms: Atoms) -> np.ndarray:
    work = atoms.copy()
    work.calc = potential.calculator()
    return work.get_forces()


def test_forces_are_the_gradient(potential, alloy):
    exact = forces(potential, alloy)
    h = 0.01  # A: rounding gives NOISE_EV / h = 3e-3 eV/A; the cubic term h^2/6 * E''' with E''' < 300 eV/A^3, 5e-3
    for atom in (0, 20, 45, 62):
        for axis in range(3):
            pair = []
            for sign in (1, -1):
                moved = alloy.copy()
                moved.positions[atom, axis] += sign * h
                pair.append(energy(potential, moved))
            assert (pair[1] - pair[0]) / (2 * h) == pytest.approx(exact[atom, axis], abs=NOISE_EV / h + 5e-3)
    assert np.abs(exact).max() > 0.5, "forces too small to test anything"


def test_stress_is_the_strain_derivative(potential, alloy):
    work = alloy.copy()
    work.calc = potential.calculator()
    stress, volume, h = work.get_stress(voigt=False), alloy.get_volume(), 0.003
    for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2)):
        pair = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += 0.5 * sign * h
            strain[j, i] += 0.5 * sign * h
            moved = alloy.copy()
            moved.set_cell(alloy.cell.array @ strain, scale_atoms=True)
            pair.append(energy(potential, moved))
        slope = (pair[0] - pair[1]) / (2 * h) / volume
        # Rounding, NOISE_EV / h / V = 1e-5 eV/A3; third order, h^2/6 * C''' with C''' of 1e3 GPa = 6 eV/A3: 1e-5.
        assert slope == pytest.approx(stress[i, j], abs=5e-5)
    assert np.abs(stress).max() > 1e-3


def test_no_net_force(potential, alloy):
    # 63 float32 pair sums per atom of up to 10 eV/A: 63 * 10 * 2^-24 per atom, over 63 atoms in random directions.
    np.testing.assert_allclose(forces(potential, alloy).sum(axis=0), 0, atol=5e-4)


def test_invariances(potential, alloy):
    """Translation, renumbering, periodic images and rotation change nothing but the direction of the forces."""
    e, f = energy(potential, alloy), forces(potential, alloy)
    moved = alloy.copy()
    moved.positions += [1.234, -3.21, 20.0]
    order = np.random.default_rng(1).permutation(len(alloy))
    turned = alloy.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    rotation = np.linalg.solve(alloy.cell.array, turned.cell.array)
    for other, expected in ((moved, f), (alloy[order], f[order]), (turned, f @ rotation)):
        assert energy(potential, other) == pytest.approx(e, abs=NOISE_EV)
        np.testing.assert_allclose(forces(potential, other), expected, atol=2e-4)  # 2^-24 * 10 eV/A * 100 sums
    double = alloy * (2, 1, 1)
    assert energy(potential, double) == pytest.approx(2 * e, abs=3 * NOISE_EV)


def test_locality(potential):
    """An atom beyond the cutoff feels nothing: two far Li blocks have twice the energy of one."""
    block = crystal("Li") * (2, 2, 2)
    one = Atoms(block.symbols, block.positions, cell=[40, 20, 20], pbc=True)
    two = one + Atoms(block.symbols, np.add(block.positions, [20, 0, 0]))
    assert energy(potential, two) == pytest.approx(2 * energy(potential, one), abs=NOISE_EV)


def test_elements_are_told_apart(potential, alloy):
    swapped = alloy.copy()
    numbers = swapped.numbers.copy()
    numbers[0], numbers[-1] = numbers[-1], numbers[0]
    swapped.numbers = numbers
    assert abs(energy(potential, swapped) - energy(potential, alloy)) > 0.1


@pytest.fixture(scope="module")
def in_lammps(potential, alloy, tmp_path_factory):
    """Zero steps of the alloy in LAMMPS with compressed and with uncompressed models."""

    def run(models, name):
        folder = tmp_path_factory.mktemp(name)
        segment = Segment((Stage(1, 300.0, 300.0),), dump_every=1, thermo_every=1, deviation_every=1)
        # Forces are not in our trajectories: ask for them here, at step 0, before anything moves.
        from lisi_nb.engine import execute

        execute.prepare(folder, alloy, segment, models)
        text = (folder / "in.lmp").read_text()
        more = "dump forces all custom 1 forces.txt id type fx fy fz\ndump_modify forces sort id format float %.10g\n"
        (folder / "in.lmp").write_text(
            text.replace("thermo 1\n", more + "thermo 1\n").replace("lost error", "lost error format float %.10g")
        )
        import subprocess

        device = Device("cpu", "test", 1)
        subprocess.run(
            execute.command(device),
            cwd=folder,
            env=execute.environment(device),
            check=True,
            capture_output=True,
        )
        table = np.loadtxt((folder / "forces.txt").read_text().splitlines()[9 : 9 + len(alloy)])
        return parse.thermo(folder / "log.lammps"), table, parse.model_deviation(folder / DEVIATION)

    return {"compressed": run(potential.models(), "compressed"), "plain": run(potential.members(), "plain")}


# The tabulation of `dp compress` interpolates the embedding on a grid of 0.01 by fifth-order polynomials: its own
# error is far below float32, but every table entry is rounded to it, so sums differ by some more rounding steps.
@pytest.mark.parametrize(("kind", "atol_eV_A"), [("plain", 2e-4), ("compressed", 2e-3)])
def test_lammps_computes_what_ase_computes(potential, alloy, in_lammps, kind, atol_eV_A):
    thermo, table, _ = in_lammps[kind]
    assert table[:, 1].tolist() == [1 if s == "Li" else 2 for s in alloy.symbols]
    np.testing.assert_allclose(table[:, 2:], forces(potential, alloy), atol=atol_eV_A)
    assert thermo["PotEng"][0] == pytest.approx(
        energy(potential, alloy), abs=10 * NOISE_EV if kind == "plain" else 2e-3
    )
    work = alloy.copy()
    work.calc = potential.calculator()
    # LAMMPS's pressure at step 0 has the kinetic part of 300 K on top: N kT / V.
    kinetic = (len(alloy) - 1) * 8.617333e-5 * thermo["Temp"][0] / alloy.get_volume()
    virial = -np.trace(work.get_stress(voigt=False)) / 3
    assert thermo["Press"][0] * bar == pytest.approx(virial + kinetic, abs=2e-5)


@pytest.mark.parametrize("kind", ["plain", "compressed"])
def test_deviation_is_what_lammps_writes(potential, alloy, in_lammps, kind):
    found = in_lammps[kind][2]
    assert found["step"][0] == 0
    assert potential.deviation(alloy) == pytest.approx(found["max_devi_f_eV_A"][0], abs=5e-4)


def test_atomic_energies_add_up_and_are_alike_where_atoms_are(potential, alloy):
    shares = potential.atomic_energies(alloy)
    work = alloy.copy()
    work.calc = potential.calculator()
    assert shares.shape == (len(alloy),)
    assert shares.sum() == pytest.approx(work.get_potential_energy(), abs=1e-4)
    lithium, silicon = (potential.atomic_energies(crystal(name)) for name in ("Li", "Si"))
    assert np.ptp(silicon) < 1e-4
    assert lithium[0] > silicon[0]  # 1.9 eV are the cohesion of Li, 5.4 that of Si
    cluster = Atoms("Li2Si", positions=[(0, 0, 0), (2.9, 0, 0), (1.4, 2.1, 0)])
    work = cluster.copy()
    work.calc = potential.calculator()
    assert potential.atomic_energies(cluster).sum() == pytest.approx(work.get_potential_energy(), abs=1e-5)
    slab = crystal("Li") * (3, 3, 3)  # a cell between walls has no neighbours beyond them
    slab.pbc = (True, True, False)
    inside = np.argsort(np.abs(slab.positions[:, 2] - slab.positions[:, 2].mean()))
    assert potential.atomic_energies(slab)[inside[-1]] > lithium[0] + 0.1


def test_deviation_by_hand(potential, alloy):
    """DP-GEN's definition as a plain loop over members and atoms."""
    from deepmd.calculator import DP

    members = []
    for path in potential.members():
        work = alloy.copy()
        work.calc = DP(model=str(path))
        members.append(work.get_forces())
    largest = 0.0
    for i in range(len(alloy)):
        mean = sum(f[i] for f in members) / len(members)
        variance = sum(((f[i] - mean) ** 2).sum() for f in members) / len(members)
        largest = max(largest, variance**0.5)
    assert potential.deviation(alloy) == pytest.approx(largest, rel=1e-5)
    with pytest.raises(ValueError, match="contains Na"):
        potential.deviation(Atoms("Na", cell=[9] * 3, pbc=True))


def test_run_blocking_returns_the_last_frame_in_the_old_order(potential, alloy, tmp_path):
    told = []
    segment = Segment((Stage(20, 300.0, 300.0),), dump_every=20, thermo_every=5)
    device = Device("cpu", "test", 1)
    last = run_blocking(tmp_path, alloy, segment, potential.models()[:1], device, lambda *x: told.append(x))
    assert last.get_chemical_symbols() == alloy.get_chemical_symbols()
    *_, frame = parse.frames(tmp_path / TRAJECTORY)
    shift = last.get_scaled_positions() - frame.atoms().get_scaled_positions()
    np.testing.assert_allclose(shift - np.round(shift), 0, atol=1e-6)
    assert all(total == 20 for _, total in told)
