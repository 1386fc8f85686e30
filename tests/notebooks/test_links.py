"""Links in what people read lead somewhere: relative ones to files and headings that exist, others are well formed."""

import re
from pathlib import Path

import nbformat
import pytest

from lisi_nb import paths

FOLDER = paths.PROJECT / "notebooks"
TEXTS = [
    *sorted(FOLDER.glob("*.ipynb")),
    *sorted(FOLDER.glob("*.md")),
    *(paths.PROJECT / name for name in ("README.md", "CONTRIBUTING.md")),
]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]*)\)")
ELSEWHERE = re.compile(r"https?://[\w-]+(\.[\w-]+)+(/\S*)?")


def markdown(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text()
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def anchors(text: str) -> set[str]:
    """Names of headings as GitHub makes them; JupyterLab's differ in case only, and not for those in small letters."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead(path: Path) -> list[str]:
    """Links of a file that lead nowhere."""
    found = []
    for target in LINK.findall(markdown(path)):
        name, _, anchor = target.partition("#")
        if re.match(r"\w+:", target):
            if not ELSEWHERE.fullmatch(target):
                found.append(target)
            continue
        file = path.parent / name if name else path
        if name.startswith("/") or not file.exists() or (anchor and anchor not in anchors(markdown(file))):
            found.append(target)
    return found


def test_dead_links_are_found(tmp_path):
    """The test below would pass on a blind reader: this one fails on it."""
    (tmp_path / "b.md").write_text("# A heading, with a comma\n")
    good = "[x](b.md) [x](b.md#a-heading-with-a-comma) [x](https://doi.org/10.1/x) [x](#here)\n## here\n"
    (tmp_path / "a.md").write_text(good + "[x](c.md) [x](b.md#no) [x](/b.md) [x](https://nowhere) [x](#there)")
    assert dead(tmp_path / "a.md") == ["c.md", "b.md#no", "/b.md", "https://nowhere", "#there"]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_are_alive(path):
    assert dead(path) == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_leads_to_the_glossary(path):
    assert "(glossary.md" in markdown(path)


def test_the_glossary_goes_from_a_to_z():
    terms = re.findall(r"^## (.*)$", (FOLDER / "glossary.md").read_text(), re.M)
    assert terms == sorted(set(terms), key=str.lower)
    assert {"run", "segment", "front", "lithiation length", "model deviation"} <= set(terms)
