"""What a person sees: soon, whole in a narrow window, legible on dark, moving, and kept in a saved notebook."""

import json
import re
import shutil
import time

import numpy as np
import pytest
from speed_lab import run, waited
from steps import WIDE, ask, cell_of, picture, row_of, run_all, run_cell, wait_done, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BUSY = 2  # a busy machine takes so many times as long
IMPORTS = (
    "import os\nfrom pathlib import Path\nfrom ase.build import bulk\nfrom lisi_nb.engine.run import Run\n"
    "from lisi_nb.studies import interdiffusion\nfrom lisi_nb.widgets import Monitor, form, runs_browser, view\n"
    "os.environ['LISI_NB_DATA'] = {data!r}"
)
FORM = "controls = form(interdiffusion.scaled('lesson'), interdiffusion)\ncontrols"
MONITOR = "shown = Monitor(Run(Path({folder!r})), interdiffusion.live)\nshown"
BROWSER = "browser = runs_browser(interdiffusion)\nbrowser"
VIEW = "still = view(bulk('Si', cubic=True).repeat((2, 2, 3)), 'phase')\nstill"


@pytest.fixture
def seen(lab, smoke_run, request):
    """(cells before others, folder of a finished run) below a data folder of this test's own."""
    data = lab[0] / f".{request.node.name[:30]}"
    folder = shutil.copytree(smoke_run.folder, data / "runs" / "interdiffusion" / "seen-1")
    return IMPORTS.format(data=str(data)), folder


def test_first_pictures_come_as_soon_as_they_should(lab, page):
    slow = [f"{what}: {s:.1f} s" for what, goal_s, s in waited(lab, page) if s > BUSY * goal_s]
    assert slow == []


def test_a_series_in_nglview_plays_and_its_slice_follows(opened, page, artifacts):
    """A wall of Li runs through resting Si and, with a slice, is seen only while it is inside."""
    cells = [
        "from ase import Atoms\nfrom ase.build import bulk\nfrom lisi_nb.widgets import view\n"
        "rest = bulk('Si', cubic=True).repeat((2, 2, 6))\nseries = []\n"
        "for k in range(5):\n    li = Atoms('Li64', cell=rest.cell, pbc=True)\n"
        "    li.positions = [[i % 8 + 1, i // 8 + 1, 3 + 6 * k] for i in range(64)]\n    series.append(rest + li)",
        "moving = view(series)\nmoving",
    ]
    cell = opened(page, "play.ipynb", cells)("moving = view(")
    cell.get_by_text("nglview, because").wait_for()
    canvas = cell.locator("canvas").first
    page.wait_for_timeout(3000)
    first = picture(canvas)
    play = cell.locator(".widget-play").last  # nglview has one of its own, which is hidden
    play.get_by_role("button", name="Play").click()
    frame = cell.locator(".widget-hslider .widget-readout").first
    page.wait_for_function("e => Number(e.textContent) == 4", arg=frame.element_handle())
    assert np.abs(picture(canvas) - first).max() > 0.2, "nothing has moved"
    ask(page, "moving.axis.value = 2\nmoving.slice.value = (12, 24)\nmoving.slider.value = 0\nprint('cut')")
    found = []
    for k in range(5):
        ask(page, f"moving.slider.value = {k}\nprint(moving.scene.widget.frame)")
        page.wait_for_timeout(1500)
        image = picture(canvas)
        violet = (image[..., 2] > image[..., 1] + 0.15) & (image[..., 0] > image[..., 1] + 0.1)
        found.append(int(violet.sum()) > 100)
    assert found == [False, False, True, True, False]


NARROW = 1024


def test_nothing_is_cut_off_in_a_narrow_window(seen, opened, page, artifacts):
    before, folder = seen
    page.set_viewport_size({"width": NARROW, "height": 768})
    find = opened(page, "narrow.ipynb", [before, FORM, MONITOR.format(folder=str(folder)), BROWSER, VIEW])
    find(MONITOR[:9]).locator("img").first.wait_for()
    for name, words in (("form", FORM), ("monitor", MONITOR), ("runs", BROWSER), ("view", VIEW)):
        cell = find(words.partition("(")[0])
        cell.scroll_into_view_if_needed()
        page.screenshot(path=artifacts / f"narrow-{name}.png")
        assert cell.locator(".jp-OutputArea-output").first.evaluate(WIDE) == [], name


# Of each visible text, the contrast with the ground that it stands on, after WCAG 2.1; where it is below 4.5.
PALE = """output => {
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => { const [r, g, b] = c.map(v => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const rgba = text => { const n = text.match(/[\\d.]+/g).map(Number); return [n.slice(0, 3), n[3] ?? 1]; };
  const over = (top, share, below) => top.map((v, k) => share * v + (1 - share) * below[k]);
  const walker = document.createTreeWalker(output, NodeFilter.SHOW_TEXT), pale = [];
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement, words = walker.currentNode.textContent.trim();
    if (!words || !e.checkVisibility() || ['STYLE', 'SCRIPT', 'OPTION'].includes(e.tagName)) continue;
    if (e.closest('.lm-TabBar')) continue;  // JupyterLab's own colours
    const layers = []; let opacity = 1;
    for (let p = e; p; p = p.parentElement) { const s = getComputedStyle(p);
      layers.unshift(rgba(s.backgroundColor)); opacity *= Number(s.opacity); }
    const ground = layers.reduce((below, [top, share]) => over(top, share, below), [255, 255, 255]);
    const [colour, share] = rgba(getComputedStyle(e).color);
    const [a, b] = [light(over(colour, share * opacity, ground)), light(ground)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) pale.push(words.slice(0, 40) + ' ' + contrast.toFixed(1));
  }
  return pale;
}"""


@pytest.fixture
def dark(lab):
    """JupyterLab's dark theme, until the test has ended."""
    settings = lab[0] / ".settings" / "@jupyterlab" / "apputils-extension" / "themes.jupyterlab-settings"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"theme": "JupyterLab Dark"}))
    yield
    settings.unlink()


def test_form_monitor_and_runs_are_legible_on_dark(dark, seen, opened, page, artifacts):
    before, folder = seen
    page.set_viewport_size({"width": 1400, "height": 1400})
    find = opened(page, "dark.ipynb", [before, FORM, MONITOR.format(folder=str(folder)), BROWSER])
    assert page.locator("body[data-jp-theme-light=false]").count() == 1
    find("shown = Monitor").locator("img").first.wait_for()
    find("controls = form").get_by_text("384 atoms, 10000 steps on").wait_for()
    for name, words in (
        ("form", "controls = form"),
        ("monitor", "shown = Monitor"),
        ("runs", "browser = runs_browser"),
    ):
        cell = find(words)
        cell.screenshot(path=artifacts / f"dark-{name}.png")
        assert cell.locator(".jp-OutputArea-output").first.evaluate(PALE) == [], name


def test_a_thousand_runs_are_listed_within_seconds(seen, lab, page, artifacts):
    before, folder = seen
    for k in range(1000):
        other = folder.with_name(f"many-{k:08d}")
        other.mkdir()
        for name in ("manifest.json", ".manifest.json", "status.json"):
            shutil.copyfile(folder / name, other / name)
    write_notebook(lab[0] / "thousand.ipynb", [before, BROWSER])
    page.goto(lab[1]("thousand.ipynb"))
    page.get_by_text("| Idle").wait_for()
    run_cell(page, "import os")
    start = time.monotonic()
    cell = run(cell_of(page, "browser = runs_browser("))
    cell.get_by_role("button", name="Show", exact=False).first.wait_for()
    shown_s = time.monotonic() - start
    print(f"1001 runs: {shown_s:.1f} s")
    assert shown_s < BUSY * 3
    cell.get_by_text("20 of 1001 runs").first.wait_for()
    cell.get_by_label("Filter").fill("seen")
    cell.get_by_text("1 of 1 runs").first.wait_for()
    row_of(cell, "seen").get_by_role("button", name="Show").click()
    cell.locator("img").first.wait_for()
    cell.screenshot(path=artifacts / "runs-thousand.png")


def test_a_saved_notebook_shows_the_last_text_and_picture_instead_of_an_error(seen, lab, opened, page, artifacts):
    before, folder = seen
    find = opened(page, "left.ipynb", [before, FORM, MONITOR.format(folder=str(folder)), BROWSER])
    find("shown = Monitor").locator(".widget-image").first.wait_for()
    for words in ("controls = form", "shown = Monitor", "browser = runs_browser"):
        assert [left.is_visible() for left in find(words).locator(".lisi-kept").all()] == [False], "it is there twice"
    page.keyboard.press("Control+s")
    page.locator(".jp-mod-dirty").wait_for(state="detached")
    shutil.copy(lab[0] / "left.ipynb", lab[0] / "left-again.ipynb")  # to which no kernel with these widgets belongs
    page.provoked.append("model not found")
    page.goto(lab[1]("left-again.ipynb"))
    for words, text in (
        ("controls = form", "params = interdiffusion.scaled"),
        ("shown = Monitor", "finished"),
        ("browser = runs_browser", "1 of 1 runs"),
    ):
        cell = find(words)
        cell.locator(".lisi-kept").get_by_text(re.compile(text)).first.wait_for()
        cell.get_by_text("model not found").wait_for(state="attached")
        assert not cell.get_by_text("model not found").is_visible()
    find("shown = Monitor").locator(".lisi-kept img").wait_for()
    page.set_viewport_size({"width": 1400, "height": 1600})
    page.screenshot(path=artifacts / "left-again.png")
    run_all(page)
    wait_done(page, 90)
    find("controls = form").get_by_role("tab").first.wait_for()
    assert not find("controls = form").locator(".lisi-kept").first.is_visible()
