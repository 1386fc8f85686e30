"""Reproduce a study end to end: all its variants and seeds, a table beside the paper, figures, the notebook.

``lisi-nb reproduce interdiffusion`` is the main job of the project; ``make run`` calls it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from lisi_nb import paths, plots
from lisi_nb.engine import afford, cluster, estimate, launch
from lisi_nb.engine import run as runs
from lisi_nb.engine.run import Run
from lisi_nb.verdicts import comparison_table

Say = Callable[[str], None]
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class TimeLeft:
    """Time left for a list of runs, from the atom-steps done and to do."""

    def __init__(self, atom_steps: list[float]) -> None:
        self.todo, self.done, self.spent = atom_steps, 0.0, 0.0

    def finished(self, index: int, seconds: float) -> None:
        """Run `index` took `seconds`; a reopened run (0 s) teaches nothing about speed."""
        if seconds > 2:
            self.done += self.todo[index]
            self.spent += seconds
        self.todo[index] = 0.0

    def of_others(self, index: int) -> float | None:
        """Seconds for the runs after `index`, or ``None`` before the first speed is known."""
        return sum(self.todo[index + 1 :]) * self.spent / self.done if self.done else None


def run_all(
    study: ModuleType, scale: str, seeds: int, device: str, say: Say, words: Callable, yes: bool = False
) -> dict[str, list[Run]]:
    """Run every variant and seed one after the other; the same inputs reopen finished runs.

    Parameters
    ----------
    study : module
        Has ``variants(scale, seeds)``: variant name -> list of parameters, one for each seed.
    scale, seeds, device
        Scale name, number of seeds, and ``auto``, ``cpu`` or ``gpu``.
    say, words : callable
        Print a line; turn seconds into words.
    yes : bool
        Start even if all runs together take more than a day or may not fit.

    Returns
    -------
    dict
        Variant name -> finished runs.

    Raises
    ------
    ValueError
        They do, without `yes`; nothing is started.
    """
    jobs = [(name, params) for name, each in study.variants(scale, seeds).items() for params in each]
    afford.check(study, [params for _, params in jobs], device, yes)
    left = TimeLeft([float(estimate.atom_steps(study, params)) for _, params in jobs])
    found: dict[str, list[Run]] = {}
    for index, (name, params) in enumerate(jobs):
        started, tenth = time.monotonic(), -1
        say(f"[{index + 1}/{len(jobs)}] {name}, seed {params.seed}")
        run = launch.prepare(study, params, f"{scale}-{name}", device, _built(say))
        cluster.start(run, resume=True)

        def show(status: dict[str, Any], index: int = index) -> None:
            nonlocal tenth
            share = int(10 * status["step"] / max(1, status["target"]))
            if share > tenth and status["state"] in ("running", *runs.ENDED):
                tenth = share
                others = left.of_others(index)
                total = "" if others is None else f", all runs {words(others + (status.get('left_s') or 0.0))}"
                say(
                    f"    {10 * share:3d} %  step {status['step']}/{status['target']}  "
                    f"time left: this run {words(status.get('left_s'))}{total}"
                )

        launch.wait(run, show)
        left.finished(index, time.monotonic() - started)
        found.setdefault(name, []).append(run)
        say(f"    {run.status()['state']} after {words(time.monotonic() - started)}: {_relative(run.folder)}")
    return found


def _built(say: Say) -> Callable[[str, int, int], None]:
    told: set[str] = set()

    def show(what: str, step: int, steps: int) -> None:
        if what not in told:
            told.add(what)
            say(f"    {what} ({steps} MD steps)")

    return show


def _relative(path: Path) -> str:
    return os.path.relpath(path)


def report(study: ModuleType, scale: str, found: dict[str, list[Run]], say: Say) -> Path:
    """Analyse, print the comparison and the claims, write figures with their numbers; return the folder."""
    folder = paths.runs() / study.NAME / f"report-{scale}"
    folder.mkdir(parents=True, exist_ok=True)
    results = {name: study.analyse(each) for name, each in found.items()}
    rows = [row for result in results.values() for row in study.compare(result)]
    lines = ["| quantity | system | ours ± error | paper | agrees? |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in comparison_table(rows).rows]
    conditions = sorted({study.at_paper_conditions(r) for r in results.values()} - {""})
    notes = [f"other conditions = {text}: these numbers cannot agree or disagree" for text in conditions]
    notes += [f"WARNING {name}: {w}" for name, result in results.items() for w in result.warnings]
    judged = [f"{c.verdict:>9}: {c.text}\n           {c.because}" for c in study.claims(results)]
    lights = ", ".join(f"{name} {result.trust_light}" for name, result in results.items())
    text = "\n".join(
        [*_aligned(lines), "", *notes, "", "The paper's claims:", *judged, "", f"trust in the potential: {lights}"]
    )
    say(text)
    (folder / "report.md").write_text(text + "\n")
    data = {
        "scale": scale,
        "runs": {name: [run.id for run in each] for name, each in found.items()},
        "results": {name: result.to_dict() for name, result in results.items()},
        "claims": [asdict(claim) for claim in study.claims(results)],
    }
    (folder / "results.json").write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    for name, charts in study.figures(results).items():
        (folder / f"{name}.png").write_bytes(plots.png(plots.draw(charts), dpi=150))
        for number, chart in enumerate(charts, start=1):
            chart.to_csv(folder / f"{name}-{number}.csv")
    return folder


def _aligned(rows: list[str]) -> list[str]:
    """Markdown table rows with their columns padded to equal width."""
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    widths = [max(len(row[k]) for row in cells if "---" not in row[k]) for k in range(len(cells[0]))]
    return [
        "| "
        + " | ".join(("-" * w if "---" in cell else cell.ljust(w)) for cell, w in zip(row, widths, strict=True))
        + " |"
        for row in cells
    ]


def execute_notebook(study: ModuleType, scale: str, folder: Path) -> Path:
    """Execute the notebook that `study` names in ``NOTEBOOK`` at `scale`; keep the executed copy in `folder`."""
    import nbformat
    from nbclient import NotebookClient

    source = paths.PROJECT / "notebooks" / f"{study.NOTEBOOK}.ipynb"
    folder.mkdir(parents=True, exist_ok=True)  # before the work, not after it
    notebook = nbformat.read(source, as_version=4)
    before = os.environ.get("LISI_NB_SCALE")
    os.environ["LISI_NB_SCALE"] = scale
    try:
        client = NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": str(source.parent)}})
        client.execute()
    finally:
        if before is None:
            del os.environ["LISI_NB_SCALE"]
        else:
            os.environ["LISI_NB_SCALE"] = before
        target = folder / source.name
        nbformat.write(without_widgets(notebook), target)
    return target


def without_widgets(notebook: Any) -> Any:
    """Drop widget views, which show nothing once their kernel is gone; the pictures beside them stay."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [o for o in cell.outputs if WIDGET_VIEW not in o.get("data", {})]
    return notebook


def reproduce(
    study: ModuleType, scale: str, seeds: int, device: str, say: Say, words: Callable, yes: bool = False
) -> dict[str, Any]:
    """Runs (see `run_all`), report and notebook; return where everything lies."""
    started = time.monotonic()
    found = run_all(study, scale, seeds, device, say, words, yes)
    folder = report(study, scale, found, say)
    say(f"runs and analysis took {words(time.monotonic() - started)}; executing the notebook ...")
    notebook = execute_notebook(study, scale, folder)
    say(f"figures, numbers and report: {_relative(folder)}\nexecuted notebook: {_relative(notebook)}")
    say("run folders: " + ", ".join(_relative(run.folder) for each in found.values() for run in each))
    say(f"total: {words(time.monotonic() - started)}")
    return {
        "report": str(folder),
        "notebook": str(notebook),
        "runs": {name: [run.id for run in each] for name, each in found.items()},
        "results": json.loads((folder / "results.json").read_text())["results"],
    }
