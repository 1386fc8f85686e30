"""Follow a piece of work in a cell: a bar, the time left, live charts, and a button that stops it."""

from __future__ import annotations

import asyncio
import contextlib
import html
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import ipywidgets as w
from IPython.display import HTML, DisplayHandle, Image

from lisi_nb import palette
from lisi_nb.charts import Chart, overlay
from lisi_nb.engine import sweep as sweeps
from lisi_nb.engine.run import Run
from lisi_nb.engine.sweep import Sweep
from lisi_nb.errors import RunFailed
from lisi_nb.units import duration, pretty
from lisi_nb.widgets.bar import progress_bar
from lisi_nb.widgets.sketch import Sketch, drawn
from lisi_nb.widgets.threads import in_thread
from lisi_nb.widgets.watch import AHEAD_S, SHARE, Budget

EVERY_S, DRAW_EVERY_S = 1.0, 6.0  # between looks, and at least between pictures, which cost the work its cores
GOING = ("queued", "running")
BEGIN = "If its folder was deleted, run the cell that starts it again."
FEW = 3  # runs whose whole charts can be laid over each other and read; of more, one curve each is shown ...
MOST = 2 * len(palette.CYCLE)  # ... of at most so many


class Work(Protocol):
    """What is asked of a piece of work (such as `lisi_nb.training.work.Work`)."""

    @property
    def name(self) -> str:
        """What to call it."""

    def status(self) -> dict[str, Any]:
        """``state`` and ``message``."""

    def stop(self) -> None:
        """End it, keeping what it has made."""


async def follow_work(
    work: Work, live: Callable[[Any], tuple[Chart, ...]], share: Callable[[Any], tuple[float, str]]
) -> None:
    """Show `work` until it has ended; ``await follow_work(...)`` in a cell. Interrupting the cell leaves it going.

    Parameters
    ----------
    work : Work
        Started here or elsewhere.
    live : callable
        Of the work: charts of what there is so far.
    share : callable
        Of the work: the fraction done (0 to 1), and a few words.

    Raises
    ------
    RunFailed
        It failed, was stopped or interrupted, in its own words; or it can no longer be read.
    """
    text, below, picture = DisplayHandle(), DisplayHandle(), DisplayHandle()
    text.display(HTML("starting ..."))
    below.display(_stop_button(work))
    picture.display(HTML(""))
    with _readable(work):
        first, _ = share(work)
    began, drawn_at, budget, sketch = time.monotonic(), 0.0, Budget(SHARE, AHEAD_S), Sketch()
    while True:
        with _readable(work):
            status, (done, words) = work.status(), share(work)
        going, spent = status["state"] in GOING, time.monotonic() - began
        left_s = spent * (1 - done) / (done - first) if done > first else None
        text.update(HTML(bar(work.name, status, done, words, left_s if going else 0.0)))
        if not going or (time.monotonic() - drawn_at > DRAW_EVERY_S and budget.affords()):
            shown, cost_s = await asyncio.to_thread(_drawn, live, work, sketch if going else None)
            budget.spend(cost_s)
            drawn_at = time.monotonic()
            if shown:
                picture.update(shown)
        if not going:
            break
        await asyncio.sleep(EVERY_S)
    below.update(HTML(""))
    if status["state"] != "finished":
        raise RunFailed(f"{work.name} {status['state']}: {status['message'] or BEGIN}")


def _stop_button(work: Work) -> w.Widget:
    """A button that ends `work`, and beside it what became of that; the cell goes on following meanwhile."""
    button = w.Button(description="Stop", icon="stop", tooltip="End it; what it has made is kept.")
    answer = w.HTML()

    def stop() -> None:
        button.disabled, answer.value = True, "Asked to stop; what it has made is kept."
        try:
            work.stop()
        except (OSError, ValueError, RunFailed) as error:
            button.disabled, answer.value = False, html.escape(str(error))

    button.on_click(lambda _: in_thread(stop))
    return w.HBox([button, answer])


@contextlib.contextmanager
def _readable(work: Work) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise RunFailed(f"{work.name} can no longer be read ({type(error).__name__}: {error}). {BEGIN}") from None


def _drawn(
    live: Callable[[Any], tuple[Chart, ...]], work: Work, sketch: Sketch | None
) -> tuple[Image | HTML | None, float]:
    """A picture of the charts (``None`` without any) or why there is none, and its CPU time; for a thread."""
    before = time.thread_time()
    try:
        charts = live(work)
        png = drawn(charts, (7.0 if len(charts) == 1 else 4.6, 3.3, 2), sketch) if charts else None
    except Exception as error:
        said = html.escape(f"{type(error).__name__}: {error}")
        return HTML(f"The charts cannot be drawn ({said}). The work does not depend on them."), 0.0
    return Image(png) if png else None, time.thread_time() - before


@dataclass(frozen=True)
class _Sweep:
    """A sweep as a piece of work."""

    sweep: Sweep
    _finished: dict[Path, tuple[str, tuple[Chart, ...]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.sweep.label

    def status(self) -> dict[str, Any]:
        return self.sweep.status()

    def stop(self) -> None:
        """Stop its runs; what they have written is kept, and running the cell again goes on."""
        sweeps.pause(self.sweep)

    def charts(self) -> tuple[Chart, ...]:
        """The study's live charts of the runs that have begun, laid over each other; of many runs some, evenly."""
        runs = self.sweep.runs()
        chosen = runs[:: -(-len(runs) // MOST)]
        drawn = dict(self._live(run) if run else (str(k), ()) for k, run in enumerate(chosen))
        return overlay(drawn) if len(chosen) <= FEW else _firsts(drawn, self._n_dashes())

    def _n_dashes(self) -> int:
        """Runs of one colour: those of one value of the first parameter, where that tells all apart."""
        n = len(self.sweep.points)
        n_first = len(next(iter(self.sweep.definition["over"].values()), [0]))
        told = n <= MOST and n_first <= len(palette.CYCLE) and n <= n_first * len(palette.DASHES)
        return n // n_first if told else MOST // len(palette.CYCLE)

    def _live(self, run: Run) -> tuple[str, tuple[Chart, ...]]:
        """What varies, and the charts; those of a finished run are made once."""
        if (known := self._finished.get(run.folder)) is not None:
            return known
        try:
            finished = run.status()["state"] == "finished"
            found = self._name(run), import_module(f"lisi_nb.studies.{run.manifest['study']}").live(run)
        except (OSError, ValueError, KeyError):  # its folder is being made, or is gone
            return run.id, ()
        if finished:
            self._finished[run.folder] = found
        return found

    def _name(self, run: Run) -> str:
        """Such as ``x 2.25, 800 K``."""
        definition, words = self.sweep.definition, []
        for name in (*definition["over"], *(["seed"] if definition["seeds"] > 1 else [])):
            value, unit = (run.manifest["params"][name][key] for key in ("value", "unit"))
            words.append(f"{value:g} {pretty(unit)}" if unit else f"{name} {value}")
        return ", ".join(words)


def _firsts(drawn: Mapping[str, tuple[Chart, ...]], n_dashes: int) -> tuple[Chart, ...]:
    """The first curve of the first chart of each, in one chart; `n_dashes` in a row share a colour."""
    found: list[Chart] = []
    for k, (name, charts) in enumerate(drawn.items()):
        colour, dash = divmod(k, n_dashes)
        for chart in overlay({name: charts[:1]}):
            first = [replace(curve, colour=palette.CYCLE[colour], dash=dash) for curve in chart.curves[:1]]
            found.append(replace(chart, curves=tuple(first)))
    return (replace(found[0], curves=tuple(c for chart in found for c in chart.curves)),) if found else ()


async def follow_sweep(sweep: Sweep) -> list[Run]:
    """Show a sweep until all its runs have ended, then return them; ``await follow_sweep(sweep)`` in a cell.

    Below the bar stand the study's live charts of the runs so far, laid over each other; the last stay in the notebook.
    Interrupting the cell leaves it going; its Stop button pauses it, and running the cell again goes on.

    Parameters
    ----------
    sweep : Sweep
        Of `lisi_nb.engine.sweep`; it is started if it is not running.

    Returns
    -------
    list of Run
        In the order of the sweep's points.

    Raises
    ------
    RunFailed
        It was paused, or a run failed; in its own words.
    """
    await follow_work(_Sweep(sweeps.start(sweep)), _Sweep.charts, lambda work: work.sweep.share())
    found = sweep.runs()
    bad = [run.id if run else f"run {k + 1}" for k, run in enumerate(found) if _state(run) != "finished"]
    if bad:
        raise RunFailed(f"{sweep.label}: {', '.join(bad)} did not finish. `lisi-nb show` says why.")
    return [run for run in found if run]


def _state(run: Run | None) -> str:
    return run.status()["state"] if run else "failed"


def bar(name: str, status: dict[str, Any], done: float, words: str, left_s: float | None) -> str:
    """State, share and time left as HTML."""
    left = f"time left {duration(left_s)}" if status["state"] in GOING else ""
    said = [f"<b>{html.escape(status['state'])}</b>", html.escape(words), left, html.escape(status["message"])]
    return progress_bar(name, done, [" · ".join(filter(None, said))])
