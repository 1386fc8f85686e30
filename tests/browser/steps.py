"""What a person does in JupyterLab, as functions of a page."""

import io
import re
import time

import nbformat
import numpy as np
from matplotlib.image import imread
from playwright.sync_api import TimeoutError

FINISHED_S = 900
ERROR, STDERR = (f"[data-mime-type='application/vnd.jupyter.{kind}']" for kind in ("error", "stderr"))
# Whether an element reaches over the right edge of its output, or has to be scrolled sideways.
WIDE = """output => [...output.querySelectorAll('.jupyter-widgets')].filter(e => e.getBoundingClientRect().right >
    output.getBoundingClientRect().right + 1 || e.scrollWidth > e.clientWidth + 1).map(e => e.className)"""


def new_page(browser, width=1400, height=1000):
    """A page that records errors of its scripts in `page.problems`, and those on its console in `page.console`.

    A test that provokes such errors names them in `page.provoked`, by regular expressions.
    """
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(60_000)
    page.problems, page.console, page.provoked = [], [], []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda said: page.console.append(said.text) if said.type == "error" else None)
    return page


def unprovoked(page):
    """Errors of scripts and on the console that the test has not named in `page.provoked`."""
    found = (*page.problems, *page.console)
    return [said for said in found if not any(re.search(words, said) for words in page.provoked)]


def leave(page, screenshot):
    """Close a page, after a last screenshot; errors that no test has provoked end it."""
    page.screenshot(path=screenshot)
    page.close()
    found = unprovoked(page)
    assert found == [], found


def write_notebook(path, cells):
    """A notebook of code cells that have not run."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(notebook, path)


def copy_unrun(path, target):
    """Copy a notebook without its outputs: what is saved would look as if it had run here."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, target)


def run_all(page):
    """Run > Restart Kernel and Run All Cells; again where JupyterLab lost it because the kernel was just starting."""
    page.provoked.append("Could not restore the debugger state: Canceled")  # what it has asked the kernel meanwhile
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


def run_cell(page, words):
    """Run one cell by a click on the button above the notebook, and wait until it has run; return the cell."""
    cell = cell_of(page, words)
    cell.locator(".jp-InputPrompt").click()
    page.locator("[data-command='notebook:run-cell-and-select-next']").locator("visible=true").click()
    cell.locator(".jp-InputPrompt", has_text=re.compile(r"\d")).wait_for()
    assert page.locator(f"{ERROR}, {STDERR}").all_inner_texts() == []
    return cell


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


def row_of(cell, label):
    """The row of a run in the runs browser that `cell` shows."""
    button = cell.page.get_by_role("button", name=re.compile("Follow|Show"))
    return cell.locator(".widget-hbox").filter(has=button).filter(has_text=label).last


def picture(locator):
    """RGB values (0-1) of what the browser has painted for an element."""
    locator.scroll_into_view_if_needed()
    return imread(io.BytesIO(locator.screenshot()))[..., :3]


def painted(image):
    """Share of pixels that differ from the most common colour."""
    colours, counts = np.unique((image * 255).astype(np.uint8).reshape(-1, 3), axis=0, return_counts=True)
    return len(colours) > 20 and 1 - counts.max() / counts.sum()
