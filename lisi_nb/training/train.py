"""Train, freeze and convert DeePMD members; every step is a real ``dp`` call in its own folder.

Training uses the PyTorch backend, whose clipped gradients bear the high learning rate that tetrahedral silicon needs
(its angular features are small); MD uses the TensorFlow backend, whose compressed CPU kernels are the fastest. The
training Python is that of ``make reference``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


def training_input(train: list[str], test: list[str], n_steps: int, seed: int) -> dict[str, Any]:
    """The ``dp train`` input of one member (DeePMD-kit JSON, metal units)."""
    return {
        "model": {
            "type_map": list(ELEMENTS),
            "descriptor": DESCRIPTOR | {"seed": seed},
            "fitting_net": FITTING | {"seed": seed + 1},
        },
        "learning_rate": {"type": "exp", "start_lr": 2e-2, "stop_lr": 1e-5, "decay_steps": max(10, n_steps // 200)},
        "loss": {
            "type": "ener",
            "start_pref_e": 0.02,
            "limit_pref_e": 2.0,
            "start_pref_f": 100,
            "limit_pref_f": 10.0,
            "start_pref_v": 0.02,
            "limit_pref_v": 0.2,
        },
        "training": {
            "training_data": {"systems": train, "batch_size": "auto:128", "auto_prob": "prob_sys_size"},
            "validation_data": {"systems": test, "batch_size": "auto:128", "numb_btch": 2},
            "numb_steps": n_steps,
            "gradient_max_norm": 5.0,
            "seed": seed + 2,
            "disp_file": "lcurve.out",
            "disp_freq": max(10, n_steps // 100),
            "save_freq": max(100, n_steps // 20),
            "save_ckpt": "model.ckpt",
        },
    }


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


def train_member(folder: Path, train: list[str], test: list[str], n_steps: int, seed: int, threads: int = 2) -> Path:
    """Train one member (continuing its checkpoint if there is one) and freeze it to ``frozen.pb``."""
    python = reference_python()
    folder.mkdir(parents=True, exist_ok=True)
    # Relative paths: the frozen model carries its training input, which should name no machine's folders.
    near, held_out = ([os.path.relpath(system, folder) for system in systems] for systems in (train, test))
    data = training_input(near, held_out, n_steps, seed)
    text = json.dumps(data, indent=2)
    script, frozen = folder / "input.json", folder / "frozen.pb"
    if frozen.exists() and script.exists() and script.read_text() == text:
        return frozen
    restart = script.exists() and script.read_text() == text and (folder / "checkpoint").exists()
    script.write_text(text)
    resume = ["--restart", (folder / "checkpoint").read_text().strip()] if restart else []
    dp(python, "--pt", "train", *resume, "input.json", folder=folder, threads=threads)
    dp(python, "--pt", "freeze", "-o", "frozen.pth", folder=folder, threads=threads)
    dp(python, "convert-backend", "frozen.pth", "frozen.dp", folder=folder, threads=threads)
    _bias_into_fitting(folder / "frozen.dp")
    dp(Path(sys.executable), "convert-backend", "frozen.dp", "draft.pb", folder=folder, threads=threads)
    _carry_training_input(folder / "draft.pb", data)
    (folder / "draft.pb").rename(frozen)
    return frozen


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
