"""The run folder: everything about one run, readable by anybody at any time.

``manifest.json`` (inputs, immutable) · ``status.json`` (what happens) · ``in.lmp`` ``data.lmp`` (what LAMMPS
read) · ``log.lammps`` ``traj.0.bin`` ``model_devi.out`` (what it wrote) · ``restart.a`` ``restart.b`` (in turn) ·
``results.json``. Each resumption adds a part (`lisi_nb.engine.output`). In a chain each segment has such an output in
``segments/NNN-name/`` (`lisi_nb.engine.chain`).
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lisi_nb import paths
from lisi_nb.engine import parse, seal
from lisi_nb.engine.files import read_json, write_json
from lisi_nb.engine.lammps import DATA_FILE, INPUT, RESUME_INPUT, STOP_REQUEST
from lisi_nb.engine.output import Output
from lisi_nb.engine.processes import alive

FORMAT = 1
SEGMENTS = "segments"  # folder of a chain's segments
STATES = ("prepared", "queued", "running", "finished", "failed", "stopped", "interrupted")
ENDED = ("finished", "failed", "stopped", "interrupted")
QUEUE_PATIENCE_S = 60.0  # a local worker is up within seconds
SILENCE_S = 600.0  # a worker of another machine counts as dead then; an analysis may take minutes without a word
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def identity(study: str, params: dict[str, Any], potential_sha256: str) -> str:
    """Hash of everything that decides a run's outcome: study, parameters, potential, folder format."""
    return seal.identity(FORMAT, study, params, potential_sha256)


def check_label(label: str) -> str:
    """Return `label`, or raise ``ValueError`` when it could not be a plain folder name."""
    if not _LABEL.fullmatch(label):
        shown = repr(label) if len(label) <= 80 else f"{label[:60]!r}... ({len(label)} characters)"
        raise ValueError(
            f"label={shown} is not allowed. Use 1 to 60 letters, digits, dots, dashes or underscores, starting "
            "with a letter or digit."
        )
    return label


@dataclass(frozen=True)
class Segment(Output):
    """One segment of a chain: its output, and the decision that began it."""

    @cached_property
    def decision(self) -> dict[str, Any]:
        """Number, name and kind of the segment, first step and number of steps, why it came, and the numbers."""
        return json.loads((self.folder / "step.json").read_text())

    @property
    def first_step(self) -> int:
        """Steps of the chain before this segment."""
        return int(self.decision["first_step"])

    @property
    def ended(self) -> bool:
        """Whether it came to its end."""
        return (self.folder / "ended.json").exists()


@dataclass(frozen=True)
class Run(Output):
    """One run, by its folder. Reading never changes anything."""

    def __str__(self) -> str:
        status = self.status()
        return f"{self.id} ({status['state']}, step {status['step']} of {status['target']})"

    def __repr__(self) -> str:
        return f"Run({self.id})"

    @property
    def id(self) -> str:
        """``study/label-hash8``."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The immutable record of the inputs.

        Raises
        ------
        ValueError
            The folder has another format, or the manifest was changed since the run was made; it says what differs.
        """
        data = read_json(self.folder / "manifest.json")
        if data.get("format") != FORMAT:
            raise ValueError(
                f"{self.folder} was written in run format {data.get('format')}, this lisi_nb reads format {FORMAT}. "
                f"Open it with lisi_nb {data.get('versions', {}).get('lisi_nb', 'of that time')}, or run it again."
            )
        seal.check(self.folder, data)
        return data

    @property
    def params(self) -> dict[str, Any]:
        """Plain values of the run's parameters."""
        return {name: entry["value"] for name, entry in self.manifest["params"].items()}

    @property
    def trust_eV_A(self) -> tuple[float, float]:
        """Limits (low, high) of the ensemble's force deviation: accurate below, failed above."""
        made_with = self.manifest["potential"]
        if "trust_eV_A" not in made_with:  # made before manifests had them
            from lisi_nb import potentials

            made_with = potentials.get(made_with["name"]).card["validity"]
        low, high = made_with["trust_eV_A"]
        return low, high

    def recorded(self) -> dict[str, Any]:
        """``status.json`` as it was written, without a look whether it is still true.

        Raises
        ------
        ValueError
            It is missing or damaged.
        """
        return read_json(self.folder / "status.json", "state", "step", "target")

    @property
    def silent_s(self) -> float:
        """Seconds since anything was noted in ``status.json``."""
        return time.time() - (self.folder / "status.json").stat().st_mtime

    def status(self) -> dict[str, Any]:
        """State, step, target, speed, time left and message; a dead ``running`` or ``queued`` reads ``interrupted``.

        The processes of a cluster run live on another machine: there the scheduler is asked.
        """
        status = self.recorded()
        if scheduled(status):
            from lisi_nb.engine import cluster

            return cluster.look(self, status)
        if gone(status, self.silent_s):
            status = self.recorded()  # it may have gone on between the two looks
            if gone(status, self.silent_s):
                message = (
                    "The process is gone without having finished. What it wrote is kept; go on with `lisi-nb resume`."
                    if status["state"] == "running"
                    else f"Its worker did not start; see {self.folder / 'worker.log'}. Try `lisi-nb resume`."
                )
                status |= {"state": "interrupted", "message": message}
        return status

    def update(self, **changes: Any) -> None:
        """Change entries of ``status.json``."""
        path = self.folder / "status.json"
        write_json(path, (read_json(path) if path.exists() else {}) | changes)

    @property
    def segments(self) -> list[Segment]:
        """The segments of a chain so far; empty for a run of one segment, whose output is its own."""
        return [Segment(file.parent) for file in sorted((self.folder / SEGMENTS).glob("*/step.json"))]

    @property
    def trajectories(self) -> list[Path]:
        """Binary trajectories, in order of time."""
        segments = self.segments
        return [file for s in segments for file in s.trajectories] if segments else super().trajectories

    def frames(self, every: int = 1) -> Iterator[parse.Frame]:
        """Stream every `every`-th frame written so far; in a chain, on one axis of steps over all its segments."""
        if not (segments := self.segments):
            yield from super().frames(every)
            return
        frames = (replace(f, step=f.step + s.first_step) for s in segments for f in s.frames())
        yield from itertools.islice(frames, 0, None, every)

    def thermo(self) -> dict[str, Any]:
        """Thermo columns so far, on one axis of steps."""
        return self._joined(Output.thermo, "Step")

    def model_deviation(self) -> dict[str, Any]:
        """Ensemble deviation so far, on one axis of steps."""
        return self._joined(Output.model_deviation, "step")

    def _joined(self, read: Callable[[Output], dict[str, Any]], step: str) -> dict[str, Any]:
        if not (segments := self.segments):
            return read(Output(self.folder))
        tables = [(s.first_step, read(Output(s.folder))) for s in segments]
        return parse.joined([t | {step: t[step] + first} if step in t else t for first, t in tables], step)

    def resumable(self) -> Path | None:
        """From where the run can go on: its newest whole restart file, or the segments of a chain."""
        return self.folder / SEGMENTS if self.segments else self.restart_file()

    def results(self) -> dict[str, Any] | None:
        """What the analysis wrote, or ``None`` before it."""
        path = self.folder / "results.json"
        return json.loads(path.read_text()) if path.exists() else None

    def request_stop(self) -> None:
        """Ask the run to end at its next check, keeping everything it has written."""
        (self.folder / STOP_REQUEST).touch()


def gone(status: dict[str, Any], silent_s: float) -> bool:
    """Whether a run without scheduler is said to be queued or running while its worker is dead, or never came up.

    A worker on another machine is judged by its silence alone.
    """
    if status["state"] == "queued" and status["pid"] is None:  # whoever started it has not noted the worker (yet)
        return time.time() - status["queued"] > QUEUE_PATIENCE_S
    if status["state"] not in ("queued", "running") or alive(status["pid"], status["process_start"]):
        return False
    return not elsewhere(status) or silent_s > SILENCE_S


def elsewhere(status: dict[str, Any]) -> str:
    """Name of the other machine on which a run was started last; ``""`` for this one."""
    host = status.get("host", "")
    return "" if host == socket.gethostname() else host


def scheduled(status: dict[str, Any]) -> dict[str, Any] | None:
    """Profile, job id and device of a run handed to a scheduler; ``None`` for one started on this machine since."""
    scheduler = status.get("scheduler")
    return scheduler if scheduler and scheduler["queued"] == status.get("queued") else None


def by_hash(study: str, digest: str) -> Run | None:
    """The run of `study` with this identity, whatever its label."""
    found = sorted((paths.runs() / study).glob(f"*-{digest[:8]}/manifest.json"))
    return Run(found[0].parent) if found else None


def find(study: str | None = None, label: str | None = None) -> list[Run]:
    """All runs, newest first, optionally of one study or label."""
    manifests = (paths.runs()).glob(f"{study or '*'}/*/manifest.json")
    runs = sorted(manifests, key=lambda p: p.stat().st_mtime, reverse=True)
    return [
        Run(m.parent)
        for m in runs
        if not m.parent.name.startswith(".") and label in (None, m.parent.name.rpartition("-")[0])
    ]


def open_run(name: str) -> Run:
    """Open a run by id (``study/label-hash8``), folder name, or hash.

    Raises
    ------
    ValueError
        No run, or more than one, has that name.
    """
    matches = [r for r in find() if name in (r.id, r.folder.name, r.folder.name.rpartition("-")[2])]
    if len(matches) == 1:
        return matches[0]
    known = ", ".join(r.id for r in find()[:8]) or "none yet"
    problem = "matches more than one run" if matches else "is no run"
    raise ValueError(f"{name!r} {problem}. Runs: {known}. List them with `lisi-nb runs`.")


def create(folder: Path, manifest: dict[str, Any], target: int) -> Run:
    """Write manifest and first status into a prepared folder."""
    write_json(folder / "manifest.json", manifest)
    write_json(folder / seal.COPY, manifest)
    run = Run(folder)
    run.update(state="prepared", step=0, target=target, pid=None, process_start=None, message="", created=time.time())
    return run


def set_aside(run: Run) -> None:
    """Move what an ended run wrote into ``previous-N/``, so that it can start over without losing anything."""
    n = 1 + sum(1 for _ in run.folder.glob("previous-*"))
    keep = {"manifest.json", seal.COPY, INPUT, RESUME_INPUT, DATA_FILE, "potential"}
    target = run.folder / f"previous-{n}"
    target.mkdir()
    for item in run.folder.iterdir():
        if item.name not in keep and not item.name.startswith("previous-"):
            shutil.move(item, target / item.name)
    previous = json.loads((target / "status.json").read_text())
    run.update(
        state="prepared",
        step=0,
        target=previous["target"],
        pid=None,
        process_start=None,
        message="",
        created=previous["created"],
    )
