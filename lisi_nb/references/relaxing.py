"""Relax frames with a reference engine, one after the other on disk: what was relaxed before is not done again.

`relaxed_by` runs in this Python where it has the engine, else in that of ``make reference``, as
``python -m lisi_nb.references.relaxing FOLDER NAME``. On a cluster run that line in a job.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.optimize import BFGS

from lisi_nb import paths, references
from lisi_nb.analysis.elasticity import lower
from lisi_nb.engine.files import locked
from lisi_nb.errors import RunFailed, check_range
from lisi_nb.training.dp import reference_python
from lisi_nb.training.label import frame_id, read_frames

Progress = Callable[[int, int], None]
FRAMES, DONE, FAILED = "frames.extxyz", "relaxed.extxyz", "relaxed.failed.extxyz"
LOG, LOCK = "relaxing.log", "relaxing.lock"
LOOK_EVERY_S = 0.5


def relaxed_by(
    reference: str,
    frames: Sequence[Atoms],
    folder: Path,
    *,
    fmax_eV_A: float = 0.02,
    steps: int = 500,
    progress: Progress | None = None,
) -> list[Atoms]:
    """Relax frames in positions and cell.

    Parameters
    ----------
    reference : str
        Name of the engine (`references.names`).
    frames : sequence of Atoms
        Periodic; those relaxed before in this folder are read.
    folder : Path
        Of this work; one engine and one `fmax_eV_A` to a folder.
    fmax_eV_A : float
        Largest force left (and, per atom, stress times volume).
    steps : int
        At most; a frame that needs more comes back with ``info["converged"] = False``.
    progress : callable, optional
        Called with the number of frames done and their total.

    Returns
    -------
    list of Atoms
        In the order of `frames`, with energy, forces, stress, and ``info``: that of the frame, ``settings`` (engine
        and its settings), ``converged``, ``n_steps``.

    Raises
    ------
    ValueError
        No frame, one that is not periodic, or a folder of another engine.
    RunFailed
        The engine ended, or could not do some of the frames; the others are kept.
    """
    engine = references.get(reference)
    check_range("fmax_eV_A", fmax_eV_A, 1e-4, 1.0, "eV/A")
    check_range("steps", steps, 1, 100_000)
    if not frames or not all(a.pbc.all() for a in frames):
        raise ValueError(f"{len(frames)} frames came; at least one is needed, and all periodic in all directions.")
    settings = _settings(engine, fmax_eV_A, steps)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if other := {a.info["settings"] for a in read_frames(folder / DONE)} - {settings}:
        raise ValueError(f"{folder} holds relaxations by {other.pop()!r}, not {settings!r}. Choose another folder.")
    queue = [a.copy() for a in frames]
    for atoms in queue:
        atoms.info = {"frame": f"id-{frame_id(atoms)}", "fmax_eV_A": fmax_eV_A, "steps": steps}
    wanted = [a.info["frame"] for a in queue]
    (folder / FAILED).unlink(missing_ok=True)  # asked for again, they are tried again
    if _missing(folder, wanted):
        write(folder / FRAMES, queue, format="extxyz")
        if engine.available():
            relax_queue(folder, reference)
        else:
            _elsewhere(folder, reference, wanted, progress)
    done = {a.info["frame"]: a for a in read_frames(folder / DONE)}
    if progress:
        progress(sum(name in done for name in wanted), len(wanted))
    if wrong := [f"{a.get_chemical_formula()}: {a.info['failure']}" for a in read_frames(folder / FAILED)]:
        raise RunFailed(f"{reference} could not relax {len(wrong)} of {len(wanted)} frames: {'; '.join(wrong[:5])}")
    return [_with_info(done[name], atoms) for name, atoms in zip(wanted, frames, strict=True)]


def _settings(engine: references.Reference, fmax_eV_A: float, steps: int) -> str:
    return f"{engine.signature()} fmax_eV_A={fmax_eV_A:g} steps={steps}"


def _missing(folder: Path, wanted: Sequence[str]) -> set[str]:
    return set(wanted) - {a.info["frame"] for a in read_frames(folder / DONE)}


def _with_info(found: Atoms, asked: Atoms) -> Atoms:
    """A relaxed frame of its own, though two that are the same were relaxed once."""
    out = found.copy()
    out.calc = found.calc
    out.info = asked.info | {key: found.info[key] for key in ("settings", "converged", "n_steps")}
    return out


def _elsewhere(folder: Path, reference: str, wanted: Sequence[str], progress: Progress | None) -> None:
    """Run the queue in the Python of ``make reference``; it ends with this call, whatever ends it."""
    command = [str(reference_python()), "-m", "lisi_nb.references.relaxing", str(folder.resolve()), reference]
    environment = os.environ | {"PYTHONPATH": str(paths.PROJECT)}
    with (folder / LOG).open("w") as log:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            while process.poll() is None:
                time.sleep(LOOK_EVERY_S)
                if progress:
                    progress(_n_done(folder, wanted), len(wanted))
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        tail = "\n".join((folder / LOG).read_text().splitlines()[-10:])
        raise RunFailed(f"{reference} ended with code {process.returncode} in {folder}:\n{tail}")


def _n_done(folder: Path, wanted: Sequence[str]) -> int:
    """Frames done so far, without touching a file that is being written."""
    file = folder / DONE
    text = file.read_text() if file.exists() else ""
    return sum(f"frame={name} " in text for name in wanted)


def relax_queue(folder: Path, reference: str) -> None:
    """Relax what is in ``frames.extxyz`` and not yet in ``relaxed.extxyz``, each written down as soon as it is done.

    One process at a time: another one waits, and finds done what this one did.
    """
    with locked(folder / LOCK):
        _relax_missing(folder, reference)


def _relax_missing(folder: Path, reference: str) -> None:
    engine = references.get(reference)
    done = {a.info["frame"] for a in read_frames(folder / DONE)}
    calculator = engine.calculator()
    for atoms in read_frames(folder / FRAMES):
        name = atoms.info["frame"]
        if name in done:
            continue
        done.add(name)
        settings = _settings(engine, float(atoms.info["fmax_eV_A"]), int(atoms.info["steps"]))
        try:
            found = _relax(atoms, calculator)
        except Exception as error:
            atoms.info["failure"] = f"{type(error).__name__}: {error}".replace("\n", " ")[:300]
            write(folder / FAILED, atoms, format="extxyz", append=True)
        else:
            found.info |= {"frame": name, "settings": settings}
            write(folder / DONE, found, format="extxyz", append=True)


def _relax(atoms: Atoms, calculator: Any) -> Atoms:
    """One frame, with its results and whether it converged."""
    work = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    work.calc = calculator
    # BFGS wants a third fewer evaluations than FIRE, and here they are what costs.
    converged, n_steps = lower(work, True, float(atoms.info["fmax_eV_A"]), int(atoms.info["steps"]), BFGS)
    free = "free_energy" in calculator.implemented_properties
    energy = float(work.get_potential_energy(force_consistent=free))
    forces, stress = work.get_forces(), work.get_stress()
    if not (np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all()):
        raise ValueError("the engine returned a number that is not finite")
    out = work.copy()
    out.calc = SinglePointCalculator(out, energy=energy, forces=forces, stress=stress)
    out.info = {"converged": converged, "n_steps": n_steps}
    return out


if __name__ == "__main__":
    relax_queue(Path(sys.argv[1]), sys.argv[2])
