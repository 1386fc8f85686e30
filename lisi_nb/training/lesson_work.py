"""What the processes of the lesson do (`lisi_nb.training.lesson`): ``python -m lisi_nb.training.lesson_work FOLDER``.

They load the engines, so that a notebook's kernel never does.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import write

from lisi_nb.engine import parse
from lisi_nb.engine.devices import Device, cpu_cores
from lisi_nb.engine.execute import run_blocking
from lisi_nb.engine.files import write_json
from lisi_nb.engine.lammps import TRAJECTORY, Segment, Stage
from lisi_nb.errors import RunFailed
from lisi_nb.potentials import Potential
from lisi_nb.potentials.compressed import sha256
from lisi_nb.training import work
from lisi_nb.training.dataset import ELEMENTS, write_deepmd
from lisi_nb.training.label import label_side_by_side, read_frames
from lisi_nb.training.publish import test_errors
from lisi_nb.training.train import Data, train_member
from lisi_nb.training.validation.labels import predict
from lisi_nb.training.work import Work

TIMESTEP_FS, LOOK_EVERY = 1.0, 20


def ensemble(trained: Path, members: list[str]) -> Potential:
    """Frozen members of a training as a potential."""
    card: dict[str, Any] = {
        "elements": list(ELEMENTS),
        "members": [{"file": name, "sha256": sha256(trained / name)} for name in members],
        "validity": {"temperature_K": [0.0, 1600.0]},
        "rebuild": "run the cell that trained it again",
    }
    return Potential("lesson", trained, card)


def do_train(job: Work) -> list[str]:
    """Train all members two at a time, then predict what was held out and what was left out."""
    folder = job.folder
    given = {name: read_frames(folder / f"{name}.extxyz") for name in ("training", "held_out", "left_out")}
    training, held_out = (write_deepmd(given[name], folder / "systems" / name) for name in ("training", "held_out"))
    data = Data(training, held_out)
    n_steps = job.settings["n_steps"]
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(train_member, folder / f"member{k}", data, n_steps, seed, threads=1)
            for k, seed in enumerate(job.settings["seeds"])
        ]
        members = [str(each.result().relative_to(folder)) for each in jobs]
    potential = ensemble(folder, members)
    outputs = []
    for name in ("held_out", "left_out"):
        outputs.append(f"{name}.predicted.extxyz")
        write(folder / outputs[-1], [annotated(potential, a) for a in given[name]], format="extxyz")
    errors = test_errors(potential, [*given["held_out"], *given["left_out"]])
    write_json(folder / "results.json", {"errors": errors})
    curves = [f"member{k}/lcurve.out" for k in range(len(members))]
    return [*members, *curves, *outputs, "results.json"]


def annotated(potential: Potential, atoms: Atoms) -> Atoms:
    """A copy with ``model_energy`` (eV), ``model_forces`` (eV/A) and ``model_devi_f`` (eV/A) beside its labels."""
    out = atoms.copy()
    out.calc = atoms.calc
    out.info["model_energy"], out.arrays["model_forces"], out.arrays["model_devi_f"] = predict(potential, atoms)
    return out


def do_needle(job: Work) -> list[str]:
    """MD of a crystal and of the needle; deviation of every frame; the teacher's word on some of the needle."""
    s, folder = job.settings, job.folder
    potential = ensemble(folder.parent / s["trained"], list(s["members"]))
    if {m["file"]: m["sha256"] for m in potential.card["members"]} != s["members"]:
        raise ValueError(f"{s['trained']} was trained anew meanwhile. Run the cells again from the training on.")
    notes = {}
    for name in ("crystal", "needle"):
        moved, notes[name] = move(potential, read_frames(folder / f"{name}.extxyz")[0], folder / name, s)
        write(folder / f"{name}.trajectory.extxyz", moved, format="extxyz")
    looks = np.linspace(min(1, len(moved) - 1), len(moved) - 1, s["n_checked"]).round().astype(int)
    write(folder / "looks.extxyz", [moved[k] for k in sorted(set(looks.tolist()))], format="extxyz")
    label_side_by_side(folder / "looks.extxyz", folder / "labels.extxyz", s["reference"])
    checked = [annotated(potential, atoms) for atoms in read_frames(folder / "labels.extxyz")]
    write(folder / "checked.predicted.extxyz", checked, format="extxyz")
    write_json(folder / "results.json", {"ended_early": notes})
    return [*(f"{name}.trajectory.extxyz" for name in notes), "checked.predicted.extxyz", "results.json"]


def move(potential: Potential, atoms: Atoms, folder: Path, settings: dict[str, Any]) -> tuple[list[Atoms], str]:
    """MD at constant temperature: annotated frames with ``time_ps``, and why it ended early if it did."""
    stage = Stage(settings["n_steps"], settings["temperature_K"], settings["temperature_K"])
    segment = Segment(
        (stage,), timestep_fs=TIMESTEP_FS, seed=settings["seed"], dump_every=LOOK_EVERY, deviation_every=LOOK_EVERY
    )
    note = ""
    try:
        run_blocking(folder, atoms, segment, potential.models(), Device("cpu", "lesson", min(2, cpu_cores())))
    except RunFailed as error:  # a potential far from what it knows may well lose atoms: that is part of the lesson
        if not parse.count_frames(folder / TRAJECTORY):
            raise
        note = str(error).splitlines()[0]
    frames = []
    for frame in parse.frames(folder / TRAJECTORY):
        frames.append(annotated(potential, frame.atoms()))
        frames[-1].info |= {"system": atoms.info["system"], "time_ps": frame.step * TIMESTEP_FS / 1000}
    return frames, note


def do_label(job: Work) -> list[str]:
    """The teacher's labels of all frames."""
    label_side_by_side(job.folder / "frames.extxyz", job.folder / "labels.extxyz", job.settings["reference"])
    return ["labels.extxyz"]


if __name__ == "__main__":
    sys.exit(work.perform(Path(sys.argv[1]), {"train": do_train, "needle": do_needle, "label": do_label}))
