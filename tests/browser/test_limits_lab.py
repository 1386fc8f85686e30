"""A small window, a keyboard instead of a mouse, a screen reader, a browser without WebGL: all can still be used."""

import dataclasses
import re
import shutil

import pytest
from playwright.sync_api import expect
from steps import WIDE, ask, leave, new_page

from lisi_nb.studies import interdiffusion
from lisi_nb.units import pretty

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FOCUSED = """() => {
    const e = document.activeElement;
    const words = e.getAttribute('aria-label') || e.title || e.innerText || e.type || '';
    return (e.classList.contains('noUi-handle') ? 'slider' : e.tagName.toLowerCase()) + ' ' + words.trim();
}"""


@pytest.fixture
def small(start_chromium, artifacts):
    """A window of 1280 x 720 in a browser that has no WebGL."""
    page = new_page(start_chromium("--disable-3d-apis"), 1280, 720)
    yield page
    # What nglview says where it cannot draw.
    page.provoked += ["WebGL", "could not initialize renderer", r"undefined \(setting 'backgroundColor'\)"]
    leave(page, artifacts / "small-end.png")


def reached(page, start, n):
    """What has the focus while Tab is pressed `n` times after a click on `start`."""
    start.focus()
    found = [page.evaluate(FOCUSED)]
    for _ in range(n):
        page.keyboard.press("Tab")
        found.append(page.evaluate(FOCUSED))
    return found


def test_a_small_window_without_a_mouse_and_without_webgl(lab, opened, small, smoke_run, artifacts):
    folder, _ = lab
    shutil.copytree(smoke_run.folder, folder / "seen" / "interdiffusion" / "made")
    cells = [
        "from pathlib import Path\nfrom ase.build import bulk\nfrom lisi_nb.engine.run import Run\n"
        "from lisi_nb.studies import interdiffusion\nfrom lisi_nb.widgets import Monitor, form, view",
        "controls = form(interdiffusion.scaled('lesson'), interdiffusion)\ncontrols",
        "shown = Monitor(Run(Path('seen/interdiffusion/made')), interdiffusion.live)\nshown",
        "still = view(bulk('Si', cubic=True).repeat((2, 2, 3)), 'phase')\ndisplay(still, still)",
    ]
    page = small
    cell_of = opened(page, "small.ipynb", cells)
    form, monitor, view = (cell_of(words) for words in ("controls = form(", "shown = Monitor(", "still = view("))
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
        (3, "button .*: Set every value"),
        (5, "input (Lateral|Silicon|Li per|Vacuum|In-plane)"),
        (5, "slider (Lateral|Silicon|Li per|Vacuum|In-plane)"),
        (5, "button .*paper: .*: Set "),
        (2, "select .+"),
        (1, "button Measure the speed"),
        (2, "button Show the"),
        (1, "button Show folder"),
    ):
        assert sum(bool(re.match(kind, key)) for key in keys) >= n, (kind, keys)
    assert page.locator("button[title=null]").count() == 0  # what ipywidgets makes of a button without a tooltip
    form.get_by_role("button", name="smoke").press("Enter")
    form.get_by_text("now: smoke").wait_for()
    form.get_by_role("button", name="Show the code").press("Enter")
    form.locator(".lisi-alive pre", has_text="scaled(").wait_for()
    form.screenshot(path=artifacts / "small-form-code.png")
    form.get_by_role("tab").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert ask(page, "print(controls._tabs.selected_index)") == "1"

    view.get_by_text("this browser has no WebGL").first.wait_for(state="attached")
    view.get_by_role("button", name="Still picture").first.press("Enter")
    view.locator(".lisi-alive img").nth(1).wait_for()  # in both views of the one widget
    view.screenshot(path=artifacts / "small-still.png")

    monitor.get_by_role("button", name="Show folder").press("Enter")
    monitor.get_by_text("open in the file browser").press("Enter")
    page.locator(".jp-DirListing-item", has_text=re.compile("traj.0.bin")).wait_for()
    page.screenshot(path=artifacts / "small-folder.png")


ROLES = ("button", "checkbox", "combobox", "slider", "spinbutton", "textbox")


def controls_of(page, cell):
    """(role, name) of each control that Chromium tells a screen reader about."""
    chromium = page.context.new_cdp_session(page)
    cell.locator(".jp-OutputArea").first.evaluate("area => window.asked = area")
    area = chromium.send("Runtime.evaluate", {"expression": "window.asked"})["result"]["objectId"]
    found = []
    for role in ROLES:
        nodes = chromium.send("Accessibility.queryAXTree", {"objectId": area, "role": role})["nodes"]
        found += [(role, node["name"]["value"]) for node in nodes if not node["ignored"]]
    return found


def test_every_control_is_read_out_with_label_and_unit(lab, opened, page, smoke_run):
    folder, _ = lab
    shutil.copytree(smoke_run.folder, folder / "heard" / "runs" / "interdiffusion" / "heard-1")
    cells = [
        "import os\nfrom ase.build import bulk\nfrom lisi_nb.engine import run as runs\n"
        "from lisi_nb.studies import interdiffusion\nfrom lisi_nb.widgets import Monitor, form, runs_browser, view\n"
        "os.environ['LISI_NB_DATA'] = 'heard'",
        "controls = form(interdiffusion.scaled('lesson'), interdiffusion)\ncontrols",
        "shown = Monitor(runs.find()[0])\nshown",
        "moving = view([bulk('Si', cubic=True)] * 3, viewer='ovito')\nmoving",
        "browser = runs_browser()\nbrowser",
    ]
    cell_of = opened(page, "names.ipynb", cells)
    form = cell_of("controls = form(")
    form.get_by_text("384 atoms, 10000 steps on").wait_for()
    heard = []
    for tab in form.get_by_role("tab").all():
        tab.click()
        page.wait_for_timeout(300)
        heard += controls_of(page, form)
    for f in dataclasses.fields(interdiffusion.Params):
        unit = f" ({pretty(f.metadata['unit'])})" if f.metadata["unit"] else ""
        name = f.metadata["label"] + unit
        box = {str: "combobox" if f.metadata["choices"] else "textbox"}.get(type(f.default), "spinbutton")
        assert heard.count((box, name)) == 1, (box, name)
        assert heard.count(("slider", name)) == (f.metadata["low"] is not None), name
        papers = [said for role, said in heard if role == "button" and f"Set {name} to the value of the paper" in said]
        assert len(papers) == (f.metadata["paper"] is not None), name
        assert all("paper: " in said and said.split(":")[1].strip() for said in papers)
    lasting = form.locator(".noUi-handle[aria-label='Duration (ps)']")  # logarithmic; ipywidgets has it say 1.3
    expect(lasting).to_have_attribute("aria-valuetext", "20")
    form.locator("input[aria-label='Duration (ps)']").evaluate(
        "box => { box.value = 25; box.dispatchEvent(new Event('change', {bubbles: true})) }"
    )
    expect(lasting).to_have_attribute("aria-valuetext", re.compile(r"^(25|24\.[89]|25\.[0-4])\d?$"))
    moving, browser = cell_of("moving = view("), cell_of("browser = runs_browser(")
    for cell, role, name in (
        (form, "button", "smoke: Set every value to scale smoke."),
        (form, "button", "Show the LAMMPS input"),
        (cell_of("shown = Monitor("), "button", "Show folder"),
        (moving, "slider", "frame"),
        (moving, "slider", "Slice (Å), from"),
        (moving, "slider", "Slice (Å), to"),
        (moving, "combobox", "Axis of the slice"),
        (moving, "button", "top: Look from the top."),
        (moving, "button", "Save movie"),
        (moving, "button", "Play"),
        (moving, "button", "Repeat"),
        (moving, "button", "Show all atoms"),
        (browser, "textbox", "Filter"),
        (browser, "combobox", "Status"),
        (browser, "checkbox", "Select interdiffusion/heard-1 for a comparison."),
        (browser, "button", "Show: Show interdiffusion/heard-1 below."),
    ):
        cell.get_by_role(role, name=name, exact=True).wait_for()
        heard += controls_of(page, cell)
    nameless = [role for role, name in heard if not name.strip() or name == "null"]
    assert nameless == []
