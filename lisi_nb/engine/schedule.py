"""Run a sweep on the free slots of this machine: ``python -m lisi_nb.engine.schedule FOLDER``.

A slot is a number of cores or one GPU. Slots taken by any run of this data folder, and by any sweep's structures in the
making, are not free; counting them and taking one happens under one lock, so two sweeps never take the same slot.

The runs of a cluster take no slot here: this process makes their structures, as many at a time as there are cores for,
submits each run once, and ends.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lisi_nb import paths
from lisi_nb.engine import cluster, devices, launch
from lisi_nb.engine import run as runs
from lisi_nb.engine import sweep as sweeps
from lisi_nb.engine.files import locked
from lisi_nb.engine.processes import alive, start_of
from lisi_nb.engine.sweep import Sweep
from lisi_nb.errors import RunFailed

LOOK_EVERY_S = 1.0
TRIES = 3  # starts of one run in one life of the scheduler; more than one only after it was interrupted


def taken() -> list[dict[str, Any]]:
    """Devices of all active runs of this data folder, and of structures that sweeps are making."""
    found = []
    for run in runs.find():
        with contextlib.suppress(ValueError, OSError):  # a broken or vanishing folder takes no slot
            status = run.status()
            if status["state"] in ("queued", "running") and not (runs.scheduled(status) or runs.elsewhere(status)):
                found.append(run.manifest["device"])
    for sweep in sweeps.find():
        with contextlib.suppress(ValueError, OSError):
            made = sweep.recorded()["preparing"]
            found += [each["device"] for each in made if alive(each["pid"], each["process_start"])]
    return found


@dataclass
class Scheduler:
    """One life of a sweep's scheduler: the processes that prepare and start its runs, and how often each was tried."""

    sweep: Sweep
    tries: dict[int, int] = field(default_factory=dict)
    children: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def open_points(self) -> list[int]:
        """Runs that still have to be started or continued; a failed one is left as it is."""
        found, most = [], 1 if self.sweep.profile else TRIES
        for index, state in enumerate(self.sweep.states()):
            tried = self.tries.get(index, 0)
            again = state in ("waiting", "prepared", "interrupted") and tried < most
            if index not in self.children and (again or (state == "stopped" and tried == 0)):
                found.append(index)
        return found

    def slot(self, index: int, used: list[dict[str, Any]]) -> str | None:
        """Name of a free device for a run (the one it was prepared for, if it was), or ``None``."""
        run, definition = self.sweep.runs()[index], self.sweep.definition
        if self.sweep.profile:
            ranks = min(definition["ranks"], devices.cpu_cores())
            return f"cpu:{ranks}" if len(self.children) < devices.cpu_cores() // ranks else None
        wanted = run.manifest["device"] if run else {"kind": definition["device"], "ranks": definition["ranks"]}
        if wanted["kind"] == "cpu":
            cores = devices.cpu_cores()
            ranks = min(wanted["ranks"], cores)
            busy = sum(device["ranks"] for device in used if device["kind"] == "cpu")
            return f"cpu:{ranks}" if busy + ranks <= cores else None
        busy_gpus = {device["cuda_visible"] for device in used if device["kind"] == "gpu"}
        allowed = [wanted["cuda_visible"]] if run else definition["gpus"]
        return next((f"gpu:{gpu}" for gpu in allowed if gpu not in busy_gpus), None)

    def begin(self) -> None:
        """Start what fits into the free slots."""
        waiting = self.open_points()
        if not waiting:
            return
        with locked(paths.runs() / ".slots.lock"):
            used = taken()
            for index in waiting:
                device = self.slot(index, used)
                if device is None:
                    continue
                used.append(vars(devices.choose(device)))
                self.tries[index] = self.tries.get(index, 0) + 1
                with (self.sweep.folder / f"prepare-{index}.log").open("w") as log:
                    self.children[index] = subprocess.Popen(
                        [sys.executable, "-m", "lisi_nb.engine.schedule", str(self.sweep.folder), str(index), device],
                        cwd=paths.PROJECT,
                        env=os.environ | {"LISI_NB_DEVICE": device},  # structures are made in this slot, too
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                self.tell(index, device)

    def tell(self, index: int, device: str) -> None:
        """Note the process that prepares run `index` where other schedulers count it."""
        child = self.children[index]
        entry = {"pid": child.pid, "process_start": start_of(child.pid), "index": index}
        made = self.sweep.recorded()["preparing"]
        made = [each for each in made if alive(each["pid"], each["process_start"])]
        self.sweep.update(preparing=[*made, entry | {"device": vars(devices.choose(device))}])

    def reap(self) -> None:
        """Note what became of ended preparations."""
        for index, child in list(self.children.items()):
            if child.poll() is not None:
                del self.children[index]
                if child.returncode not in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
                    said = (self.sweep.folder / f"prepare-{index}.log").read_text().strip()
                    self.sweep.update(problems=self.sweep.recorded()["problems"] | {str(index): said})

    def pause(self) -> None:
        """End preparations, ask runs to stop, and wait for both."""
        for child in self.children.values():
            child.terminate()
        while self.children or (going := sweeps.active(self.sweep)):
            self.reap()
            for run in [] if self.children else going:
                run.request_stop()
            time.sleep(LOOK_EVERY_S)

    def live(self) -> str:
        """Schedule until nothing is left (to submit, for a cluster) or a pause is asked for; return the final state."""
        profile = self.sweep.profile
        while True:
            if self.sweep.paused:
                self.pause()
                return "paused"
            self.reap()
            self.begin()
            if not self.children and not self.open_points() and (profile or not sweeps.active(self.sweep)):
                return "submitted" if profile else "finished"
            time.sleep(LOOK_EVERY_S)


def member(sweep: Sweep, index: int, device: str) -> None:
    """Prepare and start (or continue) one run of a sweep; the words of a refusal go to stderr."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that a melt's LAMMPS ends with us
    point, study = sweep.points[index], importlib.import_module(f"lisi_nb.studies.{sweep.definition['study']}")
    run = launch.prepare(study, study.Params(**point["params"]), sweep.label, device, parent=sweep.label)
    if run.manifest["identity"] != point["identity"]:
        raise ValueError(
            "The potential was replaced after this sweep was defined. Define it anew, under another label."
        )
    while not sweep.paused:
        cluster.start(run, sweep.profile, resume=run.status()["state"] != "failed")
        if run.recorded()["state"] != "prepared":
            break
        time.sleep(LOOK_EVERY_S)  # claimed by another process; if that one died, the claim lapses within a minute


def main(folder: Path) -> int:
    """Be the scheduler of the sweep in `folder`; return at once when it has one already."""
    sweep = Sweep(folder)
    with locked(folder / "scheduler.lock", wait=False) as mine:
        if not mine:
            return 0
        sweep.update(state="running", pid=os.getpid(), process_start=start_of(), message="", preparing=[], problems={})
        state = Scheduler(sweep).live()
        counts = sweep.status()["runs"]
        sweep.update(state=state, message=", ".join(f"{n} {what}" for what, n in sorted(counts.items())), preparing=[])
    return 0


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.exit(main(Path(sys.argv[1])))
    try:
        member(Sweep(Path(sys.argv[1])), int(sys.argv[2]), sys.argv[3])
    except (ValueError, FileNotFoundError, RunFailed) as refused:
        sys.exit(str(refused))
    except Exception:
        sys.exit(traceback.format_exc())
