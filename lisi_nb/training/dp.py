"""Run DeePMD-kit's ``dp``, of this environment or of the one that trains."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from lisi_nb import paths
from lisi_nb.errors import RunFailed


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
        "NUM_WORKERS": "0",  # frames are small: processes that load them took a third of the training's time
    }
    command = [str(python.with_name("dp")), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    what = next(word for word in arguments if not word.startswith("-"))
    with suppress(OSError):  # a full disk must not hide why it ended
        (folder / f"dp-{what}.log").write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise RunFailed(f"`dp {' '.join(arguments)}` in {folder} ended with code {done.returncode}:\n{tail}")
    return done.stdout + done.stderr
