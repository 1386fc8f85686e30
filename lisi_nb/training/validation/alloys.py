"""Li-Si compounds (lattice, formation energy, voltage, vibrations), amorphous LixSi and liquid lithium."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from lisi_nb.analysis.elasticity import relaxed, softest_mode_THz
from lisi_nb.engine import devices
from lisi_nb.engine.execute import run_blocking
from lisi_nb.engine.lammps import Segment, Stage
from lisi_nb.potentials import Potential
from lisi_nb.structures.crystals import crystal
from lisi_nb.training.frames import random_melt
from lisi_nb.training.validation.findings import Finding, over_members, reference_value
from lisi_nb.units import U_PER_A3_IN_G_CM3

COMPOUNDS = ("LiSi", "Li12Si7", "Li7Si3", "Li13Si4", "Li15Si4")
AMORPHOUS_X = (0.56, 1.50, 2.50, 3.75)
SI_SI_CUTOFF_A = 2.7


def compounds(potential: Potential) -> list[Finding]:
    """Volume, formation energy and voltage step of the Li-Si crystals; softest vibration of the small ones."""

    @cache
    def of(name: str, calculator: Any) -> Atoms:
        return relaxed(crystal(name), calculator, fmax_eV_A=0.01)

    def energy(name: str, calculator: Any) -> float:
        return of(name, calculator).get_potential_energy() / len(of(name, calculator))

    def fraction(name: str) -> float:
        return crystal(name).get_chemical_symbols().count("Li") / len(crystal(name))

    def formation(name: str, calculator: Any) -> float:
        x = fraction(name)
        return energy(name, calculator) - x * energy("Li", calculator) - (1 - x) * energy("Si", calculator)

    def voltage(before: str, name: str, calculator: Any) -> float:
        """Of the step from one composition to the next against Li: per Li, ``-(E2 - E1 - dx E_Li) / dx``."""
        (x1, f1), (x2, f2) = (
            (fraction(n) / (1 - fraction(n)), formation(n, calculator) / (1 - fraction(n))) for n in (before, name)
        )
        return -(f2 - f1) / (x2 - x1)

    found = []
    for before, name in zip(("Si", *COMPOUNDS[:-1]), COMPOUNDS, strict=True):
        volume = over_members(potential, lambda c, n=name: of(n, c).get_volume() / len(of(n, c)))  # type: ignore[misc]
        reference = reference_value("volume_per_atom", f"{name}_dft")
        found += [
            Finding("volume", name, *volume, "A3/atom", reference, None, 0.03 * reference),
            Finding(
                "formation energy",
                name,
                *over_members(potential, lambda c, n=name: formation(n, c)),  # type: ignore[misc]
                "eV/atom",
                reference_value("formation_energy", f"{name}_dft"),
                None,
                0.015,
            ),
            Finding(
                f"voltage step from {before}",
                name,
                *over_members(potential, lambda c, b=before, n=name: voltage(b, n, c)),  # type: ignore[misc]
                "V",
                reference_value("step_voltage", f"{name}_dft"),
                None,
                0.05,
            ),
        ]
    deepest = min(COMPOUNDS, key=lambda n: formation(n, potential.calculator()))
    found.append(
        Finding("deepest formation energy is that of Li7Si3", "Li-Si", float(deepest == "Li7Si3"), 0.0, "1", 1.0, None,
                0.0, f"ours: {deepest}")
    )  # fmt: skip
    for name in ("LiSi", "Li13Si4", "Li15Si4"):
        first = potential.calculator()
        found.append(
            Finding("softest vibration", name, softest_mode_THz(of(name, first), first), float("nan"), "THz",
                    note="at the wave vectors that fit the cell; negative would be imaginary: unstable")
        )  # fmt: skip
    return found


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
