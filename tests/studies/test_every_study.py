"""Every study is where CONTRIBUTING's seven steps put it."""

import importlib
import re
from pathlib import Path

import nbformat
import pytest

from lisi_nb.engine import estimate
from lisi_nb.paths import PROJECT

STUDIES = sorted(p.parent for p in (PROJECT / "lisi_nb" / "studies").glob("*/__init__.py"))
SECTION = re.search(r"^## Add a study in 7 steps$(.*?)^## ", (PROJECT / "CONTRIBUTING.md").read_text(), re.M | re.S)[1]
STEPS = re.findall(r"^\d\. (.*(?:\n   .*)*)", SECTION, re.M)


def imported(study: Path):
    return importlib.import_module(f"lisi_nb.studies.{study.name}")


def notebook(study: Path) -> Path:
    return PROJECT / "notebooks" / f"{imported(study).NOTEBOOK}.ipynb"


def test_there_are_seven_steps_and_a_study():
    assert len(STEPS) == 7
    assert STUDIES


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_the_files_of_the_steps_exist(study: Path):
    named = [name for step in STEPS for name in re.findall(r"`([\w/<>]+\.py)`", step)]
    assert len(named) >= len(STEPS), "the steps name too few files"
    for name in named:
        folder = PROJECT if "/" in name else study
        assert (folder / name.replace("<word>", study.name)).exists(), f"{name} of {study.name} is missing"
    assert notebook(study).exists()


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_start_here_leads_to_its_notebook(study: Path):
    cells = nbformat.read(PROJECT / "notebooks" / "00_start_here.ipynb", as_version=4).cells
    text = "\n".join(cell.source for cell in cells)
    assert f"]({notebook(study).name})" in text


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_its_atoms_can_be_counted_without_building(study: Path):
    module = imported(study)
    for scale in module.SCALES:
        assert module.n_atoms(module.scaled(scale)) > 0


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_all_its_variants_can_be_reproduced(study: Path):
    """`lisi-nb reproduce` runs ``variants(scale, seeds)`` and shares out the time left by atom-steps."""
    module = imported(study)
    for name, each in module.variants("smoke", 2).items():
        assert isinstance(name, str)
        assert [params.seed for params in each] == [1, 2]
        assert all(estimate.atom_steps(module, params) > 0 for params in each)
