"""Execute one prepared run folder: ``python -m lisi_nb.engine.worker FOLDER``.

The worker is the leader of its own session and process group, so it outlives the kernel, notebook or
terminal that started it. It starts LAMMPS, keeps ``status.json`` current, and lets the study analyse the
result. It needs nothing but the folder.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from lisi_nb.engine import parse
from lisi_nb.engine.candidates import save_candidates
from lisi_nb.engine.devices import Device
from lisi_nb.engine.execute import command, environment, failure
from lisi_nb.engine.lammps import FINAL_DATA, STOP_REQUEST, log_file, trajectory_file
from lisi_nb.engine.run import Run, scheduled, write_json

LOOK_EVERY_S = 0.5
PATIENCE_S = 60.0  # from a stop request to TERM
JOB_ID_NAMES = ("SLURM_JOB_ID", "PBS_JOBID")  # how Slurm, PBS and Torque name the job to itself
TERM_PATIENCE_S = 10.0  # from TERM to KILL
RESERVE_BYTES = 50_000_000  # a run ends before the disk is fuller than this, or than a twentieth of a small disk
NEVER = 2**62  # a step that no run reaches
FULL = (
    "The disk is full, so LAMMPS was ended; what it wrote is kept, at most the steps since the last restart file are "
    "computed again. Free space (`lisi-nb clean`), then `lisi-nb resume`."
)
KILLED = (-signal.SIGKILL, -signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, 137, 143)  # directly, or said by mpiexec


class Superseded(RuntimeError):
    """The run was started anew elsewhere, for example while this node was thought lost."""


def progress(run: Run, target: int) -> dict[str, Any]:
    """Step, speed (steps/s) and time left (s) from the log."""
    thermo = run.thermo()
    if "Step" not in thermo:
        return {"step": 0, "target": target, "steps_per_s": None, "left_s": None}
    steps, seconds = thermo["Step"], thermo["CPU"]
    # CPU restarts at zero with each LAMMPS `run`; the last rising stretch gives the present speed.
    falls = np.flatnonzero(np.diff(seconds) < 0)
    first = falls[-1] + 1 if len(falls) else 0
    done, spent = steps[-1] - steps[first], seconds[-1] - seconds[first]
    speed = float(done / spent) if spent > 0 and done > 0 else None
    left = (target - float(steps[-1])) / speed if speed else None
    return {"step": int(steps[-1]), "target": target, "steps_per_s": speed, "left_s": left}


def cut_repeated(run: Run, part: int) -> bool:
    """Cut frames that part `part` writes again from the trajectories before it; False while its start is unknown."""
    thermo = parse.thermo(run.folder / log_file(part))
    if not thermo:
        return False
    for before in range(part):
        if (file := run.folder / trajectory_file(before)).exists():
            parse.truncate(file, int(thermo["Step"][0]))
    return True


def keep_whole_frames(run: Run, part: int) -> None:
    """Cut an unfinished frame from the end of a trajectory."""
    if (file := run.folder / trajectory_file(part)).exists():
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


def simulate(run: Run, device: Device, target: int, restart: str = "") -> str:
    """Run LAMMPS to its end, to a stop request, or to failure; return the final state.

    With a `restart` file the run goes on from there as its next part.
    """
    part = run.n_parts if restart else 0
    with (run.folder / "stdout.txt").open("w") as screen:
        process = subprocess.Popen(
            command(device, part, restart),
            cwd=run.folder,
            env=environment(device),
            stdout=screen,
            stderr=subprocess.STDOUT,
        )
    asked_at: float | None = None
    queued = run.recorded().get("queued")
    joined = part == 0
    full = killed = False
    try:
        while process.poll() is None:
            time.sleep(LOOK_EVERY_S)
            if run.recorded().get("queued") != queued:
                raise Superseded(run.id)
            if full := disk_is_full(run.folder):
                end(process, 0)  # at once: every further byte is lost
                break
            joined = joined or cut_repeated(run, part)
            run.update(**identity(), **progress(run, target))
            if asked_at is None and (run.folder / STOP_REQUEST).exists():
                asked_at = time.monotonic()
            if asked_at is not None and time.monotonic() - asked_at > PATIENCE_S:
                end(process, TERM_PATIENCE_S)
                killed = True
    finally:
        if process.poll() is None:
            end(process, TERM_PATIENCE_S)
    if not joined:
        cut_repeated(run, part)
    if full or killed:
        keep_whole_frames(run, part)
    now = progress(run, target)
    run.update(**now)
    if full:
        run.update(message=FULL)
        return "interrupted"
    finite = all(np.isfinite(column).all() for column in run.thermo().values())
    if asked_at is not None or (run.folder / STOP_REQUEST).exists():
        how = "LAMMPS did not answer and was killed" if killed else "everything written is kept"
        run.update(message=f"Stopped on request at step {now['step']} of {target}; {how}.")
        return "stopped"
    if process.returncode == 0 and (run.folder / FINAL_DATA).exists() and now["step"] == target and finite:
        return "finished"
    if process.returncode in KILLED:
        run.update(message="LAMMPS was killed from outside (out of memory, or by hand). Go on with `lisi-nb resume`.")
        return "interrupted"
    message = failure(run.folder, process.returncode, part)
    run.update(message=message if finite else "The energy is not finite: the forces blew up.\n" + message)
    return "failed"


def identity() -> dict[str, Any]:
    """That this process runs it: said again with each step, so that no other writer of the status can undo it."""
    me = psutil.Process()
    return {"state": "running", "host": socket.gethostname(), "pid": me.pid, "process_start": me.create_time()}


def place(run: Run, status: dict[str, Any]) -> Device:
    """Where this worker runs LAMMPS: as planned with the run, or as its cluster profile says."""
    scheduler = scheduled(status)
    if scheduler is None:
        return Device(**run.manifest["device"])
    job_id = next((os.environ[name] for name in JOB_ID_NAMES if name in os.environ), scheduler["job_id"])
    run.update(scheduler=scheduler | {"job_id": job_id})
    device = Device(**scheduler["device"])
    return replace(device, cuda_visible=os.environ.get("CUDA_VISIBLE_DEVICES", "0"))


def analyse(run: Run) -> None:
    """Let the study of the run analyse it and write ``results.json``; a failure is recorded, not raised."""
    study = importlib.import_module(f"lisi_nb.studies.{run.manifest['study']}")
    try:
        result = study.analyse([run])
        write_json(run.folder / "results.json", result.to_dict())
        save_candidates(run)
    except Exception as error:
        (run.folder / "analysis-error.txt").write_text(traceback.format_exc())
        run.update(message=f"The run is complete, but its analysis failed: {error}. See analysis-error.txt.")


def kill_children() -> None:
    """End LAMMPS and its ranks at once."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def main(folder: Path, restart: str = "") -> int:
    """Execute the run in `folder`, from its file `restart` if given; return 0 when it finished or was stopped."""
    run = Run(folder)
    status = run.recorded()
    target = status["target"]
    if scheduled(status) and status["state"] != "queued":
        print(f"{run.id} is {status['state']}: a scheduler started its job a second time. Nothing is done.")
        return 1
    device = place(run, status)

    def killed(number: int, _: Any) -> None:
        run.update(state="interrupted", ended=time.time(), message=f"Ended by signal {signal.Signals(number).name}.")
        kill_children()
        os._exit(1)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, killed)
    run.update(**identity(), started=time.time(), message="")
    try:
        state = simulate(run, device, target, restart)
    except Superseded:
        kill_children()
        return 1
    except Exception as error:
        (run.folder / "worker-error.txt").write_text(traceback.format_exc())
        run.update(state="failed", ended=time.time(), message=f"{type(error).__name__}: {error}")
        return 1
    if state == "finished":
        analyse(run)
    run.update(state=state, ended=time.time())
    return 0 if state in ("finished", "stopped") else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
