"""Frames of what the members were biased on: surfaces, lithium with a vacancy, and the largest crystal.

Surfaces of silicon rebuild themselves, so slabs are shaken and then relaxed by the present potential, each for a few
steps only: from broken bonds to a rebuilt surface, every stage has its frames.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.optimize import FIRE

from lisi_nb.structures.crystals import crystal
from lisi_nb.training.frames import small_slab, strained_rattled
from lisi_nb.training.held_out import HELD_OUT

VACUUM_A = 6.0  # on both sides
SLABS = {("Si", "100"): 24, ("Si", "110"): 24, ("Li", "100"): 16, ("Li", "111"): 16}
CELLS = {"Li_vacancy": 12, "Li12Si7": 10, "LiSi": 8}
RELAXED_STEPS = (0, 0, 3, 10, 40)


def surface_frames(calculator: Any, seed: int = 0) -> list[Atoms]:
    """Slabs, vacancies and crystals, each with ``info["system"]``; none is of a held-out system.

    Parameters
    ----------
    calculator : ase calculator
        The present potential, which relaxes slabs a little.
    seed : int
        The same seed and potential give the same frames.
    """
    rng, frames = np.random.default_rng(seed), []

    def add(system: str, atoms: Atoms) -> None:
        plain = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
        plain.info["system"] = system
        frames.append(plain)

    for (name, facet), n_frames in SLABS.items():
        for k in range(n_frames):
            slab = small_slab(name, facet, float(rng.uniform(8.0, 14.0)))
            slab.center(vacuum=VACUUM_A, axis=2)
            strain = rng.normal(0, 0.015, 2)
            slab.set_cell(slab.cell.array * [[1 + strain[0]], [1 + strain[1]], [1.0]], scale_atoms=True)
            slab.positions += rng.normal(0, rng.uniform(0.0, 0.25), slab.positions.shape)
            add(f"surface/{name}{facet}", relaxed(slab, calculator, RELAXED_STEPS[k % len(RELAXED_STEPS)]))
    for name, n_frames in CELLS.items():
        cell = crystal("Li") * (3, 3, 3) if name == "Li_vacancy" else crystal(name)
        if name == "Li_vacancy":
            del cell[0]
        for k in range(n_frames):
            moved = strained_rattled(cell, rng, rng.uniform(0.0, 0.2), rng.uniform(0.94, 1.06))
            add(f"crystal/{name}", relaxed(moved, calculator, RELAXED_STEPS[k % len(RELAXED_STEPS)]))
    if wrong := {a.info["system"] for a in frames} & set(HELD_OUT):
        raise ValueError(f"{', '.join(sorted(wrong))} is held out (held_out.HELD_OUT); take it out of SLABS or CELLS.")
    return frames


def relaxed(atoms: Atoms, calculator: Any, n_steps: int) -> Atoms:
    """A copy after at most `n_steps` of relaxation at fixed cell."""
    atoms = atoms.copy()
    if n_steps:
        atoms.set_pbc(True)
        atoms.calc = calculator
        FIRE(atoms, logfile=None).run(fmax=0.02, steps=n_steps)
    return atoms
