"""What several commands share: studies by name, words for people, the summary of a run."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from lisi_nb import params as parameters
from lisi_nb import studies
from lisi_nb.engine import run as runs
from lisi_nb.engine.run import Run
from lisi_nb.errors import check_choice
from lisi_nb.params import Params
from lisi_nb.units import duration

Answer = tuple[int, Any]  # exit code and what --json prints


def study_names() -> list[str]:
    """Names of the studies in this installation."""
    return sorted(module.name for module in pkgutil.iter_modules(studies.__path__))


def get_study(name: str) -> ModuleType:
    """The module of a study; an unknown name raises ``ValueError`` with the choices."""
    check_choice("study", name, study_names())
    return importlib.import_module(f"lisi_nb.studies.{name}")


def chosen(study: ModuleType, options: argparse.Namespace) -> Params:
    """Parameters of ``--scale`` with the changes of ``--set``."""
    typed = parameters.from_text(study.Params(), options.set).to_dict()
    names = {setting.partition("=")[0] for setting in options.set}
    return study.scaled(options.scale, **{k: v for k, v in typed.items() if k in names})


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
