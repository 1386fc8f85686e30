"""A small window, a keyboard instead of a mouse, a browser without WebGL: everything can still be used."""

import os
import re
import shutil

import pytest
from test_interdiffusion_lab import ask, cell_of, run_all, wait_done, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FOCUSED = """() => {
    const e = document.activeElement;
    const words = e.getAttribute('aria-label') || e.title || e.innerText || e.type || '';
    return (e.classList.contains('noUi-handle') ? 'slider' : e.tagName.toLowerCase()) + ' ' + words.trim();
}"""
# Whether an element reaches over the right edge of its output, or has to be scrolled sideways.
WIDE = """output => [...output.querySelectorAll('.jupyter-widgets')].filter(e => e.getBoundingClientRect().right >
    output.getBoundingClientRect().right + 1 || e.scrollWidth > e.clientWidth + 1).map(e => e.className)"""


@pytest.fixture
def small(chromium, artifacts):
    """A window of 1280 x 720 in a browser that has no WebGL."""
    arguments = ["--headless=new", "--disable-3d-apis", "--disable-quic"]
    arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
    browser = chromium.browser_type.launch(executable_path="/usr/bin/chromium", args=arguments)
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.set_default_timeout(60_000)
    yield page
    page.screenshot(path=artifacts / "small-end.png")
    browser.close()


def reached(page, start, n):
    """What has the focus while Tab is pressed `n` times after a click on `start`."""
    start.focus()
    found = [page.evaluate(FOCUSED)]
    for _ in range(n):
        page.keyboard.press("Tab")
        found.append(page.evaluate(FOCUSED))
    return found


def test_a_small_window_without_a_mouse_and_without_webgl(lab, small, smoke_run, artifacts):
    folder, url = lab
    shutil.copytree(smoke_run.folder, folder / "seen" / "interdiffusion" / "made")
    cells = [
        "from pathlib import Path\nfrom ase.build import bulk\nfrom lisi_nb.engine.run import Run\n"
        "from lisi_nb.studies import interdiffusion\nfrom lisi_nb.widgets import Monitor, form, view",
        "controls = form(interdiffusion.scaled('lesson'), interdiffusion)\ncontrols",
        "shown = Monitor(Run(Path('seen/interdiffusion/made')), interdiffusion.live)\nshown",
        "still = view(bulk('Si', cubic=True).repeat((2, 2, 3)), 'phase')\ndisplay(still, still)",
    ]
    write_notebook(folder / "small.ipynb", cells)
    page = small
    page.goto(url("small.ipynb"))
    run_all(page)
    wait_done(page, 90)
    form, monitor, view = (cell_of(page, words) for words in ("controls = form(", "shown = Monitor(", "still = view("))
    form.get_by_text("384 atoms, 10000 steps on").wait_for()
    monitor.locator("img").first.wait_for()
    for name, cell in (("form", form), ("monitor", monitor), ("view", view)):
        cell.scroll_into_view_if_needed()
        page.screenshot(path=artifacts / f"small-{name}.png")
        assert cell.locator(".jp-OutputArea-output").first.evaluate(WIDE) == [], name
    box = form.locator(".widget-tab").bounding_box()
    assert box["height"] < 720

    keys = reached(page, form.get_by_role("button", name="smoke"), 25)
    for n, kind in (
        (3, "button Set every value"),
        (5, "input"),
        (5, "slider"),
        (5, "button Set "),
        (2, "select"),
        (1, "button Two short runs"),
        (2, "button Show the"),
        (1, "button Path and files"),
    ):
        assert sum(key.startswith(kind) for key in keys) >= n, (kind, keys)
    assert page.locator("button[title=null]").count() == 0  # what ipywidgets makes of a button without a tooltip
    form.get_by_role("button", name="smoke").press("Enter")
    form.get_by_text("now: smoke").wait_for()
    form.get_by_role("button", name="Show the code").press("Enter")
    form.locator("pre", has_text="scaled(").wait_for()
    form.screenshot(path=artifacts / "small-form-code.png")
    form.get_by_role("tab").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert ask(page, "print(controls._tabs.selected_index)") == "1"

    view.get_by_text("this browser has no WebGL").first.wait_for(state="attached")
    view.get_by_role("button", name="Still picture").first.press("Enter")
    view.locator("img").nth(1).wait_for()  # in both views of the one widget
    view.screenshot(path=artifacts / "small-still.png")

    monitor.get_by_role("button", name="Show folder").press("Enter")
    monitor.get_by_text("open in the file browser").press("Enter")
    page.locator(".jp-DirListing-item", has_text=re.compile("traj.0.bin")).wait_for()
    page.screenshot(path=artifacts / "small-folder.png")
