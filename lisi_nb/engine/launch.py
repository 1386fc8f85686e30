"""Prepare, start, follow and stop runs on this machine. A study is an argument; none is imported here."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from lisi_nb import paths, potentials
from lisi_nb.engine import afford, devices, execute, seal, versions
from lisi_nb.engine import run as runs
from lisi_nb.engine.lammps import STOP_REQUEST
from lisi_nb.engine.leftovers import end_leftovers
from lisi_nb.engine.processes import start_of
from lisi_nb.engine.run import ENDED, FORMAT, QUEUE_PATIENCE_S, Run
from lisi_nb.engine.steps import Step
from lisi_nb.errors import RunFailed
from lisi_nb.params import Params
from lisi_nb.potentials.compressed import sha256, untouched

Progress = Callable[[str, int, int], None]


def prepare(
    study: ModuleType,
    params: Params,
    label: str = "run",
    device: str = "auto",
    progress: Progress | None = None,
    parent: str = "",
) -> Run:
    """Return the run of `study` with these parameters: the one that exists, or a new prepared folder.

    Parameters
    ----------
    study : module
        Has ``NAME``, ``build(params, progress)`` and ``plan(params, history)``. A plan that gives a
        `lisi_nb.engine.steps.Step` makes a chain; its study has ``expected_steps(params)`` and
        ``expected_segments(params)`` too.
    params : Params
        Every input, seed and potential included.
    label : str
        First part of the folder name; it does not change what is computed.
    device : str
        See `lisi_nb.engine.devices.choose`.
    progress : callable, optional
        Called with (what, step, steps) while structures are made.
    parent : str
        Label of the sweep that the run belongs to, for the manifest.

    Raises
    ------
    ValueError, FileNotFoundError
        A bad parameter, potential or label, or a data folder that cannot be written; nothing is written.
    """
    runs.check_label(label)
    potential = potentials.get(params.potential)  # type: ignore[attr-defined]
    digest = runs.identity(study.NAME, params.to_dict(), potential.sha256)
    existing = runs.by_hash(study.NAME, digest)
    if existing is not None:
        return existing
    check_writable(paths.runs() / study.NAME)
    models = potential.models()
    where = devices.choose(device)
    atoms = study.build(params, progress)
    potential.check(set(atoms.get_chemical_symbols()), potential.card["validity"]["temperature_K"][0])
    first = study.plan(params, ())
    several = isinstance(first, Step)
    folder = paths.runs() / study.NAME / f"{label}-{digest[:8]}"
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        if several:
            execute.prepare_start(draft, atoms, models)
        else:
            execute.prepare(draft, atoms, first, models)
        n_steps = study.expected_steps(params) if several else first.n_steps
        manifest = {
            "format": FORMAT,
            "study": study.NAME,
            "label": label,
            **({"parent": parent} if parent else {}),
            "identity": digest,
            "params": params.described(),
            "potential": {
                "name": potential.name,
                "members": potential.card["members"],
                "trust_eV_A": potential.card["validity"]["trust_eV_A"],
            },
            "structure": {
                "sha256": sha256(draft / "data.lmp"),
                "n_atoms": len(atoms),
                "formula": atoms.get_chemical_formula(),
                "cell_A": [round(float(x), 4) for x in atoms.cell.lengths()],
                "report": str(atoms.info.get("report", "")),
                "warnings": list(atoms.info.get("warnings", [])),
            },
            "inputs": seal.hashes(draft),
            **({"chain": True} if several else {}),
            "seed": params.seed,  # type: ignore[attr-defined]
            "n_steps": n_steps,
            "timestep_fs": params.timestep_fs,  # type: ignore[attr-defined]
            "device": dataclasses.asdict(where),
            "command": [Path(word).name if "/" in word else word for word in execute.command(where)],
            "versions": versions.installed(),
        }
        runs.create(draft, manifest, n_steps)
        draft.rename(folder)
    except OSError:
        if (existing := runs.by_hash(study.NAME, digest)) is None:  # else another process prepared it meanwhile
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return existing or Run(folder)


def check_writable(folder: Path) -> None:
    """Make `folder`, or raise ``ValueError`` when it cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"{folder} cannot be written ({error.strerror}). Free space or change its permissions, or set LISI_NB_DATA "
            "to another folder."
        ) from None


def restore_models(run: Run) -> None:
    """Make the compressed models that a run links to again where the cache was cleared or a file was damaged.

    Raises
    ------
    ValueError
        The manifest was changed, or the potential was replaced, since the run was made.
    """
    made_with, links = run.manifest["potential"], sorted((run.folder / "potential").iterdir())
    hashes = [member["sha256"] for member in made_with["members"]]
    if all(link.exists() and untouched(link.resolve(), frozen) for link, frozen in zip(links, hashes, strict=True)):
        return
    potential = potentials.get(made_with["name"])
    if potential.card["members"] != made_with["members"]:
        raise ValueError(
            f"{run.id} was made with another version of potential {potential.name!r}, whose files are gone from the "
            "cache or damaged. Restore the version of its manifest from git, or make a new run."
        )
    for link, model in zip(links, potential.models(), strict=True):
        link.unlink()
        link.symlink_to(os.path.relpath(model, link.parent))


def start(run: Run, again: bool = False, resume: bool = False) -> Run:
    """Start a prepared run as a detached worker and return at once.

    A run that is running, here or on another machine, or finished is left alone: it is followed or read, not repeated.
    What happens with one that failed, was stopped or interrupted is yours to say:

    Parameters
    ----------
    run : Run
        From `prepare`, or opened with `lisi_nb.engine.run.open_run`.
    again : bool
        Start it over; its files move to ``previous-N/``.
    resume : bool
        Go on from its last restart file to its original target, on one time axis. A run that has no restart file yet,
        and a failed one, start over.

    Raises
    ------
    ValueError
        The manifest was changed after the run was made, or it shall start over while it runs on another machine.
    """
    restart = claim(run, again, resume)
    if restart is None:
        return run
    run.update(state="queued", queued=time.time(), pid=None, process_start=None, host=socket.gethostname())
    with (run.folder / "worker.log").open("w") as log:
        worker = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "lisi_nb.engine.worker",
                str(run.folder.resolve()),
                *([restart] if restart else []),
            ],
            cwd=paths.PROJECT,
            stdin=subprocess.PIPE,  # the worker waits for its end, so that it is noted before it writes itself
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    run.update(pid=worker.pid, process_start=start_of(worker.pid))
    assert worker.stdin is not None
    worker.stdin.close()
    return run


def claim(run: Run, again: bool, resume: bool) -> str | None:
    """Make the folder ready for a worker, as the only one who does: the one gate of this machine and of clusters.

    Returns
    -------
    str or None
        The restart file to go on from, ``""`` for step 0, or ``None`` when it is to be left alone (see `start`).
    """
    status, restart = run.status(), None
    state = status["state"]
    if again and state in ("queued", "running") and not runs.scheduled(status):
        check_here(run, status)
    ended = (again or resume) and state in ("failed", "stopped", "interrupted")
    if not ended and state != "prepared":
        return None
    restore_models(Run(run.folder))  # read anew, before anything is moved: a changed manifest is refused here
    if ended:
        end_leftovers(run)
        restart = run.resumable() if resume and state != "failed" else None
        if restart is None:
            runs.set_aside(run)
        else:
            (run.folder / STOP_REQUEST).unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):  # a scheduler refused it after the last part
                (run.folder / "worker.log").rename(run.folder / f"worker.{run.n_parts}.log")
    log = run.folder / "worker.log"
    if log.exists() and time.time() - log.stat().st_mtime > QUEUE_PATIENCE_S:
        log.unlink(missing_ok=True)  # whoever claimed it died before it could say "queued"
    try:
        log.open("x").close()
    except FileExistsError:  # another process is starting it at this moment
        return None
    return restart.name if restart else ""


def check_here(run: Run, status: dict[str, Any]) -> None:
    """Raise ``ValueError`` when a run belongs to a worker of another machine."""
    if host := runs.elsewhere(status):
        raise ValueError(
            f"{run.id} is {status['state']} on {host}, which was heard {run.silent_s:.0f} s ago. Follow it with "
            f"`lisi-nb show {run.id}`, or end it with `lisi-nb stop`. If {host} is dead: after {runs.SILENCE_S:.0f} s "
            "of silence it goes on here."
        )


def launch(
    study: ModuleType,
    params: Params,
    label: str = "run",
    device: str = "auto",
    again: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
    yes: bool = False,
) -> Run:
    """`prepare` and `start`: the same inputs open the same run.

    A new one that takes more than a day or may not fit needs ``yes=True`` (`lisi_nb.engine.afford.check`).
    """
    afford.check(study, [params], device, yes)
    return start(prepare(study, params, label, device, progress), again, resume)


def wait(run: Run, progress: Callable[[dict], None] | None = None, every_s: float = 0.5) -> Run:
    """Follow a run by its files until it has ended; raise `RunFailed` when it did not reach its target."""
    while (status := run.status())["state"] not in ENDED:
        if status["state"] == "prepared":
            raise RunFailed(f"{run.id} was prepared but never started. Start it with launch.start(run).")
        if progress:
            progress(status)
        time.sleep(every_s)
    if progress:
        progress(status)
    if status["state"] in ("failed", "interrupted"):
        raise RunFailed(f"{run.id} {status['state']}: {status['message']}")
    return run


def stop(run: Run, timeout_s: float = 90.0) -> Run:
    """Ask a running run to stop after its current steps and wait until it has; everything is kept."""
    state = run.status()["state"]
    if state not in ("queued", "running"):
        raise ValueError(f"{run.id} is {state}; only a queued or running run can be stopped.")
    run.request_stop()
    deadline = time.monotonic() + timeout_s
    while run.status()["state"] not in ENDED:
        if time.monotonic() > deadline:
            raise RunFailed(f"{run.id} has not stopped after {timeout_s:g} s. Its pid is {run.status()['pid']}.")
        time.sleep(0.2)
    return run
