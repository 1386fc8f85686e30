"""A piece of work in a folder of its own: it outlives the notebook, can be stopped, and is found again by its inputs.

``NAME-hash8/``: ``inputs.json`` (settings, and the hash of each input file), the input files, ``status.json``, and what
it makes. It counts as done only while its inputs and outputs have the hashes written down, never because a file is
there.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import write

from lisi_nb import paths
from lisi_nb.engine.files import locked, write_json
from lisi_nb.engine.processes import alive, start_of
from lisi_nb.engine.worker import kill_children
from lisi_nb.errors import RunFailed
from lisi_nb.potentials.compressed import sha256

GOING = ("queued", "running")
START_PATIENCE_S = 180.0  # on a busy machine a process needs a minute to import what it needs


@dataclass(frozen=True)
class Work:
    """A piece of work, by its folder; reading never changes anything."""

    folder: Path

    def __repr__(self) -> str:
        return f"Work({self.name}, {self.status()['state']})"

    @property
    def name(self) -> str:
        """``kind-hash8``."""
        return self.folder.name

    @property
    def inputs(self) -> dict[str, Any]:
        """Kind, settings, and the SHA-256 of each input file."""
        return json.loads((self.folder / "inputs.json").read_text())

    @property
    def settings(self) -> dict[str, Any]:
        """What was asked for, apart from files."""
        return self.inputs["settings"]

    def status(self) -> dict[str, Any]:
        """State, message and times; a dead ``running`` or ``queued`` is ``interrupted``, changed files ``changed``."""
        file = self.folder / "status.json"
        status: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"state": "prepared", "message": ""}
        gone = status["state"] == "running" and not alive(status["pid"], status["process_start"])
        late = status["state"] == "queued" and time.time() - status["queued"] > START_PATIENCE_S
        if gone or late:
            return status | {"state": "interrupted", "message": "Its process is gone. Run the cell again to go on."}
        if status["state"] == "finished":
            known = self.inputs["files"] | status["outputs"]
            wrong = [n for n, h in known.items() if not (self.folder / n).exists() or sha256(self.folder / n) != h]
            if wrong:
                return status | {"state": "changed", "message": f"{', '.join(wrong)} changed since; it is made again."}
        return status

    def update(self, **changes: Any) -> None:
        """Change entries of ``status.json``."""
        file = self.folder / "status.json"
        write_json(file, (json.loads(file.read_text()) if file.exists() else {}) | changes)

    def stop(self) -> None:
        """End it; what it has made so far is kept, and `start` goes on from there."""
        status = self.status()
        if status["state"] == "running":
            os.kill(status["pid"], signal.SIGTERM)


def prepare(root: Path, kind: str, settings: Mapping[str, Any], files: Mapping[str, list[Atoms]]) -> Work:
    """Return the work with these inputs: the one that exists, or a new folder.

    Parameters
    ----------
    root : Path
        Where the folders of all works lie.
    kind : str
        What is done: first part of the folder's name.
    settings : mapping
        Plain values that decide the outcome.
    files : mapping
        File name -> frames, written as extxyz with their labels if they have any.
    """
    texts = {name: _extxyz(frames) for name, frames in files.items()}
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    inputs = {"kind": kind, "settings": dict(settings), "files": hashes}
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    work = Work(root / f"{kind}-{digest[:8]}")
    if work.folder.exists() and work.status()["state"] != "changed":
        return work
    draft = work.folder.with_name(f".{work.folder.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, text in texts.items():
        (draft / name).write_text(text)
    write_json(draft / "inputs.json", inputs)
    shutil.rmtree(work.folder, ignore_errors=True)
    draft.rename(work.folder)
    return work


def _extxyz(frames: list[Atoms]) -> str:
    text = io.StringIO()
    write(text, frames, format="extxyz")
    return text.getvalue()


def start(work: Work, module: str) -> Work:
    """Start ``python -m module FOLDER`` as a process of its own unless it is going on or done; return at once."""
    if work.status()["state"] in (*GOING, "finished"):
        return work
    work.update(state="queued", queued=time.time(), message="")
    with (work.folder / "worker.log").open("w") as log:
        subprocess.Popen(
            [sys.executable, "-m", module, str(work.folder.resolve())],
            cwd=paths.PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return work


def wait(work: Work, every_s: float = 0.3) -> Work:
    """Wait until it has ended; raise `RunFailed` with its words unless it finished."""
    while (status := work.status())["state"] in GOING:
        time.sleep(every_s)
    if status["state"] != "finished":
        raise RunFailed(f"{work.name} {status['state']}: {status['message']}")
    return work


def perform(folder: Path, kinds: Mapping[str, Callable[[Work], list[str]]]) -> int:
    """Do the work in `folder` in this process and write down how it ended; for the module that `start` runs.

    Parameters
    ----------
    folder : Path
        Of a prepared work.
    kinds : mapping
        Kind -> function of the work that returns the names of the files it made.

    Returns
    -------
    int
        0 when it finished, or when another process is doing it.
    """
    work = Work(folder)
    with locked(folder / "lock", wait=False) as mine:
        if not mine:
            return 0

        def ended(*_: Any) -> None:
            kill_children()
            work.update(state="stopped", ended=time.time(), message="Stopped; run the cell again to go on.")
            os._exit(1)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, ended)
        work.update(state="running", pid=os.getpid(), process_start=start_of(), started=time.time(), message="")
        try:
            outputs = {name: sha256(folder / name) for name in kinds[work.inputs["kind"]](work)}
        except Exception as error:
            (folder / "worker-error.txt").write_text(traceback.format_exc())
            work.update(state="failed", ended=time.time(), message=f"{type(error).__name__}: {error}")
            return 1
        work.update(state="finished", ended=time.time(), message="", outputs=outputs)
        return 0
