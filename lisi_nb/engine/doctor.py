"""Check every engine by one real step, and say what is missing and how to get it."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ase.build import bulk

from lisi_nb import potentials
from lisi_nb.engine import devices, parse
from lisi_nb.engine.execute import run_blocking
from lisi_nb.engine.lammps import Segment, Stage


@dataclass(frozen=True)
class Check:
    """One line of the doctor's table: `ok`, what was seen, and the remedy when it is not; `needed` by default runs."""

    name: str
    ok: bool
    seen: str
    remedy: str
    needed: bool


def _lammps() -> str:
    potential = potentials.get("lisi")
    atoms = bulk("Li", "bcc", a=3.43, cubic=True) * (4, 4, 4)
    with tempfile.TemporaryDirectory() as folder:
        segment = Segment((Stage(2, 300.0, 300.0),), dump_every=0, thermo_every=1)
        run_blocking(Path(folder), atoms, segment, potential.models(), devices.Device("cpu", "probe", 1))
        energy = parse.thermo(Path(folder) / "log.lammps")["PotEng"][-1] / len(atoms)
    return f"2 steps of {len(atoms)} Li atoms with {len(potential.models())} DeePMD models, {energy:.3f} eV/atom"


def _mpi() -> str:
    device = devices.choose("cpu")
    atoms = bulk("Li", "bcc", a=3.43, cubic=True) * (4, 4, 4)
    with tempfile.TemporaryDirectory() as folder:
        segment = Segment((Stage(1, 300.0, 300.0),), dump_every=0, thermo_every=1)
        run_blocking(Path(folder), atoms, segment, potentials.get("lisi").models()[:1], device)
    return f"1 step on {device}"


def _potentials() -> str:
    return ", ".join(f"{name} ({len(potentials.get(name).members())} members)" for name in potentials.names())


def _gpu() -> str:
    found = devices.gpus()
    if not found:
        raise RuntimeError("no NVIDIA GPU answers nvidia-smi; runs use the CPU")
    if not devices.gpu_backend_installed():
        raise RuntimeError(f"{found[0][1]} is there, but DeePMD is the CPU build")
    return found[0][1]


def _package(name: str) -> Callable[[], str]:
    def look() -> str:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"{name} is not installed in this Python")
        module = importlib.import_module(name)
        return f"{name} {getattr(module, '__version__', '')}".strip()

    return look


def _ovito() -> str:
    import ovito
    from ovito.io.ase import ase_to_ovito

    data = ase_to_ovito(bulk("Si", "diamond", a=5.43, cubic=True))
    return f"ovito {ovito.version_string}, {data.particles.count} atoms converted"


# name, what it does, remedy, needed for the default runs
_CHECKS: tuple[tuple[str, Callable[[], str], str, bool], ...] = (
    ("potentials", _potentials, "Restore data/potentials with git.", True),
    ("LAMMPS + DeePMD", _lammps, "Run `make setup`; it installs deepmd-kit[cpu,lmp].", True),
    ("MPI ranks", _mpi, "Run `make setup`; MPICH comes with deepmd-kit[lmp].", True),
    ("viewer OVITO", _ovito, "Run `make setup`.", True),
    ("viewer nglview", _package("nglview"), "Run `make setup`.", True),
    ("JupyterLab", _package("jupyterlab"), "Run `make setup`.", True),
    ("GPU", _gpu, "Optional. On a machine with an NVIDIA GPU: `make gpu`.", False),
    ("teacher 7net", _package("sevenn"), "Optional, to label frames: `make reference` makes .venv-reference.", False),
)


def examine() -> list[Check]:
    """Run every check; none raises."""
    checks = []
    for name, look, remedy, needed in _CHECKS:
        try:
            checks.append(Check(name, True, look(), "", needed))
        except Exception as error:
            checks.append(Check(name, False, f"{error}".splitlines()[0], remedy, needed))
    return checks
