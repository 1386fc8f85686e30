"""The making of a potential, small enough for a lesson: train on crystals, break it on a surface, repair it.

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
from lisi_nb.errors import check_choice
from lisi_nb.params import parameter
from lisi_nb.structures.interfaces import silicon_slab
from lisi_nb.training import recipe, work
from lisi_nb.training.cut import cut_around
from lisi_nb.training.dataset import split, usable
from lisi_nb.training.label import read_frames
from lisi_nb.training.train import DESCRIPTOR, reference_python
from lisi_nb.training.validation.labels import Parity, beside
from lisi_nb.training.work import Work

WORKER = "lisi_nb.training.lesson_work"
SCALES = ("smoke", "lesson", "paper")
KNOWN, UNKNOWN = "crystal", "surface"  # kinds of system trained on, and left out
TOO_FAR_EV_A = 3.0  # a frame beyond is no longer physics worth a label


@dataclass(frozen=True)
class Params(declared.Params):
    """What the lesson lets you choose."""

    n_steps: int = parameter(
        1000, label="Training steps", low=20, high=2_000_000, group="Training", paper=16_000_000,
        help="Of each member; every step learns from about 128 atoms.",
    )  # fmt: skip
    n_members: int = parameter(
        2, label="Members", low=2, high=4, group="Training", help="Trained alike from different seeds; they vote."
    )
    seed: int = parameter(1, label="Seed", low=1, high=9999, group="Training", help="Start of all random numbers.")
    lateral_A: float = parameter(
        21.9, label="Slab edge", unit="A", low=10.0, high=60.0, group="Slab", help="Of the Si(100) slab in x and y."
    )
    temperature_K: float = parameter(
        900.0, label="Temperature", unit="K", low=100.0, high=1600.0, group="Slab", help="Held while the slab moves."
    )
    n_md_steps: int = parameter(
        600, label="MD steps", low=60, high=100_000, group="Slab", help="Of 1 fs each; every twentieth is looked at."
    )
    n_cuts: int = parameter(
        24, label="Cells to label", low=2, high=500, group="Repair", help="Small cells cut out of the slab."
    )
    n_checked: int = parameter(
        3, label="Frames to check", low=2, high=50, group="Repair", help="Whole slabs labelled to see the true error."
    )


def scaled(scale: str, **changes: Any) -> Params:
    """Parameters of a scale, with `changes`: ``smoke`` about two minutes on two cores, ``lesson`` about ten."""
    check_choice("scale", scale, SCALES)
    sizes: dict[str, dict[str, Any]] = {
        "smoke": dict(n_steps=60, lateral_A=16.4, n_md_steps=100, n_cuts=4, n_checked=2),
        "lesson": {},
        "paper": dict(n_steps=400_000, n_members=4, n_md_steps=20_000, n_cuts=400, n_checked=10),
    }
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


def frames() -> Frames:
    """The shipped labels of crystals, split as for the shipped potential, and every third of the surfaces."""
    shipped = recipe.labelled()
    known = [a for a in shipped if a.info["system"].startswith(KNOWN)]
    unknown = [a for a in shipped if a.info["system"].startswith(UNKNOWN)]
    return Frames(*split(known), unknown[::3])


def train(params: Params, more: list[Atoms] | None = None) -> Work:
    """Start (or find) the training of an ensemble on the crystals and, if given, `more` labelled frames."""
    reference_python()
    given = frames()
    seeds = [100 * params.seed + 11 * k for k in range(params.n_members)]
    files = {
        "training.extxyz": [*given.training, *(more or [])],
        "held_out.extxyz": given.held_out,
        "left_out.extxyz": given.left_out,
    }
    found = work.prepare(root(), "train", {"n_steps": params.n_steps, "seeds": seeds}, files)
    return work.start(found, WORKER)


def slab(params: Params) -> Atoms:
    """The silicon slab with two free (100) surfaces on which the potential is tried; vacuum of 12 A."""
    atoms = silicon_slab("100", params.lateral_A, 16.0)
    atoms.center(vacuum=6.0, axis=2)
    atoms.set_pbc(True)
    atoms.info = {"system": "surface/Si100/MD"}
    return atoms


def try_on_slab(params: Params, trained: Work) -> Work:
    """Start (or find) MD of the slab with a trained ensemble, some frames of which the teacher labels."""
    settings = {
        "members": {name: digest for name, digest in trained.status()["outputs"].items() if name.endswith(".pb")},
        "trained": trained.folder.name,
        "temperature_K": params.temperature_K,
        "n_steps": params.n_md_steps,
        "n_checked": params.n_checked,
        "seed": params.seed,
        "reference": recipe.REFERENCE,
    }
    return work.start(work.prepare(root(), "slab", settings, {"start.extxyz": [slab(params)]}), WORKER)


def label(chosen: list[Atoms]) -> Work:
    """Start (or find) the labelling of frames by the teacher."""
    reference_python()
    found = work.prepare(root(), "label", {"reference": recipe.REFERENCE}, {"frames.extxyz": chosen})
    return work.start(found, WORKER)


def labels(labelled: Work) -> list[Atoms]:
    """What a finished labelling made, in the order of its frames; unusable ones are left out."""
    return [atoms for atoms in read_frames(labelled.folder / "labels.extxyz") if usable(atoms)]


def results(done: Work) -> dict[str, Any]:
    """Numbers of a finished work."""
    return json.loads((done.folder / "results.json").read_text())


def predicted(done: Work, name: str) -> Parity:
    """Model beside labels on the frames ``NAME.extxyz`` of a finished work."""
    found = read_frames(done.folder / f"{name}.predicted.extxyz")
    return beside(found, [(a.info["model_energy"], a.arrays["model_forces"], a.arrays["model_devi_f"]) for a in found])


def trajectory(tried: Work) -> list[Atoms]:
    """Frames of the slab's MD with ``time_ps`` and, per atom, ``model_devi_f`` (eV/A)."""
    return read_frames(tried.folder / "trajectory.extxyz")


def deviation_eV_A(moved: list[Atoms]) -> np.ndarray:
    """Largest force deviation in each frame, ``(n_frames,)``."""
    return np.array([atoms.arrays["model_devi_f"].max() for atoms in moved])


def choose_cuts(params: Params, trained: Work, tried: Work) -> list[Atoms]:
    """Cut a cell around the least certain atom of each frame whose deviation lies in the window worth a label."""
    moved = trajectory(tried)
    low, high = window(trained)
    chosen = []
    for k in candidates(deviation_eV_A(moved), low, high, params.n_cuts):
        cell = cut_around(moved[k], int(moved[k].arrays["model_devi_f"].argmax()), DESCRIPTOR["rcut"])
        cell.info |= {"system": "surface/Si100/cut", "round": 1}
        chosen.append(cell)
    return chosen


def window(trained: Work) -> tuple[float, float]:
    """Deviation (eV/A) above which a frame is worth a label, and above which it is too far gone."""
    return results(trained)["trust_eV_A"][0], TOO_FAR_EV_A
