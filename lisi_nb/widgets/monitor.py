"""Follow a run in a notebook: progress, temperature, energy, trust and the study's live charts.

`follow` only reads the run folder, so it follows runs started anywhere, and ending it never ends the run.
"""

from __future__ import annotations

import asyncio
import html
import time
from collections.abc import Callable
from dataclasses import dataclass

import ipywidgets as w
import numpy as np
from IPython.display import HTML, DisplayHandle, Image

from lisi_nb import plots, potentials
from lisi_nb.analysis import trust
from lisi_nb.charts import Chart, Curve
from lisi_nb.engine import launch
from lisi_nb.engine.run import ENDED, Run
from lisi_nb.units import duration

Live = Callable[[Run], tuple[Chart, ...]]
EVERY_S = 1.5
SHARE = 0.25  # of the time at most spent on drawing, so that MD keeps the cores
LIGHTS = {"green": "#009e73", "amber": "#e69f00", "red": "#d03030", "unknown": "#999999"}


@dataclass(frozen=True)
class Reading:
    """What a run's files say now; times in ps, temperature in K, energy in eV."""

    state: str
    message: str
    step: int
    target: int
    steps_per_s: float | None
    ns_per_day: float | None
    left_s: float | None
    time_ps: np.ndarray
    temperature_K: np.ndarray
    energy_eV: np.ndarray
    light: str
    deviation_eV_A: float

    @property
    def share(self) -> float:
        """Fraction done, 0 to 1."""
        return min(1.0, self.step / max(1, self.target))


def read(run: Run) -> Reading:
    """Read status, thermo and ensemble deviation of `run` once."""
    status, thermo = run.status(), run.thermo()
    timestep_fs, n_atoms = run.manifest["timestep_fs"], run.manifest["structure"]["n_atoms"]
    speed = status.get("steps_per_s")
    card = potentials.get(run.manifest["potential"]["name"]).card
    found = trust.trust(run.model_deviation()["max_devi_f_eV_A"], *card["validity"]["trust_eV_A"])
    empty = np.zeros(0)
    return Reading(
        state=status["state"],
        message=status["message"],
        step=status["step"],
        target=status["target"],
        steps_per_s=speed,
        ns_per_day=speed * timestep_fs * 1e-6 * 86400 if speed else None,
        left_s=status.get("left_s"),
        time_ps=thermo.get("Step", empty) * timestep_fs / 1000,
        temperature_K=thermo.get("Temp", empty),
        energy_eV=thermo.get("PotEng", empty) / n_atoms,
        light=found.light,
        deviation_eV_A=found.largest_eV_A,
    )


def charts(reading: Reading) -> tuple[Chart, ...]:
    """Temperature and potential energy so far; empty before the first line of the log."""
    if len(reading.time_ps) == 0:
        return ()
    return (
        Chart("Temperature", "time (ps)", "T (K)", (Curve(reading.time_ps, reading.temperature_K),)),
        Chart("Potential energy", "time (ps)", "E (eV/atom)", (Curve(reading.time_ps, reading.energy_eV),)),
    )


def bar(run: Run, reading: Reading) -> str:
    """Progress, speed, time left and trust as HTML."""
    speed = f"{reading.steps_per_s:.0f} steps/s = {reading.ns_per_day:.3g} ns/day" if reading.steps_per_s else ""
    left = "" if reading.state in ENDED else f"time left {duration(reading.left_s)}"
    light = (
        f'<span style="color:{LIGHTS[reading.light]}">&#9679;</span> potentials agree: {reading.light}'
        f" (largest force deviation {reading.deviation_eV_A:.2f} eV/Å)"
    )
    parts = [f"<b>{html.escape(reading.state)}</b>", f"step {reading.step} of {reading.target}", speed, left, light]
    return (
        f'<div>{html.escape(run.id)}<div style="background:#8883;height:10px;border-radius:5px;max-width:900px">'
        f'<div style="background:#0072b2;height:10px;border-radius:5px;width:{100 * reading.share:.1f}%"></div></div>'
        f"{' · '.join(filter(None, parts))}<br>{html.escape(reading.message)}</div>"
    )


def snapshot(run: Run, live: Live | None = None) -> tuple[Reading, str, bytes | None]:
    """Reading, progress as HTML and picture as PNG (``None`` before anything can be drawn)."""
    reading = read(run)
    drawn = (*(live(run) if live else ()), *charts(reading))
    picture = plots.png(plots.draw(drawn, width=4.5, height=2.6, columns=2)) if drawn else None
    return reading, bar(run, reading), picture


def _stop_button(run: Run) -> w.Button:
    button = w.Button(description="Stop the run", icon="stop", tooltip="End it; what it has written is kept.")
    # Works while the cell waits: JupyterLab 4.6 with ipykernel 7 delivers clicks in a thread of their own.
    button.on_click(lambda _: run.request_stop())
    return button


async def follow(run: Run, live: Live | None = None) -> Run:
    """Show `run` until it has ended, then return it; ``await follow(run)`` in a cell.

    The kernel's event loop stays free, so 3-D viewers keep working. Interrupting the cell leaves the run going.

    Parameters
    ----------
    run : Run
        Started by `lisi_nb.engine.launch`, here or elsewhere.
    live : callable, optional
        The study's ``live(run)`` charts.

    Raises
    ------
    RunFailed
        It failed, was interrupted, or never started; in the words of `launch.wait`.
    """
    # Displays updated in place: unlike widgets, the last picture stays in a saved notebook.
    progress, stop, picture = DisplayHandle(), DisplayHandle(), DisplayHandle()
    progress.display(HTML("starting ..."))
    stop.display(_stop_button(run))
    picture.display(HTML(""))
    last_words = ""
    try:
        while True:
            started = time.monotonic()
            reading, text, png = await asyncio.to_thread(snapshot, run, live)
            progress.update(HTML(text))
            if png:
                picture.update(Image(png))
            if reading.state not in ("queued", "running"):
                break
            await asyncio.sleep(max(EVERY_S, (time.monotonic() - started) / SHARE))
        return await asyncio.to_thread(launch.wait, run)
    except asyncio.CancelledError:
        last_words = "No longer followed; the run goes on. To end it: <code>launch.stop(run)</code>"
        raise
    finally:
        stop.update(HTML(last_words))
