"""What a figure shows, without how it is drawn: studies make charts, `lisi_nb.plots` draws them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class Curve:
    """One line: `x`, `y` and optional `error` band ``(n,)``, name, style ``line``, ``points`` (with
    error bars), ``dots`` (many) or ``level``.

    `colour` is a key of `lisi_nb.plots.COLOURS`, or empty for the next in the cycle; `shade` in 0-1 picks from
    a sequential map instead (time).
    """

    x: np.ndarray
    y: np.ndarray
    label: str = ""
    error: np.ndarray | None = None
    style: str = "line"
    colour: str = ""
    shade: float | None = None


@dataclass(frozen=True)
class Chart:
    """Curves on one pair of axes; labels carry the units. With `categories`, x = 0, 1, ... stand for these names."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    categories: tuple[str, ...] = ()

    def to_csv(self, path: Path) -> Path:
        """Write the numbers behind the figure (curve, x, y, error), with units in the header."""
        with path.open("w", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["curve", self.x_label, self.y_label, "error"])
            for curve in self.curves:
                error = curve.error if curve.error is not None else np.full(len(curve.x), np.nan)
                table.writerows(
                    [curve.label, f"{x:.6g}", f"{y:.6g}", f"{e:.6g}"]
                    for x, y, e in zip(curve.x, curve.y, error, strict=True)
                )
        return path
