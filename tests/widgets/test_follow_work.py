"""A piece of work is followed to its end; what went wrong is said; its button stops it."""

import asyncio
import itertools
import shutil
import threading
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from IPython.display import HTML, Image

from lisi_nb import palette
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


@pytest.mark.parametrize("state", ["failed", "stopped", "interrupted"])
def test_an_end_before_the_target_is_raised_in_its_words(screen, state):
    with pytest.raises(RunFailed, match=f"train-12345678 {state}: no space"):
        asyncio.run(follow_work(Fake(state, message="no space"), lambda _: (), lambda _: (0.0, "")))


@pytest.mark.parametrize("broken", ["status", "share"])
@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file", "status.json"), KeyError("state")])
def test_a_folder_deleted_while_it_is_followed_is_a_sentence(screen, broken, error):
    work, looks = Fake("running"), itertools.count()

    def fails(_=None):
        if next(looks) > 2:
            raise error
        return {"state": "running", "message": ""} if broken == "status" else (0.5, "")

    if broken == "status":
        work.status = fails
    share = fails if broken == "share" else lambda _: (0.5, "")
    with pytest.raises(RunFailed, match=r"train-12345678 can no longer be read .*If its folder was deleted"):
        asyncio.run(follow_work(work, live, share))


@pytest.mark.parametrize("error", [KeyError("fronts"), IndexError("no frame"), ValueError("no <frame>")])
def test_charts_that_cannot_be_drawn_are_a_sentence_and_nothing_ends(screen, error):
    charts = Mock(side_effect=error)
    asyncio.run(follow_work(Fake("running", "finished"), charts, lambda _: (0.5, "")))
    said = next(s.data for s in screen if isinstance(s, HTML) and "cannot be drawn" in s.data)
    assert type(error).__name__ in said
    assert said.endswith("The work does not depend on them.")
    assert "<frame>" not in said


def test_work_whose_folder_is_gone_reads_as_never_started(screen):
    with pytest.raises(RunFailed, match=r"prepared: If its folder was deleted, run the cell that starts it again\."):
        asyncio.run(follow_work(Fake("prepared"), lambda _: (), lambda _: (0.0, "")))


def test_a_sweep_whose_folder_is_deleted_is_a_sentence(screen, empty_data):
    sweep = sweeps.define(interdiffusion, SMOKE, {"temperature_K": [800.0, 900.0]}, label="gone", device="cpu:1")
    shutil.rmtree(sweep.folder)
    with pytest.raises(RunFailed, match="gone can no longer be read"):
        asyncio.run(follow_work(widget._Sweep(sweep), widget._Sweep.charts, lambda work: work.sweep.share()))


def test_the_bar_tells_a_screen_reader_how_much_is_done():
    shown = widget.bar("train-<1>", {"state": "running", "message": ""}, 0.456, "", None)
    assert 'role="progressbar" aria-label="train-&lt;1&gt;" aria-valuemin="0" aria-valuemax="100"' in shown
    assert 'aria-valuenow="45.6"' in shown


def pressed(work, screen, until):
    """Follow `work`, press its button, and wait for `until`, of the button and its answer; then leave the cell."""

    async def press():
        task = asyncio.create_task(follow_work(work, lambda _: (), lambda _: (0.0, "")))
        await asyncio.sleep(0.03)
        button, answer = next(s for s in screen if isinstance(s, widget.w.HBox)).children
        button.click()
        while not until(button, answer):
            await asyncio.sleep(0.01)
        return button, answer, task.cancel()

    return asyncio.run(asyncio.wait_for(press(), 10))


def test_the_button_stops_it_and_nothing_waits_for_that(screen):
    work, ended = Fake("running"), threading.Event()
    work.stop = lambda: ended.wait(10)
    button, answer, still_followed = pressed(work, screen, lambda _, answer: answer.value)
    ended.set()
    assert still_followed
    assert button.disabled
    assert answer.value == "Asked to stop; what it has made is kept."


def test_a_stop_that_fails_is_said_and_can_be_repeated(screen):
    work = Fake("running")
    work.stop = Mock(side_effect=RunFailed("sweep: run-1 not stopped after <180> s."))
    button, answer, _ = pressed(work, screen, lambda button, answer: "not stopped" in answer.value)
    assert answer.value == "sweep: run-1 not stopped after &lt;180&gt; s."
    assert not button.disabled


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
    assert [s for s in screen if isinstance(s, Image)][-1].data.startswith(b"\x89PNG")
    again = asyncio.run(follow_sweep(sweep))
    assert [run.folder for run in again] == [run.folder for run in runs]


def test_a_sweep_with_a_failed_run_says_which(screen, empty_data):
    sweep = sweeps.define(interdiffusion, SMOKE, {"temperature_K": [800.0, 900.0]}, label="broken", device="cpu:1")
    asyncio.run(follow_sweep(sweep))
    run = sweep.runs()[1]
    run.update(state="failed", message="by hand")
    with pytest.raises(RunFailed, match=f"broken: {run.id} did not finish"):
        asyncio.run(follow_sweep(sweep))


def sweep_of(monkeypatch, over, seeds=1, begun=None):
    """A sweep whose runs all show one chart of two curves; and the runs whose charts were made, in order."""
    asked = []

    class Fake:
        def __init__(self, values):
            self.id = self.folder = str(values)
            self.manifest = {"study": "any", "params": values}

        def status(self):
            return {"state": "finished" if self.id == runs[0].id else "running"}

    def live(run):
        asked.append(run)
        curves = (Curve(np.arange(3.0), np.arange(3.0), label) for label in ("Li", "Si"))
        return (Chart("Moved", "time (ps)", "MSD", tuple(curves)), Chart("Other", "x", "y", ()))

    monkeypatch.setattr(widget, "import_module", lambda _: SimpleNamespace(live=live))
    units = {"temperature_K": "K"}
    each = (dict(zip((*over, "seed"), v, strict=True)) for v in itertools.product(*over.values(), range(1, seeds + 1)))
    runs = [Fake({name: {"value": v, "unit": units.get(name, "")} for name, v in values.items()}) for values in each]
    shown = [run if begun is None or k in begun else None for k, run in enumerate(runs)]
    definition = {"over": over, "seeds": seeds}
    return widget._Sweep(SimpleNamespace(runs=lambda: shown, points=runs, definition=definition)), asked


def test_a_few_runs_of_a_sweep_are_laid_over_each_other_whole(monkeypatch):
    sweep, _ = sweep_of(monkeypatch, {"x": [1.0, 2.25]})
    moved, _ = sweep.charts()
    assert [c.label for c in moved.curves] == ["x 1.0, Li", "x 1.0, Si", "x 2.25, Li", "x 2.25, Si"]


def test_of_many_runs_one_curve_each_is_shown_and_finished_ones_are_measured_once(monkeypatch):
    sweep, asked = sweep_of(monkeypatch, {"x": [1.0, 2.25, 3.5], "temperature_K": [800.0, 1000.0, 1200.0]})
    (moved,) = sweep.charts()
    assert [c.label for c in moved.curves][3] == "x 2.25, 800 K, Li"
    assert [c.dash for c in moved.curves] == 3 * [0, 1, 2]
    assert [c.colour for c in moved.curves] == [colour for colour in palette.CYCLE[:3] for _ in range(3)]
    assert sweep.charts()[0].title == "Moved"
    assert len(asked) == 9 + 8


@pytest.mark.parametrize(
    ("over", "seeds"), [({"x": list(range(9))}, 1), ({}, 5), ({"x": [1.0, 2.0]}, 5), ({"x": list(range(40))}, 2)]
)
def test_no_two_runs_of_a_sweep_look_alike(monkeypatch, over, seeds):
    sweep, _ = sweep_of(monkeypatch, over, seeds)
    (moved,) = sweep.charts()
    assert len({(c.colour, c.dash % len(palette.DASHES)) for c in moved.curves}) == len(moved.curves)
    assert 5 <= len(moved.curves) <= widget.MOST


def test_runs_of_a_sweep_keep_their_colours_while_others_begin(monkeypatch):
    over = {"x": [1.0, 2.0, 3.0, 4.0, 5.0]}
    whole = {c.label: c.colour for c in sweep_of(monkeypatch, over)[0].charts()[0].curves}
    some = {c.label: c.colour for c in sweep_of(monkeypatch, over, begun=(1, 3))[0].charts()[0].curves}
    assert some.items() <= whole.items()
    assert sweep_of(monkeypatch, over, begun=())[0].charts() == ()
