"""The interdiffusion notebook in a real JupyterLab and a real browser, as a student uses it."""

import re

import numpy as np
import pytest
from steps import ask, cell_of, copy_unrun, painted, picture, run_all, wait_done

from lisi_nb import paths

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAME = "01_interdiffusion.ipynb"


def move(page, cell, presses, key="ArrowRight", index=0):
    handle = cell.locator(".noUi-handle").nth(index)
    handle.scroll_into_view_if_needed()
    handle.focus()
    for _ in range(presses):
        page.keyboard.press(key)
    page.wait_for_timeout(3000)


def test_the_notebook_from_restart_to_the_last_cell(lab, page, artifacts):
    folder, url = lab
    copy_unrun(paths.PROJECT / "notebooks" / NAME, folder / NAME)
    page.goto(url(NAME))
    run_all(page)

    follow = cell_of(page, "run = await follow(run")
    follow.get_by_text(re.compile(r"step \d+ of \d+")).first.wait_for(timeout=300_000)
    wait_done(page)
    follow.scroll_into_view_if_needed()
    page.screenshot(path=artifacts / "follow.png")
    assert page.get_by_text("Error displaying widget").count() == 0

    assert page.locator(".jp-OutputArea-output img").count() >= 8
    still, moving = cell_of(page, "view(atoms)"), cell_of(page, "view(run)")
    for name, cell in (("nglview", still), ("ovito", moving)):
        image = picture(cell.locator("canvas").first)
        cell.screenshot(path=artifacts / f"{name}.png")
        assert painted(image) > 0.05, f"{name} has painted nothing"

    before = picture(moving.locator("canvas").first)
    move(page, moving, 12)
    assert np.abs(picture(moving.locator("canvas").first) - before).max() > 0.2, "the frame slider changed nothing"
    box = moving.locator("canvas").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 80, box["y"] + box["height"] / 2 + 40, steps=8)
    page.mouse.up()
    moving.screenshot(path=artifacts / "ovito-turned.png")

    form = cell_of(page, "controls = form(")
    form.scroll_into_view_if_needed()
    page.screenshot(path=artifacts / "form.png")


def test_a_slider_moved_with_the_mouse_reaches_python(opened, page, artifacts):
    cells = [
        "from lisi_nb.studies import interdiffusion\nfrom lisi_nb.widgets import form",
        "controls = form(interdiffusion.scaled('smoke'), interdiffusion)\ncontrols",
    ]
    form = opened(page, "form.ipynb", cells)("controls = form(")
    assert ask(page, "print(controls.params.lateral_A)") == "8.5"
    track = form.locator(".noUi-base").first
    track.scroll_into_view_if_needed()
    at = track.bounding_box()
    page.mouse.click(at["x"] + 0.5 * at["width"], at["y"] + 0.5 * at["height"])
    page.wait_for_timeout(2000)
    # The middle of 7 to 200 A, within the pixels of a 150 px track.
    assert float(ask(page, "print(controls.params.lateral_A)")) == pytest.approx(103.5, abs=10)
    form.screenshot(path=artifacts / "form-moved.png")


def test_the_picture_grows_and_the_stop_button_works_while_the_cell_waits(opened, page, artifacts):
    cells = [
        "from lisi_nb.engine import launch\n"
        "from lisi_nb.studies import interdiffusion\n"
        "from lisi_nb.widgets import follow",
        "params = interdiffusion.scaled('smoke', duration_ps=40.0)\n"
        "run = launch.launch(interdiffusion, params, 'stopped', 'cpu', again=True)\n"
        "await follow(run, interdiffusion.live)\nprint(run.status()['state'], run.status()['message'])",
    ]
    cell = opened(page, "stop.ipynb", cells, seconds=0)("await follow(run")
    cell.get_by_text(re.compile(r"step [1-9]\d* of \d+")).wait_for(timeout=300_000)
    steps, pictures = set(), set()
    for _ in range(200):  # 60 s, of which the run takes more
        steps.update(re.findall(r"step (\d+) of", cell.inner_text()))
        pictures.update(image.get_attribute("src")[-200:] for image in cell.locator("img").all())
        if len(steps) >= 3 and len(pictures) >= 3:
            break
        page.wait_for_timeout(300)
    page.screenshot(path=artifacts / "live.png")
    assert len(steps) >= 3, "the progress did not move"
    assert len(pictures) >= 3, "the picture did not grow"
    cell.get_by_role("button", name="Stop the run").click()
    wait_done(page, 180)
    assert "stopped Stopped on request at step" in cell.inner_text()
    assert cell.get_by_role("button", name="Stop the run").count() == 0
