"""Commands that list, show and keep what was run."""

from __future__ import annotations

import argparse

from lisi_nb.commands.common import Answer, say, study_names, summary
from lisi_nb.engine import run as runs
from lisi_nb.errors import check_choice
from lisi_nb.units import duration


def command_runs(options: argparse.Namespace) -> Answer:
    """``lisi-nb runs``: list all runs, newest first."""
    if options.study is not None:
        check_choice("study", options.study, study_names())
    found = runs.find(options.study)
    for run in found:
        status = run.status()
        share = 100 * status["step"] / max(1, status["target"])
        say(f"{run.id:<48} {status['state']:<12} {share:5.0f} %  left {duration(status.get('left_s'))}")
    if not found:
        say("no runs yet; start one with `lisi-nb run interdiffusion --scale smoke`")
    return 0, [summary(run) for run in found]


def command_show(options: argparse.Namespace) -> Answer:
    """``lisi-nb show``: manifest, status and results of one run."""
    run = runs.open_run(options.run)
    status = run.status()
    say(f"{run}\n{status['message']}\n{run.manifest['structure']['report']}")
    for name, entry in run.manifest["params"].items():
        say(f"  {name} = {entry['value']} {entry['unit']}")
    for name, entry in ((run.results() or {}).get("quantities") or {}).items():
        say(f"  {name}: {entry['value']} ± {entry['error']} {entry['unit']}")
    return 0, {"manifest": run.manifest, "status": status, "results": run.results()}
