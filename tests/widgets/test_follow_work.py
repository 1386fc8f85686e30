"""A piece of work is followed to its end; what went wrong is said; its button stops it."""

import asyncio

import numpy as np
import pytest
from IPython.display import Image

from lisi_nb.charts import Chart, Curve
from lisi_nb.engine import sweep as sweeps
from lisi_nb.errors import RunFailed
from lisi_nb.studies import interdiffusion
from lisi_nb.widgets import follow_sweep, follow_work
from lisi_nb.widgets import work as widget


class Fake:
    """Work that has another state at each look."""

    name = "train-12345678"

    def __init__(self, *states, message=""):
        self.states, self.message, self.stopped = list(states), message, False

    def status(self):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"state": state, "message": self.message}

    def stop(self):
        self.stopped = True


@pytest.fixture
def screen(monkeypatch):
    shown = []

    class Handle:
        display = update = lambda self, what: shown.append(what)

    monkeypatch.setattr(widget, "DisplayHandle", Handle)
    monkeypatch.setattr(widget, "EVERY_S", 0.02)
    return shown


def live(_):
    return (Chart("Learning", "step", "error", (Curve(np.arange(3.0), np.arange(3.0)),)),)


def test_it_is_followed_to_its_end_with_a_picture(screen):
    shares = iter([0.0, 0.1, 0.5, 1.0])
    asyncio.run(follow_work(Fake("queued", "running", "finished"), live, lambda _: (next(shares), "step <1>")))
    texts = [s.data for s in screen if hasattr(s, "data") and isinstance(s.data, str)]
    assert any("time left unknown" in t or "time left" in t for t in texts)
    assert "100%" in texts[-2]
    assert "step &lt;1&gt;" in texts[-2]
    assert any(isinstance(s, Image) for s in screen)


def test_a_failure_is_raised_in_its_words(screen):
    with pytest.raises(RunFailed, match="train-12345678 failed: no space"):
        asyncio.run(follow_work(Fake("failed", message="no space"), lambda _: (), lambda _: (0.0, "")))


def test_the_button_stops_it(screen):
    work = Fake("running", "running", "running", "stopped")

    async def press():
        task = asyncio.create_task(follow_work(work, lambda _: (), lambda _: (0.0, "")))
        await asyncio.sleep(0.03)
        next(s for s in screen if isinstance(s, widget.w.Button)).click()
        await task

    with pytest.raises(RunFailed, match="stopped"):
        asyncio.run(press())
    assert work.stopped


def test_leaving_the_cell_leaves_it_going(screen):
    work = Fake("running")

    async def interrupt():
        task = asyncio.create_task(follow_work(work, lambda _: (), lambda _: (0.0, "")))
        await asyncio.sleep(0.05)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(interrupt())
    assert not work.stopped


SMOKE = interdiffusion.scaled("smoke", "100", duration_ps=0.04, window_ps=0.04)


def test_a_sweep_is_started_followed_and_returns_its_runs(screen, empty_data):
    sweep = sweeps.define(interdiffusion, SMOKE, {"temperature_K": [800.0, 900.0]}, label="two", device="cpu:1")
    runs = asyncio.run(follow_sweep(sweep))
    assert [run.params["temperature_K"] for run in runs] == [800.0, 900.0]
    assert all(run.status()["state"] == "finished" for run in runs)
    assert "2 finished" in [s.data for s in screen if isinstance(getattr(s, "data", None), str)][-2]
    assert sweep.share() == (1.0, "2 finished")
    again = asyncio.run(follow_sweep(sweep))
    assert [run.folder for run in again] == [run.folder for run in runs]


def test_a_sweep_with_a_failed_run_says_which(screen, empty_data):
    sweep = sweeps.define(interdiffusion, SMOKE, {"temperature_K": [800.0, 900.0]}, label="broken", device="cpu:1")
    asyncio.run(follow_sweep(sweep))
    run = sweep.runs()[1]
    run.update(state="failed", message="by hand")
    with pytest.raises(RunFailed, match=f"broken: {run.id} did not finish"):
        asyncio.run(follow_sweep(sweep))
