"""Every notebook as it is committed, opened and not run: what a reader sees from top to bottom."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image
from steps import leave, new_page, painted

from lisi_nb import paths

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NOTEBOOKS = sorted((paths.PROJECT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
# Code, outputs and texts that reach over the right edge, or have to be scrolled sideways.
WIDE = """notebook => [...notebook.querySelectorAll(
    '.jp-Cell, .cm-scroller, .jp-OutputArea-output, .jp-RenderedMarkdown, pre, img')]
    .filter(e => e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().right >
        notebook.getBoundingClientRect().right + 1).map(e => e.className + ': ' + e.innerText.slice(0, 60))"""

# Where each figure lies on the whole page: left, top, right, bottom.
FIGURES = """notebook => [...notebook.querySelectorAll('.jp-OutputArea-output img')].map(figure => {
    const at = figure.getBoundingClientRect(), from = notebook.getBoundingClientRect();
    const left = at.left - from.left, top = at.top - from.top + notebook.scrollTop;
    return [left, top, left + at.width, top + at.height].map(Math.round);
})"""


@pytest.fixture
def window(chromium, artifacts):
    page = new_page(chromium, 1280, 720)
    yield page
    leave(page, artifacts / "page-end.png")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_from_top_to_bottom(lab, window, artifacts, path):
    folder, url = lab
    name = f"read-{path.name}"
    shutil.copyfile(path, folder / name)
    window.goto(url(name))
    window.get_by_text("| Idle").wait_for()
    window.locator(".jp-Notebook .jp-Cell").last.wait_for()
    window.wait_for_function("[...document.images].every(i => i.complete) && document.fonts.status == 'loaded'")
    window.wait_for_timeout(1000)  # formulas
    notebook = window.locator(".jp-WindowedPanel-outer").locator("visible=true")
    strips, height = [], notebook.evaluate("e => e.scrollHeight")
    for top in range(0, height, notebook.evaluate("e => e.clientHeight")):
        at = notebook.evaluate("(e, top) => { e.scrollTop = top; return e.scrollTop }", top)
        window.wait_for_timeout(50)
        strips.append((at, Image.open(io.BytesIO(notebook.screenshot()))))
    whole = Image.new("RGB", (strips[0][1].width, strips[-1][0] + strips[-1][1].height))
    for at, strip in strips:
        whole.paste(strip, (0, int(at)))
    whole.quantize(256).save(artifacts / f"page-{path.stem}.png")

    figures = notebook.evaluate(FIGURES)
    assert len(figures) >= 2
    for number, box in enumerate(figures):
        image = np.asarray(whole.crop(box)) / 255
        assert painted(image) > 0.02, f"figure {number} is not painted"
    assert notebook.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert notebook.evaluate(WIDE) == []
