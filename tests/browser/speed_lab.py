"""How long a person waits in JupyterLab, in seconds; `make benchmark` prints it. Not a test: the machine decides."""

import time

import pytest
from steps import cell_of, copy_unrun, painted, picture, run_all, run_cell, wait_done, write_notebook

from lisi_nb import paths

pytestmark = pytest.mark.browser
PREPARE = (
    "from ase.build import bulk\nfrom lisi_nb.studies import interdiffusion\nfrom lisi_nb.widgets import form, view"
)
CELLS = {  # what is shown, the goal in seconds, and the code
    "form": (1, "form(interdiffusion.scaled('lesson'), interdiffusion)"),
    "nglview, 4913 atoms": (3, "view(bulk('Li', cubic=False).repeat((17, 17, 17)))"),
    "OVITO, 4913 atoms, two cells": (
        3,
        "a = bulk('Li').repeat((17, 17, 17))\nb = a.copy()\nb.set_cell(1.1 * a.cell.array, scale_atoms=True)\n"
        "view([a, b])",
    ),
}


def run(cell):
    """Run one cell by keyboard and return it at once."""
    cell.locator(".jp-InputPrompt").click()
    cell.page.keyboard.press("Control+Enter")
    return cell


def waited(lab, page):
    """Yield what is shown, its goal and the seconds until then: a field of the form, a canvas with something painted.

    From the key that runs the cell; what the notebook imports was imported before.
    """
    folder, url = lab
    codes = [f"# {k}\n{code}" for k, (_, code) in enumerate(CELLS.values())]
    write_notebook(folder / "speed.ipynb", [PREPARE, *codes])
    page.goto(url("speed.ipynb"))
    page.get_by_text("| Idle").wait_for()
    run_cell(page, "import")
    for k, (what, (goal_s, _)) in enumerate(CELLS.items()):
        start = time.monotonic()
        cell = run(cell_of(page, f"# {k}"))
        if what == "form":
            cell.get_by_role("tab").first.wait_for()
        else:
            cell.locator("canvas").first.wait_for()
            while painted(picture(cell.locator("canvas").first)) < 0.02:
                assert time.monotonic() < start + 60
        yield what, goal_s, time.monotonic() - start


def test_what_a_cell_shows_first(lab, page):
    for what, goal_s, seconds in waited(lab, page):
        print(f"\n{what} (goal {goal_s} s): {seconds:.1f} s")


def test_the_first_minute(lab, page):
    """``00_start_here``, from its address to its last cell, with its own ten seconds of MD."""
    folder, url = lab
    copy_unrun(paths.PROJECT / "notebooks" / "00_start_here.ipynb", folder / "00_start_here.ipynb")
    start = time.monotonic()
    page.goto(url("00_start_here.ipynb"))
    run_all(page)
    page.locator(".jp-OutputArea-output img:visible").first.wait_for(timeout=120_000)
    first = time.monotonic() - start
    wait_done(page, 300)
    print(f"\n00_start_here (goal 60 s): first picture {first:.1f} s, done {time.monotonic() - start:.1f} s")
