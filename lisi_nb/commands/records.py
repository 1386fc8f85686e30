"""Commands that list, show and keep what was run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from lisi_nb.commands.common import Answer, progress_line, say, study_names, summary
from lisi_nb.engine import chain, cluster, launch, record
from lisi_nb.engine import run as runs
from lisi_nb.engine.estimate import size
from lisi_nb.engine.run import Run
from lisi_nb.errors import check_choice
from lisi_nb.tables import Table
from lisi_nb.units import duration


def command_runs(options: argparse.Namespace) -> Answer:
    """``lisi-nb runs``: list all runs, newest first."""
    if options.study is not None:
        check_choice("study", options.study, study_names())
    cluster.ask_together(every := runs.find(options.study))
    found = [_entry(run) for run in every]
    if found:
        columns = ("study", "label", "state", "done", "steps/s", "time left", "device", "potential", "run")
        say(str(Table(columns, tuple(line for line, _ in found))))
    else:
        say("no runs yet; start one with `lisi-nb run interdiffusion --scale smoke`")
    return 0, [answer for _, answer in found]


def _entry(run: Run) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Line of the list and entry of ``--json``, also for a run that cannot be read."""
    try:
        return _listed(run), summary(run) | {"problem": _problem(run)}
    except (ValueError, OSError) as error:
        study, label = run.folder.parent.name, run.folder.name.rpartition("-")[0]
        nothing: dict[str, Any] = {
            "step": None,
            "target": None,
            "pid": None,
            "message": "",
            "results": {},
            "trust": None,
        }
        answer = {"run": run.id, "folder": str(run.folder), "status": record.UNREADABLE, "problem": str(error)}
        return (study, label, record.UNREADABLE, "", "", "", "unknown", str(error), run.id), nothing | answer


def _listed(run: Run) -> tuple[str, ...]:
    status, label = run.status(), run.folder.name.rpartition("-")[0]
    going = status["state"] == "running"
    speed = f"{status['steps_per_s']:.1f}" if status.get("steps_per_s") else ""
    done = f"{100 * status['step'] / max(1, status['target']):.0f} %"
    shown = (
        run.folder.parent.name,
        label,
        status["state"],
        done,
        speed,
        duration(status.get("left_s")) if going else "",
    )
    if problem := _problem(run):
        return (*shown, "unknown", problem, run.id)
    device = status.get("device") or run.manifest["device"]
    where = f"gpu:{device['cuda_visible']}" if device["kind"] == "gpu" else f"cpu:{device['ranks']}"
    return (*shown, where, run.manifest["potential"]["name"], run.id)


def _problem(run: Run) -> str:
    """Why the manifest of a run cannot be used, or nothing."""
    try:
        return "" if run.manifest else "empty manifest"
    except ValueError as error:
        return str(error)


def command_show(options: argparse.Namespace) -> Answer:
    """``lisi-nb show``: manifest, status, decisions (of a chain) and results of one run."""
    run = runs.open_run(options.run)
    status, decisions = run.status(), chain.decisions(run)
    say(f"{run}\n{status['message']}\n{run.manifest['structure']['report']}")
    for name, entry in run.manifest["params"].items():
        say(f"  {name} = {entry['value']} {entry['unit']}")
    for decision in decisions:
        numbers = ", ".join(f"{name} = {value:.4g}" for name, value in decision["numbers"].items())
        said = f"{decision.get('number', '')} {decision['name']}: {decision['why']}"
        say(f"  {said}" + (f" ({numbers})" if numbers else ""))
    for name, entry in ((run.results() or {}).get("quantities") or {}).items():
        say(f"  {name}: {entry['value']} ± {entry['error']} {entry['unit']}")
    answer = {"manifest": run.manifest, "status": status, "results": run.results()}
    return 0, answer | ({"decisions": decisions} if decisions else {})


def command_export(options: argparse.Namespace) -> Answer:
    """``lisi-nb export``: a self-contained archive of a run, which plain LAMMPS can run again."""
    run = runs.open_run(options.run)
    made = record.export(run, Path(options.to) if options.to else None, options.trajectory).resolve()
    say(f"{made} ({size(made.stat().st_size)}); unpack it and see README.txt")
    say_unknown(run)
    return 0, {"run": run.id, "archive": str(made), "bytes": made.stat().st_size}


def command_rerun(options: argparse.Namespace) -> Answer:
    """``lisi-nb rerun``: run the same inputs again; what the run wrote so far is kept in its folder previous-N."""
    run = runs.open_run(options.run)
    before = (run.results() or {}).get("quantities", {})
    say_unknown(run)
    record.rerun(run)
    if not options.detach:
        launch.wait(run, progress_line())
        for name, entry in ((run.results() or {}).get("quantities") or {}).items():
            say(f"  {name}: {entry['value']} {entry['unit']}, before {before.get(name, {}).get('value')}")
    return 0, summary(run) | {"previous": before}


def say_unknown(run: Run) -> None:
    """Say what cannot be checked of a run's inputs, if anything."""
    if unknown := record.check_inputs(run):
        say(unknown)


def command_clean(options: argparse.Namespace) -> Answer:
    """``lisi-nb clean``: list runs and caches with their sizes; delete those that are named."""
    found = record.items()
    chosen = record.select(found, options.what)
    shown = chosen or found
    rows = tuple((item.name, size(item.n_bytes), item.state) for item in shown)
    say(str(Table(("name", "size", "state"), (*rows, ("all of these", size(sum(i.n_bytes for i in shown)), "")))))
    if not chosen:
        say("nothing is deleted; name what should be, such as: lisi-nb clean 'interdiffusion/smoke-*' cache/structures")
    elif not (options.yes or confirmed(f"Delete these {len(chosen)} for good? [y/N] ")):
        raise ValueError("Nothing was deleted. Confirm with y, or with --yes.")
    for item in chosen:
        record.delete(item)
    return 0, {
        "found": [{"name": i.name, "bytes": i.n_bytes, "state": i.state} for i in found],
        "deleted": [item.name for item in chosen],
    }


def confirmed(question: str) -> bool:
    """Ask on a terminal; elsewhere the answer is no."""
    if not sys.stdin.isatty():
        return False
    say(question, end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
