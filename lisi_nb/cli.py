"""``lisi-nb``: everything a notebook can launch, without a notebook.

Exit codes: 0 done, 1 the run or check failed, 2 bad input. With ``--json`` one JSON object goes to stdout and
everything meant for people to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from lisi_nb.commands import labelling, potentials
from lisi_nb.commands.common import Answer, say, study_names
from lisi_nb.commands.other import command_doctor, command_references, command_reproduce
from lisi_nb.commands.records import command_clean, command_export, command_rerun, command_runs, command_show
from lisi_nb.commands.running import command_estimate, command_resume, command_run, command_stop
from lisi_nb.commands.sweeping import command_sweep
from lisi_nb.errors import RunFailed

DEVICES = "auto, cpu, cpu:RANKS, gpu or gpu:INDEX"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="lisi-nb", description="Atomistic simulation of lithium battery anodes.")
    commands = top.add_subparsers(dest="command", required=True)

    def add(name: str, action: Callable[[argparse.Namespace], Answer]) -> argparse.ArgumentParser:
        assert action.__doc__ is not None
        text = action.__doc__.partition(": ")[2] or action.__doc__
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(action=action)
        sub.add_argument("--json", action="store_true", help="print one JSON object to stdout")
        return sub

    def describes_a_run(sub: argparse.ArgumentParser, nargs: str | None = None) -> argparse.ArgumentParser:
        sub.add_argument("study", nargs=nargs, help=f"one of: {', '.join(study_names())}")
        sub.add_argument("--scale", default="lesson", help="smoke (seconds), lesson (minutes) or paper")
        sub.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="change one parameter; repeatable"
        )
        sub.add_argument("--device", default="auto", help=DEVICES)
        return sub

    sub = describes_a_run(add("run", command_run))
    sub.add_argument("--label", default="", help="first part of the run folder's name")
    sub.add_argument("--detach", action="store_true", help="return at once; the run goes on")
    sub.add_argument("--again", action="store_true", help="start over a stopped, failed or interrupted run")
    sub.add_argument("--yes", action="store_true", help="launch even if it takes a day or may not fit")
    sub.add_argument("--cluster", default="", metavar="PROFILE", help="submit it to a scheduler; see the README")
    describes_a_run(add("estimate", command_estimate))
    sub = describes_a_run(add("sweep", command_sweep), "?")
    sub.add_argument(
        "--over", action="append", default=[], metavar="KEY=VALUES", help="KEY=1,2,3 or KEY=FROM:TO:STEP; repeatable"
    )
    sub.add_argument("--seeds", type=int, default=1, help="independent repetitions of each combination")
    sub.add_argument("--label", default="", help="name of the sweep and first part of its run folders' names")
    sub.add_argument("--detach", action="store_true", help="return at once; the sweep goes on")
    sub.add_argument("--yes", action="store_true", help="start even if it takes a day or may not fit")
    sub.add_argument("--cluster", default="", metavar="PROFILE", help="submit its runs to a scheduler; see the README")
    sub.add_argument("--quantity", action="append", default=[], help="show only this one; repeatable")
    sub.add_argument("--charts", default="", metavar="FOLDER", help="write charts across the runs there")
    what = sub.add_mutually_exclusive_group()
    what.add_argument("--pause", default="", metavar="LABEL", help="stop its runs, keeping what they wrote")
    what.add_argument("--resume", default="", metavar="LABEL", help="go on with a paused or interrupted sweep")
    what.add_argument("--show", default="", metavar="LABEL", help="table of its runs")
    sub = add("reproduce", command_reproduce)
    sub.add_argument("study", help=f"one of: {', '.join(study_names())}")
    sub.add_argument("--scale", default="lesson", help="smoke (seconds), lesson (minutes) or paper")
    sub.add_argument("--seeds", type=int, default=1, help="independent repetitions of each run")
    sub.add_argument("--device", default="auto", help=DEVICES)
    sub.add_argument("--yes", action="store_true", help="start even if it takes more than a day or may not fit")
    sub = add("runs", command_runs)
    sub.add_argument("--study", default=None)
    for name, action in (("show", command_show), ("stop", command_stop)):
        add(name, action).add_argument("run", help="run id, folder name or hash")
    sub = add("resume", command_resume)
    sub.add_argument("run", help="run id, folder name or hash")
    sub.add_argument("--detach", action="store_true", help="return at once; the run goes on")
    sub = add("rerun", command_rerun)
    sub.add_argument("run", help="run id, folder name or hash")
    sub.add_argument("--detach", action="store_true", help="return at once; the run goes on")
    sub = add("export", command_export)
    sub.add_argument("run", help="run id, folder name or hash")
    sub.add_argument("--to", default="", metavar="FILE", help="archive to write (.tar.gz)")
    sub.add_argument("--trajectory", action="store_true", help="pack the trajectories, too")
    sub = add("clean", command_clean)
    sub.add_argument("what", nargs="*", help="names or patterns of what to delete; without, all is listed")
    sub.add_argument("--yes", action="store_true", help="do not ask")
    add("doctor", command_doctor)
    add("references", command_references)
    labelling.add_arguments(add("label", labelling.command_label))
    potentials.add_arguments(add("potentials", potentials.command_potentials))
    return top


def main(arguments: list[str] | None = None) -> None:
    """Entry point of ``lisi-nb``."""
    options = parser().parse_args(arguments)
    try:
        code, answer = options.action(options)
    except (ValueError, FileNotFoundError) as error:
        code, answer = 2, {"error": str(error)}
        say(f"lisi-nb: {error}")
    except (RunFailed, OSError) as error:
        code, answer = 1, {"error": str(error)}
        say(f"lisi-nb: {error}")
    if options.json:
        print(json.dumps(answer, ensure_ascii=False))
    sys.exit(code)


if __name__ == "__main__":
    main()
