"""The loop that follows a run: reads every second or two, and draws as often as a small share of one core allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

from lisi_nb.charts import Chart
from lisi_nb.engine.run import Run
from lisi_nb.widgets import reading
from lisi_nb.widgets.following import Followed
from lisi_nb.widgets.sketch import Sketch, drawn

Live = Callable[[Run], tuple[Chart, ...]]
EVERY_S = 1.5  # between looks at status and logs, a millisecond each
SHARE = 0.015  # of one core for drawing, so that MD keeps the cores ...
AHEAD_S = 0.25  # ... and this much CPU time in advance, which makes 2 % of its first minute
LEAST_S = 2.0  # between pictures
DELETED_S = 2.0  # a large folder is not deleted at once
SIZE = (4.5, 2.6, 2)  # inches of each chart, and charts in a row


class Budget:
    """CPU time that may be spent: `ahead_s` at once, and `share` of the time that passes."""

    def __init__(self, share: float, ahead_s: float) -> None:
        self._share, self._left_s, self._last, self._cost_s = share, ahead_s, time.monotonic(), 0.0

    def affords(self) -> bool:
        """Whether the last cost could be paid again now."""
        now = time.monotonic()
        self._left_s += self._share * (now - self._last)
        self._last = now
        return self._left_s >= self._cost_s

    def spend(self, cost_s: float) -> None:
        """Pay `cost_s` seconds of CPU time."""
        self._cost_s = cost_s
        self._left_s -= cost_s


Show = Callable[[reading.Progress, reading.Physics, bytes | None], None]


def watch(run: Run, live: Live | None, show: Show, leave: Event) -> None:
    """Call `show` (progress, physics, new picture or ``None``) until `run` has ended or `leave` is set.

    Blocks; meant for a thread of its own. Ending it never ends the run.

    Raises
    ------
    Unreadable
        The run's folder is gone; a sentence for people.
    """
    try:
        _watch(run, live, show, leave)
    except reading.Unreadable as sentence:
        deadline = time.monotonic() + DELETED_S
        while (run.folder / "manifest.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        raise reading.Unreadable(reading.gone(run) or str(sentence)) from None


def _watch(run: Run, live: Live | None, show: Show, leave: Event) -> None:
    budget, drawn_at, followed = Budget(SHARE, AHEAD_S), 0.0, Followed(run.folder)
    sketch = Sketch()
    while not leave.is_set():
        now, physics = reading.progress(run), reading.physics(followed)
        show(now, physics, None)  # drawing can take seconds where MD has all cores
        if not now.going or (time.monotonic() - drawn_at > LEAST_S and budget.affords()):
            before = time.thread_time()
            picture = draw(run, physics, live, sketch if now.going else None)
            budget.spend(time.thread_time() - before)
            drawn_at = time.monotonic()
            if picture and not leave.is_set():
                show(now, physics, picture)
        if not now.going:
            return
        leave.wait(EVERY_S)


def draw(run: Run, now: reading.Physics, live: Live | None = None, sketch: Sketch | None = None) -> bytes | None:
    """The study's live charts, temperature and energy as PNG; ``None`` before anything can be drawn."""
    try:
        charts = (*(live(run) if live else ()), *reading.charts(now))
    except Exception as error:
        if isinstance(error, (OSError, ValueError)) or not (run.folder / "manifest.json").exists():
            raise reading.Unreadable(reading.why_not(run, error)) from None
        raise
    return drawn(charts, SIZE, sketch) if charts else None
