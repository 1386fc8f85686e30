"""The interdiffusion notebook in a real JupyterLab and a real browser, as a student uses it."""

import io
import re
import time

import nbformat
import numpy as np
import pytest
from matplotlib.image import imread
from playwright.sync_api import TimeoutError

from lisi_nb import paths

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAME = "01_interdiffusion.ipynb"
FINISHED_S = 900
ERROR, STDERR = (f"[data-mime-type='application/vnd.jupyter.{kind}']" for kind in ("error", "stderr"))


def run_all(page):
    """Run > Restart Kernel and Run All Cells; again where JupyterLab lost it because the kernel was just starting."""
    page.get_by_text("| Idle").wait_for()
    for _ in range(3):
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.locator(".lm-Menu-itemLabel", has_text="Restart Kernel and Run All Cells").click()
        page.locator(".jp-Dialog .jp-mod-accept").click()
        try:
            return page.locator(".jp-InputPrompt", has_text=re.compile(r"[*\d]")).first.wait_for(timeout=20_000)
        except TimeoutError as lost:
            problem = lost
    raise problem


def cell_of(page, words):
    """The code cell whose source contains `words`."""
    return page.locator(".jp-CodeCell").filter(has=page.locator(".jp-InputArea", has_text=words)).first


def wait_done(page, seconds=FINISHED_S):
    """Wait until every cell has run; an error, or words on stderr, end the test."""
    deadline = time.monotonic() + seconds
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
    while not all(re.search(r"\d", text) for text in prompts.all_inner_texts()):
        failed = page.locator(f"{ERROR}, {STDERR}").all_inner_texts()
        assert failed == []
        assert time.monotonic() < deadline, f"the notebook has not finished after {seconds} s"
        page.wait_for_timeout(500)
    assert page.locator(f"{ERROR}, {STDERR}").all_inner_texts() == []


def picture(locator):
    """RGB values (0-1) of what the browser has painted for an element."""
    locator.scroll_into_view_if_needed()
    return imread(io.BytesIO(locator.screenshot()))[..., :3]


def painted(image):
    """Share of pixels that differ from the most common colour."""
    colours, counts = np.unique((image * 255).astype(np.uint8).reshape(-1, 3), axis=0, return_counts=True)
    return len(colours) > 20 and 1 - counts.max() / counts.sum()


def ask(page, code):
    """Run `code` in a new last cell and return what it prints."""
    page.locator(".jp-CodeCell").last.locator(".jp-InputPrompt").click()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.insert_text(code)
    page.keyboard.press("Control+Enter")
    last = page.locator(".jp-CodeCell").last
    last.locator(".jp-OutputArea-output").wait_for()
    return last.locator(".jp-OutputArea-output").inner_text().strip()


def move(page, cell, presses, key="ArrowRight", index=0):
    handle = cell.locator(".noUi-handle").nth(index)
    handle.scroll_into_view_if_needed()
    handle.focus()
    for _ in range(presses):
        page.keyboard.press(key)
    page.wait_for_timeout(3000)


def test_the_notebook_from_restart_to_the_last_cell(lab, page, artifacts):
    folder, url = lab
    notebook = nbformat.read(paths.PROJECT / "notebooks" / NAME, as_version=4)
    for cell in notebook.cells:  # what is saved would look as if it had run here
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, folder / NAME)
    page.goto(url(NAME))
    run_all(page)

    follow = cell_of(page, "run = await follow(run")
    follow.get_by_text(re.compile(r"step \d+ of \d+")).first.wait_for(timeout=300_000)
    wait_done(page)
    follow.scroll_into_view_if_needed()
    page.screenshot(path=artifacts / "follow.png")
    assert page.get_by_text("Error displaying widget").count() == 0

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
    assert page.problems == []


def write_notebook(path, cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(notebook, path)


def test_a_slider_moved_with_the_mouse_reaches_python(lab, page, artifacts):
    folder, url = lab
    cells = [
        "from lisi_nb.studies import interdiffusion\nfrom lisi_nb.widgets import form",
        "controls = form(interdiffusion.scaled('smoke'), interdiffusion)\ncontrols",
    ]
    write_notebook(folder / "form.ipynb", cells)
    page.goto(url("form.ipynb"))
    run_all(page)
    wait_done(page, 60)
    form = cell_of(page, "controls = form(")
    assert ask(page, "print(controls.params.lateral_A)") == "8.5"
    track = form.locator(".noUi-base").first
    track.scroll_into_view_if_needed()
    at = track.bounding_box()
    page.mouse.click(at["x"] + 0.5 * at["width"], at["y"] + 0.5 * at["height"])
    page.wait_for_timeout(2000)
    # The middle of 7 to 200 A, within the pixels of a 150 px track.
    assert float(ask(page, "print(controls.params.lateral_A)")) == pytest.approx(103.5, abs=10)
    form.screenshot(path=artifacts / "form-moved.png")
    assert page.problems == []


def test_the_picture_grows_and_the_stop_button_works_while_the_cell_waits(lab, page, artifacts):
    folder, url = lab
    cells = [
        "from lisi_nb.engine import launch\n"
        "from lisi_nb.studies import interdiffusion\n"
        "from lisi_nb.widgets import follow",
        "params = interdiffusion.scaled('smoke', duration_ps=40.0)\n"
        "run = launch.launch(interdiffusion, params, 'stopped', 'cpu', again=True)\n"
        "await follow(run, interdiffusion.live)\nprint(run.status()['state'], run.status()['message'])",
    ]
    write_notebook(folder / "stop.ipynb", cells)
    page.goto(url("stop.ipynb"))
    run_all(page)
    cell = cell_of(page, "await follow(run")
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
