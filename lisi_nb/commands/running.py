"""Commands that estimate, start, stop and continue one run."""

from __future__ import annotations

import argparse

from lisi_nb.commands.common import Answer, building, chosen, get_study, progress_line, say, summary
from lisi_nb.engine import cluster, cluster_profiles, estimate, launch
from lisi_nb.engine import run as runs


def command_run(options: argparse.Namespace) -> Answer:
    """``lisi-nb run``: prepare, launch and (unless detached) wait."""
    study = get_study(options.study)
    params = chosen(study, options)
    say(f"{options.study}, scale {options.scale}: " + ", ".join(options.set or ["default settings"]))
    if options.cluster:
        cluster_profiles.get(options.cluster)  # an unknown one is told before anything is built
    else:
        estimate.check_launch(study, params, options.device, options.yes)
    device = "cpu" if options.cluster else options.device  # what a cluster run uses stands in its profile
    run = launch.prepare(study, params, options.label or options.scale, device, building())
    say(run.manifest["structure"]["report"])
    state = run.status()["state"]
    say(f"run {run.id} ({state}) in {run.folder}\n  on {run.manifest['device']['name']}")
    if state == "finished":
        say("  these inputs have been run before; opening that run")
    elif state in ("failed", "stopped", "interrupted") and not options.again:
        how = "" if state == "failed" else f"go on with `lisi-nb resume {run.id}`, or "
        say(f"  it is {state}; {how}start it over with --again")
        return 1, summary(run)
    cluster.start(run, options.cluster, again=options.again)
    if not options.detach:
        launch.wait(run, progress_line())
        if message := run.status()["message"]:
            say(message)
    return 0, summary(run)


def command_estimate(options: argparse.Namespace) -> Answer:
    """``lisi-nb estimate``: atoms, steps, wall time, disk and memory of a run here, before it is launched."""
    study = get_study(options.study)
    cost = estimate.estimate(study, chosen(study, options), options.device)
    found = estimate.problems([cost])
    say("\n".join([str(cost), *found]))
    return 0, cost.to_dict() | {"problems": found}


def command_stop(options: argparse.Namespace) -> Answer:
    """``lisi-nb stop``: end a run cleanly, keeping what it wrote."""
    run = runs.open_run(options.run)
    run = cluster.cancel(run) if runs.scheduled(run.recorded()) else launch.stop(run)
    say(run.status()["message"] or str(run))
    return 0, summary(run)


def command_resume(options: argparse.Namespace) -> Answer:
    """``lisi-nb resume``: go on with a stopped or interrupted run to its original target."""
    run = cluster.start(runs.open_run(options.run), resume=True)
    if not options.detach:
        launch.wait(run, progress_line())
    say(run.status()["message"] or str(run))
    return 0, summary(run)
