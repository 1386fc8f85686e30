"""JSON files that are whole whenever they are read, also after the power failed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Replace a JSON file in one step, so that a reader never sees half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w") as stream:
        stream.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())  # else the new name may reach the disk before what it names
    draft.replace(path)


def read_json(path: Path, *needed: str) -> dict[str, Any]:
    """The object in a JSON file of a run, with the entries `needed`.

    Raises
    ------
    ValueError
        The file is missing, empty or damaged; it says what to do.
    """
    try:
        data = json.loads(path.read_text())
        problem = "" if isinstance(data, dict) else "it holds no JSON object"
        problem = problem or ", ".join(f"it lacks {name!r}" for name in needed if name not in data)
    except FileNotFoundError:
        problem = "it is missing"
    except ValueError as error:
        problem = str(error)
    if problem:
        raise ValueError(
            f"{path} cannot be read: {problem}. Put it back from a copy, or delete the run (`lisi-nb clean`) and "
            "make it again."
        )
    return data
