"""Every notebook has the shape of the series; `tests/browser` runs them."""

import ast
import builtins
import re
import statistics
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from lisi_nb import paths
from lisi_nb.reproduce import WIDGET_VIEW

NOTEBOOKS = sorted((paths.PROJECT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
STUDIES = [path for path in NOTEBOOKS if not path.name.startswith("00_")]
HEADINGS = [
    "What you will do",
    "What you will learn",
    "What you need",
    "Theory in one page",
    "Set up",
    "Choose",
    "Build and look",
    "Run and follow",
    "Measure",
    "See",
    "Compare with the paper",
    "Limits",
    "On your own",
    "Three questions",
    "References and provenance",
]


def read(path: Path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [c.source for c in notebook.cells if c.cell_type == "code"]
    text = [c.source for c in notebook.cells if c.cell_type == "markdown"]
    return notebook, code, text


@pytest.fixture(params=STUDIES, ids=lambda path: path.stem)
def study(request):
    return read(request.param)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def each(request):
    return read(request.param)


def test_there_are_notebooks():
    assert STUDIES


def test_the_top_says_how_long_it_takes_and_for_whom(each):
    _, _, text = each
    assert re.search(r"^\*About \d+ minutes? on two (free )?CPU cores\b.*· level: .*\*$", text[0], re.M | re.S)


def test_headings_come_in_order_after_a_question(study):
    _, _, text = study
    lines = [line for cell in text for line in cell.splitlines()]
    assert re.match(r"# .*\?$", lines[0])
    found = [line[3:] for line in lines if line.startswith("## ")]
    assert [heading for heading in found if heading in HEADINGS] == HEADINGS


def test_outputs_come_from_a_real_run_and_are_small(each):
    notebook, _, _ = each
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    numbers = [cell.execution_count for cell in cells]
    assert numbers == list(range(1, len(cells) + 1))
    everything = nbformat.writes(notebook)
    assert len(everything) < 1_000_000
    assert WIDGET_VIEW not in everything
    assert "widgets" not in notebook.metadata
    assert not re.search(r"/(home|root|work|Users|tmp)/", everything)
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_a_study_shows_many_pictures(study):
    notebook, _, _ = study
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 8


def test_theory_fits_one_page(study):
    _, _, text = study
    theory = next(cell for cell in text if cell.startswith("## Theory"))
    assert len(theory.split()) <= 300
    assert theory.count("$$") <= 2 * 3
    assert "https://doi.org/10." in theory


def test_length_is_that_of_a_lesson(study):
    _, code, text = study
    lines = [len(cell.splitlines()) for cell in code]
    assert 12 <= len(code) <= 28
    assert max(lines) <= 15
    assert statistics.median(lines) <= 4
    assert 900 <= sum(len(cell.split()) for cell in text) <= 1700


def test_no_logic_and_no_paths(each):
    _, code, _ = each
    everything = "\n".join(code)
    assert not re.search(r"^\s*(def|class|if|while|try)\b|^\s*[!%]", everything, re.M)
    assert not re.search(r"""["'](/|~|[A-Z]:\\)""", everything)
    assert all("import " not in cell for cell in code[1:])


def test_one_switch(study):
    _, code, _ = study
    assert sum("LISI_NB_SCALE" in cell for cell in code) == 1


# Sections of notebook 02 that say of themselves to need *Set up* alone, each from its first heading to the next.
RESTARTABLE = (
    ("Crystals first", "Choose"),
    ("Choose", "Three kinds"),
    ("Three kinds", "How lithium moves"),
    ("How lithium moves", "Compare with"),
)


@pytest.mark.parametrize(("first", "end"), RESTARTABLE)
def test_a_section_needs_set_up_alone(first, end):
    """Every name that a section reads was made in it, or in *Set up*."""
    cells = nbformat.read(paths.PROJECT / "notebooks" / "02_nanoparticle_delithiation.ipynb", as_version=4).cells
    at = {cell.source[3:].split("\n")[0]: k for k, cell in enumerate(cells) if cell.source.startswith("## ")}

    def start(words):
        return next(k for heading, k in at.items() if heading.startswith(words))

    code = [c.source for c in cells[start("Set up") : start("Crystals first")] if c.cell_type == "code"]
    code += [c.source for c in cells[start(first) : start(end)] if c.cell_type == "code"]
    known = {*dir(builtins), "display"}
    for node in ast.parse("\n".join(code)).body:
        names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
        made = {n.id for n in names if isinstance(n.ctx, ast.Store)}
        imported = [n for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom)]
        known |= made | {alias.asname or alias.name for n in imported for alias in n.names}
        assert {n.id for n in names} <= known, ast.unparse(node)


def test_exercises_and_quiz_have_folded_answers(study):
    _, _, text = study
    own = next(cell for cell in text if cell.startswith("## On your own"))
    quiz = next(cell for cell in text if cell.startswith("## Three questions"))
    assert own.count("<details>") == own.count("</details>") == 3
    assert len(re.findall(r"^\d\. ", quiz.partition("<details>")[0], re.M)) == 3
    assert "<details>" in quiz


if not Path("/usr/bin/chromium").exists():  # else tests/browser runs them

    @pytest.mark.slow
    @pytest.mark.timeout(1800)
    @pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
    def test_runs_from_top_to_bottom_at_smoke_scale(path, monkeypatch, tmp_path):
        monkeypatch.setenv("LISI_NB_SCALE", "smoke")
        notebook, _, _ = read(path)
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        assert [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"] == []
        assert sum("image/png" in o.get("data", {}) for o in outputs) >= 2


def test_start_here_is_a_few_lines():
    _, code, _ = read(paths.PROJECT / "notebooks" / "00_start_here.ipynb")
    assert sum(len(cell.splitlines()) for cell in code) < 10
