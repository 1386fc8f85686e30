"""Follow a piece of work in a cell: a bar, the time left, live charts, and a button that stops it."""

from __future__ import annotations

import asyncio
import html
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import ipywidgets as w
from IPython.display import HTML, DisplayHandle, Image

from lisi_nb import palette, plots
from lisi_nb.charts import Chart
from lisi_nb.engine import sweep as sweeps
from lisi_nb.engine.run import Run
from lisi_nb.engine.sweep import Sweep
from lisi_nb.errors import RunFailed
from lisi_nb.units import duration

EVERY_S, DRAW_EVERY_S = 1.0, 6.0  # between looks, and between pictures, which cost the work some of its cores
GOING = ("queued", "running")


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
        It failed, was stopped or interrupted; in its own words.
    """
    text, below, picture = DisplayHandle(), DisplayHandle(), DisplayHandle()
    button = w.Button(description="Stop", icon="stop", tooltip="End it; what it has made is kept.")
    button.on_click(lambda _: work.stop())
    text.display(HTML("starting ..."))
    below.display(button)
    picture.display(HTML(""))
    began, first, drawn = time.monotonic(), share(work)[0], 0.0
    while True:
        status = work.status()
        going = status["state"] in GOING
        done, words = share(work)
        spent = time.monotonic() - began
        left_s = spent * (1 - done) / (done - first) if done > first else None
        text.update(HTML(bar(work.name, status, done, words, left_s if going else 0.0)))
        if not going or time.monotonic() - drawn > DRAW_EVERY_S:
            drawn = time.monotonic()
            if charts := live(work):
                picture.update(Image(plots.png(plots.draw(charts, width=7))))
        if not going:
            break
        await asyncio.sleep(EVERY_S)
    below.update(HTML(""))
    if status["state"] != "finished":
        raise RunFailed(f"{work.name} {status['state']}: {status['message']}")


@dataclass(frozen=True)
class _Sweep:
    """A sweep as a piece of work."""

    sweep: Sweep

    @property
    def name(self) -> str:
        return self.sweep.label

    def status(self) -> dict[str, Any]:
        return self.sweep.status()

    def stop(self) -> None:
        """Stop its runs; what they have written is kept, and running the cell again goes on."""
        sweeps.pause(self.sweep)


async def follow_sweep(sweep: Sweep) -> list[Run]:
    """Show a sweep until all its runs have ended, then return them; ``await follow_sweep(sweep)`` in a cell.

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
    await follow_work(_Sweep(sweeps.start(sweep)), lambda _: (), lambda work: work.sweep.share())
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
    percent = f"{100 * done:.0f}%"
    return (
        f'<div style="line-height:1.5"><b>{html.escape(name)}</b>'
        f'<div role="progressbar" aria-valuenow="{percent}" style="background:#8883;height:10px;border-radius:5px;'
        f'max-width:900px"><div style="background:{palette.ACCENT};height:10px;border-radius:5px;width:{percent}">'
        f"</div></div>{' · '.join(filter(None, said))}</div>"
    )
