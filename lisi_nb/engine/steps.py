"""What a plan can answer: the next step of a chain, or its end. Only records; `lisi_nb.engine.chain` executes them."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from ase import Atoms

from lisi_nb import paths
from lisi_nb.engine import lammps

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
