"""Every notebook but 01 (`test_interdiffusion_lab`) in a real JupyterLab, from its first cell to its last."""

import re
import shutil

import pytest
from steps import copy_unrun, painted, picture, run_all, wait_done

from lisi_nb import paths

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NOTEBOOKS = sorted((paths.PROJECT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


@pytest.mark.timeout(1800)  # a busy machine takes three times as long
@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if not p.name.startswith("01_")], ids=lambda path: path.stem)
def test_runs_without_a_click(lab, page, artifacts, path):
    folder, url = lab
    copy_unrun(path, folder / path.name)
    page.goto(url(path.name))
    run_all(page)
    wait_done(page, 1700)
    viewers = page.locator(".jp-CodeCell", has=page.locator(".jp-InputArea", has_text=re.compile(r"\bview\(")))
    assert viewers.count()
    for number, cell in enumerate(viewers.all()):
        image = picture(cell.locator("canvas").first)
        cell.screenshot(path=artifacts / f"{path.stem}-view{number}.png")
        assert painted(image) > 0.02, f"viewer {number} has painted nothing"  # 00's small particle covers 3 %
    figures = page.locator(".jp-OutputArea-output img")
    assert figures.count() >= (2 if path.name.startswith("00_") else 8)
    outputs = page.locator(".jp-Notebook").locator("visible=true").inner_text()
    assert "Error displaying widget" not in outputs
    if path.name.startswith("00_"):  # the doctor's table
        assert "LAMMPS + DeePMD" in outputs
        assert "MISSING" not in outputs
    # Dozens, which the tests of the runs browser did not make; 06 makes none.
    shutil.rmtree(folder / ".data" / "runs", ignore_errors=True)
