"""Amorphous LixSi and liquid lithium."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from lisi_nb.engine import devices
from lisi_nb.engine.execute import run_blocking
from lisi_nb.engine.lammps import Segment, Stage
from lisi_nb.potentials import Potential
from lisi_nb.training.frames import random_melt
from lisi_nb.training.validation.findings import Finding, reference_value
from lisi_nb.units import U_PER_A3_IN_G_CM3

AMORPHOUS_X = (0.56, 1.50, 2.50, 3.75)
SI_SI_CUTOFF_A = 2.7


def quenched(potential: Potential, x_li: float, n_atoms: int = 110, seed: int = 1) -> Atoms:
    """Amorphous LixSi: melt at 1500 K, 100 K/ps to 300 K, relax the height at 0 bar."""
    stages = (Stage(1400, 1500.0, 1500.0), Stage(8000, 1500.0, 300.0, 0.0), Stage(2000, 300.0, 300.0, 0.0))
    return short_md(potential, random_melt(x_li, n_atoms, 1.0, seed, shrink=1.0), stages, seed)


def short_md(potential: Potential, atoms: Atoms, stages: tuple[Stage, ...], seed: int) -> Atoms:
    """Last structure of some MD with the first member."""
    segment = Segment(stages, timestep_fs=1.5, seed=seed, dump_every=0, deviation_every=500)
    with tempfile.TemporaryDirectory() as folder:
        return run_blocking(Path(folder), atoms, segment, potential.models()[:1], devices.choose())


def density_g_cm3(atoms: Atoms) -> float:
    """Mass density of a periodic cell."""
    return float(atoms.get_masses().sum() / atoms.get_volume() * U_PER_A3_IN_G_CM3)


def si_neighbours(atoms: Atoms, cutoff_A: float = SI_SI_CUTOFF_A) -> float:
    """Mean number of silicon neighbours of a silicon atom within `cutoff_A`."""
    silicon = atoms[atoms.numbers == 14]
    return float(len(neighbor_list("i", silicon, cutoff_A)) / len(silicon))


def amorphous(potential: Potential) -> list[Finding]:
    """Density and Si-Si coordination of quenched LixSi, and the density of liquid lithium at 500 K."""
    found = []
    for x_li in AMORPHOUS_X:
        atoms, name = quenched(potential, x_li), f"a-Li{x_li:.2f}Si"
        dft = {q: reference_value(q, f"{name}_dftb") for q in ("density", "cn_si_si")}
        nan = float("nan")
        found += [
            Finding("density", name, density_g_cm3(atoms), nan, "g/cm3", dft["density"], None, 0.05 * dft["density"],
                    "reference: DFTB"),
            Finding("Si-Si coordination", name, si_neighbours(atoms), nan, "1", dft["cn_si_si"], None, 0.3,
                    "reference: DFTB"),
        ]  # fmt: skip
    hot = Stage(1500, 800.0, 500.0, 0.0)
    liquid = short_md(
        potential, random_melt(np.inf, 128, 0.95, 1, shrink=1.0), (hot, Stage(6000, 500.0, 500.0, 0.0)), 1
    )
    found.append(
        Finding("density at 500 K", "liquid Li", density_g_cm3(liquid), float("nan"), "g/cm3", None,
                reference_value("density", "Li_liquid_experiment_454K"), 0.03, "one instant of 128 atoms")
    )  # fmt: skip
    return found
