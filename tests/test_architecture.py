"""The import directions of the package (DESIGN, "Directions"), read from the source; what loads, in a fresh Python."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from lisi_nb.paths import PROJECT

PACKAGE = PROJECT / "lisi_nb"
FILES = sorted(PACKAGE.rglob("*.py"))
VIEWERS = {"anywidget", "ipywidgets", "nglview", "IPython"}
OPENERS = {
    "open",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "load",
    "loadtxt",
    "save",
    "savetxt",
    "memmap",
}


def name_of(file: Path) -> str:
    """Dotted name of a module file."""
    parts = file.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in FILES}


def imports(file: Path, *, module_level: bool = False) -> set[str]:
    """Dotted names a file imports; ``from a import b`` counts as ``a.b`` where that is a module, else as ``a``.

    With `module_level`, imports inside functions and under ``TYPE_CHECKING`` are left out.
    """
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if module_level and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            return
        if module_level and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else node.module)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(file.read_text()))
    return found


def under(folder: str) -> list[Path]:
    files = [f for f in FILES if f.is_relative_to(PACKAGE / folder)]
    assert files, folder
    return files


def offences(files: list[Path], *forbidden: str) -> list[str]:
    """Imports of `forbidden` packages or of anything below them."""
    return [
        f"{file.relative_to(PROJECT)} imports {name}"
        for file in files
        for name in imports(file)
        if any(name == f or name.startswith(f + ".") for f in forbidden)
    ]


def test_the_reader_sees_imports(tmp_path):
    """The tests below would pass on a blind reader: this one fails on it."""
    file = tmp_path / "x.py"
    file.write_text(
        "import a.b\nfrom c import d\nfrom lisi_nb import paths\n"
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import e\n\ndef f():\n    import g\n"
    )
    assert imports(file) == {"a.b", "c", "lisi_nb.paths", "typing", "e", "g"}
    assert imports(file, module_level=True) == {"a.b", "c", "lisi_nb.paths", "typing"}
    assert "lisi_nb.engine.run" in imports(PACKAGE / "engine" / "worker.py")


def test_studies_launch_nothing_and_show_nothing():
    assert not offences(
        under("studies"), "lisi_nb.widgets", "lisi_nb.engine.launch", "lisi_nb.engine.worker", "lisi_nb.cli",
        "subprocess", "lisi_nb.plots", "lisi_nb.training",
    )  # fmt: skip


def test_studies_do_not_know_each_other():
    for folder in (p for p in (PACKAGE / "studies").iterdir() if (p / "__init__.py").exists()):
        others = [f"lisi_nb.studies.{p.name}" for p in folder.parent.iterdir() if p.is_dir() and p != folder]
        assert not offences(under(f"studies/{folder.name}"), *others)


def test_widgets_know_no_study():
    assert not offences(under("widgets"), "lisi_nb.studies", "lisi_nb.training", "subprocess")


def test_nothing_imports_widgets():
    others = [f for f in FILES if not f.is_relative_to(PACKAGE / "widgets")]
    assert not offences(others, "lisi_nb.widgets")


def test_engine_imports_no_study():
    # How far an ensemble can be trusted is arithmetic on what LAMMPS writes, the same for every study.
    analysis = [name for name in MODULES if name.startswith("lisi_nb.analysis.") and name != "lisi_nb.analysis.trust"]
    assert not offences(under("engine"), "lisi_nb.studies", "lisi_nb.widgets", "lisi_nb.training", *analysis)


def test_lammps_text_starts_nothing():
    found = imports(PACKAGE / "engine" / "lammps.py")
    assert found <= {"__future__", "dataclasses", "lisi_nb.errors"}


def test_analysis_takes_arrays():
    assert not offences(
        under("analysis"), "lisi_nb.engine", "lisi_nb.studies", "lisi_nb.structures", "lisi_nb.potentials",
        "lisi_nb.paths", "pathlib", "os", "io", "subprocess", "ase.io",
    )  # fmt: skip
    for file in under("analysis"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                assert called not in OPENERS, f"{file.name}, line {node.lineno} calls {called}"


def test_structures_know_no_study():
    assert not offences(
        under("structures"), "lisi_nb.studies", "lisi_nb.widgets", "lisi_nb.analysis", "lisi_nb.engine.launch"
    )


def test_matplotlib_only_in_plots():
    assert not offences([f for f in FILES if f != PACKAGE / "plots.py"], "matplotlib")


def test_viewers_only_in_widgets():
    """`engine.doctor` may look whether OVITO works; it draws nothing."""
    others = [f for f in FILES if not f.is_relative_to(PACKAGE / "widgets")]
    assert not offences(others, *VIEWERS)
    assert not offences([f for f in others if f != PACKAGE / "engine" / "doctor.py"], "ovito")


@pytest.mark.parametrize("package", ["lammps", "deepmd", "tensorflow", "torch", "sevenn"])
def test_no_engine_is_loaded_with_the_package(package):
    """Loading LAMMPS or DeePMD into a kernel costs seconds and can take it down: never at module level."""
    for file in FILES:
        assert not any(n.split(".")[0] == package for n in imports(file, module_level=True)), file


@pytest.mark.parametrize("package", ["lisi_nb", "lisi_nb.widgets"])
def test_importing_loads_no_engine(package):
    """Also not by way of other packages, which the source does not tell."""
    heavy = {"deepmd", "lammps", "ovito", "torch", "tensorflow"}
    code = f"import sys, time, {package}; print(time.process_time(), *{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    cpu_s, *loaded = done.stdout.split()
    print(f"import {package}: {cpu_s} s of CPU")
    assert loaded == []
    if package == "lisi_nb":
        assert float(cpu_s) < 0.5


def test_no_import_cycles():
    graph = {
        name: {i for i in imports(file, module_level=True) if i in MODULES and i != name}
        for name, file in MODULES.items()
    }
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_no_file_is_long(file):
    n = len(file.read_text().splitlines())
    assert n <= 300, f"{file.name} has {n} lines; split it"


@pytest.mark.parametrize("study", [p for p in (PACKAGE / "studies").iterdir() if (p / "__init__.py").exists()])
def test_a_study_has_the_doors_everything_else_uses(study):
    import importlib

    module = importlib.import_module(f"lisi_nb.studies.{study.name}")
    assert study.name == module.NAME
    assert set(module.SCALES) == {"smoke", "lesson", "paper"}
    for door in ("Params", "scaled", "build", "plan", "analyse", "compare", "claims", "live"):
        assert callable(getattr(module, door)), door
    assert all(hasattr(module, name) for name in module.__all__)
