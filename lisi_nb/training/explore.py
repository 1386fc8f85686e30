"""Active learning: run the MD the potential is made for, keep the frames its members disagree on.

The window follows DP-GEN: below `LOW` the members agree, above `HIGH` the frame is too far gone to be
worth a label. Selected frames of one run are spread over its deviation-ranked, time-separated candidates.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.io import write

from lisi_nb.analysis.trust import candidates
from lisi_nb.engine import parse
from lisi_nb.engine.devices import Device
from lisi_nb.engine.execute import run_blocking
from lisi_nb.engine.lammps import DEVIATION, TRAJECTORY, Segment, Stage
from lisi_nb.errors import RunFailed
from lisi_nb.structures.crystals import NAMES, crystal
from lisi_nb.structures.interfaces import FACETS, interface
from lisi_nb.structures.packing import random_packing
from lisi_nb.training.frames import LI_VOLUME_A3, SI_VOLUME_A3, random_melt, small_interface, small_slab
from lisi_nb.training.label import read_frames

LOW_EV_A, HIGH_EV_A = 0.10, 1.2
EVERY = 50


@dataclass(frozen=True)
class Exploration:
    """One short MD run: system name, start, and segment."""

    system: str
    atoms: Atoms
    segment: Segment


def amorphous_interface(seed: int, vacuum_A: float) -> Atoms:
    """A small random Si slab under packed Li; MD turns it into a-Si | Li."""
    n_si, edge = 56, 10.9
    silicon = random_packing(["Si"] * n_si, (edge, edge, 1.02 * n_si * SI_VOLUME_A3 / edge**2), seed, shrink=0.95)
    lithium = random_packing(["Li"] * 64, (edge, edge, 64 * LI_VOLUME_A3 / edge**2), seed + 1)
    return interface(silicon, lithium, gap_A=2.4, vacuum_A=vacuum_A)


def explorations(seed: int, n_steps: int, n_atoms: int = 64) -> list[Exploration]:
    """The MD runs of one round: interfaces at three temperatures, melts, crystals and surfaces.

    `n_atoms` is the size of the melts; interfaces and crystals keep to twice that.
    """
    rng = np.random.default_rng(seed)
    runs: list[Exploration] = []

    def add(
        system: str, atoms: Atoms, start_K: float, stop_K: float, pressure: float | None, share: float = 1.0
    ) -> None:
        stage = Stage(int(share * n_steps), start_K, stop_K, pressure)
        segment = Segment(
            (stage,),
            timestep_fs=1.5,
            seed=int(rng.integers(1, 1 << 29)),
            dump_every=EVERY,
            thermo_every=200,
            deviation_every=EVERY,
        )
        runs.append(Exploration(system, atoms, segment))

    def new_seed() -> int:
        return int(rng.integers(1 << 29))

    for facet in (*FACETS, "aSi"):
        for vacuum_A, start_K, stop_K in ((0.0, 500.0, 900.0), (12.0, 600.0, 1000.0), (0.0, 1000.0, 1500.0)):
            lateral_A = 10.5 if n_atoms >= 64 else 8.0
            atoms = (
                amorphous_interface(new_seed(), vacuum_A)
                if facet == "aSi"
                else small_interface(facet, new_seed(), vacuum_A, float(rng.uniform(0.8, 1.8)), lateral_A)
            )
            suffix = "/vacuum" if vacuum_A else ""
            add(f"interface/{facet}{suffix}", atoms, start_K, stop_K, None if vacuum_A else 0.0, 1.6)
    for x_li in (0.0, 0.3, 0.6, 1.0, 1.5, 2.25, 3.0, 3.75, 6.0, np.inf):
        melt = random_melt(x_li, n_atoms, float(rng.uniform(0.92, 1.05)), new_seed(), shrink=1.0)
        hot = 3000.0 if x_li < 0.2 else (1100.0 if np.isinf(x_li) else 1800.0)
        add(f"melt/x={x_li:g}", melt, hot, 400.0, 0.0)
    for name in NAMES:
        repeat = {"Li": (3, 3, 3), "Li_fcc": (2, 2, 2), "Si": (2, 2, 2)}.get(name, (1, 1, 1))
        cell = crystal(name) * repeat
        if name == "Li7Si3":  # hexagonal -> orthogonal
            cell = make_supercell(cell, [[1, 0, 0], [1, 2, 0], [0, 0, 1]])
        if len(cell) <= 120:
            add(f"crystal/{name}", cell, 200.0, 600.0 if name.startswith("Li_") or name == "Li" else 1300.0, 0.0, 0.5)
    for name, hot in (("Li", 700.0), ("Si", 1300.0)):
        for facet in FACETS:
            slab = small_slab(name, facet, 12.0)
            slab.center(vacuum=6.0, axis=2)
            add(f"surface/{name}{facet}", slab, 300.0, hot, None, 0.6)
    add("crystal/Si_vacancy", _vacancy(), 300.0, 1500.0, None, 0.5)
    return [run for run in runs if n_atoms >= 64 or len(run.atoms) <= 2 * n_atoms]


def _vacancy() -> Atoms:
    atoms = bulk("Si", "diamond", a=5.4687, cubic=True) * (2, 2, 2)
    del atoms[0]
    return atoms


def explore(
    folder: Path,
    models: list[Path],
    round_number: int,
    n_steps: int,
    per_run: int,
    say: Callable[[str], None] = print,
    low_eV_A: float = LOW_EV_A,
    n_atoms: int = 64,
) -> list[Atoms]:
    """Run one round of explorations with the ensemble `models` and return the selected frames.

    Parameters
    ----------
    folder : Path
        Where the runs lie; a run whose ``selected.extxyz`` is there is not repeated.
    models : list of Path
        Members; the first one drives.
    round_number, n_steps, per_run : int
        Round (also the seed), MD steps of a run, and frames kept from a run.
    say : callable
        Called with a line for each run.
    low_eV_A : float
        Frames with a smaller deviation are not selected; 0 selects along the whole run.
    n_atoms : int
        Size of the melts (see `explorations`).
    """
    device = Device("cpu", "exploration", 1)

    def one(job: tuple[int, Exploration]) -> list[Atoms]:
        index, run = job
        where = folder / f"{index:02d}"
        saved = where / "selected.extxyz"
        if saved.exists():
            return read_frames(saved)
        shutil.rmtree(where, ignore_errors=True)
        note = ""
        try:
            run_blocking(where, run.atoms, run.segment, models, device)
        except RunFailed as error:
            note = "; ended early: " + str(error).splitlines()[0]
        trajectory = where / TRAJECTORY
        frames = list(parse.frames(trajectory)) if trajectory.exists() else []
        deviation = parse.model_deviation(where / DEVIATION)["max_devi_f_eV_A"][: len(frames)]
        chosen = candidates(deviation, low_eV_A, HIGH_EV_A, per_run)
        quartiles = np.percentile(deviation, (50, 95, 100)).round(3) if len(deviation) else "none"
        say(f"{index:02d} {run.system}: {len(chosen)} frames; max_devi_f 50/95/100 %: {quartiles} eV/Å{note}")
        kept = []
        for k in chosen:
            atoms = frames[k].atoms()
            atoms.info = {"system": run.system, "round": round_number, "max_devi_f_eV_A": float(deviation[k])}
            kept.append(atoms)
        write(saved.with_suffix(".part"), kept, format="extxyz")
        saved.with_suffix(".part").rename(saved)
        trajectory.unlink(missing_ok=True)
        return kept

    with ThreadPoolExecutor(2) as pool:
        results = pool.map(one, enumerate(explorations(1000 + round_number, n_steps, n_atoms)))
        return [atoms for kept in results for atoms in kept]
