"""Compressed copies of frozen DeePMD models: made once per model and kept by hash."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from lisi_nb import paths
from lisi_nb.engine.execute import executable
from lisi_nb.errors import RunFailed


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def compressed(frozen: Path) -> Path:
    """Path of the compressed copy of a frozen TensorFlow model (``.pb``), made on first use.

    Compression tabulates the embedding network (DeePMD-kit, ``dp compress``): same forces within about
    1e-4 eV/A, two to four times faster. Raises `RunFailed` with DeePMD's words when it cannot be made.
    """
    target = paths.cache() / "compressed" / f"{sha256(frozen)[:16]}.pb"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{os.getpid()}-{target.name}")
    work = paths.cache() / "compressed" / f".work-{os.getpid()}-{target.stem}"
    work.mkdir(exist_ok=True)
    arguments = [executable("dp"), "--tf", "compress", "-i", str(frozen.resolve()), "-o", str(draft)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(arguments, cwd=work, env=environment, capture_output=True, text=True, check=False)
    shutil.rmtree(work)
    if done.returncode != 0 or not draft.exists():
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
        raise RunFailed(f"dp compress could not compress {frozen}:\n{tail}")
    draft.rename(target)
    return target
