"""Files that grow, looked at again and again: each look reads what was written since the last one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lisi_nb.engine import parse

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
            if file.exists() and file.stat().st_size < self._at:  # begun anew
                self._at = 0
            lines = parse.whole_lines(file, self._at)
            self._at += sum(map(len, lines))
            new = self._read(lines)
            if self._step in new:
                self.table = parse.joined([self.table, new | {self._step: new[self._step] + before}], self._step)
        return self.table


def growing_thermo() -> Growing:
    """Thermo columns of LAMMPS logs that grow."""
    columns: list[str] = []  # where a table goes on
    return Growing("Step", lambda lines: parse.thermo_in(lines, columns))
