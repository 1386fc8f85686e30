"""The making of a potential, small enough for a lesson: learn lithium from crystals, break on a surface, repair.

Each step is a `Work`, found again by its inputs, around the functions that make the shipped potential. What loads an
engine runs in a process of its own (`lisi_nb.training.lesson_work`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from lisi_nb import params as declared
from lisi_nb import paths
from lisi_nb.analysis.trust import candidates
from lisi_nb.params import ByScale, parameter
from lisi_nb.structures.crystals import crystal
from lisi_nb.training import recipe, work
from lisi_nb.training.cut import cut_around
from lisi_nb.training.dataset import split, usable
from lisi_nb.training.dp import reference_python
from lisi_nb.training.frames import strained_rattled
from lisi_nb.training.label import frame_id, read_frames
from lisi_nb.training.train import BATCH, DESCRIPTOR, OPTIMIZER
from lisi_nb.training.tune import TEACHER
from lisi_nb.training.validation.labels import Parity, beside
from lisi_nb.training.work import Work

NAME, NOTEBOOK = "train_a_potential", "06_train_a_potential"
WORKER = "lisi_nb.training.lesson_work"
SCALES = ("smoke", "lesson", "paper")
KNOWN, UNKNOWN = ("crystal/Li", "crystal/Li_fcc"), "surface/Li"  # systems learnt from, and left out on purpose
TOO_FAR_EV_A = 1.2  # a frame beyond is no longer physics worth a label


@dataclass(frozen=True)
class Params(declared.Params):
    """What the lesson lets you choose."""

    n_fresh: int = parameter(
        20, label="Frames to label", low=2, high=1000, group="Training",
        help="Strained and rattled lithium crystals that the teacher labels now.",
    )  # fmt: skip
    n_steps: int = parameter(
        2500, label="Training steps", low=20, high=20_000_000, group="Training", paper=16_000_000,
        help="Of each member; every step learns from one frame.",
    )  # fmt: skip
    n_members: int = parameter(
        2, label="Members", low=2, high=4, group="Training", help="Trained alike from different seeds; they vote."
    )
    seed: int = parameter(1, label="Seed", low=1, high=9999, group="Training", help="Start of all random numbers.")
    n_cells: int = parameter(
        5,
        label="Slab edge",
        unit="cells",
        low=4,
        high=20,
        group="Break",
        help="Of 3.43 Å, in x and y; a needle on top.",
    )
    temperature_K: float = parameter(
        400.0, label="Temperature", unit="K", low=50.0, high=1000.0, group="Break", help="Held while the slab moves."
    )
    n_md_steps: int = parameter(
        600, label="MD steps", low=60, high=1_000_000, group="Break", help="Of 1 fs each; every twentieth is looked at."
    )
    n_checked: int = parameter(
        3, label="Frames to check", low=2, high=50, group="Break", help="Whole slabs labelled to see the true error."
    )
    n_cuts: int = parameter(
        20, label="Cells to label", low=2, high=500, group="Repair", help="Small cells cut out of the slab."
    )


def scaled(scale: str, **changes: Any) -> Params:
    """Parameters of a scale, with `changes`: ``smoke`` about two minutes on two cores, ``lesson`` about ten."""
    sizes = ByScale[dict[str, Any]](
        smoke=dict(n_fresh=4, n_steps=60, n_cells=4, n_md_steps=100, n_checked=2, n_cuts=4),
        lesson={},
        paper=dict(n_fresh=400, n_steps=400_000, n_members=4, n_cells=10, n_md_steps=20_000, n_cuts=400),
    )
    return Params().replace(**(sizes[scale] | changes))


def root() -> Path:
    """Where the works of the lesson lie."""
    return paths.cache() / "training" / "lesson"


@dataclass(frozen=True)
class Frames:
    """Labelled frames: to learn from, held out of the same kind, and of the kind that is left out."""

    training: list[Atoms]
    held_out: list[Atoms]
    left_out: list[Atoms]


def shipped_frames() -> Frames:
    """The shipped labels of lithium: crystals, every fourth of them held out, and all surfaces."""
    shipped = [a for a in recipe.labelled() if set(a.symbols) == {"Li"}]
    known = [a for a in shipped if a.info["system"] in KNOWN]
    return Frames(*split(known, every=4), [a for a in shipped if a.info["system"].startswith(UNKNOWN)])


def fresh_frames(params: Params) -> list[Atoms]:
    """Strained, rattled bcc and fcc lithium in turn, from 15 % squeezed to 15 % stretched; no labels yet."""
    rng = np.random.default_rng(params.seed)
    cells = {"crystal/Li": crystal("Li") * (3, 3, 3), "crystal/Li_fcc": crystal("Li_fcc") * (2, 2, 2)}
    found = []
    for k, volume in enumerate(np.linspace(0.85, 1.15, params.n_fresh)):
        name = KNOWN[k % 2]
        atoms = strained_rattled(cells[name], rng, float(rng.uniform(0.05, 0.28)), float(volume))
        atoms.info = {"system": name, "round": 0}
        found.append(atoms)
    return found


def train(params: Params, more: list[Atoms]) -> Work:
    """Start (or find) the training of an ensemble on the shipped lithium crystals and `more` labelled frames."""
    reference_python()
    given = shipped_frames()
    seeds = [100 * params.seed + 11 * k for k in range(params.n_members)]
    files = {
        "training.extxyz": [*given.training, *more],
        "held_out.extxyz": given.held_out,
        "left_out.extxyz": given.left_out,
    }
    how = {"n_steps": params.n_steps, "seeds": seeds, "optimizer": OPTIMIZER, "frames_a_step": BATCH}
    found = work.prepare(root(), "train", how, files)
    return work.start(found, WORKER)


def needle(params: Params) -> Atoms:
    """A lithium slab, three cells thick, under a needle 2.5 cells wide and 4 high, as dendrites begin; 12 A of vacuum.

    Flat faces, edges and corners: atoms with few neighbours, as no frame of a crystal has them.
    """
    n, middle = params.n_cells, params.n_cells / 2
    atoms = crystal("Li") * (n, n, 7)
    x, y, z = (atoms.positions / crystal("Li").cell.lengths()).T
    top = (np.abs(x - middle) < 1.3) & (np.abs(y - middle) < 1.3)
    atoms = atoms[(z < 2.9) | top]
    atoms.center(vacuum=6.0, axis=2)
    atoms.info = {"system": "surface/Li/needle"}
    return atoms


def try_on_needle(params: Params, trained: Work) -> Work:
    """Start (or find) MD of a crystal and of the needle; the teacher labels some frames of the needle."""
    settings = {
        "members": {name: digest for name, digest in trained.status()["outputs"].items() if name.endswith(".pb")},
        "trained": trained.name,
        "temperature_K": params.temperature_K,
        "n_steps": params.n_md_steps,
        "n_checked": params.n_checked,
        "seed": params.seed,
        "reference": TEACHER,
    }
    known = crystal("Li") * (4, 4, 4)
    known.info = {"system": KNOWN[0]}
    files = {"crystal.extxyz": [known], "needle.extxyz": [needle(params)]}
    return work.start(work.prepare(root(), "needle", settings, files), WORKER)


def label(chosen: list[Atoms]) -> Work:
    """Start (or find) the labelling of frames by the teacher."""
    reference_python()
    found = work.prepare(root(), "label", {"reference": TEACHER}, {"frames.extxyz": chosen})
    return work.start(found, WORKER)


def labels(labelled: Work, among: list[Atoms] | None = None) -> list[Atoms]:
    """What a labelling made (of the frames `among`), in the order of its frames; unusable ones are left out."""
    asked = {frame_id(atoms) for atoms in among or ()}
    found = [atoms for atoms in read_frames(labelled.folder / "labels.extxyz") if usable(atoms)]
    return [atoms for atoms in found if among is None or frame_id(atoms) in asked]


def results(done: Work) -> dict[str, Any]:
    """Numbers of a finished work."""
    return json.loads((done.folder / "results.json").read_text())


def predicted(done: Work, *names: str) -> Parity:
    """Model beside labels on the frames ``NAME.predicted.extxyz`` of a finished work."""
    found = checked(done, *names)
    return beside(found, [(a.info["model_energy"], a.arrays["model_forces"], a.arrays["model_devi_f"]) for a in found])


def checked(done: Work, *names: str) -> list[Atoms]:
    """The labelled frames behind `predicted`."""
    return [atoms for name in names for atoms in read_frames(done.folder / f"{name}.predicted.extxyz")]


def trajectory(tried: Work, name: str = "needle") -> list[Atoms]:
    """Frames of the MD of ``needle`` or ``crystal``, with ``time_ps`` and, per atom, ``model_devi_f`` (eV/A)."""
    return read_frames(tried.folder / f"{name}.trajectory.extxyz")


def deviation_eV_A(moved: list[Atoms]) -> np.ndarray:
    """Largest force deviation in each frame, ``(n_frames,)``."""
    return np.array([atoms.arrays["model_devi_f"].max() for atoms in moved])


def window(tried: Work) -> tuple[float, float]:
    """Deviation (eV/A) above which a frame is worth a label, and above which it is too far gone.

    The first is the 95th percentile in MD of the crystal, which the members know, at the same temperature.
    """
    return float(np.percentile(deviation_eV_A(trajectory(tried, "crystal")[1:]), 95)), TOO_FAR_EV_A


def choose_cuts(params: Params, tried: Work) -> list[Atoms]:
    """Cut a cell around the least certain atom of each frame of the needle whose deviation lies in `window`.

    Where no frame does, the most uncertain ones are taken all the same; ``info["in_window"]`` is then 0.
    """
    moved, (low, high) = trajectory(tried), window(tried)
    deviation = deviation_eV_A(moved)
    inside = candidates(deviation, low, high, params.n_cuts)
    chosen = []
    for k in inside or candidates(deviation, 0.0, np.inf, params.n_cuts):
        cell = cut_around(moved[k], int(moved[k].arrays["model_devi_f"].argmax()), DESCRIPTOR["rcut"])
        cell.info |= {"system": "surface/Li/cut", "round": 1, "in_window": int(bool(inside))}
        chosen.append(cell)
    return chosen
