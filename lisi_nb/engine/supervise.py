"""Execute a program in the folder of a run or segment: keep its status current, end it when it must end."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from lisi_nb.engine import parse
from lisi_nb.engine.growing import Table, growing_thermo
from lisi_nb.engine.lammps import STOP_REQUEST, log_file, trajectory_file
from lisi_nb.engine.output import Output
from lisi_nb.engine.processes import start_of
from lisi_nb.engine.run import Run

LOOK_EVERY_S = 0.5
PATIENCE_S = 60.0  # from a stop request to TERM
TERM_PATIENCE_S = 10.0  # from TERM to KILL
RESERVE_BYTES = 50_000_000  # a run ends before the disk is fuller than this, or than a twentieth of a small disk
NEVER = 2**62  # a step that no run reaches


class Superseded(RuntimeError):
    """The run was started anew elsewhere, for example while this node was thought lost."""


@dataclass(frozen=True)
class Goal:
    """How far a segment goes (steps), from which step of the whole run on, and to which step the run goes."""

    n_steps: int
    target: int
    first: int = 0


def progress(thermo: Table, goal: Goal) -> dict[str, Any]:
    """Step, speed (steps/s) and time left (s) of the run, from the thermo columns of its present segment."""
    if "Step" not in thermo:
        return {"step": goal.first, "target": goal.target, "steps_per_s": None, "left_s": None}
    steps, seconds = thermo["Step"], thermo["CPU"]
    # CPU restarts at zero with each LAMMPS `run`; the last rising stretch gives the present speed.
    falls = np.flatnonzero(np.diff(seconds) < 0)
    first = falls[-1] + 1 if len(falls) else 0
    done, spent = steps[-1] - steps[first], seconds[-1] - seconds[first]
    speed = float(done / spent) if spent > 0 and done > 0 else None
    step = goal.first + int(steps[-1])
    left = max(0, goal.target - step) / speed if speed else None
    return {"step": step, "target": goal.target, "steps_per_s": speed, "left_s": left}


def cut_repeated(output: Output, part: int) -> bool:
    """Cut frames that part `part` writes again from the trajectories before it; False while its start is unknown."""
    thermo = parse.thermo(output.folder / log_file(part))
    if not thermo:
        return False
    for before in range(part):
        if (file := output.folder / trajectory_file(before)).exists():
            parse.truncate(file, int(thermo["Step"][0]))
    return True


def keep_whole_frames(output: Output, part: int) -> None:
    """Cut an unfinished frame from the end of a trajectory."""
    if (file := output.folder / trajectory_file(part)).exists():
        parse.truncate(file, NEVER)


def end(process: subprocess.Popen[bytes], patience_s: float) -> None:
    """TERM, then after `patience_s` KILL, for LAMMPS, the mpiexec above it and every rank.

    By process tree, not by group: mpiexec gives its ranks groups of their own.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        family = [parent, *parent.children(recursive=True)]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.terminate()
        for each in psutil.wait_procs(family, timeout=patience_s)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
    process.wait()


def disk_is_full(folder: Path) -> bool:
    """Whether LAMMPS must end: it does not notice itself when what it writes no longer fits."""
    disk = shutil.disk_usage(folder)
    return disk.free < min(RESERVE_BYTES, disk.total // 20)


def identity() -> dict[str, Any]:
    """That this process runs it: said again with each step, so that no other writer of the status can undo it."""
    return {"state": "running", "host": socket.gethostname(), "pid": os.getpid(), "process_start": start_of()}


@dataclass(frozen=True)
class Outcome:
    """How a child process ended: its exit code, a full disk, a stop request, and whether it had to be killed then."""

    code: int
    full: bool
    asked: bool
    killed: bool


def watch(
    run: Run, folder: Path, command_line: list[str], variables: dict[str, str], goal: Goal, part: int | None = None
) -> Outcome:
    """Execute a program in `folder` and keep the status of `run` current meanwhile.

    `part` is that of a LAMMPS process, which ends by itself on a stop request; ``None`` is any other, ended at once.
    """
    output, log = Output(folder), growing_thermo()
    with (folder / "stdout.txt").open("w") as screen:
        process = subprocess.Popen(command_line, cwd=folder, env=variables, stdout=screen, stderr=subprocess.STDOUT)
    asked_at: float | None = None
    queued = run.recorded().get("queued")
    joined = not part
    full = killed = False
    try:
        while process.poll() is None:
            time.sleep(LOOK_EVERY_S)
            if run.recorded().get("queued") != queued:
                raise Superseded(run.id)
            if full := disk_is_full(folder):
                end(process, 0)  # at once: every further byte is lost
                break
            joined = joined or cut_repeated(output, part or 0)
            run.update(**identity(), **progress(log.read([(file, 0) for file in output.logs]), goal))
            if asked_at is None and (run.folder / STOP_REQUEST).exists():
                asked_at = time.monotonic()
                (folder / STOP_REQUEST).touch()
            if asked_at is not None and time.monotonic() - asked_at > (0.0 if part is None else PATIENCE_S):
                end(process, TERM_PATIENCE_S)
                killed = True
    finally:
        if process.poll() is None:
            end(process, TERM_PATIENCE_S)
    if not joined:
        cut_repeated(output, part or 0)
    if full or killed:
        keep_whole_frames(output, part or 0)
    asked = asked_at is not None or (run.folder / STOP_REQUEST).exists()
    return Outcome(process.returncode, full, asked, killed)
