"""A run outlives the kernel, the page and the browser that started it: every step is seen, and read from its files."""

import itertools
import re
import time

import numpy as np
import psutil
import pytest
from contact_sheet import write_sheet
from steps import WIDE, ask, leave, new_page, row_of, run_cell, write_notebook

from lisi_nb.engine import parse
from lisi_nb.engine import run as runs
from lisi_nb.engine.processes import alive
from lisi_nb.studies import interdiffusion

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAME = "recording.ipynb"
LABEL = "survivor"
WATCHED_S = 45  # the run is made as long as this machine needs to be killed, left and opened again meanwhile
CELLS = [
    "from lisi_nb.engine import launch\nfrom lisi_nb.studies import interdiffusion\n"
    "from lisi_nb.widgets import runs_browser",
    'params = interdiffusion.scaled("smoke", duration_ps={duration_ps})\n'
    f'launch.launch(interdiffusion, params, "{LABEL}", "cpu")',
    "runs_browser(interdiffusion)",
]


def wait_until(true, seconds, words):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {words}"
        time.sleep(0.2)


def grows(run):
    """Wait until the run has gone on by itself; return its status then."""
    before = run.status()["step"]
    wait_until(lambda: run.status()["step"] > before, 60, f"more steps than {before}")
    status = run.status()
    assert status["state"] == "running"
    assert alive(status["pid"], status["process_start"])
    return status


def follow(page):
    """Find the run in the runs browser and follow it with a click; return the cell."""
    cell = run_cell(page, "runs_browser(interdiffusion)")
    row_of(cell, LABEL).get_by_role("button", name="Follow").click()
    cell.get_by_text(re.compile(r"step [1-9]\d* of \d+")).wait_for()
    cell.locator("img").first.wait_for()
    cell.locator(".jp-OutputArea").first.evaluate("area => area.scrollIntoView()")
    return cell


def refresh(cell, state):
    """Read the list again: then it says what the monitor below says."""
    cell.get_by_role("button", name="Refresh").click()
    row_of(cell, LABEL).get_by_text(state).wait_for()


def test_a_run_outlives_kernel_page_and_browser(lab, start_chromium, smoke_run, artifacts, tmp_path):
    folder, url = lab
    for old in artifacts.glob("recording-*.png"):
        old.unlink()
    per_s = smoke_run.manifest["timestep_fs"] / 1000 * smoke_run.status()["steps_per_s"]
    duration_ps = float(np.clip(round(WATCHED_S * per_s), 4, 400))
    write_notebook(folder / NAME, [cell.format(duration_ps=duration_ps) for cell in CELLS])
    number = itertools.count(1)

    def record(page, words):
        page.wait_for_timeout(1000)
        page.screenshot(path=artifacts / f"recording-{next(number)}-{words.replace(' ', '-')}.png")

    first = start_chromium()
    page = new_page(first, 1280, 720)
    page.goto(url(NAME))
    page.get_by_text("| Idle").wait_for()
    run_cell(page, "from lisi_nb.engine import launch")
    launched = run_cell(page, "launch.launch(interdiffusion")
    (found,) = (folder / ".data" / "runs" / "interdiffusion").glob(f"{LABEL}-*")
    run = runs.Run(found)
    launched.get_by_text(run.id).wait_for()
    manifest = (found / "manifest.json").read_bytes()
    kernel = psutil.Process(int(ask(page, "import os; print(os.getpid())")))
    record(page, "launched by a click")
    follow(page)
    worker = grows(run)["pid"]
    started = run.status()["process_start"]
    assert worker != kernel.pid
    record(page, "progress")

    page.provoked.append("^WebSocket connection to 'ws://[^']*/api/kernels/")  # to the kernel that is killed
    kernel.kill()
    page.locator(".jp-Dialog", has_text="Kernel Restarting").wait_for()
    record(page, "kernel killed")
    kernel.wait(20)
    assert grows(run)["pid"] == worker

    leave(page, artifacts / "recorded-first.png")
    first.close()
    assert grows(run)["pid"] == worker

    page = new_page(start_chromium(), 1280, 720)
    page.goto(url(NAME))
    page.get_by_text("| Idle").wait_for()
    record(page, "opened again")
    run_cell(page, "from lisi_nb.engine import launch")
    cell = follow(page)
    assert run.id in cell.inner_text()
    assert grows(run)["pid"] == worker
    record(page, "attached again")

    cell.get_by_role("button", name="Stop the run").click()
    cell.get_by_text("Stopped on request at step").wait_for()
    row_of(cell, LABEL).get_by_text("stopped").wait_for()
    stopped = run.status()
    assert stopped["state"] == "stopped"
    assert 0 < stopped["step"] < stopped["target"]
    wait_until(lambda: not alive(worker, started), 20, "the worker has left")
    record(page, "stopped")

    cell.get_by_role("button", name="Resume the run").click()
    cell.get_by_role("button", name="Stop the run").wait_for()
    wait_until(lambda: run.status()["step"] > stopped["step"], 60, "going on")
    refresh(cell, "running")
    record(page, "resumed")

    cell.locator("b", has_text=re.compile("^finished$")).wait_for(timeout=180_000)
    refresh(cell, "finished")
    record(page, "finished")
    status = run.status()
    assert (status["state"], status["step"]) == ("finished", stopped["target"])
    assert [path.name for path in found.parent.glob(f"{LABEL}-*")] == [found.name]
    assert (found / "manifest.json").read_bytes() == manifest
    assert len(run.trajectories) == 2
    steps = [frame.step for frame in run.frames()]
    segment = interdiffusion.plan(interdiffusion.Params(**run.params), ())
    assert steps == list(range(0, status["target"] + 1, segment.dump_every))
    thermo = run.thermo()["Step"]
    assert set(np.diff(thermo)) == {segment.thermo_every}
    assert (thermo[0], thermo[-1]) == (0, status["target"])
    assert parse.count_frames(run.trajectories[1]) > 1
    assert cell.locator(".jp-OutputArea-output").first.evaluate(WIDE) == []
    leave(page, artifacts / "recorded-end.png")
    assert write_sheet(artifacts, tmp_path / "sheet.png").stat().st_size < 300_000
