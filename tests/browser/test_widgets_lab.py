"""Form and runs browser in a real JupyterLab and a real browser."""

import os
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from steps import ask, painted, picture, row_of, run_all, wait_done

from lisi_nb import palette, paths

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def enter(row, value):
    """Type a value into the number field of a row of the form, as with the keyboard."""
    box = row.locator("input[type=number]")
    box.fill(str(value))
    box.press("Tab")


def test_the_form_refuses_beside_the_field_and_shows_its_code(opened, page, artifacts):
    cells = [
        "from lisi_nb.studies import interdiffusion\nfrom lisi_nb.widgets import form",
        "controls = form(interdiffusion.scaled('lesson'), interdiffusion)\ncontrols",
    ]
    form = opened(page, "form-code.ipynb", cells)("controls = form(")
    form.scroll_into_view_if_needed()
    form.get_by_text("384 atoms, 10000 steps on").wait_for()
    form.screenshot(path=artifacts / "form-lesson.png")

    form.get_by_role("tab", name="Dynamics").click()
    row = form.locator(".widget-hbox", has=page.get_by_text("Temperature", exact=True)).last
    enter(row, 5000)
    refused = "temperature_K=5000.0 K is outside 100 to 1600 K"
    row.get_by_text(refused).wait_for()
    form.get_by_role("tab", name="Dynamics ✗ 1").wait_for()
    form.screenshot(path=artifacts / "form-refused.png")
    assert refused in ask(page, "try:\n    controls.params\nexcept ValueError as error:\n    print(error)")

    enter(row, 900)
    row.get_by_text(refused).wait_for(state="detached")
    form.get_by_role("button", name="Show the code").or_(form.get_by_text("Show the code")).first.click()
    code = form.locator(".lisi-alive pre", has_text="scaled(")
    code.wait_for()
    text = code.inner_text()
    assert text.endswith('params = interdiffusion.scaled("lesson", temperature_K=900.0)')
    assert ask(page, text + "\nprint(params == controls.params)") == "True"
    form.screenshot(path=artifacts / "form-code.png")
    form.get_by_text("Show the LAMMPS input").click()
    form.locator(".lisi-alive pre", has_text="pair_style deepmd").wait_for()
    page.set_viewport_size({"width": 1400, "height": 2200})  # of what does not fit, a screenshot shows a part
    form.screenshot(path=artifacts / "form-lammps.png")

    row.get_by_role("button", name="paper: 500 K").click()
    row.get_by_role("button", name="✓ paper: 500 K").wait_for()
    assert ask(page, "print(controls.params.temperature_K)") == "500.0"
    form.get_by_role("button", name="smoke").click()
    form.get_by_text("now: smoke").wait_for()
    assert ask(page, "print(controls.params == interdiffusion.scaled('smoke'))") == "True"


def elsewhere(folder, *words):
    """Run ``lisi-nb`` in a process of its own, on the runs that the notebooks see."""
    environment = os.environ | {"LISI_NB_DATA": str(folder / ".data")}
    command = [sys.executable, "-m", "lisi_nb.cli", *words]
    done = subprocess.run(
        command, env=environment, cwd=paths.PROJECT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr


def progress(page, cell, seconds=40):
    """The first two steps that the monitor shows."""
    steps = set()
    deadline = time.monotonic() + seconds
    while len(steps) < 2 and time.monotonic() < deadline:
        steps.update(int(step) for step in re.findall(r"step (\d+) of 10000", cell.inner_text()))
        page.wait_for_timeout(300)
    return steps


def test_the_runs_browser_follows_a_run_of_another_process_and_compares_two(lab, opened, page, artifacts):
    folder, _ = lab
    start = ["run", "interdiffusion", "--scale", "smoke", "--device", "cpu"]
    elsewhere(folder, *start, "--label", "cool", "--set", "duration_ps=0.2")
    elsewhere(folder, *start, "--label", "hot", "--set", "temperature_K=1200", "--set", "duration_ps=20", "--detach")
    cells = [
        "from lisi_nb.studies import interdiffusion\nfrom lisi_nb.widgets import runs_browser",
        "browser = runs_browser(interdiffusion)\nbrowser",
    ]
    cell = opened(page, "runs.ipynb", cells)("browser = runs_browser(")
    row_of(cell, "hot").get_by_role("button", name="Follow").click()
    seen = progress(page, cell)
    assert len(seen) == 2, "the progress of the run did not move"
    run_all(page)  # a restart of the kernel is nothing to the run
    cell.get_by_text("step").wait_for(state="detached")
    wait_done(page, 60)
    row_of(cell, "hot").get_by_role("button", name="Follow").click()
    assert max(progress(page, cell)) > max(seen)
    cell.locator("img").first.wait_for()
    cell.get_by_text("Show folder").click()
    cell.get_by_text(re.compile("traj.0.bin")).wait_for()
    cell.screenshot(path=artifacts / "runs-follow.png")
    cell.get_by_text("Show folder").click()
    cell.get_by_role("button", name="Stop the run").click()
    cell.get_by_text("Stopped on request at step").wait_for()
    cell.get_by_role("button", name="Resume the run").wait_for()
    assert cell.get_by_role("button", name="Stop the run").count() == 0
    cell.screenshot(path=artifacts / "runs-stopped.png")
    cell.get_by_role("button", name="Resume the run").click()
    cell.get_by_role("button", name="Stop the run").wait_for()
    page.wait_for_timeout(3000)
    cell.get_by_role("button", name="Stop the run").click()
    cell.get_by_role("button", name="Resume the run").wait_for()

    cell.get_by_role("button", name="Refresh").click()
    row_of(cell, "hot").get_by_text("stopped").wait_for()
    for label in ("cool", "hot"):
        row_of(cell, label).locator("input[type=checkbox]").check()
    cell.get_by_role("button", name="Compare selected").click()
    cell.get_by_text("lithiation_length", exact=True).wait_for()
    cell.locator("img").first.wait_for()
    compared = cell.inner_text()
    assert re.search(r"Temperature \(K\)\s+\S+\s+\S+", compared)
    assert {"900.0", "1200.0"} <= set(compared.split())
    page.set_viewport_size({"width": 1400, "height": 2200})
    cell.screenshot(path=artifacts / "runs-compare.png")
    cell.get_by_label("Filter").fill("temperature_K=1200")
    cell.get_by_text("1 of 1 runs").first.wait_for()
    assert row_of(cell, "cool").count() == 0


LEFT = ".jp-RenderedImage img"  # the picture that a view leaves in a saved notebook


def changed(page, canvas, before):
    """Whether what is painted differs clearly from `before` within some seconds."""
    for _ in range(20):
        page.wait_for_timeout(500)
        now = picture(canvas)
        if now.shape != before.shape or np.abs(now - before).max() > 0.2:
            return True
    return False


def test_viewers_colour_turn_and_slice_and_the_kernel_survives(lab, opened, page, artifacts):
    cells = [
        "import numpy as np\nfrom ase.build import bulk\nfrom lisi_nb.widgets import view\n"
        "slab = bulk('Si', cubic=True).repeat((3, 3, 6))\nslab.numbers[slab.positions[:, 2] > 20] = 3\n"
        "grown = slab.copy()\ngrown.set_cell(1.2 * slab.cell.array, scale_atoms=True)",
        "still = view(slab, slab.positions[:, 0], 'x (Å)')\nstill",
        "moving = view([slab, grown], 'phase')\nmoving",
    ]
    cell_of = opened(page, "views.ipynb", cells, 120)
    phases = [palette.PHASES[name] for name in ("diamond Si", "edge of diamond Si", "other Li")]
    for name, words, cell, colours in (
        ("ngl", "nglview, because", cell_of("still = view("), []),
        ("ovito", "OVITO, because frame 1 has another cell", cell_of("moving = view("), phases),
    ):
        cell.get_by_text(words).wait_for()
        canvas = cell.locator("canvas").first
        canvas.wait_for()
        page.wait_for_timeout(3000)
        assert [image.is_visible() for image in cell.locator(LEFT).all()] == [False], "the picture stands there twice"
        before = picture(canvas)
        assert painted(before) > 0.05, f"{name} has painted nothing"
        assert before[3, 3] == pytest.approx([1, 1, 1]), f"{name} is not on white"
        for colour in colours:
            assert (np.abs(before - palette.rgb(colour)).max(axis=2) < 0.06).sum() > 100, f"{name} shows no {colour}"
        cell.screenshot(path=artifacts / f"view-{name}-side.png")
        cell.get_by_role("button", name="top: Look from the top.").click()
        assert changed(page, canvas, before), f"{name} has not turned"
        cell.screenshot(path=artifacts / f"view-{name}-top.png")
        before = picture(canvas)
        handle = cell.locator(".noUi-handle-upper").last
        handle.focus()
        for _ in range(8):
            handle.press("PageDown")
        assert changed(page, canvas, before), f"{name} has not sliced"
        cell.screenshot(path=artifacts / f"view-{name}-slice.png")
        cell.get_by_role("button", name="Save picture").click()
        cell.get_by_text("Saved").wait_for()
    cell_of("moving = view(").get_by_role("button", name="Save movie").click()
    cell_of("moving = view(").get_by_text("view-1.mp4").wait_for()
    assert (lab[0] / "view-1.mp4").stat().st_size > 1000
    assert ask(page, "print(moving.look.slab is not None, still.look.slab is not None)") == "True True"
    assert (lab[0] / "view-2.png").exists()

    page.provoked.append("widget model not found")  # without a kernel
    page.keyboard.press("Control+s")
    page.locator(".jp-mod-dirty").wait_for(state="detached")
    shutil.copy(lab[0] / "views.ipynb", lab[0] / "again.ipynb")  # to which no kernel with these widgets belongs
    page.goto(lab[1]("again.ipynb"))
    for words in ("still = view(", "moving = view("):
        cell = cell_of(words)
        cell.get_by_text("model not found").wait_for()
        cell.locator(LEFT).wait_for()
    page.screenshot(path=artifacts / "view-again.png")
