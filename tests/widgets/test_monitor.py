"""The monitor reads a run's files, shows them, ends with the run, and speaks launch.wait's words."""

import asyncio
import json
import os
import re
import shutil
import threading
import time
from unittest.mock import Mock

import numpy as np
import pytest
from IPython.display import Image

from lisi_nb import potentials
from lisi_nb.engine import cluster, launch
from lisi_nb.engine.processes import start_of
from lisi_nb.engine.run import Run
from lisi_nb.errors import RunFailed
from lisi_nb.studies import interdiffusion
from lisi_nb.widgets import Monitor, folder, follow, monitor, reading, watch


@pytest.fixture
def screen(monkeypatch):
    """What the displays have shown, in order."""
    shown = []

    class Handle:
        display = update = lambda self, what: shown.append(what)

    monkeypatch.setattr(monitor, "DisplayHandle", Handle)
    monkeypatch.setattr(watch, "EVERY_S", 0.05)
    return shown


@pytest.fixture
def run(smoke_run, tmp_path):
    """A copy whose status may be changed."""
    return Run(shutil.copytree(smoke_run.folder, tmp_path / smoke_run.folder.name))


@pytest.fixture
def going(run):
    """A copy that looks as if it were running, in this very process."""
    import psutil

    me = psutil.Process()
    run.update(state="running", pid=me.pid, process_start=start_of(me.pid), step=150)
    return run


def texts(screen):
    return [w.data for w in screen if hasattr(w, "data") and isinstance(w.data, str)]


def test_a_finished_run_reads_as_done(smoke_run):
    now, physics = reading.progress(smoke_run), reading.physics(smoke_run)
    assert (now.state, now.share, now.going) == ("finished", 1.0, False)
    assert physics.time_ps[-1] == pytest.approx(interdiffusion.scaled("smoke").duration_ps)
    assert now.ns_per_day == pytest.approx(now.steps_per_s * 86400 * 2e-6)
    thermo = smoke_run.thermo()
    np.testing.assert_allclose(physics.pressure_GPa, thermo["Press"] / 1e4)  # 1 GPa is 10^4 bar
    n_atoms = smoke_run.manifest["structure"]["n_atoms"]
    np.testing.assert_allclose(physics.energy_eV * n_atoms, thermo["PotEng"])


def test_the_fractions_of_trust_are_counted_and_shown(run):
    low, high = potentials.get("lisi").card["validity"]["trust_eV_A"]
    lines = [f"{10 * k} 0 0 0 {value} 0 0" for k, value in enumerate([0.5 * low] * 6 + [1.1 * low] * 3 + [2 * high])]
    (run.folder / "model_devi.out").write_text("# step\n" + "\n".join(lines) + "\n99 0 0 0 half-writ")
    found = reading.physics(run)
    assert (found.trust.accurate, found.trust.candidate, found.trust.failed) == (0.6, 0.3, 0.1)
    text = monitor.bar(run, reading.progress(run), found)
    assert all(words in text for words in ("red", "60 % accurate", "30 % candidate", "10 % failed"))


def test_the_light_needs_limits_of_the_run_or_of_its_potential(run):
    run.manifest["potential"] |= {"name": "from-another-machine", "trust_eV_A": [50.0, 100.0]}
    assert reading.physics(run).trust.light == "green", "the limits are the run's own"
    del run.manifest["potential"]["trust_eV_A"]  # as in runs of before
    assert reading.physics(run).trust.light == "unknown"


def test_a_run_without_any_output_yet_can_be_read(run):
    for name in ("log.lammps", "model_devi.out", "traj.0.bin"):
        (run.folder / name).unlink()
    run.update(state="queued", queued=time.time(), pid=None, process_start=None, step=0, steps_per_s=None)
    now, physics = reading.progress(run), reading.physics(run)
    assert (physics.trust.light, now.share) == ("unknown", 0.0)
    assert watch.draw(run, physics, interdiffusion.live) is None
    assert "queued" in monitor.bar(run, now, physics)


@pytest.mark.parametrize("name", ["traj.0.bin", "log.lammps", "model_devi.out"])
def test_a_file_cut_in_the_middle_of_a_record_is_drawn_as_far_as_it_goes(run, name):
    file = run.folder / name
    whole = file.read_bytes()
    file.write_bytes(whole[: int(0.71 * len(whole))])
    assert watch.draw(run, reading.physics(run), interdiffusion.live).startswith(b"\x89PNG")


def test_following_draws_and_returns_the_run(run, screen):
    assert asyncio.run(follow(run, interdiffusion.live)) is run
    assert [w for w in screen if isinstance(w, Image)][-1].data.startswith(b"\x89PNG")
    assert run.folder.name in texts(screen)[-1]
    assert f">{run.folder}" not in texts(screen)[-1]  # an absolute path would stay in the saved notebook


def test_following_sees_the_end_of_a_run(going, screen):
    async def both():
        task = asyncio.create_task(follow(going))
        await asyncio.sleep(0.5)
        assert not task.done()
        going.update(state="finished")
        return await asyncio.wait_for(task, 20)

    assert asyncio.run(both()) is going


def test_ending_the_watching_leaves_the_run_going(going, screen):
    async def watching():
        task = asyncio.create_task(follow(going))
        await asyncio.sleep(0.5)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watching())
    assert "the run goes on" in texts(screen)[-1]
    assert going.status()["state"] == "running"


@pytest.mark.parametrize(("state", "words"), [("failed", "ERROR: Lost atoms"), ("prepared", "never started")])
def test_a_run_that_does_not_reach_its_end_raises(run, screen, state, words):
    run.update(state=state, message="ERROR: Lost atoms")
    with pytest.raises(RunFailed, match=words):
        asyncio.run(follow(run))


def test_a_folder_deleted_while_watched_ends_in_a_sentence(going, screen):
    async def both():
        task = asyncio.create_task(follow(going, interdiffusion.live))
        await asyncio.sleep(0.5)
        shutil.rmtree(going.folder)
        return await asyncio.wait_for(task, 20)

    assert asyncio.run(both()) is going
    assert "The folder of this run is gone" in texts(screen)[-1]


def test_a_widget_shown_twice_and_two_widgets_on_one_run(going, monkeypatch):
    monkeypatch.setattr(watch, "EVERY_S", 0.05)
    both = [Monitor(going, interdiffusion.live), Monitor(going)]
    time.sleep(1.0)
    going.update(state="finished")
    for each in both:
        each.thread.join(20)
        assert "finished" in each.text.value
        assert bytes(each.picture.value).startswith(b"\x89PNG")


def test_a_closed_widget_no_longer_follows_and_the_run_goes_on(going):
    shown = Monitor(going)
    shown.close()
    shown.thread.join(20)
    assert not shown.thread.is_alive()
    assert going.status()["state"] == "running"


def test_a_widget_whose_folder_is_gone_says_so(run):
    shutil.rmtree(run.folder)
    shown = Monitor(Run(run.folder))
    shown.thread.join(20)
    assert "is gone" in shown.text.value
    shown.buttons.stop.click()
    assert "nothing to stop" in shown.buttons.answer.value


def test_a_widget_says_when_the_folder_is_deleted_while_it_is_watched(going, monkeypatch):
    monkeypatch.setattr(watch, "EVERY_S", 0.05)
    shown = Monitor(going, interdiffusion.live)
    time.sleep(0.5)
    assert shown.thread.is_alive()
    for path in sorted(going.folder.rglob("*"), key=lambda path: path.name == "manifest.json"):  # that one last
        if path.is_file() or path.is_symlink():
            path.unlink()
            time.sleep(0.05)
    shown.thread.join(20)
    assert "The folder of this run is gone" in shown.text.value
    assert shown.buttons.layout.display == "none"


def test_a_widget_that_cannot_go_on_says_so_instead_of_standing_still(going, monkeypatch):
    monkeypatch.setattr(watch, "EVERY_S", 0.05)

    def breaks(run):
        raise KeyError("z")

    shown = Monitor(going, breaks)
    shown.thread.join(20)
    assert "No longer followed" in shown.text.value
    assert "KeyError" in shown.text.value
    assert going.status()["state"] == "running"


def test_records_half_written_while_a_widget_watches_are_drawn_later(going, monkeypatch):
    """The last frame, log line and deviation are there half; the pictures grow once they are whole."""
    for name, changed in (("EVERY_S", 0.05), ("LEAST_S", 0.1), ("AHEAD_S", 60.0)):
        monkeypatch.setattr(watch, name, changed)
    whole = {}
    for name in ("traj.0.bin", "log.lammps", "model_devi.out"):
        whole[name] = (going.folder / name).read_bytes()
        (going.folder / name).write_bytes(whole[name][: int(0.71 * len(whole[name]))])
    n_frames = going.n_frames
    shown = Monitor(going, interdiffusion.live)
    deadline = time.monotonic() + 30
    while not shown.picture.value and time.monotonic() < deadline:
        time.sleep(0.05)
    before = bytes(shown.picture.value)
    assert before.startswith(b"\x89PNG")
    for name, content in whole.items():
        (going.folder / name).write_bytes(content)
    assert going.n_frames > n_frames
    going.update(state="finished")
    shown.thread.join(20)
    assert bytes(shown.picture.value) != before
    assert "finished" in shown.text.value


def test_two_notebooks_on_one_run_start_it_once(going, monkeypatch):
    """One notebook resumed the run; the other still offers to, and then follows the run that goes on."""
    monkeypatch.setattr(watch, "EVERY_S", 0.05)
    state = going.recorded()
    going.update(state="stopped", message="Stopped on request.")
    other = Monitor(going)
    other.thread.join(20)
    going.update(**state)
    monkeypatch.setattr(launch.subprocess, "Popen", lambda *_, **__: pytest.fail("a second worker was started"))
    other.buttons.resume.click()
    time.sleep(0.5)
    assert "running" in other.text.value
    assert other.buttons.stop.layout.display is None
    assert other.buttons.answer.value == ""
    going.update(state="finished")
    other.thread.join(20)
    assert "finished" in other.text.value


def test_the_bar_tells_a_screen_reader_how_much_is_done(going):
    shown = monitor.bar(going, reading.progress(going), reading.physics(going))
    (said,) = re.findall(r'<div role="progressbar"([^>]*)>', shown)
    assert dict(re.findall(r'aria-(\w+)="([^"]*)"', said)) == {
        "label": going.id, "valuemin": "0", "valuemax": "100", "valuenow": "50",
    }  # fmt: skip


def test_charts_that_fail_end_the_following_in_a_sentence(going, screen):
    def breaks(run):
        raise KeyError("z")

    with pytest.raises(RunFailed, match=r"smoke-.* goes on, but .*KeyError\('z'\).*await follow\(run\)"):
        asyncio.run(follow(going, breaks))
    assert going.status()["state"] == "running"


def test_charts_that_fail_because_the_folder_is_gone_are_not_at_fault(going, screen):
    def breaks(run):
        shutil.rmtree(run.folder)
        raise KeyError("z")

    assert asyncio.run(follow(going, breaks)) is going
    assert "The folder of this run is gone" in texts(screen)[-1]


@pytest.mark.parametrize("problem", [None, RunFailed("r1 was not cancelled: no <answer>")])
def test_the_stop_button_cancels_a_job_that_waits_on_a_cluster(run, monkeypatch, problem):
    """No worker would see a request; its scheduler may take a minute, and the button answers at once."""
    go, cancelled = threading.Event(), []

    def cancel(which):
        go.wait(20)
        cancelled.append(which)
        if problem:
            raise problem

    monkeypatch.setattr(cluster, "cancel", cancel)
    queued = run.recorded()["queued"]
    run.update(state="queued", pid=None, scheduler={"profile": "gpu", "queued": queued})
    buttons = monitor.Buttons(run, lambda: None)
    buttons.stop.click()
    assert "Asking the scheduler" in buttons.answer.value
    go.set()
    deadline = time.monotonic() + 20
    while "Asking" in buttons.answer.value and time.monotonic() < deadline:
        time.sleep(0.01)
    assert cancelled == [run]
    assert buttons.answer.value.startswith(
        "r1 was not cancelled: no &lt;answer&gt;" if problem else "Its job has ended"
    )
    assert not (run.folder / "stop.request").exists()


def test_the_stop_button_asks_the_run_to_stop(run):
    monitor.Buttons(run, lambda: None).stop.click()
    assert (run.folder / "stop.request").exists()


def test_resume_starts_the_run_again_and_follows_it(run, monkeypatch):
    started = []

    def start(which, again, resume):
        started.append((which, resume))
        which.update(state="finished", message="")

    monkeypatch.setattr(launch, "start", start)
    run.update(state="stopped", message="Stopped on request.")
    shown = Monitor(run)
    shown.thread.join(20)
    assert shown.buttons.resume.description == "Resume the run"
    assert (shown.buttons.resume.layout.display, shown.buttons.stop.layout.display) == (None, "none")
    shown.buttons.resume.click()
    shown.thread.join(20)
    assert started == [(run, True)]
    assert "finished" in shown.text.value
    assert shown.buttons.resume.layout.display == "none"


def test_a_run_of_a_cluster_is_resumed_there(run, monkeypatch):
    submitted = []
    monkeypatch.setattr(cluster, "submit", lambda *given: submitted.append(given))
    monkeypatch.setattr(launch, "start", lambda *_: pytest.fail("started on this machine"))
    queued = run.recorded()["queued"]
    run.update(state="stopped", message="Stopped on request.", scheduler={"profile": "gpu", "queued": queued})
    buttons = monitor.Buttons(run, lambda: None)
    buttons.resume.click()
    assert submitted == [(run, "gpu", False, True)]
    assert buttons.answer.value == ""


def test_the_folder_is_shown_with_its_files(run):
    buttons = monitor.Buttons(run, lambda: None)
    buttons.folder.value = True
    assert all(words in buttons.answer.value for words in (str(run.folder), "manifest.json", "traj.0.bin"))
    buttons.folder.value = False
    assert buttons.answer.value == ""


@pytest.mark.parametrize(
    ("root", "parent", "path"),
    [("", True, "data/runs/x"), ("data", True, "runs/x"), ("other", True, None), ("", False, None), (".h", True, None)],
)
def test_the_file_browser_is_offered_where_it_shows_the_folder(tmp_path, monkeypatch, root, parent, path):
    """Below the root of the JupyterLab that started this kernel, and not hidden."""
    place = tmp_path / (".h" if root == ".h" else "") / "data" / "runs" / "x"
    place.mkdir(parents=True)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    server = tmp_path / f"jpserver-{os.getppid() if parent else os.getpid()}.json"
    server.write_text(json.dumps({"root_dir": str(tmp_path / root.replace(".h", ""))}))
    assert folder.lab_path(place.resolve()) == path
    shown = folder.folder_html(Run(place))
    assert str(place) in shown
    assert ("open in the file browser" in shown) == (path is not None)


def test_a_budget_spends_its_share_of_the_time(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: clock[0])
    budget, spent = watch.Budget(share=0.02, ahead_s=1.0), 0.0
    for second in range(1000):
        clock[0] = second
        if budget.affords():
            budget.spend(0.3)
            spent += 0.3
    assert 0.02 * 1000 < spent <= 0.02 * 1000 + 1.0


def test_temperature_and_light_follow_the_logs_between_two_pictures(going, monkeypatch):
    monkeypatch.setattr(watch, "EVERY_S", 0.05)
    monkeypatch.setattr(watch, "LEAST_S", 60.0)
    monkeypatch.setattr(reading, "trust_limits", lambda run: (5.0, 8.0))  # only the line below is beyond
    whole, shown, leave = {}, [], threading.Event()
    for name in ("log.lammps", "model_devi.out"):
        whole[name] = (going.folder / name).read_bytes()
        (going.folder / name).write_bytes(whole[name][: int(0.71 * len(whole[name]))])
    whole["model_devi.out"] += b"999 0 0 0 9.0 0 0\n"

    def show(now, physics, png):
        shown.append((physics, png))
        if len(shown) == 3:
            for name, content in whole.items():
                (going.folder / name).write_bytes(content)
        if len(shown) == 6:
            leave.set()

    watch.watch(going, None, show, leave)
    assert [png is not None for _, png in shown] == [False, True, *4 * [False]]
    first, last = shown[0][0], shown[-1][0]
    assert last.time_ps[-1] == reading.physics(going).time_ps[-1] > first.time_ps[-1]
    assert (first.trust.light, last.trust.light) == ("green", "red")


FASTER = 4  # than the clock; a second of CPU time stays one


@pytest.mark.slow
def test_the_first_minute_of_following_costs_less_than_two_percent_of_a_core(going, monkeypatch):
    """CPU time of the watching thread, all pictures and what the budget allows in advance counted."""
    start = time.monotonic()
    monkeypatch.setattr(watch, "time", Mock(wraps=time, monotonic=lambda: FASTER * (time.monotonic() - start)))
    monkeypatch.setattr(watch, "EVERY_S", watch.EVERY_S / FASTER)
    at, pictures, leave = [], [], threading.Event()

    def show(now, physics, png):
        monitor.bar(going, now, physics)
        at.append(time.thread_time())
        pictures.append(png)

    def work():
        at.append(time.thread_time())
        watch.watch(going, interdiffusion.live, show, leave)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(60 / FASTER)
    leave.set()
    thread.join(20)
    costs, drawn = np.diff(at), np.array([png is not None for png in pictures])
    looks, drawings = 1e3 * costs[~drawn], 1e3 * costs[drawn]
    print(
        f"{len(looks)} looks of {np.median(looks):.1f} ms and {len(drawings)} pictures of {np.median(drawings):.0f} ms"
    )
    assert len(looks) > 30
    assert len(drawings) >= 3
    assert looks.max() < 100
    assert costs.sum() < 0.02 * 60
