"""Chains: a run of several segments, each decided when the last one has ended.

``study.plan(params, history)`` is asked for the next `Step` until it answers `Stop`. Each segment is a folder
``segments/NNN-name/`` with its own inputs and outputs; its ``step.json`` says what was decided, why, and on which
numbers. A chain goes on at the segment where it was interrupted and, within it, from its last restart file.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from ase import Atoms

from lisi_nb.engine import execute, lammps, seal
from lisi_nb.engine.files import write_json
from lisi_nb.engine.lammps import DATA_FILE, FINAL_DATA
from lisi_nb.engine.run import SEGMENTS, Run, Segment
from lisi_nb.engine.steps import Step, Stop, Task

NUMBERS, STOPPED = "numbers.json", "stop.json"


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
        "inputs": seal.hashes(folder),
    }
    write_json(folder / "step.json", decision)  # last: a folder without it has not begun
    return Segment(folder), step.segment


def end(segment: Segment) -> None:
    """Note that a segment came to its end."""
    write_json(segment.folder / "ended.json", {"pid": os.getpid()})
