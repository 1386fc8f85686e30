"""Files that processes share: JSON that is whole whenever it is read, also after the power failed, and locks."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold an advisory lock on `path`; yields whether it was got. The system frees it when the process dies."""
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


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
