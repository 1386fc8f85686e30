"""A run's manifest and inputs must stay as they were written: every result rests on them.

A second copy (``.manifest.json``) lies beside it, and the manifest names the hash of its own inputs.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lisi_nb.engine.lammps import DATA_FILE, INPUT, RESUME_INPUT

COPY = ".manifest.json"
INPUTS = (INPUT, RESUME_INPUT, DATA_FILE)
MISSING = "(nothing)"


def identity(format_number: int, study: str, params: dict[str, Any], potential_sha256: str) -> str:
    """Hash of everything that decides a run's outcome: study, parameters, potential, folder format."""
    text = json.dumps([format_number, study, params, potential_sha256], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def identity_of(manifest: dict[str, Any]) -> str:
    """The hash that the inputs in a manifest have now."""
    params = {name: entry["value"] for name, entry in manifest["params"].items()}
    sha256 = "+".join(member["sha256"][:16] for member in manifest["potential"]["members"])
    return identity(manifest["format"], manifest["study"], params, sha256)


def differences(was: Any, now: Any, path: str = "") -> list[str]:
    """Where two JSON values differ, in words: ``params.temperature_K.value is 900, was 1000``."""
    if isinstance(was, dict) and isinstance(now, dict):
        keys = [*was, *(key for key in now if key not in was)]
        pairs = ((was.get(key, MISSING), now.get(key, MISSING), f"{path}.{key}".strip(".")) for key in keys)
        return [line for pair in pairs for line in differences(*pair)]
    return [] if was == now else [f"{path} is {now!r}, was {was!r}"]


def check(folder: Path, manifest: dict[str, Any]) -> None:
    """Raise ``ValueError`` with the difference when `manifest` is not what was written when the run was made."""
    copy = folder / COPY
    changed = differences(json.loads(copy.read_text()), manifest) if copy.exists() else []
    if not changed and "identity" in manifest and (now := identity_of(manifest)) != manifest["identity"]:
        changed = [f"parameters and potential have the hash {now[:8]}, made with {manifest['identity'][:8]}"]
    if changed:
        raise ValueError(
            f"{folder / 'manifest.json'} was changed after the run was made: {'; '.join(changed)}. Put it back, or "
            "make a new run with other values (`lisi-nb run ... --set`)."
        )


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file in `folder` that LAMMPS reads."""
    found = (folder / name for name in INPUTS if (folder / name).exists())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in found}


def check_inputs(folder: Path, made: dict[str, str]) -> None:
    """Raise ``ValueError`` with the difference when the inputs in `folder` are not those that were `made`."""
    now = hashes(folder)
    changed = [name for name in made | now if made.get(name) != now.get(name)]
    if changed:
        files = ", ".join(str(folder / name) for name in changed)
        words = "; ".join(f"{now.get(name, MISSING)[:16]}, was {made.get(name, MISSING)[:16]}" for name in changed)
        raise ValueError(
            f"{files} was changed after the run was made: its hash is {words}. Put it back, or make a new run."
        )
