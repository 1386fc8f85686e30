"""Train, freeze and compress DeePMD members; every step is a real ``dp`` call in its own folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

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
        "learning_rate": {"type": "exp", "start_lr": 2e-3, "stop_lr": 3e-6, "decay_steps": max(50, n_steps // 200)},
        "loss": {
            "type": "ener",
            "start_pref_e": 0.02,
            "limit_pref_e": 2.0,
            "start_pref_f": 1000,
            "limit_pref_f": 10.0,
            "start_pref_v": 0.02,
            "limit_pref_v": 0.2,
        },
        "training": {
            "training_data": {"systems": train, "batch_size": "auto:64", "auto_prob": "prob_sys_size"},
            "validation_data": {"systems": test, "batch_size": "auto:64", "numb_btch": 2},
            "numb_steps": n_steps,
            "seed": seed + 2,
            "disp_file": "lcurve.out",
            "disp_freq": max(10, n_steps // 100),
            "save_freq": max(100, n_steps // 20),
            "save_ckpt": "model.ckpt",
        },
    }


def dp(*arguments: str, folder: Path, threads: int = 2) -> str:
    """Run ``dp`` (TensorFlow backend) in `folder`; on failure raise `RunFailed` with its last lines."""
    command = [str(Path(sys.executable).with_name("dp")), "--tf", *arguments]
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "DP_INTRA_OP_PARALLELISM_THREADS": str(threads),
        "DP_INTER_OP_PARALLELISM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    (folder / f"dp-{arguments[0]}.log").write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise RunFailed(f"`dp {' '.join(arguments)}` in {folder} ended with code {done.returncode}:\n{tail}")
    return done.stdout + done.stderr


def train_member(folder: Path, train: list[str], test: list[str], n_steps: int, seed: int, threads: int = 2) -> Path:
    """Train one member (continuing its checkpoint if there is one) and freeze it to ``frozen.pb``."""
    folder.mkdir(parents=True, exist_ok=True)
    # Relative paths: the frozen model carries its training input, which should name no machine's folders.
    near, held_out = ([os.path.relpath(system, folder) for system in systems] for systems in (train, test))
    text = json.dumps(training_input(near, held_out, n_steps, seed), indent=2)
    script, frozen = folder / "input.json", folder / "frozen.pb"
    if frozen.exists() and script.exists() and script.read_text() == text:
        return frozen
    restart = script.exists() and script.read_text() == text and (folder / "checkpoint").exists()
    script.write_text(text)
    resume = ["--restart", "model.ckpt"] if restart else []
    dp("train", *resume, "input.json", folder=folder, threads=threads)
    dp("freeze", "-o", "frozen.pb", folder=folder, threads=threads)
    return frozen
