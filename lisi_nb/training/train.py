"""Train, freeze and convert DeePMD members; every step is a real ``dp`` call in its own folder.

Training uses the PyTorch backend, whose clipped gradients bear the high learning rate that tetrahedral silicon needs
(its angular features are small); MD uses the TensorFlow backend, whose compressed CPU kernels are the fastest. The
training Python is that of ``make reference``.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lisi_nb import paths
from lisi_nb.errors import RunFailed
from lisi_nb.training.dataset import ELEMENTS

# A network small enough for two CPU cores; DESIGN: accuracy against speed is measured in the card.
DESCRIPTOR: dict[str, Any] = {
    "type": "se_e2_a",
    "rcut": 5.2,
    "rcut_smth": 1.0,
    "sel": [50, 40],
    "neuron": [10, 20, 40],
    "axis_neuron": 8,
    "resnet_dt": False,
    "precision": "float32",
}
FITTING: dict[str, Any] = {"neuron": [64, 64, 64], "resnet_dt": True, "precision": "float32"}


@dataclass(frozen=True)
class Network:
    """A network's shape: `descriptor` and `fitting` as ``dp train`` reads them, without seeds."""

    descriptor: dict[str, Any]
    fitting: dict[str, Any]


SMALL = Network(DESCRIPTOR, FITTING)


@dataclass(frozen=True)
class Schedule:
    """Learning rate from `start_lr` to `stop_lr`, and the weights of energy, force and virial at both ends."""

    start_lr: float = 2e-2
    stop_lr: float = 1e-5
    energy: tuple[float, float] = (0.02, 2.0)
    force: tuple[float, float] = (100.0, 10.0)
    virial: tuple[float, float] = (0.02, 0.2)


FROM_SCRATCH = Schedule()
# After pretraining: small steps, and energies count from the beginning.
CORRECTION = Schedule(2e-3, 1e-5, (5.0, 20.0), (10.0, 10.0), (0.2, 0.2))


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
            "batch_size": "auto:128",
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
            "descriptor": _seeded(network.descriptor, seed),
            "fitting_net": network.fitting | {"seed": seed + 1},
        },
        "learning_rate": {
            "type": "exp",
            "start_lr": schedule.start_lr,
            "stop_lr": schedule.stop_lr,
            "decay_steps": max(10, n_steps // 200),
        },
        "loss": loss,
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


def _seeded(descriptor: dict[str, Any], seed: int) -> dict[str, Any]:
    """The descriptor with its seed, which a hybrid keeps in each of its parts."""
    if descriptor["type"] == "hybrid":
        return descriptor | {"list": [part | {"seed": seed + 10 * k} for k, part in enumerate(descriptor["list"])]}
    return descriptor | {"seed": seed}


def reference_python() -> Path:
    """The Python of ``make reference``, which labels and trains."""
    python = paths.PROJECT / ".venv-reference" / "bin" / "python"
    if not python.exists():
        raise FileNotFoundError("The environment of teacher and trainer is missing. Run `make reference` first.")
    return python


def dp(python: Path, *arguments: str, folder: Path, threads: int = 2) -> str:
    """Run ``dp`` of an environment in `folder`; on failure raise `RunFailed` with its last lines."""
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "DP_INTRA_OP_PARALLELISM_THREADS": str(threads),
        "DP_INTER_OP_PARALLELISM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    command = [str(python.with_name("dp")), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    what = next(word for word in arguments if not word.startswith("-"))
    (folder / f"dp-{what}.log").write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise RunFailed(f"`dp {' '.join(arguments)}` in {folder} ended with code {done.returncode}:\n{tail}")
    return done.stdout + done.stderr


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
    script.write_text(text)
    resume = ["--init-model", os.path.relpath(begin, folder)] if begin else []
    if checkpoint.exists():
        resume = ["--restart", checkpoint.read_text().strip()]
    dp(python, "--pt", "train", *resume, "input.json", folder=folder, threads=threads)
    dp(python, "--pt", "freeze", "-o", "frozen.pth", folder=folder, threads=threads)
    dp(python, "convert-backend", "frozen.pth", "frozen.dp", folder=folder, threads=threads)
    _bias_into_fitting(folder / "frozen.dp")
    dp(Path(sys.executable), "convert-backend", "frozen.dp", "draft.pb", folder=folder, threads=threads)
    _carry_training_input(folder / "draft.pb", given)
    (folder / "draft.pb").rename(frozen)
    return frozen


def last_checkpoint(folder: Path) -> Path:
    """The weights a trained member ended with."""
    return folder / (folder / "checkpoint").read_text().strip()


def _bias_into_fitting(model: Path) -> None:
    """Move the atomic energies of a converted model where the TensorFlow backend of DeePMD-kit 3.2 expects them.

    PyTorch keeps them outside the network together with a scale it ignores for energies; TensorFlow applies the scale.
    """
    from deepmd.dpmodel.utils.serialization import load_dp_model, save_dp_model

    data = load_dp_model(str(model))
    outside = data["model"]["@variables"]
    data["model"]["fitting"]["@variables"]["bias_atom_e"] += outside["out_bias"][0]
    outside["out_bias"][:], outside["out_std"][:] = 0.0, 1.0
    save_dp_model(str(model), data)


def _carry_training_input(model: Path, data: dict[str, Any]) -> None:
    """Write the training input into a converted model: ``dp compress`` reads it there, ``convert-backend`` drops it."""
    import tensorflow as tf
    from deepmd.utils.argcheck import normalize

    graph = tf.compat.v1.GraphDef.FromString(model.read_bytes())
    node = next(node for node in graph.node if node.name == "train_attr/training_script")
    node.attr["value"].tensor.string_val[0] = json.dumps(normalize(data)).encode()
    model.write_bytes(graph.SerializeToString())
