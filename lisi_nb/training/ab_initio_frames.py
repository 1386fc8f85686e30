"""Frames for ab initio labels, chosen once and kept in files: small cells, as their cost grows with the cube of size.

Of each system the most diverse ones are kept, and dealt out in turn, so that any beginning of a file is balanced.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write

from lisi_nb.engine import parse
from lisi_nb.engine.devices import Device
from lisi_nb.engine.execute import run_blocking
from lisi_nb.engine.lammps import TRAJECTORY, Segment, Stage
from lisi_nb.potentials import Potential
from lisi_nb.training.choose import diverse
from lisi_nb.training.explore import explore
from lisi_nb.training.frames import initial_frames, random_melt, small_crystals

ROUND, SMALLEST_ROUND = 5, 6
STEPS, PER_RUN = 2500, 12
SMALL_ATOMS, MAX_ATOMS = 32, 48  # of a melt, and of any frame
SMALLEST_ATOMS = 16  # of melts that cost a quarter, so that there are many
PER_SYSTEM = 8
GLASS_ATOMS, GLASS_X, PER_GLASS = 24, (0.0, 0.3, 1.0, 2.25, 3.75), 4


def small_cells(target: Path, work: Path, potential: Potential) -> Path:
    """MD of small cells with the present potential, and built crystals and surfaces, the unperturbed ones among them.

    Long cells converge slowly, so interfaces come last.
    """
    if not target.exists():
        built = [*small_crystals(), *(a for a in initial_frames() if a.info["system"].startswith("surface"))]
        moved = _along(work / "small", potential, ROUND, SMALL_ATOMS)
        chosen = diverse([*built, *moved], potential.members()[0], PER_SYSTEM, MAX_ATOMS)
        chosen.sort(key=lambda a: a.info["system"].startswith("interface"))
        write(target, chosen, format="extxyz")
    return target


def smallest_melts(target: Path, work: Path, potential: Potential) -> Path:
    """Diverse frames along the MD of melts of 16 atoms."""
    if not target.exists():
        moved = _along(work / "smallest", potential, SMALLEST_ROUND, SMALLEST_ATOMS)
        melts = [atoms for atoms in moved if atoms.info["system"].startswith("melt")]
        write(target, diverse(melts, potential.members()[0], PER_SYSTEM, SMALLEST_ATOMS), format="extxyz")
    return target


def glasses(target: Path, work: Path, potential: Potential, seed: int = 8) -> Path:
    """Amorphous LixSi: melts of 24 atoms cooled from 1800 to 300 K in 30 ps, frames below 800 K."""
    if not target.exists():
        rng, frames = np.random.default_rng(seed), []
        for x_li in GLASS_X:
            where = work / "glasses" / f"x{x_li:g}"
            melt = random_melt(x_li, GLASS_ATOMS, 1.0, int(rng.integers(1 << 29)), shrink=1.0)
            hot = Stage(3000, 3000.0 if x_li == 0 else 1800.0, 1800.0, 0.0, "iso")
            cooling = Stage(15000, 1800.0, 300.0, 0.0, "iso")
            number = int(rng.integers(1, 1 << 29))
            segment = Segment((hot, cooling), timestep_fs=2.0, seed=number, dump_every=500, thermo_every=500)
            shutil.rmtree(where, ignore_errors=True)
            run_blocking(where, melt, segment, potential.models()[:1], Device("cpu", "glass", 1))
            cold = [frame.atoms() for frame in parse.frames(where / TRAJECTORY)][-10:]
            for atoms in cold:
                atoms.info = {"system": f"amorphous/x={x_li:g}", "round": ROUND}
            frames += cold[::-1]  # the coldest first: it is always kept
        write(target, diverse(frames, potential.members()[0], PER_GLASS, GLASS_ATOMS), format="extxyz")
    return target


def _along(folder: Path, potential: Potential, round_number: int, n_atoms: int) -> list[Atoms]:
    return explore(folder, potential.models(), round_number, STEPS, PER_RUN, low_eV_A=0.0, n_atoms=n_atoms)
