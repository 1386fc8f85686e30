"""Follow a run in a notebook: progress, temperature, energy, trust and the study's live charts.

`follow` waits in its cell and leaves a still picture in the saved notebook; `Monitor` is a widget that waits for
nothing. Both only read the run folder, so they follow runs started anywhere, and ending them never ends the run.
"""

from __future__ import annotations

import asyncio
import base64
import html
import os
from collections.abc import Callable
from threading import Event

import ipywidgets as w
from IPython.display import HTML, DisplayHandle, Image

from lisi_nb import palette
from lisi_nb.engine import cluster, launch
from lisi_nb.engine.run import ENDED, Run, scheduled
from lisi_nb.errors import RunFailed
from lisi_nb.units import duration
from lisi_nb.widgets.bar import progress_bar
from lisi_nb.widgets.folder import folder_html
from lisi_nb.widgets.kept import Kept
from lisi_nb.widgets.names import Names
from lisi_nb.widgets.reading import Physics, Progress, Unreadable
from lisi_nb.widgets.threads import in_thread
from lisi_nb.widgets.watch import Live, watch

RESUMABLE = {"stopped": "Resume the run", "interrupted": "Resume the run", "prepared": "Start the run"}


def bar(run: Run, now: Progress, physics: Physics) -> str:
    """Progress, speed, time left, temperature, energy, pressure and trust as HTML."""
    speed = f"{now.steps_per_s:.0f} steps/s = {now.ns_per_day:.3g} ns/day" if now.steps_per_s else ""
    left = "" if now.state in ENDED else f"time left {duration(now.left_s)}"
    first = [f"<b>{html.escape(now.state)}</b>", f"step {now.step} of {now.target}", speed, left]
    lines = [" · ".join(filter(None, first)), *_physics(physics)]
    if now.message:
        lines.append(f'<span style="white-space:pre-wrap">{html.escape(now.message)}</span>')
    return progress_bar(run.id, now.share, lines)


def _physics(now: Physics) -> list[str]:
    lines = []
    if len(now.time_ps):
        lines.append(
            f"temperature {now.temperature_K[-1]:.0f} K · potential energy {now.energy_eV[-1]:.4f} eV/atom"
            f" · pressure {now.pressure_GPa[-1]:.2f} GPa"
        )
    agree = now.trust
    light = f'<span style="color:{palette.LIGHTS[agree.light]}">&#9679;</span> potentials agree: <b>{agree.light}</b>'
    if agree.light != "unknown":
        light += (
            f" · of the looks, {_percent(agree.accurate)} accurate, {_percent(agree.candidate)} candidate,"
            f" {_percent(agree.failed)} failed · largest force deviation {agree.largest_eV_A:.2f} eV/Å"
        )
    return [*lines, light]


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


class Buttons(w.VBox):
    """Stop, Resume and Show folder for one run; what they answer stands below them."""

    def __init__(self, run: Run, resumed: Callable[[], object]) -> None:
        self.run, self._resumed = run, resumed
        self.stop = w.Button(description="Stop the run", icon="stop", tooltip="End it; what it has written is kept.")
        self.resume = w.Button(icon="play", tooltip="Go on to the original target on one time axis.")
        self.folder = w.ToggleButton(description="Show folder", icon="folder-open", tooltip="Path and files.")
        self.answer = w.HTML()
        # Work while a cell waits: JupyterLab 4.6 with ipykernel 7 delivers clicks in a thread of their own.
        self.stop.on_click(self._stop)
        self.resume.on_click(self._resume)
        self.folder.observe(lambda change: self._folder(change["new"]), "value")
        super().__init__([w.HBox([self.stop, self.resume, self.folder]), self.answer, Names()])
        self.show("queued")

    def show(self, state: str) -> None:
        """Offer what can be done in `state`."""
        self.stop.layout.display = None if state in ("queued", "running") else "none"
        self.resume.layout.display = None if state in RESUMABLE else "none"
        self.resume.description = RESUMABLE.get(state, "")

    def _stop(self, _: w.Button) -> None:
        try:
            if scheduled(self.run.recorded()):
                self.answer.value = "Asking the scheduler to end its job ..."
                in_thread(self._cancel)  # else other clicks would wait for it
            else:
                self.run.request_stop()
                self.answer.value = "Asked to stop; it ends within some steps, and what it has written is kept."
        except (OSError, ValueError) as error:
            gone = "The folder of this run is gone; there is nothing to stop."
            self.answer.value = html.escape(str(error)) if self.run.folder.exists() else gone

    def _cancel(self) -> None:
        try:
            cluster.cancel(self.run)
            self.answer.value = "Its job has ended; what it has written is kept."
        except (OSError, ValueError, RunFailed) as error:
            self.answer.value = html.escape(str(error))

    def _resume(self, _: w.Button) -> None:
        self.resume.layout.display = "none"
        self.answer.value = "Starting ..."
        try:
            cluster.start(self.run, resume=True)
            self.answer.value = ""
            self._resumed()
        except (OSError, ValueError, RunFailed) as error:
            self.answer.value = f"It could not be started: {html.escape(str(error))}"

    def _folder(self, shown: bool) -> None:
        self.answer.value = folder_html(self.run) if shown else ""


class Monitor(Kept):
    """A run being followed, as a widget; the cell that shows it does not wait.

    Parameters
    ----------
    run : Run
        Started by `lisi_nb.engine.launch`, here or elsewhere; one that has ended is shown as it is.
    live : callable, optional
        The study's ``live(run)`` charts.
    changed : callable, optional
        Called when the run goes from one state to another, in the thread that follows it.
    """

    def __init__(self, run: Run, live: Live | None = None, changed: Callable[[], object] = lambda: None) -> None:
        self.run, self._live, self._leave = run, live, Event()
        self._changed, self._state = changed, ""
        self.text, self.picture = w.HTML("starting ..."), w.Image(format="png", layout=w.Layout(display="none"))
        self.picture.layout.max_width, self.picture.layout.align_self = "100%", "flex-start"
        self.picture.layout.object_fit, self.picture.layout.margin = "contain", "0"
        self.buttons = Buttons(run, self._start)
        super().__init__([self.text, self.buttons, self.picture], self._kept_html)
        self._start()

    def __repr__(self) -> str:
        return f"{self.run.id} {self._state}".rstrip()

    def _kept_html(self) -> str:
        """The last text and picture."""
        png = base64.b64encode(self.picture.value).decode()
        return self.text.value + (f'<img alt="charts" src="data:image/png;base64,{png}">' if png else "")

    def leave(self) -> None:
        """Follow no longer; the run goes on."""
        self._leave.set()

    def close(self) -> None:
        """Take the widget off the page and follow no longer."""
        self.leave()
        super().close()

    def _start(self) -> None:
        self.thread = in_thread(self._watch)

    def _watch(self) -> None:
        try:
            watch(self.run, self._live, self._show, self._leave)
        except Unreadable as sentence:
            self.text.value = html.escape(str(sentence))
            self.buttons.layout.display = "none"
            self.keep()
        except Exception as error:  # in a thread it would vanish, and the widget stand still
            self.text.value = f"No longer followed, but the run goes on: {html.escape(repr(error))}"

    def _show(self, now: Progress, physics: Physics, png: bytes | None) -> None:
        self.text.value = bar(self.run, now, physics)
        self.buttons.show(now.state)
        if now.state != self._state:
            before, self._state = self._state, now.state
            self.keep()
            if before:
                self._changed()
        if png:
            self.picture.value, self.picture.layout.display = png, None
            self.keep()


class Screen:
    """Three displays updated in place: unlike widgets, the last text and picture stay in a saved notebook."""

    def __init__(self, run: Run, live: Live | None) -> None:
        self.run, self._live, self.leave = run, live, Event()
        self._text, self._below, self._picture = DisplayHandle(), DisplayHandle(), DisplayHandle()
        self._buttons = Buttons(run, lambda: in_thread(self.watch))
        self._text.display(HTML("starting ..."))
        self._below.display(self._buttons)
        self._picture.display(HTML(""))

    def watch(self) -> None:
        """Show the run until it has ended; one whose folder is gone is said to be gone.

        Raises
        ------
        RunFailed
            It cannot be shown any longer, but goes on.
        """
        try:
            watch(self.run, self._live, self.show, self.leave)
        except Unreadable as sentence:
            self.say("")
            self._text.update(HTML(html.escape(str(sentence))))
        except Exception as error:  # of the study's charts
            raise RunFailed(
                f"{self.run.id} goes on, but cannot be shown any longer: {error!r}. Follow it without the study's "
                "charts: await follow(run)."
            ) from error

    def show(self, now: Progress, physics: Physics, png: bytes | None) -> None:
        """Show what was read, and the buttons that make sense now."""
        self._text.update(HTML(bar(self.run, now, physics)))
        if png:
            self._picture.update(Image(png))
        self._buttons.show(now.state)
        if not now.going and now.state not in RESUMABLE:
            # Relative, because it stays in the saved notebook, which other people open elsewhere.
            self.say(f"Folder: <code>{html.escape(os.path.relpath(self.run.folder))}</code>")

    def say(self, words: str) -> None:
        """Put words in the place of the buttons."""
        self._below.update(HTML(words))


async def follow(run: Run, live: Live | None = None) -> Run:
    """Show `run` until it has ended, then return it; ``await follow(run)`` in a cell.

    The kernel's event loop stays free, so 3-D viewers keep working. Interrupting the cell leaves the run going. A run
    whose folder is deleted meanwhile is returned as it is, with a sentence on the screen.

    Parameters
    ----------
    run : Run
        Started by `lisi_nb.engine.launch`, here or elsewhere.
    live : callable, optional
        The study's ``live(run)`` charts.

    Raises
    ------
    RunFailed
        It failed, was interrupted, or never started, in the words of `launch.wait`; or `live` failed.
    """
    screen = Screen(run, live)
    try:
        await asyncio.to_thread(screen.watch)
        gone = not (run.folder / "status.json").exists()
        return run if gone else await asyncio.to_thread(launch.wait, run)
    except asyncio.CancelledError:
        screen.leave.set()
        screen.say("No longer followed; the run goes on. To end it: <code>launch.stop(run)</code>")
        raise
