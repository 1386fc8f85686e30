"""Label frames with a reference engine: a resumable queue on disk.

``lisi-nb label`` runs it with the Python that has the engine: ``.venv-reference/bin/python -m lisi_nb.training.label
FRAMES.extxyz LABELS.extxyz --reference 7net-l3i5``. Each frame is labelled once; a killed queue goes on
where it stopped; a frame the engine cannot label, or labels with nonsense, goes to ``LABELS.failed.extxyz`` with its
reason. A full disk or too little memory is no fault of the frame and ends the queue. On a cluster, give each task of a
job array its own ``--shard`` and label file.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.neighborlist import neighbor_list

from lisi_nb import paths, references
from lisi_nb.errors import RunFailed, check_range
from lisi_nb.training.dp import reference_python
from lisi_nb.units import duration

CLOSEST_A = 0.6  # atoms closer than this are a mistake, not a frame
MAX_FORCE_EV_A = 100.0  # a label beyond this is not physics
SAY_EVERY_S = 10.0
UNKNOWN = "unknown settings"


def frame_id(atoms: Atoms) -> str:
    """Short hash of elements, cell and positions (0.001 A), which names a frame in every file."""
    cell, positions = atoms.cell.array.round(3) + 0.0, atoms.positions.round(3) + 0.0
    data = atoms.numbers.tobytes() + cell.tobytes() + positions.tobytes()
    return hashlib.sha256(data).hexdigest()[:12]


def read_frames(path: Path, mend: bool = True) -> list[Atoms]:
    """All frames of an extxyz file, or none when it does not exist; a cut-off last frame is dropped.

    With `mend` it is dropped from the file too, which only the process that writes the file may do.
    """
    if not path.exists() or path.stat().st_size == 0:
        return []
    text = path.read_text()
    lines = text[: text.rfind("\n") + 1].splitlines(keepends=True)  # a line cut short may end in half a number
    whole = 0
    try:
        while whole < len(lines) and whole + int(lines[whole]) + 2 <= len(lines):
            whole += int(lines[whole]) + 2
    except ValueError:
        said = lines[whole].strip()[:40]
        raise ValueError(f"{path}, line {whole + 1}: {said!r} is no number of atoms. Give an extxyz file.") from None
    complete = "".join(lines[:whole])
    if mend and complete != text:
        os.truncate(path, len(complete.encode()))  # written anew on a full disk, all of it could be lost
    frames = list(read(io.StringIO(complete), index=":", format="extxyz")) if complete else []
    for atoms in frames:
        if "frame_id" in atoms.info:  # a hash such as 2e7990435314 was read as a number
            atoms.info["frame_id"] = frame_id(atoms)
    return frames


def evaluate(atoms: Atoms, calculator: Any) -> dict[str, Any]:
    """Energy (eV; the free energy if the engine has one), forces (eV/A) and stress (eV/A3) of a frame.

    Raises
    ------
    ValueError
        There are no atoms, or they overlap, or the engine returned a number that is not finite or not physics.
    """
    if not len(atoms):
        raise ValueError("it has no atoms")
    distances = neighbor_list("d", atoms, CLOSEST_A)
    if len(distances):
        raise ValueError(f"two atoms are {distances.min():.2f} Å apart; at least {CLOSEST_A} Å is allowed")
    work = atoms.copy()
    work.calc = calculator
    free = "free_energy" in calculator.implemented_properties
    result: dict[str, Any] = {
        "energy": float(work.get_potential_energy(force_consistent=free)),
        "forces": np.asarray(work.get_forces()),
        "stress": np.asarray(work.get_stress()),
    }
    if not all(np.isfinite(value).all() for value in result.values()):
        raise ValueError("the engine returned a number that is not finite")
    if (largest := float(np.abs(result["forces"]).max())) > MAX_FORCE_EV_A:
        raise ValueError(f"a force of {largest:.0f} eV/Å; at most {MAX_FORCE_EV_A:.0f} is taken for physics")
    return result


def failed_file(labels: Path) -> Path:
    """Where the frames go that could not be labelled, with their reason."""
    return labels.with_suffix(".failed.extxyz")


def distinct(frames: Path) -> dict[str, Atoms]:
    """The frames of a file by their `frame_id`, in its order, the first of equal ones.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    """
    if not frames.exists():
        raise FileNotFoundError(f"There are no frames to label: {frames} does not exist.")
    found: dict[str, Atoms] = {}
    for atoms in read_frames(frames, mend=False):
        found.setdefault(frame_id(atoms), atoms)
    return found


def waiting(
    frames: Path, labels: Path, reference: str, shard: int = 0, shards: int = 1, weights: Path | None = None
) -> tuple[references.Reference, list[Atoms]]:
    """The engine, and the frames it has still to label; parameters as of `label`.

    Raises
    ------
    FileNotFoundError
        There are no frames.
    ValueError
        An unknown reference or shard, or `labels` holds those of another reference or of other settings.
    """
    engine = references.tuned(reference, weights) if weights else references.get(reference)
    check_range("shard", shard, 0, shards - 1, advice="Give --shards N, and --shard from 0 to N - 1.")
    asked = distinct(frames)
    there = [*read_frames(labels), *read_frames(failed_file(labels))]
    if other := _settings(there) - {engine.signature()}:
        raise ValueError(
            f"{labels} holds labels of {' | '.join(sorted(other))}; those of {engine.signature()} do not go with them. "
            "Give another file."
        )
    done = {a.info["frame_id"] for a in there}
    return engine, [atoms for key, atoms in list(asked.items())[shard::shards] if key not in done]


def _settings(labelled: list[Atoms]) -> set[str]:
    return {str(a.info.get("settings", UNKNOWN)) for a in labelled}


def label(
    frames: Path, labels: Path, reference: str, shard: int = 0, shards: int = 1, weights: Path | None = None
) -> int:
    """Label what is in `frames` and not yet in `labels`; return the number of labelled frames.

    Parameters
    ----------
    frames, labels : Path
        Input frames and output labels (extxyz; energy in eV, forces in eV/A, stress in eV/A3).
    reference : str
        Name of the reference engine.
    shard, shards : int
        This process takes every `shards`-th frame; give each process its own `labels`.
    weights : Path, optional
        Of the fine-tuned teacher (`lisi_nb.training.tune`).

    Raises
    ------
    FileNotFoundError, ValueError
        As `waiting`, before anything is computed.
    RunFailed
        The machine lacks disk or memory; the labels made so far are kept.
    """
    engine, queue = waiting(frames, labels, reference, shard, shards, weights)
    if not queue:
        return len(read_frames(labels))
    labels.parent.mkdir(parents=True, exist_ok=True)
    calculator = engine.calculator()
    costs = [engine.seconds(len(a)) or len(a) or 1 for a in queue]
    start, said = time.monotonic(), 0.0
    for number, atoms in enumerate(queue, start=1):
        info = {k: v for k, v in atoms.info.items() if isinstance(v, (str, int, float, np.integer))}
        info.pop("failure", None)  # of another try
        info |= {"frame_id": frame_id(atoms), "reference": engine.name, "settings": engine.signature()}
        plain = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True, info=info)
        try:
            _append(plain, calculator, labels)
        except (OSError, MemoryError) as error:
            raise RunFailed(
                f"Labelling stopped at frame {number} of {len(queue)} ({plain.symbols}, {info['frame_id']}): "
                f"{_words(error)}. The labels so far are kept in {labels}. Free disk or memory and run again to go on; "
                f"if it is this frame that needs too much, take it out of {frames}."
            ) from error
        if time.monotonic() - said > SAY_EVERY_S or number == len(queue):
            said = time.monotonic()
            left = sum(costs[number:]) * (said - start) / sum(costs[:number])
            print(f"labelled {number}/{len(queue)} frames, time left {duration(left)}", file=sys.stderr, flush=True)
    return len(read_frames(labels))


def _append(atoms: Atoms, calculator: Any, labels: Path) -> None:
    """Add a frame with its labels to `labels`, or with the reason why it has none to those set apart."""
    try:
        atoms.calc = SinglePointCalculator(atoms, **evaluate(atoms, calculator))
    except (OSError, MemoryError):
        raise
    except Exception as error:
        atoms.info["failure"] = _words(error)[:300]
    write(failed_file(labels) if "failure" in atoms.info else labels, atoms, format="extxyz", append=True)


def _words(error: BaseException) -> str:
    """Kind and words of an error in one line; GPAW has none for an SCF without end."""
    words = str(error).replace("\n", " ") or "it gave no further words"
    return f"{type(error).__name__}: {words}"


def label_in_parts(frames: Path, parts: list[Path], reference: str, weights: Path | None = None) -> None:
    """Label the frames of a file in one process of the reference environment for each part, side by side.

    Raises
    ------
    FileNotFoundError, ValueError
        As `waiting`, before anything is computed.
    RuntimeError
        A process was killed or failed; the labels made so far are kept, and the same call goes on from them.
    """
    for k, part in enumerate(parts):
        waiting(frames, part, reference, k, len(parts), weights)
    weights = weights.resolve() if weights else None
    commands = [
        labelling(frames.resolve(), part.resolve(), reference, k, len(parts), weights) for k, part in enumerate(parts)
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    jobs = [subprocess.Popen(command, cwd=paths.PROJECT, env=environment) for command in commands]
    try:
        failed = any([job.wait() for job in jobs])  # a list: the last is waited for even when the first has failed
    finally:
        for job in jobs:
            job.kill()
    if failed:
        raise RuntimeError(f"Labelling of {frames.name} was cut short; run again to go on where it stopped.")


def label_side_by_side(frames: Path, labels: Path, reference: str, weights: Path | None = None) -> list[Atoms]:
    """Label a file in two processes, join their labels in its order as `labels`, and return them.

    Frames that cannot be labelled are left out; they lie in ``*.failed.extxyz`` beside `labels`, with the reason.
    """
    parts = [labels.with_suffix(f".{k}.extxyz") for k in range(2)]
    label_in_parts(frames, parts, reference, weights)
    found = joined(frames, parts)
    write(labels, found, format="extxyz")
    return found


def joined(frames: Path, parts: list[Path]) -> list[Atoms]:
    """The labels of several files in the order of `frames`, each once; frames set apart are left out.

    Raises
    ------
    FileNotFoundError
        There are no frames.
    ValueError
        The labels are not all of one reference with the same settings.
    """
    labelled = [a for part in parts for a in read_frames(part, mend=False) if "failure" not in a.info]
    if len(settings := _settings(labelled)) > 1 or UNKNOWN in settings:
        raise ValueError(f"These are labels of {' | '.join(sorted(settings))}. Join those of one reference only.")
    found = {frame_id(a): a for a in labelled}
    return [found[key] for key in distinct(frames) if key in found]


def labelling(
    frames: Path, labels: Path, reference: str, shard: int, shards: int, weights: Path | None = None
) -> list[str]:
    """Command of one labelling process in the reference environment."""
    options = ["--reference", reference, "--shard", str(shard), "--shards", str(shards)]
    options += ["--weights", str(weights)] if weights else []
    return [str(reference_python()), "-m", "lisi_nb.training.label", str(frames), str(labels), *options]


def main() -> None:
    """Command line of the labelling queue."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--reference", default="7net-l3i5", choices=references.names())
    parser.add_argument("--weights", type=Path, help="of a fine-tuned SevenNet, instead of the reference's own")
    parser.add_argument("--shard", type=int, default=0)
    parser.add_argument("--shards", type=int, default=1)
    a = parser.parse_args()
    try:
        label(a.frames, a.labels, a.reference, a.shard, a.shards, a.weights)
    except (FileNotFoundError, ModuleNotFoundError, RunFailed, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
