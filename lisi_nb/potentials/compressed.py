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
    1e-3 eV/A, two to four times faster. Its hash is kept beside it (``.sha256``); a copy that no longer has it is made
    again. Raises `RunFailed` with DeePMD's words when it cannot be made.
    """
    made_of = sha256(frozen)
    target = paths.cache() / "compressed" / f"{made_of[:16]}.pb"
    if target.exists() and untouched(target, made_of):
        if not (kept := hash_file(target)).exists():
            kept.write_text(sha256(target))
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
    hash_file(target).write_text(sha256(draft))  # first: a hash without its copy is no harm
    draft.rename(target)
    return target


def hash_file(copy: Path) -> Path:
    """Where the hash of a compressed copy is kept."""
    return copy.with_suffix(".sha256")


def untouched(model: Path, frozen_sha256: str) -> bool:
    """Whether a file is still the frozen model of this hash, or the compressed copy of it that was made.

    A copy that was made before hashes were kept counts as untouched.
    """
    kept = hash_file(model)
    if kept.exists():
        return sha256(model) == kept.read_text()
    return model.stem == frozen_sha256[:16] or sha256(model) == frozen_sha256
