"""Many runs under one label: a parameter over values, times seeds. Here: what is to be run, and its control.

A sweep is the folder ``data/runs/<study>/<label>.sweep``: ``sweep.json`` (which runs, immutable), ``status.json`` (its
scheduler). The runs are ordinary run folders; whether one is done is read from there alone, so a sweep goes on after
its scheduler died, and a point that was run before, under any label, is not repeated. `lisi_nb.engine.schedule` runs
it; for a cluster it submits every run once, and the rest is the scheduler's of that cluster.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from lisi_nb import paths, potentials
from lisi_nb.engine import cluster, cluster_profiles, devices, launch, seal
from lisi_nb.engine import run as runs
from lisi_nb.engine.files import write_json
from lisi_nb.engine.processes import alive, start_of
from lisi_nb.engine.run import ENDED, Run
from lisi_nb.errors import RunFailed, check_range
from lisi_nb.params import Params

FORMAT = 1
MOST_RUNS = 2000
PAUSE_REQUEST = "pause.request"


@dataclass(frozen=True)
class Sweep:
    """One sweep, by its folder. Reading changes nothing."""

    folder: Path

    @property
    def label(self) -> str:
        """Its name; also the first part of its run folders' names."""
        return self.folder.name.removesuffix(".sweep")

    @cached_property
    def definition(self) -> dict[str, Any]:
        """Study, varied parameters, seeds, device, and the parameters and identity of each run."""
        data = json.loads((self.folder / "sweep.json").read_text())
        if data.get("format") != FORMAT:
            raise ValueError(f"{self.folder} has sweep format {data.get('format')}; this lisi_nb reads {FORMAT}.")
        return data

    @property
    def points(self) -> list[dict[str, Any]]:
        """Parameters and identity of each run."""
        return self.definition["points"]

    def runs(self) -> list[Run | None]:
        """The run of each point, or ``None`` before it is prepared."""
        folder = paths.runs() / self.definition["study"]
        here = {path.name[-8:]: path for path in folder.iterdir() if path.name[:1] != "." and path.name[-9:-8] == "-"}
        found = (here.get(point["identity"][:8]) for point in self.points)
        return [Run(path) if path is not None else None for path in found]

    def recorded(self) -> dict[str, Any]:
        """``status.json`` as it was written, without a look whether it is still true."""
        return json.loads((self.folder / "status.json").read_text())

    @property
    def profile(self) -> str:
        """Profile of the cluster that has its runs; ``""`` for this machine."""
        return self.recorded().get("profile", "")

    def states(self) -> list[str]:
        """State of each point: of its run, else ``waiting``, or ``failed`` when its structure could not be built."""
        problems = self.recorded()["problems"]
        return [
            run.status()["state"] if run else "failed" if str(index) in problems else "waiting"
            for index, run in enumerate(self.runs())
        ]

    def status(self) -> dict[str, Any]:
        """State (``prepared running paused finished interrupted``), its message, and the number of runs by state.

        Once all runs of a cluster are submitted, the state follows from theirs.
        """
        status = self.recorded()
        if status["state"] == "running" and not alive(status["pid"], status["process_start"]):
            status = self.recorded()
            if status["state"] == "running":
                status |= {"state": "interrupted", "message": "Its scheduler is gone; runs that were started go on."}
        states = self.states()
        if status["state"] == "submitted":
            status |= self._submitted(set(states))
        return status | {"runs": {state: states.count(state) for state in dict.fromkeys(states)}}

    def _submitted(self, states: set[str]) -> dict[str, str]:
        if states & {"queued", "running"} or states <= {"finished", "failed"}:
            return {"state": "running" if states & {"queued", "running"} else "finished"}
        return {"state": "interrupted", "message": f"`lisi-nb sweep --resume {self.label}` submits what is not done."}

    def share(self) -> tuple[float, str]:
        """Fraction done (0 to 1), counting runs alike, and in words how many runs are in which state."""
        waiting: dict[str, Any] = {"state": "waiting", "step": 0, "target": 1}
        states = [run.status() if run else waiting for run in self.runs()]
        done = [1.0 if s["state"] in ENDED else s["step"] / max(1, s["target"]) for s in states]
        names = [s["state"] for s in states]
        return sum(done) / len(done), ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))

    def update(self, **changes: Any) -> None:
        """Change entries of ``status.json``."""
        path = self.folder / "status.json"
        write_json(path, (self.recorded() if path.exists() else {}) | changes)

    @property
    def paused(self) -> bool:
        """Whether a pause was asked for."""
        return (self.folder / PAUSE_REQUEST).exists()


def define(
    study: ModuleType,
    params: Params,
    over: Mapping[str, Sequence[Any]],
    seeds: int = 1,
    label: str = "",
    device: str = "auto",
    before: Callable[[dict[str, Any]], None] | None = None,
) -> Sweep:
    """Write (or open again) the sweep of `study` over all combinations of the values in `over`, times seeds.

    Parameters
    ----------
    study : module
        As for `lisi_nb.engine.launch.prepare`.
    params : Params
        What is not varied; with several `seeds`, they count from this one's seed.
    over : mapping
        Parameter name -> values.
    seeds : int
        Repetitions of each combination.
    label : str
        Its name; by default ``sweep-`` and a hash of what it runs. Where another sweep has it, ``-2``, ``-3``, ... is
        appended.
    device : str
        As for `lisi_nb.engine.devices.choose`; a sweep that exists keeps its own. ``auto`` and ``cpu`` give
        each run ``cores // runs`` ranks, at least 1: one rank each uses the cores best as soon as there are as many
        runs as cores.
    before : callable, optional
        Called with the definition before anything is written; what it raises ends this.

    Raises
    ------
    ValueError
        A bad value or label, or nothing to vary.
    """
    check_range("seeds", seeds, 1, MOST_RUNS)
    if not over and seeds == 1:
        raise ValueError("Nothing is varied. Give --over name=1,2,3, or --seeds of 2 or more.")
    if "seed" in over and seeds > 1:
        raise ValueError("Both --over seed=... and --seeds are given. Give one of them.")
    combined = [dict(zip(over, chosen, strict=True)) for chosen in itertools.product(*over.values())]
    check_range("number of runs", len(combined) * seeds, 1, MOST_RUNS, "", "Vary fewer values or seeds.")
    first = params.seed  # type: ignore[attr-defined]
    varied = [params.replace(**{"seed": first + k, **changes}) for changes in combined for k in range(seeds)]
    for each in varied:
        if hasattr(study, "check"):
            study.check(each)
    points = [{"params": each.to_dict(), "identity": _identity(study.NAME, each.to_dict())} for each in varied]
    where = devices.choose(device)
    if where.kind == "cpu" and ":" not in device:
        where = devices.choose(f"cpu:{max(1, devices.cpu_cores() // len(points))}")
    gpus = [where.cuda_visible] if ":" in device else [index for index, _ in devices.gpus()]
    definition = {
        "format": FORMAT,
        "study": study.NAME,
        "over": {name: list(each) for name, each in over.items()},
        "seeds": seeds,
        "device": where.kind,
        "ranks": where.ranks,
        "gpus": gpus if where.kind == "gpu" else [],
        "points": points,
    }
    label = runs.check_label(label or f"sweep-{seal.identity(FORMAT, study.NAME, {'points': points}, '')[:8]}")
    if before:
        before(definition)
    return _written(paths.runs() / study.NAME, label, definition)


def _identity(study: str, params: dict[str, Any]) -> str:
    return runs.identity(study, params, potentials.get(params["potential"]).sha256)


def _written(folder: Path, label: str, definition: dict[str, Any]) -> Sweep:
    names = itertools.chain([label], (runs.check_label(f"{label}-{number}") for number in itertools.count(2)))
    for sweep in (Sweep(folder / f"{name}.sweep") for name in names):
        if not (sweep.folder / "sweep.json").exists():
            break
        if sweep.definition["points"] == definition["points"]:
            return sweep
    launch.check_writable(sweep.folder)
    sweep.update(state="prepared", pid=None, process_start=None, message="", preparing=[], problems={})
    write_json(sweep.folder / "sweep.json", definition)
    return sweep


def find() -> list[Sweep]:
    """All sweeps, newest first."""
    files = sorted(paths.runs().glob("*/*.sweep/sweep.json"), key=lambda p: p.stat().st_mtime, reverse=True)
    return [Sweep(file.parent) for file in files]


def open_sweep(label: str) -> Sweep:
    """The sweep of this label, or of ``study/label``; ``ValueError`` with those that exist otherwise."""
    known = find()
    found = [s for s in known if label in (s.label, f"{s.folder.parent.name}/{s.label}")]
    if len(found) != 1:
        names = ", ".join(f"{s.folder.parent.name}/{s.label}" for s in known) or "none yet"
        raise ValueError(f"{label!r} {'is no sweep' if not found else 'names several sweeps'}. Sweeps: {names}.")
    return found[0]


def start(sweep: Sweep, profile: str | None = None) -> Sweep:
    """Start its scheduler as a process of its own, unless it has one, and return once it is up; clears a pause.

    Parameters
    ----------
    sweep : Sweep
        From `define` or `open_sweep`.
    profile : str, optional
        Name of a cluster profile, to whose scheduler each run is submitted; ``""`` for this machine. By default where
        it was started last, at first this machine.

    Raises
    ------
    ValueError, FileNotFoundError
        The profile is missing or wrong, or the sweep is running elsewhere; nothing is changed.
    """
    state, before = sweep.recorded(), sweep.profile
    profile = before if profile is None else profile
    if profile:
        cluster_profiles.get(profile)
    if profile != before and sweep.status()["state"] == "running":
        place = f"cluster {before!r}" if before else "this machine"
        raise ValueError(f"{sweep.label} is running on {place}. Wait, or first `lisi-nb sweep --pause {sweep.label}`.")
    (sweep.folder / PAUSE_REQUEST).unlink(missing_ok=True)
    if state["state"] == "running" and alive(state["pid"], state["process_start"]):
        return sweep
    sweep.update(profile=profile)
    command = [sys.executable, "-m", "lisi_nb.engine.schedule", str(sweep.folder.resolve())]
    with (sweep.folder / "scheduler.log").open("a") as log:
        process = subprocess.Popen(
            command, cwd=paths.PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    sweep.update(state="running", pid=process.pid, process_start=start_of(process.pid), message="")
    return sweep


def active(sweep: Sweep) -> list[Run]:
    """Its queued and running runs."""
    return [run for run in sweep.runs() if run is not None and run.status()["state"] not in (*ENDED, "prepared")]


def pause(sweep: Sweep, timeout_s: float = 180.0) -> Sweep:
    """Stop all its runs cleanly and start no more; what they wrote is kept and `start` goes on with them.

    On a cluster, jobs that wait in its queue are cancelled.

    Raises
    ------
    RunFailed
        A run has not stopped in time, or the scheduler of its cluster cannot be reached.
    """
    (sweep.folder / PAUSE_REQUEST).touch()
    deadline = time.monotonic() + timeout_s
    while True:
        going = active(sweep)
        for run in going:
            run.request_stop()
        cluster.cancel_all([run for run in going if runs.scheduled(run.recorded())], deadline - time.monotonic())
        if not going and sweep.status()["state"] != "running":
            sweep.update(state="paused", message="Paused; `lisi-nb sweep --resume` goes on.")
            return sweep
        if time.monotonic() > deadline:
            raise RunFailed(f"{sweep.label}: {', '.join(run.id for run in going)} not stopped after {timeout_s:g} s.")
        time.sleep(0.5)


def wait(sweep: Sweep, progress: Callable[[dict[str, Any]], None] | None = None, every_s: float = 1.0) -> Sweep:
    """Follow a sweep until its scheduler has ended; leaving this early leaves it running."""
    while (status := sweep.status())["state"] == "running":
        if progress:
            progress(status)
        time.sleep(every_s)
    if progress:
        progress(status)
    return sweep
