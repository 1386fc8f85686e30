"""A run's manifest must stay as it was written: every result rests on it.

A second copy (``.manifest.json``) lies beside it, and the manifest names the hash of its own inputs.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

COPY = ".manifest.json"
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
