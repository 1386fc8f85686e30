"""Fine-tune the teacher on the ab initio labels, so that it labels every other frame nearly as that engine would.

A universal potential labels a thousand frames cheaply, with errors that are smooth: too soft, and shifted between
phases (Deng et al., npj Comput. Mater. 11, 9 (2025), doi:10.1038/s41524-024-01500-6). A hundred labels of the engine
one wants mend most of that. Training is a real ``sevenn train`` in its own folder, with the Python of
``make reference``.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import shutil
import subprocess
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import write

from lisi_nb.engine.devices import cpu_cores
from lisi_nb.engine.files import locked, write_json
from lisi_nb.errors import RunFailed
from lisi_nb.training.dp import reference_python
from lisi_nb.training.label import frame_id
from lisi_nb.training.members import Say

TEACHER = "7net-l3i5"
N_EPOCHS = 15
BATCH = 4  # frames; takes some 11 GB for cells of 30 atoms
WATCHED = 0.1  # of the frames, not trained on: they show whether the tuning goes too far
SAY_EVERY_S = 30.0

_HIDDEN = "128x0e+64x1e+32x2e+32x3e"
_MODEL: dict[str, Any] = {  # of SevenNet-l3i5: its weights only fit this shape
    "chemical_species": "Auto",
    "cutoff": 5.0,
    "channel": 128,
    "is_parity": False,
    "lmax": 3,
    "num_convolution_layer": 5,
    "irreps_manual": ["128x0e", _HIDDEN, _HIDDEN, _HIDDEN, _HIDDEN, "128x0e"],
    "weight_nn_hidden_neurons": [64, 64],
    "radial_basis": {"radial_basis_name": "bessel", "bessel_basis_num": 8},
    "cutoff_function": {"cutoff_function_name": "poly_cut", "poly_cut_p_value": 6},
    "self_connection_type": "linear",
    "interaction_type": "nequip",
    "train_shift_scale": False,
    "train_denominator": False,
}
_ERRORS = (["Energy", "RMSE"], ["Force", "RMSE"], ["Stress", "RMSE"], ["TotalLoss", "None"])


def tuning_input(n_epochs: int, checkpoint: str, begun: bool = False) -> dict[str, Any]:
    """The ``sevenn train`` input: all weights move, in small steps that end at a fiftieth of the first.

    Parameters
    ----------
    n_epochs : int
        How often each frame is seen.
    checkpoint : str
        Weights to start from: a name that SevenNet knows, or a file.
    begun : bool
        Whether `checkpoint` is one of this tuning, which then goes on with its epochs, steps and optimizer.
    """
    return {
        "model": _MODEL,
        "train": {
            "random_seed": 1,
            "epoch": n_epochs,
            "is_train_stress": True,
            "loss": "Huber",
            "loss_param": {"delta": 0.01},
            "optimizer": "adam",
            "optim_param": {"lr": 1e-3},
            "scheduler": "linearlr",
            "scheduler_param": {"start_factor": 1.0, "total_iters": n_epochs, "end_factor": 0.02},
            "force_loss_weight": 1.0,
            "stress_loss_weight": 0.01,
            "per_epoch": 1,
            "error_record": list(_ERRORS),
            "continue": {f"reset_{what}": not begun for what in ("optimizer", "scheduler", "epoch")}
            | {"checkpoint": checkpoint},
        },
        "data": {
            "batch_size": BATCH,
            "data_format": "ase",
            "data_format_args": {"index": ":"},
            "load_trainset_path": ["train.extxyz"],
            "load_validset_path": ["watched.extxyz"],
        },
    }


def tune(folder: Path, frames: list[Atoms], n_epochs: int = N_EPOCHS, say: Say | None = None) -> Path:
    """Fine-tune `TEACHER` on labelled frames and return the file of its weights. Resumable, epoch by epoch.

    Parameters
    ----------
    folder : Path
        Where it is done; it begins anew there when frames or settings have changed.
    frames : list of ase.Atoms
        Labels (eV, eV/A, eV/A3) whose energies are on the teacher's scale (`lisi_nb.training.zeros`).
    n_epochs : int
        How often each frame is seen.
    say : callable, optional
        Told of every epoch.

    Raises
    ------
    RunFailed
        ``sevenn train`` ended with an error; its last lines are in the message.
    """
    order = np.random.default_rng(0).permutation(len(frames))
    n_watched = math.ceil(WATCHED * len(frames))
    sets = {"train.extxyz": order[n_watched:], "watched.extxyz": order[:n_watched]}
    given = {name: [frames[k] for k in some] for name, some in sets.items()}
    inputs: dict[str, Any] = {name: _digest(some) for name, some in given.items()}
    inputs["settings"] = tuning_input(n_epochs, TEACHER)
    known, weights = folder / "inputs.json", folder / "tuned.pth"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not known.exists() or json.loads(known.read_text()) != inputs:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name, some in given.items():
                write(folder / name, [_bare(atoms) for atoms in some], format="extxyz")
            write_json(known, inputs)
        if not weights.exists():
            last, final = _last_checkpoint(folder), folder / f"checkpoint_{n_epochs}.pth"
            if last != final.name:
                write_json(folder / "input.yaml", tuning_input(n_epochs, last or TEACHER, bool(last)))  # JSON is YAML
                _train(folder, say)
            final.rename(weights)
    return weights


def _digest(frames: list[Atoms]) -> str:
    """Of what is learned from, to a millionth: the last digit of a zero of energy is not the same on every machine."""
    digest = hashlib.sha256()
    for atoms in frames:
        label = [atoms.get_potential_energy(), *atoms.get_forces().ravel(), *atoms.get_stress()]
        digest.update(frame_id(atoms).encode() + (np.round(label, 6) + 0.0).tobytes())
    return digest.hexdigest()


def _bare(labelled: Atoms) -> Atoms:
    """Without the notes that only this project reads."""
    atoms = labelled.copy()
    atoms.info, atoms.calc = {}, labelled.calc
    return atoms


def _last_checkpoint(folder: Path) -> str:
    """The newest whole checkpoint of a tuning that was cut short, or nothing; one cut off while written is removed."""
    for file in sorted(folder.glob("checkpoint_[1-9]*.pth"), key=lambda f: -int(f.stem.split("_")[1])):
        if zipfile.is_zipfile(file):  # what PyTorch writes is one, and its table of contents comes last
            return file.name
        file.unlink()
    return ""


def _train(folder: Path, say: Say | None) -> None:
    shutil.rmtree(folder / "sevenn_data", ignore_errors=True)  # its copy of the frames may have been cut off, too
    command = [str(reference_python().with_name("sevenn")), "train", "input.yaml", "--screen"]
    environment = os.environ | {"OMP_NUM_THREADS": str(cpu_cores())}
    with (folder / "sevenn.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    said = progress(folder)
    try:
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(SAY_EVERY_S)
            if say and (text := progress(folder)) != said:
                said = text
                say(text)
    finally:
        process.kill()
    if process.returncode:
        tail = "\n".join((folder / "sevenn.log").read_text().splitlines()[-15:])
        words = "was killed; it needs about 11 GB of memory" if process.returncode == -9 else "ended"
        raise RunFailed(f"`{' '.join(command[1:])}` in {folder} {words} (code {process.returncode}):\n{tail}")
    if not all(math.isfinite(error) for error in _errors(folder)[1:]):
        shutil.rmtree(folder)
        raise RunFailed(
            "The tuning diverged: its errors are no numbers any more. Set wrong labels apart; it begins anew."
        )


def progress(folder: Path) -> str:
    """The last epoch, and its errors on the frames that are watched only; empty before the first."""
    epoch, energy_meV, force_eV_A = _errors(folder)
    return (
        f"tuning: epoch {epoch}, {energy_meV:.1f} meV/atom and {force_eV_A:.3f} eV/Å on watched frames" if epoch else ""
    )


def _errors(folder: Path) -> tuple[int, float, float]:
    """The last epoch (0 before the first), error of energy (meV/atom) and of force components (eV/A)."""
    # SevenNet begins a new file when it goes on, and takes the error of force over whole vectors.
    rows = [row for file in folder.glob("lc*.csv") for row in csv.DictReader(file.open())]
    if not rows:
        return 0, 0.0, 0.0
    last = max(rows, key=lambda row: int(row["epoch"]))
    force = float(last["validset_Force_RMSE"]) / math.sqrt(3)
    return int(last["epoch"]), 1e3 * float(last["validset_Energy_RMSE"]), force
