"""Chains: a run of several segments, each decided when the last one has ended.

``study.plan(params, history)`` is asked for the next `Step` until it answers `Stop`. Each segment is a folder
``segments/NNN-name/`` with its own inputs and outputs; its ``step.json`` says what was decided, why, and on which
numbers. A chain goes on at the segment where it was interrupted and, within it, from its last restart file.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from ase import Atoms

from lisi_nb import paths
from lisi_nb.engine import execute, lammps
from lisi_nb.engine.lammps import DATA_FILE, FINAL_DATA
from lisi_nb.engine.run import SEGMENTS, Run, Segment, write_json

NUMBERS, STOPPED = "numbers.json", "stop.json"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")


@dataclass(frozen=True)
class Task:
    """A segment that is not MD: ``python -m MODULE FOLDER`` in the segment's folder, such as labelling or training.

    It starts from ``data.lmp``, may write a structure to end with (``final.data``) and ``numbers.json``, and goes on
    by itself when it is started again after a kill.

    Attributes
    ----------
    module : str
        Name of a module of ``lisi_nb``.
    reference : bool
        Run it with the Python of ``make reference`` instead of this one.
    """

    module: str
    reference: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"lisi_nb(\.[a-z_0-9]+)+", self.module):
            raise ValueError(f"module={self.module!r} is not a module of lisi_nb, such as lisi_nb.training.label.")

    def command(self, folder: Path) -> list[str]:
        """Its command line."""
        python = paths.PROJECT / ".venv-reference" / "bin" / "python" if self.reference else Path(sys.executable)
        if not python.exists():
            raise FileNotFoundError(f"{python} is missing. Run `make reference` first.")
        return [str(python), "-m", self.module, str(folder)]


@dataclass(frozen=True, eq=False)
class Step:
    """What comes next in a chain.

    Attributes
    ----------
    name : str
        Kind of segment, the same each time it comes round: ``"equilibrate"``.
    segment : lammps.Segment or Task
        What is done.
    why : str
        The reason, in a sentence.
    numbers : dict
        What the decision stands on; names carry the unit.
    atoms : Atoms, optional
        Structure it starts from; by default the one the last segment ended with.
    """

    name: str
    segment: lammps.Segment | Task
    why: str
    numbers: dict[str, float] = field(default_factory=dict)
    atoms: Atoms | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name={self.name!r} of a step: use lower-case letters, digits and underscores.")

    @property
    def n_steps(self) -> int:
        """MD steps; 0 for a task."""
        return self.segment.n_steps if isinstance(self.segment, lammps.Segment) else 0


@dataclass(frozen=True)
class Stop:
    """The end of a chain, and why."""

    why: str
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Done(Segment):
    """A segment that has ended, as `plan` sees it."""

    @property
    def name(self) -> str:
        """Its kind."""
        return str(self.decision["name"])

    @property
    def numbers(self) -> dict[str, Any]:
        """Numbers of the decision, and those that a task has written."""
        file = self.folder / NUMBERS
        return self.decision["numbers"] | (json.loads(file.read_text()) if file.exists() else {})

    @cached_property
    def atoms(self) -> Atoms:
        """The structure it ended with, with velocities; that of its start where a task has left it."""
        return execute.read_structure(self.folder / (FINAL_DATA if (self.folder / FINAL_DATA).exists() else DATA_FILE))


def is_chain(run: Run) -> bool:
    """Whether the run is decided segment by segment."""
    return bool(run.manifest.get("chain"))


def history(run: Run) -> tuple[Done, ...]:
    """The segments that have ended, in order."""
    return tuple(Done(s.folder) for s in run.segments if s.ended)


def decisions(run: Run) -> list[dict[str, Any]]:
    """What was decided so far, why and on which numbers: one record for each segment, and one for the end."""
    found = [s.decision for s in run.segments]
    end = run.folder / SEGMENTS / STOPPED
    return [*found, json.loads(end.read_text())] if end.exists() else found


def next_segment(run: Run, study: ModuleType, models: list[Path]) -> tuple[Segment, lammps.Segment | Task] | None:
    """The segment to execute now, its folder prepared: the one that was interrupted, or the next; ``None`` at the end.

    Raises
    ------
    ValueError
        The study's plan is not a step of a chain.
    """
    done = history(run)
    step = study.plan(study.Params(**run.params), done)
    if isinstance(step, Stop):
        (run.folder / SEGMENTS).mkdir(exist_ok=True)
        write_json(run.folder / SEGMENTS / STOPPED, {"name": "end", "why": step.why, "numbers": step.numbers})
        return None
    if not isinstance(step, Step):
        raise ValueError(f"The plan of study {study.NAME!r} gave {type(step).__name__}; a chain takes Step or Stop.")
    started = next((s for s in run.segments if not s.ended), None)
    if started is not None:
        if started.decision["name"] != step.name:
            raise ValueError(
                f"{started.folder} was begun as {started.decision['name']!r}; the plan now says {step.name!r}. It was "
                "made with another version of this study. Run it again from its start."
            )
        return started, step.segment
    last = done[-1].atoms if done else execute.read_structure(run.folder / DATA_FILE)
    atoms = last if step.atoms is None else step.atoms
    folder = run.folder / SEGMENTS / f"{len(done):03d}-{step.name}"
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(step.segment, lammps.Segment):
        execute.prepare(folder, atoms, step.segment, models)
    else:
        execute.write_data(atoms, folder / DATA_FILE)
    decision = {
        "number": len(done),
        "name": step.name,
        "kind": "molecular dynamics" if step.n_steps else step.segment.module,  # type: ignore[union-attr]
        "first_step": sum(s.decision["n_steps"] for s in done),
        "n_steps": step.n_steps,
        "n_atoms": len(atoms),
        "formula": atoms.get_chemical_formula(),
        "why": step.why,
        "numbers": step.numbers,
    }
    write_json(folder / "step.json", decision)  # last: a folder without it has not begun
    return Segment(folder), step.segment


def end(segment: Segment) -> None:
    """Note that a segment came to its end."""
    write_json(segment.folder / "ended.json", {"pid": os.getpid()})
