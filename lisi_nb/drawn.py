"""Atoms as a picture shows them, without how they are drawn: what `lisi_nb.charts` is for curves."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class Drawn:
    """Atoms in a picture; where they are coloured by numbers or kinds, these ``(n,)`` and their `label` with unit."""

    atoms: Atoms
    label: str = ""
    values: np.ndarray | Sequence[str] | None = None

    def to_csv(self, path: Path) -> Path:
        """Write symbol, position and value of each atom, with units in the header."""
        columns: dict[str, Any] = {"symbol": self.atoms.symbols}
        columns |= {f"{axis} (Å)": at for axis, at in zip("xyz", self.atoms.positions.T, strict=True)}
        if self.values is not None:
            columns[self.label or "value"] = self.values
        with path.open("w", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(columns)
            for row in zip(*columns.values(), strict=True):
                table.writerow([entry if isinstance(entry, str) else f"{entry:.6g}" for entry in row])
        return path
