"""A run that is looked at again and again: of its logs, each look reads what was written since the last one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lisi_nb.engine import parse
from lisi_nb.engine.lammps import deviation_file, log_file
from lisi_nb.engine.output import Output
from lisi_nb.engine.run import Run, Segment

Table = dict[str, np.ndarray]


class Growing(ABC):
    """The table in files that grow one after the other: what `lisi_nb.engine.parse` reads, but each line only once."""

    step: ClassVar[str]

    def __init__(self) -> None:
        self._file, self._at = Path(), 0
        self._names: list[str] = []  # of the columns where a table goes on
        self.table = self.parse([])

    @abstractmethod
    def parse(self, lines: list[str]) -> Table:
        """The table in whole new lines of one file."""

    def read(self, files: Sequence[tuple[Path, int]]) -> Table:
        """Read on in `files`, each with the number of steps before it; the table so far, on one axis of steps."""
        known = [file for file, _ in files]
        for file, before in files[known.index(self._file) if self._file in known else 0 :]:
            if file != self._file:
                self._file, self._at, self._names = file, 0, []
            new = self.parse(self._lines())
            if self.step in new:
                self.table = parse.joined([self.table, new | {self.step: new[self.step] + before}], self.step)
        return self.table

    def _lines(self) -> list[str]:
        if not self._file.exists():
            return []
        with self._file.open("rb") as stream:
            stream.seek(self._at)
            new = stream.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._at += len(whole)
        return whole.decode(errors="replace").splitlines()


class Thermo(Growing):
    """Thermo columns of LAMMPS logs."""

    step = "Step"

    def parse(self, lines: list[str]) -> Table:
        """As `lisi_nb.engine.parse.thermo`."""
        rows: dict[int, dict[str, float]] = {}
        for line in lines:
            words = line.split()
            if words[:1] == [self.step]:
                self._names = words
            elif line.startswith("Loop time"):
                self._names = []
            elif words and len(words) == len(self._names):
                with suppress(ValueError):
                    rows[int(words[0])] = dict(zip(self._names, map(float, words), strict=True))
        found = [rows[step] for step in sorted(rows)]
        return {name: np.array([row[name] for row in found]) for name in found[0]} if found else {}


class Deviation(Growing):
    """Ensemble deviations of DeePMD."""

    step = "step"

    def parse(self, lines: list[str]) -> Table:
        """As `lisi_nb.engine.parse.model_deviation`."""
        found = (line.split() for line in lines if not line.startswith("#"))
        rows = [[float(words[0]), float(words[4])] for words in found if len(words) >= 7]
        table = np.array(rows).reshape(-1, 2)
        return {"step": table[:, 0], "max_devi_f_eV_A": table[:, 1]}


@dataclass(frozen=True)
class Followed(Run):
    """A run, its logs read on at each call."""

    @cached_property
    def _known(self) -> dict[Path, Segment]:
        return {}

    @cached_property
    def _thermo(self) -> Thermo:
        return Thermo()

    @cached_property
    def _deviation(self) -> Deviation:
        return Deviation()

    @property
    def segments(self) -> list[Segment]:
        """The segments of a chain so far, each with the decision that it has read before."""
        return [self._known.setdefault(s.folder, s) for s in super().segments]

    def thermo(self) -> dict[str, Any]:
        """Thermo columns so far, on one axis of steps."""
        return self._thermo.read(self._files(log_file))

    def model_deviation(self) -> dict[str, Any]:
        """Steps and largest deviations so far, on one axis of steps."""
        return self._deviation.read(self._files(deviation_file))

    def _files(self, name: Callable[[int], str]) -> list[tuple[Path, int]]:
        places = [(s.folder, s.first_step) for s in self.segments] or [(self.folder, 0)]
        return [(folder / name(k), first) for folder, first in places for k in range(Output(folder).n_parts)]
