"""Commands for many runs under one label."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from lisi_nb import params as parameters
from lisi_nb import plots
from lisi_nb.commands.common import Answer, chosen, get_study, say
from lisi_nb.engine import cluster_profiles, comparison, devices, estimate
from lisi_nb.engine import run as runs
from lisi_nb.engine import sweep as sweeps
from lisi_nb.engine.sweep import Sweep
from lisi_nb.errors import check_range
from lisi_nb.params import Params


def command_sweep(options: argparse.Namespace) -> Answer:
    """``lisi-nb sweep``: run a study over values of parameters and seeds; or list, show, pause and resume sweeps."""
    if options.pause:
        sweep = sweeps.pause(sweeps.open_sweep(options.pause))
    elif options.show:
        return 0, show(sweeps.open_sweep(options.show), options.quantity, options.charts)
    elif options.resume:
        sweep = sweeps.start(sweeps.open_sweep(options.resume), options.cluster or None)
    elif options.study:
        sweep = sweeps.start(defined(get_study(options.study), options), options.cluster)
    else:
        return 0, listed()
    if options.detach or options.pause:
        say(line(sweep, sweep.status()))
        return 0, summary(sweep)
    sweeps.wait(sweep, progress(sweep))
    answer = show(sweep, options.quantity, options.charts)
    return int(set(answer["runs"]) != {"finished"}), answer


def defined(study: ModuleType, options: argparse.Namespace) -> Sweep:
    """The sweep of the command line, after the check of its cost."""
    params = chosen(study, options)
    over = dict(values(params, text) for text in options.over)
    if len(over) < len(options.over):
        raise ValueError("A parameter is given twice with --over. Give all its values in one.")
    if options.cluster:
        cluster_profiles.get(options.cluster)  # an unknown one is told before anything is written

    def check(definition: dict[str, Any]) -> None:
        gpus, ranks, points = definition["gpus"], definition["ranks"], definition["points"]
        device, slots = (f"gpu:{gpus[0]}", len(gpus)) if gpus else (f"cpu:{ranks}", devices.cpu_cores() // ranks)
        made = [runs.by_hash(study.NAME, point["identity"]) for point in points]
        todo = [p for p, run in zip(points, made, strict=True) if run is None or run.status()["state"] != "finished"]
        where = f"the others go to cluster {options.cluster}" if options.cluster else f"{slots} at a time on {device}"
        say(f"{len(points)} runs, {len(points) - len(todo)} of them finished; {where}")
        if todo and not (options.yes or options.cluster):
            costs = [estimate.estimate(study, study.Params(**p["params"]), device, exact=False) for p in todo]
            estimate.check(costs, slots)

    device = "cpu" if options.cluster else options.device  # what a cluster run uses stands in its profile
    return sweeps.define(study, params, over, options.seeds, options.label, device, check)


def values(params: Params, text: str) -> tuple[str, list[Any]]:
    """Read ``name=700,800,900`` or ``name=700:1100:100`` (with its end) as a parameter's name and values.

    Raises
    ------
    ValueError
        Not of this form, an unknown parameter, a value out of range, or one that comes twice.
    """
    name, _, listed = text.partition("=")
    words = [word.strip() for word in listed.split(",")]
    if ":" in listed:
        words = _range(text, listed)
    found = [getattr(parameters.from_text(params, [f"{name}={word}"]), name) for word in words if word]
    if not found or len(set(found)) < len(found):
        raise ValueError(f"{text!r} gives no value, or one twice. Write name=1,2,3 or name=FROM:TO:STEP.")
    return name, found


def _range(text: str, listed: str) -> list[str]:
    try:
        first, last, step = (float(word) for word in listed.split(":"))
        count = int((last - first) / step + 1e-9) + 1
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ValueError(
            f"{text!r} is not of the form name=FROM:TO:STEP, such as temperature_K=700:1100:100."
        ) from None
    check_range(f"number of values in {text!r}", count, 1, sweeps.MOST_RUNS)
    return [f"{first + k * step:.10g}" for k in range(count)]


def summary(sweep: Sweep) -> dict[str, Any]:
    """A sweep for ``--json``."""
    status = sweep.status()
    return {
        "sweep": sweep.label,
        "folder": str(sweep.folder),
        "status": status["state"],
        "cluster": sweep.profile,
        "pid": status["pid"],
        "runs": status["runs"],
        "problems": status["problems"],
        "over": sweep.definition["over"],
        "seeds": sweep.definition["seeds"],
        "members": [run.id if run else None for run in sweep.runs()],
    }


def line(sweep: Sweep, status: dict[str, Any]) -> str:
    """A sweep in one line."""
    counts = ", ".join(f"{number} {state}" for state, number in sorted(status["runs"].items()))
    place = f" on cluster {sweep.profile}" if sweep.profile else ""
    message = f". {status['message']}" if status["state"] == "interrupted" else ""
    return f"{sweep.label} ({status['state']}{place}): {counts}{message}"


def listed() -> list[dict[str, Any]]:
    """Show all sweeps in a line each."""
    found = sweeps.find()
    for sweep in found:
        say(line(sweep, sweep.status()))
    if not found:
        say("no sweeps yet; start one with `lisi-nb sweep interdiffusion --scale smoke --over temperature_K=800,1000`")
    return [summary(sweep) for sweep in found]


def show(sweep: Sweep, wanted: list[str], folder: str) -> dict[str, Any]:
    """Show the table of a sweep; with `folder`, write its charts there as pictures and numbers."""
    say(line(sweep, sweep.status()))
    say(str(comparison.table(sweep, wanted)))
    for index, problem in summary(sweep)["problems"].items():
        say(f"run {index}: {problem}")
    if folder:
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name, charts in (("across", comparison.charts(sweep, wanted)), ("overlay", comparison.overlay(sweep))):
            (target / f"{sweep.label}-{name}.png").write_bytes(plots.png(plots.draw(charts), dpi=150))
            for number, chart in enumerate(charts, start=1):
                chart.to_csv(target / f"{sweep.label}-{name}-{number}.csv")
        say(f"charts and their numbers: {target}")
    table = [
        row | {"quantities": {name: m.to_dict() for name, m in row["quantities"].items()}}
        for row in comparison.rows(sweep)
    ]
    return summary(sweep) | {"table": table}


def progress(sweep: Sweep) -> Callable[[dict[str, Any]], None]:
    """A callback that says a sweep's line when it changes."""
    said = [""]

    def tell(status: dict[str, Any]) -> None:
        if (text := line(sweep, status)) != said[0]:
            said[0] = text
            say("  " + text)

    return tell
