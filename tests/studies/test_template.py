"""The template of a study, taken by the commands of CONTRIBUTING, runs, reports and passes the tests of every study."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from lisi_nb import potentials
from lisi_nb.paths import PROJECT

TEMPLATE = PROJECT / "tests" / "studies" / "template"
COMMANDS = re.search(r"```bash\n(WORD=.*?)```", (PROJECT / "CONTRIBUTING.md").read_text(), re.S)[1]
WORD = re.match(r"WORD=(\w+)", COMMANDS)[1]


@pytest.fixture
def in_copy(tmp_path, data_folder):
    """Function that runs a program in a copy of the project, and returns what it says."""
    ignored = shutil.ignore_patterns("__pycache__", "artifacts", ".*")
    for name in ("lisi_nb", "tests", "notebooks"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=ignored)
    for name in ("CONTRIBUTING.md", "pyproject.toml"):
        shutil.copyfile(PROJECT / name, tmp_path / name)
    (tmp_path / "data").symlink_to(PROJECT / "data")
    places = {"PYTHONPATH": tmp_path, "PATH": Path(sys.executable).parent}
    first = {name: os.pathsep.join([str(p), *filter(None, [os.environ.get(name)])]) for name, p in places.items()}

    def run(*command):
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | first, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.slow
def test_copied_and_renamed_it_runs_reports_and_keeps_the_rules(in_copy, data_folder):
    in_copy("bash", "-ec", COMMANDS)
    report = data_folder / "runs" / WORD / "report-smoke"
    text = (report / "report.md").read_text()
    assert re.search(r"\| volume_per_atom \| Li +\| [\d.]+ ± [\d.]+ Å³ +\| 21.6 Å³ \| (yes|no) +\|", text)
    assert "Lithium swells when it gets warm." in text
    assert (report / "volume.png").exists()
    results = json.loads((report / "results.json").read_text())["results"]
    rest_A3 = potentials.get("lisi").card["properties"]["volume_A3_atom"]["Li"]
    for result in results.values():
        assert result["quantities"]["volume_per_atom"]["value"] == pytest.approx(rest_A3, rel=0.1)
    (executed,) = report.glob("*.ipynb")
    outputs = [o for cell in nbformat.read(executed, as_version=4).cells for o in cell.get("outputs", [])]
    assert sum("image/png" in o.get("data", {}) for o in outputs) >= 4

    own, rules = f"tests/studies/test_{WORD}.py", ("tests/test_architecture.py", "tests/studies/test_every_study.py")
    to_be_written = f"{rules[1]}::test_start_here_leads_to_its_notebook[{WORD}]"
    in_copy(sys.executable, "-m", "pytest", own, *rules, "--deselect", to_be_written)
    checked = ("lisi_nb", "tests/studies", f"notebooks/{executed.name}")
    in_copy(sys.executable, "-m", "ruff", "check", *checked)
    in_copy(sys.executable, "-m", "ruff", "format", "--check", *checked)


def test_it_is_short_and_has_the_headings_of_every_notebook():
    cells = nbformat.read(TEMPLATE / "notebook.ipynb", as_version=4).cells
    texts = [path.read_text() for path in TEMPLATE.rglob("*.py")] + [cell.source for cell in cells]
    assert sum(len(text.splitlines()) for text in texts) < 300
    shape = (PROJECT / "tests" / "notebooks" / "test_notebooks.py").read_text()
    found = [line[3:] for cell in cells for line in cell.source.splitlines() if line.startswith("## ")]
    assert found == re.findall(r'"(.*)"', re.search(r"HEADINGS = \[(.*?)\]", shape, re.S)[1])


def test_a_reader_without_a_kernel_sees_what_it_makes():
    cells = nbformat.read(TEMPLATE / "notebook.ipynb", as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4
