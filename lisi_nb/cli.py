"""``lisi-nb``: everything a notebook can launch, without a notebook.

Exit codes: 0 done, 1 the run or check failed, 2 bad input. With ``--json`` one JSON object goes to stdout and
everything meant for people to stderr.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from lisi_nb import params as parameters
from lisi_nb import potentials, reproduce, studies, tables
from lisi_nb.engine import doctor, launch
from lisi_nb.engine import run as runs
from lisi_nb.engine.run import Run
from lisi_nb.errors import RunFailed, check_choice
from lisi_nb.units import duration


def study_names() -> list[str]:
    """Names of the studies in this installation."""
    return sorted(module.name for module in pkgutil.iter_modules(studies.__path__))


def get_study(name: str) -> ModuleType:
    """The module of a study; an unknown name raises ``ValueError`` with the choices."""
    check_choice("study", name, study_names())
    return importlib.import_module(f"lisi_nb.studies.{name}")


def say(text: str, end: str = "\n") -> None:
    """Words for people, on stderr."""
    print(text, end=end, file=sys.stderr, flush=True)


def progress_line() -> Callable[[dict[str, Any]], None]:
    """A callback that shows a run's status: in place on a terminal, every tenth of the way elsewhere."""
    shown = {"tenth": -1}

    def show(status: dict[str, Any]) -> None:
        share = status["step"] / max(1, status["target"])
        text = (
            f"  {status['state']:<9} step {status['step']}/{status['target']} ({100 * share:.0f} %), "
            f"time left {duration(status.get('left_s'))}"
        )
        if sys.stderr.isatty():
            say(f"\r{text:<78}", end="\n" if status["state"] in runs.ENDED else "")
        elif int(10 * share) > shown["tenth"] or status["state"] in runs.ENDED:
            shown["tenth"] = int(10 * share)
            say(text)

    return show


def building() -> Callable[[str, int, int], None]:
    """A callback for structures that are made by MD."""
    shown: dict[str, int] = {}

    def show(what: str, step: int, steps: int) -> None:
        quarter = int(4 * step / max(1, steps))
        if shown.get(what, -1) < quarter:
            shown[what] = quarter
            say(f"  {what}: {100 * step / max(1, steps):.0f} %")

    return show


def summary(run: Run) -> dict[str, Any]:
    """Identity, status and results of a run, for ``--json``."""
    status = run.status()
    results = run.results() or {}
    return {
        "run": run.id,
        "folder": str(run.folder),
        "status": status["state"],
        "step": status["step"],
        "target": status["target"],
        "pid": status.get("pid"),
        "message": status.get("message", ""),
        "results": results.get("quantities", {}),
        "trust": results.get("trust"),
    }


def command_run(options: argparse.Namespace) -> tuple[int, Any]:
    """``lisi-nb run``: prepare, launch and (unless detached) wait."""
    study = get_study(options.study)
    chosen = parameters.from_text(study.Params(), options.set)
    settings = {k: v for k, v in chosen.to_dict().items() if any(s.startswith(f"{k}=") for s in options.set)}
    chosen = study.scaled(options.scale, **settings)
    say(f"{options.study}, scale {options.scale}: " + ", ".join(options.set or ["default settings"]))
    run = launch.prepare(study, chosen, options.label or options.scale, options.device, building())
    say(run.manifest["structure"]["report"])
    state = run.status()["state"]
    say(f"run {run.id} ({state}) in {run.folder}\n  on {run.manifest['device']['name']}")
    if state == "finished":
        say("  these inputs have been run before; opening that run")
    elif state in ("failed", "stopped", "interrupted") and not options.again:
        say(f"  it {state} earlier; go on with `lisi-nb resume {run.id}`, or start it over with --again")
        return 1, summary(run)
    launch.start(run, again=options.again)
    if not options.detach:
        launch.wait(run, progress_line())
        if message := run.status()["message"]:
            say(message)
    return 0, summary(run)


def command_runs(options: argparse.Namespace) -> tuple[int, Any]:
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


def command_show(options: argparse.Namespace) -> tuple[int, Any]:
    """``lisi-nb show``: manifest, status and results of one run."""
    run = runs.open_run(options.run)
    status = run.status()
    say(f"{run}\n{status['message']}\n{run.manifest['structure']['report']}")
    for name, entry in run.manifest["params"].items():
        say(f"  {name} = {entry['value']} {entry['unit']}")
    for name, entry in ((run.results() or {}).get("quantities") or {}).items():
        say(f"  {name}: {entry['value']} ± {entry['error']} {entry['unit']}")
    return 0, {"manifest": run.manifest, "status": status, "results": run.results()}


def command_stop(options: argparse.Namespace) -> tuple[int, Any]:
    """``lisi-nb stop``: end a run cleanly, keeping what it wrote."""
    run = launch.stop(runs.open_run(options.run))
    say(run.status()["message"] or str(run))
    return 0, summary(run)


def command_resume(options: argparse.Namespace) -> tuple[int, Any]:
    """``lisi-nb resume``: go on with a stopped or interrupted run to its original target."""
    run = runs.open_run(options.run)
    launch.start(run, resume=True)
    if not options.detach:
        launch.wait(run, progress_line())
    say(run.status()["message"] or str(run))
    return 0, summary(run)


def command_doctor(_: argparse.Namespace) -> tuple[int, Any]:
    """``lisi-nb doctor``: one real step of every engine."""
    checks = doctor.examine()
    say(str(tables.health(checks)))
    return (0 if all(c.ok for c in checks if c.needed) else 1), [vars(c) for c in checks]


def command_potentials(options: argparse.Namespace) -> tuple[int, Any]:
    """``lisi-nb potentials list|card``."""
    if options.what == "list":
        cards = [potentials.get(name).card for name in potentials.names()]
        for card in cards:
            say(f"{card['name']}: {', '.join(card['elements'])}; {card['kind']}; {card['level_of_theory']}")
        return 0, cards
    if options.name is None:
        raise ValueError(f"`lisi-nb potentials card` needs a name: one of {', '.join(potentials.names())}.")
    potential = potentials.get(options.name)
    potential.members()
    say(json.dumps(potential.card, indent=2, ensure_ascii=False))
    return 0, potential.card


def command_reproduce(options: argparse.Namespace) -> tuple[int, Any]:
    """``lisi-nb reproduce``: a whole study: all variants, a table beside the paper, figures, the notebook."""
    if options.seeds < 1:
        raise ValueError(
            f"--seeds={options.seeds} is not allowed. Give 1 or more; 3 or more for error bars over seeds."
        )
    study = get_study(options.study)
    check_choice("scale", options.scale, study.SCALES)
    return 0, reproduce.reproduce(study, options.scale, options.seeds, options.device, say, duration)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="lisi-nb", description="Atomistic simulation of lithium battery anodes.")
    commands = top.add_subparsers(dest="command", required=True)

    def add(name: str, action: Callable[[argparse.Namespace], tuple[int, Any]]) -> argparse.ArgumentParser:
        assert action.__doc__ is not None
        text = action.__doc__.partition(": ")[2] or action.__doc__
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(action=action)
        sub.add_argument("--json", action="store_true", help="print one JSON object to stdout")
        return sub

    sub = add("run", command_run)
    sub.add_argument("study", help=f"one of: {', '.join(study_names())}")
    sub.add_argument("--scale", default="lesson", help="smoke (seconds), lesson (minutes) or paper")
    sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one parameter; repeatable")
    sub.add_argument("--label", default="", help="first part of the run folder's name")
    sub.add_argument("--device", default="auto", help="auto, cpu or gpu")
    sub.add_argument("--detach", action="store_true", help="return at once; the run goes on")
    sub.add_argument("--again", action="store_true", help="start over a stopped, failed or interrupted run")
    sub = add("reproduce", command_reproduce)
    sub.add_argument("study", help=f"one of: {', '.join(study_names())}")
    sub.add_argument("--scale", default="lesson", help="smoke (seconds), lesson (minutes) or paper")
    sub.add_argument("--seeds", type=int, default=1, help="independent repetitions of each run")
    sub.add_argument("--device", default="auto", help="auto, cpu or gpu")
    sub = add("runs", command_runs)
    sub.add_argument("--study", default=None)
    for name, action in (("show", command_show), ("stop", command_stop)):
        add(name, action).add_argument("run", help="run id, folder name or hash")
    sub = add("resume", command_resume)
    sub.add_argument("run", help="run id, folder name or hash")
    sub.add_argument("--detach", action="store_true", help="return at once; the run goes on")
    add("doctor", command_doctor)
    sub = add("potentials", command_potentials)
    sub.add_argument("what", choices=("list", "card"))
    sub.add_argument("name", nargs="?")
    return top


def main(arguments: list[str] | None = None) -> None:
    """Entry point of ``lisi-nb``."""
    options = parser().parse_args(arguments)
    try:
        code, answer = options.action(options)
    except (ValueError, FileNotFoundError) as error:
        code, answer = 2, {"error": str(error)}
        say(f"lisi-nb: {error}")
    except RunFailed as error:
        code, answer = 1, {"error": str(error)}
        say(f"lisi-nb: {error}")
    if options.json:
        print(json.dumps(answer, ensure_ascii=False))
    sys.exit(code)


if __name__ == "__main__":
    main()
