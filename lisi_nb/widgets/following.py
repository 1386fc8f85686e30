"""A run that is looked at again and again: of its logs, each look reads what was written since the last one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lisi_nb.engine import parse
from lisi_nb.engine.lammps import deviation_file, log_file
from lisi_nb.engine.output import Output
from lisi_nb.engine.run import Run, Segment

Table = dict[str, np.ndarray]


class Growing:
    """The table in files that grow one after the other: as `lisi_nb.engine.parse` reads it, but each line only once."""

    def __init__(self, step: str, read: Callable[[list[str]], Table]) -> None:
        self._step, self._read = step, read
        self._file, self._at = Path(), 0
        self.table = read([])

    def read(self, files: Sequence[tuple[Path, int]]) -> Table:
        """Read on in `files`, each with the number of steps before it; the table so far, on one axis of steps."""
        known = [file for file, _ in files]
        for file, before in files[known.index(self._file) if self._file in known else 0 :]:
            if file != self._file:
                self._file, self._at = file, 0
            lines = parse.whole_lines(file, self._at)
            self._at += sum(map(len, lines))
            new = self._read(lines)
            if self._step in new:
                self.table = parse.joined([self.table, new | {self._step: new[self._step] + before}], self._step)
        return self.table


@dataclass(frozen=True)
class Followed(Run):
    """A run, its logs read on at each call."""

    @cached_property
    def _known(self) -> dict[Path, Segment]:
        return {}

    @cached_property
    def _thermo(self) -> Growing:
        columns: list[str] = []  # where a table goes on
        return Growing("Step", lambda lines: parse.thermo_in(lines, columns))

    @cached_property
    def _deviation(self) -> Growing:
        return Growing("step", parse.model_deviation_in)

    @property
    def segments(self) -> list[Segment]:
        """The segments of a chain so far, each with the decision that it has read before."""
        return [self._known.setdefault(s.folder, s) for s in super().segments]

    def thermo(self) -> dict[str, Any]:
        """Thermo columns so far, on one axis of steps."""
        return self._thermo.read(self._files(log_file))

    def model_deviation(self) -> dict[str, Any]:
        """Deviations of the ensemble so far, on one axis of steps."""
        return self._deviation.read(self._files(deviation_file))

    def _files(self, name: Callable[[int], str]) -> list[tuple[Path, int]]:
        places = [(s.folder, s.first_step) for s in self.segments] or [(self.folder, 0)]
        return [(folder / name(k), first) for folder, first in places for k in range(Output(folder).n_parts)]
