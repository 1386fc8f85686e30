"""Execute one prepared run folder: ``python -m lisi_nb.engine.worker FOLDER``.

The worker is the leader of its own session and process group, so it outlives the kernel, notebook or
terminal that started it. It starts LAMMPS, keeps ``status.json`` current, and lets the study analyse the
result. It needs nothing but the folder.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from lisi_nb.analysis.trust import trust
from lisi_nb.engine import chain, devices
from lisi_nb.engine.candidates import save_candidates
from lisi_nb.engine.devices import Device
from lisi_nb.engine.execute import broke_down, command, environment, failure
from lisi_nb.engine.files import write_json
from lisi_nb.engine.lammps import FINAL_DATA, STOP_REQUEST
from lisi_nb.engine.output import Output
from lisi_nb.engine.run import Run, Segment, scheduled
from lisi_nb.engine.steps import Task
from lisi_nb.engine.supervise import Goal, Superseded, identity, progress, watch

JOB_ID_NAMES = ("SLURM_JOB_ID", "PBS_JOBID")  # how Slurm, PBS and Torque name the job to itself
NOTED_WITHIN_S = 10.0
FULL = (
    "The disk is full, so LAMMPS was ended; what it wrote is kept, at most the steps since the last restart file are "
    "computed again. Free space (`lisi-nb clean`), then `lisi-nb resume`."
)
KILLED = (-signal.SIGKILL, -signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, 137, 143)  # directly, or said by mpiexec


def simulate(run: Run, output: Output, device: Device, goal: Goal, restart: str = "") -> str:
    """Run LAMMPS in the folder of `output` to its end, to a stop request, or to failure; return the final state.

    With a `restart` file the segment goes on from there as its next part.
    """
    part = output.n_parts if restart else 0
    outcome = watch(run, output.folder, command(device, part, restart), environment(device), goal, part)
    thermo = Output.thermo(output)
    now = progress(thermo, goal)
    run.update(**now)
    if outcome.full:
        run.update(message=FULL)
        return "interrupted"
    finite = all(np.isfinite(column).all() for column in thermo.values())
    if outcome.asked:
        how = "LAMMPS did not answer and was killed" if outcome.killed else "everything written is kept"
        run.update(message=f"Stopped on request at step {now['step']} of {goal.target}; {how}.")
        return "stopped"
    at_end = now["step"] == goal.first + goal.n_steps
    if outcome.code == 0 and (output.folder / FINAL_DATA).exists() and at_end and finite:
        return "finished"
    if outcome.code in KILLED:
        run.update(message="LAMMPS was killed from outside (out of memory, or by hand). Go on with `lisi-nb resume`.")
        return "interrupted"
    message = failure(output.folder, outcome.code, part)
    run.update(message=message if finite else "The energy is not finite: the forces blew up.\n" + message)
    return "interrupted" if finite and broke_down(output.folder, part) else "failed"


def perform(run: Run, task: Task, segment: Segment, goal: Goal) -> str:
    """Execute a segment that is not MD; return the final state."""
    outcome = watch(run, segment.folder, task.command(segment.folder), dict(os.environ), goal)
    if outcome.full:
        run.update(message=FULL)
        return "interrupted"
    if outcome.asked:
        run.update(message=f"Stopped on request in segment {segment.folder.name}; it goes on with `lisi-nb resume`.")
        return "stopped"
    if outcome.code == 0:
        return "finished"
    if outcome.code in KILLED:
        run.update(message=f"{task.module} was killed from outside. Go on with `lisi-nb resume`.")
        return "interrupted"
    said = (segment.folder / "stdout.txt").read_text(errors="replace").splitlines()[-8:]
    broken = broke_down(segment.folder)
    then = "\nMemory, disk or GPU failed, not the task: see to it, then `lisi-nb resume`." if broken else ""
    words = "\n  ".join([f"{task.module} in {segment.folder.name} ended with code {outcome.code}:", *said])
    run.update(message=words + then)
    return "interrupted" if broken else "failed"


def follow_chain(run: Run, device: Device, target: int) -> str:
    """Execute a chain, segment by segment, to its end, a stop request or a failure; return the final state."""
    study = importlib.import_module(f"lisi_nb.studies.{run.manifest['study']}")
    models = sorted((run.folder / "potential").iterdir())
    while (following := chain.next_segment(run, study, models)) is not None:
        segment, what = following
        first, n_steps = segment.first_step, segment.decision["n_steps"]
        goal = Goal(n_steps, max(target, first + n_steps), first)
        run.update(segment=segment.folder.name, message=segment.decision["why"])
        if (run.folder / STOP_REQUEST).exists():
            run.update(message=f"Stopped on request before segment {segment.folder.name}; everything written is kept.")
            return "stopped"
        (segment.folder / STOP_REQUEST).unlink(missing_ok=True)
        if isinstance(what, Task):
            state = perform(run, what, segment, goal)
        else:
            restart = segment.restart_file()
            state = simulate(run, segment, device, goal, restart.name if restart else "")
        if state != "finished":
            return state
        chain.end(segment)
    step = sum(s.decision["n_steps"] for s in run.segments)
    run.update(step=step, target=step, left_s=0.0, message=chain.decisions(run)[-1]["why"])
    return "finished"


def place(run: Run, status: dict[str, Any]) -> Device:
    """Where this worker runs LAMMPS: as planned with the run, or as its cluster profile says; noted in the status."""
    scheduler = scheduled(status)
    if scheduler is None:
        device = Device(**run.manifest["device"])
        devices.check_there(device)
        device = replace(device, cuda_visible=devices.told(device))
        run.update(device=asdict(device))
        return device
    job_id = next((os.environ[name] for name in JOB_ID_NAMES if name in os.environ), scheduler["job_id"])
    device = on_node(Device(**scheduler["device"]))
    run.update(scheduler=scheduler | {"job_id": job_id}, device=asdict(device))
    return device


def on_node(device: Device) -> Device:
    """The `device` of a cluster profile with what only its node can tell: the GPU that was given, and the hardware."""
    if device.kind == "cpu":
        found = devices.choose("cpu:1").name
    else:
        device = replace(device, cuda_visible=os.environ.get("CUDA_VISIBLE_DEVICES", "0"))
        found = ""
        with contextlib.suppress(subprocess.SubprocessError):  # a name is not worth the run
            found = dict(devices.gpus()).get(device.cuda_visible, "").partition(" (")[0]
    return replace(device, name=", ".join(filter(None, (found, device.name))))


def analyse(run: Run) -> None:
    """Let the study of the run analyse it and write ``results.json``; a failure is recorded, not raised."""
    study = importlib.import_module(f"lisi_nb.studies.{run.manifest['study']}")
    try:
        result = study.analyse([run])
        write_json(run.folder / "results.json", result.to_dict())
    except Exception as error:
        (run.folder / "analysis-error.txt").write_text(traceback.format_exc())
        run.update(message=f"The run is complete, but its analysis failed: {error}. See analysis-error.txt.")


def keep_disagreement(run: Run) -> None:
    """Note how far the ensemble agreed, and keep the frames worth a label; a failure changes nothing else."""
    try:
        looks = run.model_deviation()["max_devi_f_eV_A"]
        run.update(model_deviation=trust(looks, *run.trust_eV_A).to_dict())
        save_candidates(run)
    except Exception:
        with contextlib.suppress(OSError):
            (run.folder / "candidates-error.txt").write_text(traceback.format_exc())


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
    try:
        device = place(run, status)
    except ValueError as error:
        run.update(state="interrupted", ended=time.time(), message=str(error))
        return 1

    def killed(number: int, _: Any) -> None:
        run.update(state="interrupted", ended=time.time(), message=f"Ended by signal {signal.Signals(number).name}.")
        kill_children()
        os._exit(1)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, killed)
    run.update(**identity(), started=time.time(), message="")
    try:
        if chain.is_chain(run):
            state = follow_chain(run, device, target)
        else:
            state = simulate(run, run, device, Goal(target, target), restart)
    except Superseded:
        kill_children()
        return 1
    except Exception as error:
        (run.folder / "worker-error.txt").write_text(traceback.format_exc())
        run.update(message=f"{type(error).__name__}: {error}")
        state = "failed"
    if state == "finished":
        analyse(run)
    if state != "interrupted":  # it goes on, and the disk may be full
        keep_disagreement(run)
    run.update(state=state, ended=time.time())
    return 0 if state in ("finished", "stopped") else 1


def wait_until_noted() -> None:
    """Wait until whoever started this worker has noted it and closes its input; a scheduler gives none."""
    select.select([sys.stdin], [], [], NOTED_WITHIN_S)


if __name__ == "__main__":
    wait_until_noted()
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
