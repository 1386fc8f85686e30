"""Train, freeze and convert DeePMD members; every step is a real ``dp`` call in its own folder.

Training uses the PyTorch backend, whose clipped gradients bear the high learning rate that tetrahedral silicon needs
(its angular features are small), and which has Muon: on these labels, 6000 steps of one frame with Muon came as near to
the teacher (0.212 eV/A; half of all energies within 17 meV/atom) as 14 000 steps of about two frames with Adam (0.209;
19), in a third of the time. Seeing farther than 4.5 A matters for lithium, whose atoms touch at 3 A: with 5.2 A its
energies are three times nearer to the teacher. With angles between bonds to silicon (`lisi_nb.training.angles`), 2000
steps come as near to trained frames (0.16 eV/A) as 16 000 without, even of a network of twice the size. MD uses the
TensorFlow backend, whose compressed CPU kernels are the fastest. The training Python is that of ``make reference``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lisi_nb.errors import RunFailed
from lisi_nb.training import angles
from lisi_nb.training.convert import carry_training_input, to_tensorflow
from lisi_nb.training.curve import learning_curve
from lisi_nb.training.dataset import ELEMENTS
from lisi_nb.training.dp import dp, reference_python

# A network small enough for two CPU cores; accuracy against speed is measured in the card. MD reads tables of the
# embedding, so that only the width of its last layer costs time there.
DESCRIPTOR: dict[str, Any] = {
    "type": "se_e2_a",
    "rcut": 5.2,
    "rcut_smth": 1.0,
    "sel": [50, 40],
    "neuron": [24, 24, 24],
    "axis_neuron": 8,
    "resnet_dt": False,
    "precision": "float32",
}
FITTING: dict[str, Any] = {"neuron": [64, 64, 64], "resnet_dt": True, "precision": "float32"}


ANGLES: dict[str, Any] = {
    "type": "se_e3",
    "rcut": 3.4,
    "rcut_smth": 2.0,
    "sel": [angles.SLOTS, 12],  # 99.9 % of the labels' atoms have at most 11 silicon neighbours; of more, the nearest
    "neuron": [16, 16, 8],
    "resnet_dt": False,
    "set_davg_zero": True,
    "precision": "float32",
}


@dataclass(frozen=True)
class Network:
    """A network's shape, as ``dp train`` reads it, without seeds.

    Attributes
    ----------
    descriptor, fitting : dict
        What is seen of the neighbours (``se_e2_a``), and the network behind it.
    angles : dict, optional
        ``se_e3`` beside the descriptor, of silicon neighbours only (`lisi_nb.training.angles`).
    """

    descriptor: dict[str, Any]
    fitting: dict[str, Any]
    angles: dict[str, Any] | None = None

    @property
    def kind(self) -> str:
        """Names of the descriptors."""
        return " and ".join(part["type"] for part in (self.descriptor, self.angles) if part)

    def seeded(self, seed: int) -> dict[str, Any]:
        """The descriptor of a ``dp train`` input."""
        radial = self.descriptor | {"seed": seed}
        if self.angles is None:
            return radial
        return {"type": "hybrid", "list": [radial, self.angles | {"seed": seed + 3}]}


SMALL = Network(DESCRIPTOR, FITTING)
WITH_ANGLES = Network(DESCRIPTOR, FITTING, ANGLES)
# The Gram path of the optimizer needs a compiler at run time.
OPTIMIZER: dict[str, Any] = {"type": "HybridMuon", "weight_decay": 0.0, "enable_gram": False, "magma_muon": False}
BATCH = 1  # frames of a step
DECAY = "cosine"  # an exponential spends most steps at rates too small to learn
DIVERGED = re.compile("training has diverged|NaN detected")  # DeePMD-kit's words
FULL_BYTES = 20e6  # with less, a checkpoint may not find room


@dataclass(frozen=True)
class Schedule:
    """Learning rate from `start_lr` to `stop_lr` along half a cosine, and the weights of energy, force and virial.

    Weights go from the first to the second value as the rate falls. 4500 steps along a cosine come as near to the
    teacher (0.18 eV/A) as 24 000 along an exponential.
    """

    start_lr: float = 1e-2
    stop_lr: float = 1e-5
    energy: tuple[float, float] = (0.02, 5.0)
    force: tuple[float, float] = (100.0, 10.0)
    virial: tuple[float, float] = (0.02, 2.0)


FROM_SCRATCH = Schedule()
# After pretraining: small steps, and energies count from the beginning.
CORRECTION = Schedule(2e-3, 1e-5, (5.0, 20.0), (10.0, 10.0), (2.0, 2.0))


@dataclass(frozen=True)
class Data:
    """DeePMD systems to train on and to look at meanwhile.

    With `emphasised` systems, that `share` of all batches is drawn from them however few they are.
    """

    train: list[str]
    test: list[str]
    emphasised: tuple[str, ...] = ()
    share: float = 0.0

    def relative_to(self, folder: Path) -> Data:
        """The same with paths as seen from `folder`: a frozen model carries them, and should name no machine's."""
        near, tested, few = (
            [os.path.relpath(system, folder) for system in systems]
            for systems in (self.train, self.test, self.emphasised)
        )
        return Data(near, tested, tuple(few), self.share)

    def sha256(self) -> str:
        """Hash of everything in all systems."""
        digest = hashlib.sha256(f"{self.share:g}".encode())
        for system in (*self.train, *self.test, *self.emphasised):
            for file in sorted(f for f in Path(system).rglob("*") if f.is_file()):
                digest.update(file.name.encode() + file.read_bytes())
        return digest.hexdigest()

    def training_data(self) -> dict[str, Any]:
        """The part of the ``dp train`` input that names the frames to train on and how they are drawn."""
        n, every = len(self.train), len(self.train) + len(self.emphasised)
        style = f"prob_sys_size;0:{n}:{1 - self.share:g};{n}:{every}:{self.share:g}"
        return {
            "systems": [*self.train, *self.emphasised],
            "batch_size": BATCH,
            "auto_prob": style if self.emphasised else "prob_sys_size",
        }


def training_input(
    data: Data, n_steps: int, seed: int, network: Network = SMALL, schedule: Schedule = FROM_SCRATCH
) -> dict[str, Any]:
    """The ``dp train`` input of one member (DeePMD-kit JSON, metal units)."""
    loss: dict[str, Any] = {"type": "ener"}
    for letter, name in (("e", "energy"), ("f", "force"), ("v", "virial")):
        loss[f"start_pref_{letter}"], loss[f"limit_pref_{letter}"] = asdict(schedule)[name]
    return {
        "model": {
            "type_map": list(ELEMENTS),
            "descriptor": network.seeded(seed),
            "fitting_net": network.fitting | {"seed": seed + 1},
        },
        "learning_rate": {"type": DECAY, "start_lr": schedule.start_lr, "stop_lr": schedule.stop_lr},
        "loss": loss,
        "optimizer": OPTIMIZER,
        "training": {
            "training_data": data.training_data(),
            "validation_data": {"systems": data.test, "batch_size": "auto:128", "numb_btch": 2},
            "numb_steps": n_steps,
            "gradient_max_norm": 5.0,
            "seed": seed + 2,
            "disp_file": "lcurve.out",
            "disp_freq": max(10, n_steps // 100),
            "save_freq": max(100, n_steps // 20),
            "save_ckpt": "model.ckpt",
        },
    }


def train_member(
    folder: Path,
    data: Data,
    n_steps: int,
    seed: int,
    threads: int = 2,
    network: Network = SMALL,
    schedule: Schedule = FROM_SCRATCH,
    start_from: Path | None = None,
) -> Path:
    """Train one member (continuing its checkpoint if there is one) and freeze it to ``frozen.pb``.

    Nothing is done twice, and nothing stale is kept: what counts is the hash of settings, frames and the weights of
    `start_from`, the folder of a trained member that this one begins as.
    """
    python = reference_python()
    folder.mkdir(parents=True, exist_ok=True)
    given = training_input(data.relative_to(folder), n_steps, seed, network, schedule)
    given["_frames_sha256"] = data.sha256()
    begin = last_checkpoint(start_from) if start_from else None
    if begin:
        given["_starts_from_sha256"] = hashlib.sha256(begin.read_bytes()).hexdigest()
    text = json.dumps(given, indent=2)
    script, frozen, checkpoint = folder / "input.json", folder / "frozen.pb", folder / "checkpoint"
    same = script.exists() and script.read_text() == text
    if frozen.exists() and same:
        return frozen
    if not same:  # before the new input is there: a kill between the two must not make an old checkpoint its own
        checkpoint.unlink(missing_ok=True)
        frozen.unlink(missing_ok=True)
    with _naming_a_full_disk(folder):
        if not same:
            script.write_text(text)
        if checkpoint.exists():
            resume = ["--restart", last_checkpoint(folder).name]
        else:
            if network.angles and not begin:
                begin = _muted_beginning(folder / "beginning", data, seed, threads, network, schedule)
            resume = ["--init-model", os.path.relpath(begin, folder)] if begin else []
        _learn(python, resume, folder, threads, schedule)
        dp(python, "--pt", "freeze", "-o", "frozen.pth", folder=folder, threads=threads)
        draft = to_tensorflow(folder / "frozen.pth", folder / "draft.pb", threads)
        carry_training_input(draft, given)
        return draft.rename(frozen)


def _muted_beginning(folder: Path, data: Data, seed: int, threads: int, network: Network, schedule: Schedule) -> Path:
    """Weights after one step, with scales from the frames, and lithium muted in the angles."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    given = training_input(data.relative_to(folder), 1, seed, network, schedule)
    (folder / "input.json").write_text(json.dumps(given, indent=2))
    _learn(reference_python(), [], folder, threads, schedule)
    begin = last_checkpoint(folder)
    angles.mute(begin, reference_python())
    return begin


@contextmanager
def _naming_a_full_disk(folder: Path) -> Iterator[None]:
    """Where something fails in `folder` and its disk is full, raise `RunFailed` that says so: PyTorch does not."""
    try:
        yield
    except (OSError, RunFailed) as error:
        free = shutil.disk_usage(folder).free
        if free > FULL_BYTES and "No space left" not in str(error):
            raise
        raise RunFailed(
            f"The disk of {folder} is full ({free / 1e6:.1f} MB are free). Free some space and call again: a training "
            f"goes on from its last checkpoint.\n{error}"
        ) from error


def _learn(python: Path, resume: list[str], folder: Path, threads: int, schedule: Schedule) -> None:
    """Run ``dp train``; a training that diverged raises `RunFailed` with advice, so that it is never frozen."""
    log = folder / "dp-train.log"
    log.unlink(missing_ok=True)
    try:
        dp(python, "--pt", "train", *resume, "input.json", folder=folder, threads=threads)
        diverged = False
    except RunFailed:
        diverged = bool(log.exists() and DIVERGED.search(log.read_text()))
        if not diverged:
            raise
    curve = learning_curve(folder / "lcurve.out")
    errors = (
        curve.force_training_eV_A,
        curve.energy_training_eV_atom,
        curve.force_held_out_eV_A,
        curve.energy_held_out_eV_atom,
    )
    if diverged or not all(np.isfinite(values[-1:]).all() for values in errors):
        raise RunFailed(
            f"The training in {folder} diverged: its errors or gradients are not finite any more. Choose a lower "
            f"learning rate than start_lr={schedule.start_lr:g}, or set wrong labels apart "
            "(`lisi_nb.training.intake.sort_labels`); it then begins anew."
        )


def last_checkpoint(folder: Path) -> Path:
    """The weights a trained member ended with."""
    # On a full disk the file that names them may be left empty; the link was made before it.
    return folder / ((folder / "checkpoint").read_text().strip() or "model.ckpt.pt")
