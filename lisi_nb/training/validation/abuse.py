"""Behaviour under abuse: atoms pushed together, 3000 K, and energy conservation without a thermostat."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet
from ase.neighborlist import neighbor_list

from lisi_nb.engine.lammps import Stage
from lisi_nb.potentials import Potential
from lisi_nb.structures.crystals import crystal
from lisi_nb.training.frames import random_melt
from lisi_nb.training.validation.alloys import short_md
from lisi_nb.training.validation.findings import Finding

PUSH_TO_A = 1.0
HOT_K, HOT_PS = 3000.0, 5.0


def pushed(potential: Potential, atoms: Atoms, first: int, second: int) -> tuple[float, float]:
    """Energy rise (eV) when two atoms of a crystal meet at `PUSH_TO_A`, and the largest fall on the way (eV).

    A fall is a hole in the short-range repulsion into which hot atoms would drop.
    """
    work = atoms.copy()
    work.calc = potential.calculator()
    vector = work.get_distance(first, second, mic=True, vector=True)
    start = float(np.linalg.norm(vector))
    middle = work.positions[first] + 0.5 * vector
    energies = []
    for distance in np.arange(start, PUSH_TO_A - 1e-9, -0.02):
        work.positions[first] = middle - 0.5 * distance / start * vector
        work.positions[second] = middle + 0.5 * distance / start * vector
        energies.append(work.get_potential_energy())
    return energies[-1] - energies[0], float(max(0.0, -np.diff(energies).min()))


def compression(potential: Potential) -> list[Finding]:
    """Pairs of nearest neighbours in three crystals, pushed together."""
    found = []
    cells = (("Li-Li", crystal("Li") * (3, 3, 3)), ("Si-Si", crystal("Si") * (2, 2, 2)), ("Li-Si", crystal("LiSi")))
    for pair, atoms in cells:
        one, other = pair.split("-")
        i, j, d = neighbor_list("ijd", atoms, 3.2)
        kinds = np.array(atoms.get_chemical_symbols())
        wanted = np.flatnonzero((kinds[i] == one) & (kinds[j] == other))
        nearest = wanted[d[wanted].argmin()]
        rise, fall = pushed(potential, atoms, int(i[nearest]), int(j[nearest]))
        found += [
            Finding(f"energy of a pair pushed to {PUSH_TO_A} Å", pair, rise, float("nan"), "eV",
                    note=f"from {d[nearest]:.2f} Å in the crystal"),
            Finding("largest fall of the energy on the way", pair, fall, 0.0, "eV", 0.0, None, 0.02,
                    "a fall is a hole in the repulsion"),
        ]  # fmt: skip
    return found


def heat(potential: Potential) -> list[Finding]:
    """64 atoms of LiSi melt at 3000 K: nothing flies apart, no pair collapses."""
    start = random_melt(1.0, 64, 1.0, 3, shrink=1.0)
    steps = round(1000 * HOT_PS / 1.5)
    end = short_md(potential, start, (Stage(steps, HOT_K, HOT_K),), 3)
    return [
        Finding("closest pair after 5 ps at 3000 K", "LiSi melt", float(neighbor_list("d", end, 3.0).min()),
                float("nan"), "A", note="below 1.5 Å it is a collapse", at_least=1.5),
        Finding("atoms lost at 3000 K", "LiSi melt", float(len(start) - len(end)), 0.0, "1", 0.0, None, 0.0),
    ]  # fmt: skip


def conservation(potential: Potential, n_steps: int = 2000, timestep_fs: float = 1.0) -> list[Finding]:
    """Drift of the total energy without thermostat: 64 atoms of LiSi melt near 1000 K (velocity Verlet)."""
    melt = short_md(potential, random_melt(1.0, 64, 1.0, 2, shrink=1.0), (Stage(1500, 1000.0, 1000.0),), 2)
    melt.calc = potential.calculator()
    rng = np.random.RandomState(1)
    MaxwellBoltzmannDistribution(melt, temperature_K=1000.0, rng=rng)
    Stationary(melt)
    dynamics = VelocityVerlet(melt, timestep_fs * units.fs)
    energies = []
    dynamics.attach(lambda: energies.append(melt.get_total_energy() / len(melt)), interval=10)
    dynamics.run(n_steps)
    time_ps = np.arange(len(energies)) * 10 * timestep_fs / 1000
    drift = 1000 * np.polyfit(time_ps, energies, 1)[0]
    return [
        Finding("energy drift without thermostat", "LiSi melt", float(drift), float("nan"), "meV/atom/ps", 0.0, None,
                0.5, f"{timestep_fs:g} fs steps, {time_ps[-1]:.0f} ps, 1000 K")
    ]  # fmt: skip


def abuse(potential: Potential) -> list[Finding]:
    """All of them."""
    return compression(potential) + heat(potential) + conservation(potential)
