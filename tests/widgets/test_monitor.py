"""The monitor reads a run's files, shows them, ends with the run, and speaks launch.wait's words."""

import asyncio
import shutil
import time

import pytest
from IPython.display import Image

from lisi_nb.engine.run import Run
from lisi_nb.errors import RunFailed
from lisi_nb.studies import interdiffusion
from lisi_nb.widgets import follow, monitor


@pytest.fixture
def screen(monkeypatch):
    """What the displays have shown, in order."""
    shown = []

    class Handle:
        display = update = lambda self, what: shown.append(what)

    monkeypatch.setattr(monitor, "DisplayHandle", Handle)
    monkeypatch.setattr(monitor, "EVERY_S", 0.05)
    return shown


@pytest.fixture
def run(smoke_run, tmp_path):
    """A copy whose status may be changed."""
    return Run(shutil.copytree(smoke_run.folder, tmp_path / smoke_run.folder.name))


def test_a_finished_run_reads_as_done(smoke_run):
    reading = monitor.read(smoke_run)
    assert (reading.state, reading.share) == ("finished", 1.0)
    assert reading.time_ps[-1] == pytest.approx(interdiffusion.scaled("smoke").duration_ps)
    assert reading.ns_per_day == pytest.approx(reading.steps_per_s * 86400 * 2e-6)
    assert len(reading.temperature_K) == len(reading.energy_eV) == len(reading.time_ps)
    assert reading.light in monitor.LIGHTS


def test_a_run_without_any_output_yet_can_be_read(run):
    for name in ("log.lammps", "model_devi.out", "traj.0.bin"):
        (run.folder / name).unlink()
    run.update(state="queued", queued=time.time(), step=0, steps_per_s=None)
    reading, text, picture = monitor.snapshot(run, interdiffusion.live)
    assert (reading.light, reading.share, picture) == ("unknown", 0.0, None)
    assert "queued" in text


def test_following_draws_and_returns_the_run(run, screen):
    assert asyncio.run(follow(run, interdiffusion.live)) is run
    assert [w for w in screen if isinstance(w, Image)][-1].data.startswith(b"\x89PNG")


def test_following_sees_the_end_of_a_run(run, screen):
    run.update(state="queued", queued=time.time())

    async def both():
        task = asyncio.create_task(follow(run))
        await asyncio.sleep(0.5)
        assert not task.done()
        run.update(state="finished")
        return await asyncio.wait_for(task, 20)

    assert asyncio.run(both()) is run


def test_ending_the_watching_leaves_the_run_going(run, screen):
    run.update(state="queued", queued=time.time())

    async def watch():
        task = asyncio.create_task(follow(run))
        await asyncio.sleep(0.5)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watch())
    assert "the run goes on" in screen[-1].data
    assert run.status()["state"] == "queued"


@pytest.mark.parametrize(("state", "words"), [("failed", "ERROR: Lost atoms"), ("prepared", "never started")])
def test_a_run_that_does_not_reach_its_end_raises(run, screen, state, words):
    run.update(state=state, message="ERROR: Lost atoms")
    with pytest.raises(RunFailed, match=words):
        asyncio.run(follow(run))


def test_the_stop_button_asks_the_run_to_stop(run):
    monitor._stop_button(run).click()
    assert (run.folder / "stop.request").exists()
