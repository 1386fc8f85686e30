"""What a figure shows, without how it is drawn: studies make charts, `lisi_nb.plots` draws them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lisi_nb.errors import check_choice
from lisi_nb.palette import CYCLE

STYLES = ("line", "points", "dots", "level", "paper")


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class Curve:
    """One line: `x`, `y` and optional `error` band ``(n,)``, with its name.

    `style` is ``line``, ``points``, ``dots`` (many points), ``level`` (a dashed mark, such as a threshold) or ``paper``
    (published values).
    `colour` is a key of `lisi_nb.palette.COLOURS` or ``#rrggbb``, or empty for the next in the cycle; `shade` in 0-1
    picks from a sequential map instead (time). `dash` 0, 1, ... picks a pattern, so that no two curves differ by
    colour alone.
    """

    x: np.ndarray
    y: np.ndarray
    label: str = ""
    error: np.ndarray | None = None
    style: str = "line"
    colour: str = ""
    shade: float | None = None
    dash: int = 0

    def __post_init__(self) -> None:
        check_choice("style", self.style, STYLES)


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


def with_published(chart: Chart, x: np.ndarray, y: np.ndarray, label: str, error: np.ndarray | None = None) -> Chart:
    """`chart` with published values ``(n,)`` drawn in, in the units of its axes; one value is a mark, more a line."""
    return replace(chart, curves=(*chart.curves, Curve(np.atleast_1d(x), np.atleast_1d(y), label, error, "paper")))


def overlay(drawn: Mapping[str, Sequence[Chart]]) -> tuple[Chart, ...]:
    """Charts of the same name and axes laid over each other: one colour for each key, one dash for each curve.

    Parameters
    ----------
    drawn : mapping
        Name (of a run) -> its charts.

    Returns
    -------
    tuple of Chart
        One for each chart that at least one name has. Of a series of shades (times) only the last stays; thresholds
        and published values stay where all have the same.
    """
    places = dict.fromkeys((c.title, c.x_label, c.y_label) for charts in drawn.values() for c in charts)
    return tuple(_overlaid(place, drawn) for place in places)


def _overlaid(place: tuple[str, str, str], drawn: Mapping[str, Sequence[Chart]]) -> Chart:
    here = {name: [c for c in charts if (c.title, c.x_label, c.y_label) == place] for name, charts in drawn.items()}
    found = {name: charts[0] for name, charts in here.items() if charts}
    curves: list[Curve] = []
    for name, chart in found.items():
        colour = CYCLE[list(drawn).index(name) % len(CYCLE)]
        kept = [c for c in chart.curves if c.style in ("line", "points") and c.shade is None]
        kept += [c for c in chart.curves if c.shade is not None][-1:]
        for k, curve in enumerate(kept):
            label = name if len(kept) == 1 and curve.shade is None else f"{name}, {curve.label}"
            curves.append(replace(curve, label=label, colour=colour, dash=k, shade=None))
    first, *others = found.values()
    marks = [c for c in first.curves if c.style in ("level", "paper")]
    curves += [c for c in marks if all(any(_same(c, d) for d in other.curves) for other in others)]
    return Chart(*place, tuple(curves), first.categories)


def _same(a: Curve, b: Curve) -> bool:
    return (a.style, a.label) == (b.style, b.label) and np.array_equal(a.x, b.x) and np.array_equal(a.y, b.y)
