"""Runs on a cluster: the same worker in the same run folder, started by a scheduler instead of by this machine.

Everything needed to follow, cancel or resume is in the run folder, so the submitting process may end at any time.
While a job lives only its worker writes ``status.json``; this side keeps its notes in ``scheduler/<job name>/``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lisi_nb.engine import cluster_profiles, launch
from lisi_nb.engine.files import write_json
from lisi_nb.engine.run import ENDED, Run, scheduled
from lisi_nb.engine.scheduler import Answer, Refused, Scheduled, Unreachable
from lisi_nb.errors import RunFailed

HEARTBEAT_S = 5.0  # a worker writes its status twice a second; as long as it does, nobody need be asked
ASK_EVERY_S = 5.0
SUBMIT_PATIENCE_S = 60.0  # from "queued" until a job without an id counts as never submitted
GO_ON = "What it wrote is kept; go on with `lisi-nb resume`."
_asked: dict[str, tuple[float, dict[str, Any]]] = {}


def start(run: Run, profile: str | None = None, again: bool = False, resume: bool = False) -> Run:
    """Start or continue a run where it belongs and return at once; what is queued, running or finished is left alone.

    Parameters
    ----------
    run : Run
        From `lisi_nb.engine.launch.prepare`, or opened with `lisi_nb.engine.run.open_run`.
    profile : str, optional
        Name of a cluster profile; ``""`` for this machine. By default where it was started last, as its folder says.
    again, resume : bool
        For a run that failed, was stopped or interrupted; see `lisi_nb.engine.launch.start`.

    Raises
    ------
    ValueError, FileNotFoundError, RunFailed
        As `submit` and `lisi_nb.engine.launch.start`.
    """
    if profile is None:
        profile = (scheduled(run.recorded()) or {}).get("profile", "")
    return submit(run, profile, again, resume) if profile else launch.start(run, again, resume)


def submit(run: Run, profile: str, again: bool = False, resume: bool = False) -> Run:
    """Hand a run to the scheduler of a profile and return at once; what is queued, running or finished is left alone.

    Parameters
    ----------
    run : Run
        From `lisi_nb.engine.launch.prepare`.
    profile : str
        Name of a cluster profile (`lisi_nb.engine.cluster_profiles`).
    again, resume : bool
        For a run that failed, was stopped or interrupted; see `lisi_nb.engine.launch.start`.

    Raises
    ------
    ValueError, FileNotFoundError
        The profile is missing or wrong; nothing is changed.
    RunFailed
        The scheduler did not take the job, in its words; the run is as it was.
    """
    chosen = cluster_profiles.get(profile)
    known = run.recorded()
    restart = launch.claim(run, again, resume)
    if restart is None:
        return run
    before = where(known) | run.recorded()
    name = f"r{run.folder.name[-8:]}-{secrets.token_hex(2)}"
    folder = _notes(run, name)
    folder.mkdir(parents=True)
    queued = time.time()
    scheduler = {
        "profile": profile,
        "system": chosen.system,
        "name": name,
        "job_id": None,
        "queued": queued,
        "device": dataclasses.asdict(chosen.device()),
    }
    run.update(state="queued", queued=queued, pid=None, process_start=None, message="", scheduler=scheduler)
    commands = cluster_profiles.worker_command(chosen, str(run.folder.resolve()), restart)
    try:
        log = str(run.folder.resolve() / "worker.log")
        with contextlib.closing(Scheduled(chosen, folder, name, commands, log)) as job:
            job_id = job.submit()
    except Refused as error:
        write_json(run.folder / "status.json", before)
        (run.folder / "worker.log").unlink()
        raise RunFailed(
            f"{chosen.system} did not take {run.id}: {error}. Change profile {profile!r} in {cluster_profiles.file()}."
        ) from error
    except Unreachable as error:
        raise RunFailed(
            f"{chosen.system} was asked to take {run.id} and did not answer: {error}. Whether it did, `lisi-nb show "
            f"{run.id}` says as soon as it answers again."
        ) from error
    if run.recorded()["state"] == "queued":  # else its worker, which knows its own job, has written it
        run.update(scheduler=scheduler | {"job_id": job_id})
    return run


def where(status: dict[str, Any]) -> dict[str, Any]:
    """What of a status says which scheduler the run belongs to: to be kept when it starts over."""
    return {name: status[name] for name in ("queued", "scheduler") if name in status}


def _notes(run: Run, name: str) -> Path:
    return run.folder.resolve() / "scheduler" / name


def look(run: Run, status: dict[str, Any]) -> dict[str, Any]:
    """The recorded `status` of a cluster run, corrected by what its scheduler says.

    Asked at most every 5 s, and not while the worker writes. A scheduler that cannot be reached changes nothing but
    the message: only one that answers can declare a job gone.
    """
    scheduler = status["scheduler"]
    if status["state"] in ("prepared", "finished", "failed", "stopped") or _heart_beats(run, status):
        return status
    verdict = _notes(run, scheduler["name"]) / "ended.json"
    if verdict.exists():
        return status | json.loads(verdict.read_text())
    when, answer = _asked.get(scheduler["name"], (-ASK_EVERY_S, {}))
    if time.monotonic() - when >= ASK_EVERY_S:
        answer = _ask(run, status)
        _asked[scheduler["name"]] = (time.monotonic(), answer)
        now = run.recorded()  # it may have ended between the two looks
        if now["state"] != status["state"]:
            return run.status()
        if answer.get("state") == "interrupted":
            write_json(verdict, answer)  # the scheduler forgets its jobs within minutes
    return status | answer


def refresh(run: Run) -> dict[str, Any]:
    """`Run.status`, asking the scheduler now even if it was asked a moment ago."""
    if scheduler := scheduled(run.recorded()):
        _asked.pop(scheduler["name"], None)
    return run.status()


def ask_together(found: Sequence[Run]) -> None:
    """Ask each scheduler once for all of these runs that wait in its queue, so that a list need not ask for each."""
    waiting: dict[str, list[tuple[Run, dict[str, Any]]]] = {}
    for run in found:
        with contextlib.suppress(ValueError):
            status = run.recorded()
            if status["state"] == "queued" and (scheduler := scheduled(status)) and scheduler["job_id"]:
                waiting.setdefault(scheduler["profile"], []).append((run, status))
    for group in waiting.values():
        answers: dict[str, Answer] = {}
        with (
            contextlib.suppress(Unreachable, ValueError, FileNotFoundError),  # each run says so itself
            _job(group[0][0], group[0][1]["scheduler"]) as (job, _),
        ):
            answers = job.waiting([status["scheduler"]["job_id"] for _, status in group])
        for run, status in group:
            job_id, name = (status["scheduler"][key] for key in ("job_id", "name"))
            if job_id in answers:
                _asked[name] = time.monotonic(), _told(run, status, job_id, answers[job_id])


def _heart_beats(run: Run, status: dict[str, Any]) -> bool:
    age_s = time.time() - (run.folder / "status.json").stat().st_mtime
    return status["state"] == "running" and age_s < HEARTBEAT_S


@contextlib.contextmanager
def _job(run: Run, scheduler: dict[str, Any]) -> Iterator[tuple[Scheduled, str]]:
    profile, name = cluster_profiles.get(scheduler["profile"]), scheduler["name"]
    with contextlib.closing(Scheduled(profile, _notes(run, name), name)) as job:
        yield job, scheduler["job_id"] or job.find()


def _ask(run: Run, status: dict[str, Any]) -> dict[str, Any]:
    """What the scheduler's answer changes in the status."""
    scheduler = status["scheduler"]
    try:
        with _job(run, scheduler) as (job, job_id):
            if not job_id:
                return _never_submitted(scheduler)
            answer = job.ask(job_id)
    except (Unreachable, ValueError, FileNotFoundError) as error:
        return {"message": f"Not known at this moment: {error}"}
    return _told(run, status, job_id, answer)


def _told(run: Run, status: dict[str, Any], job_id: str, answer: Answer) -> dict[str, Any]:
    scheduler = status["scheduler"]
    title = f"{scheduler['system']} job {job_id}"
    known = {"scheduler": scheduler | {"job_id": job_id}}
    if answer.phase == "gone":
        return _gone(run, status, answer, title) | known
    if status["state"] == "interrupted":  # the scheduler has signalled the worker and is cleaning up
        return {"message": f"{status['message']} {title}: {answer.words}. {GO_ON}"} | known
    if status["state"] == "queued":
        why = answer.reason if answer.reason not in ("", "None") else answer.state
        waits = f"waits ({why})" if answer.phase == "waiting" else "is starting"
        return {"message": f"{title} {waits}."} | known
    return known


def _never_submitted(scheduler: dict[str, Any]) -> dict[str, Any]:
    if time.time() - scheduler["queued"] < SUBMIT_PATIENCE_S:
        return {}
    return {
        "state": "interrupted",
        "message": f"It never reached {scheduler['system']}: the submitting process ended before. Submit it again.",
    }


def _gone(run: Run, status: dict[str, Any], answer: Answer, title: str) -> dict[str, Any]:
    if answer.state == "COMPLETED":  # its worker ended well; a network file system shows that a moment later
        return {}
    if status["state"] == "interrupted" and answer.state in ("FAILED", ""):  # the worker has said why
        return {"state": "interrupted"}
    message = f"{title}: {answer.words}. {GO_ON}"
    if status["state"] == "queued":
        said = [file.read_text(errors="replace") for file in (run.folder / "worker.log", *_output(run, status))]
        lines = [line for text in said for line in text.splitlines() if line.strip()]
        message += "\nIts worker did not come up. Last lines:\n  " + "\n  ".join(lines[-6:])
    return {"state": "interrupted", "message": message}


def _output(run: Run, status: dict[str, Any]) -> list[Path]:
    """What the job printed: slurm-<id>.out, <name>.o<id>."""
    files = _notes(run, status["scheduler"]["name"]).glob("[!.]*[.-]o*")
    return sorted(file for file in files if file.is_file())


def cancel(run: Run, timeout_s: float = 90.0) -> Run:
    """Stop a cluster run and wait until it has: LAMMPS ends its step and writes what it has; else the job is ended.

    Raises
    ------
    ValueError
        It is not queued or running on a cluster.
    RunFailed
        The scheduler cannot be reached, or the job is still there after `timeout_s`.
    """
    status = refresh(run)
    scheduler = scheduled(status)
    if scheduler is None or status["state"] not in ("queued", "running"):
        where = "on a cluster" if scheduler else "on this machine"
        raise ValueError(
            f"{run.id} is {status['state']} {where}; only one queued or running on a cluster is cancelled."
        )
    cancel_all([run], timeout_s)
    return run


def cancel_all(going: Sequence[Run], timeout_s: float = 90.0) -> None:
    """`cancel` of several queued or running cluster runs at a time; one that has ended meanwhile is left alone.

    Raises
    ------
    RunFailed
        The scheduler cannot be reached, or jobs are still there after `timeout_s`.
    """
    begun = time.monotonic()
    for run in going:
        run.request_stop()  # one that is queued may start before its job is ended
    _kill([run for run in going if run.status()["state"] == "queued"])
    _wait(going, begun + 0.7 * timeout_s)
    _kill(going)
    _wait(going, begun + timeout_s)
    for run in going:
        if run.status()["state"] == "interrupted" and run.recorded()["state"] == "queued":  # no worker has come up
            run.update(state="stopped", ended=time.time(), message="Cancelled before it started.")
    if left := _going(going):
        names = ", ".join(f"{run.id} ({run.recorded()['scheduler']['system']})" for run in left)
        raise RunFailed(f"The jobs of {names} are still there after {timeout_s:g} s. Try again, or ask the scheduler.")


def _kill(going: Sequence[Run]) -> None:
    for run in _going(going):
        try:
            with _job(run, run.recorded()["scheduler"]) as (job, job_id):
                job.kill(job_id)
        except (Unreachable, FileNotFoundError) as error:
            raise RunFailed(f"{run.id} was not cancelled: {error}") from error


def _going(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.status()["state"] not in ENDED]


def _wait(runs: Sequence[Run], deadline: float) -> None:
    while _going(runs) and time.monotonic() < deadline:
        time.sleep(0.5)
