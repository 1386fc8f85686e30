"""Every study is where CONTRIBUTING's seven steps put it."""

import re
from pathlib import Path

import nbformat
import pytest

from lisi_nb.paths import PROJECT

STUDIES = sorted(p.parent for p in (PROJECT / "lisi_nb" / "studies").glob("*/__init__.py"))
IN_THE_MAKING = {"nanoparticle": "02", "lixsi": "02"}  # studies that run from the terminal, and their coming notebook
WHOLE = [path for path in STUDIES if path.name not in IN_THE_MAKING]
STEPS = re.findall(r"^\d\. (.*(?:\n   .*)*)", (PROJECT / "CONTRIBUTING.md").read_text(), re.M)


def test_there_are_seven_steps_and_a_study():
    assert len(STEPS) == 7
    assert STUDIES


def test_what_is_in_the_making_has_no_notebook_yet():
    for study, number in IN_THE_MAKING.items():
        assert PROJECT / "lisi_nb" / "studies" / study in STUDIES
        assert not list((PROJECT / "notebooks").glob(f"{number}_*.ipynb")), f"{study} is whole now: strike it out"


@pytest.mark.parametrize("study", WHOLE, ids=lambda path: path.name)
def test_the_files_of_the_steps_exist(study: Path):
    named = [name for step in STEPS for name in re.findall(r"`([\w/<>]+\.(?:py|ipynb))`", step)]
    assert len(named) == 7
    for name in named:
        pattern = name.replace("<word>", study.name).replace("NN", "[0-9][0-9]")
        folder = PROJECT if "/" in name else study
        assert list(folder.glob(pattern)), f"{name} of {study.name} is missing"


@pytest.mark.parametrize("study", WHOLE, ids=lambda path: path.name)
def test_start_here_leads_to_its_notebook(study: Path):
    cells = nbformat.read(PROJECT / "notebooks" / "00_start_here.ipynb", as_version=4).cells
    text = "\n".join(cell.source for cell in cells)
    assert re.search(rf"\]\(\d\d_{study.name}\.ipynb\)", text)


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_its_atoms_can_be_counted_without_building(study: Path):
    import importlib

    module = importlib.import_module(f"lisi_nb.studies.{study.name}")
    for scale in module.SCALES:
        assert module.n_atoms(module.scaled(scale)) > 0
