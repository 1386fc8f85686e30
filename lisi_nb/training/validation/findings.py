"""One validated number: ours with its spread over the ensemble, DFT's and experiment's, and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lisi_nb import published
from lisi_nb.potentials import Potential
from lisi_nb.units import Measured

GOALS = {"energy_rmse_meV_atom": 6.0, "force_rmse_eV_A": 0.10}  # on held-out labels
CORRELATION = "rank correlation of deviation and force error"
RATIO = "force error over deviation (RMS)"
SHARE = "atoms with a force error below 0.3 eV/Å"
TYPICAL = "force error of an atom (RMS)"
SOFTEST_THZ = -0.05  # less than nothing only by rounding


@dataclass(frozen=True)
class Finding:
    """One row of a validation report.

    Attributes
    ----------
    quantity, system : str
        What was computed, of what.
    value, error, unit : float, float, str
        From the first member (the one that drives MD); the error is the standard deviation over the members.
    dft, experiment : float or None
        Reference values in the same unit (``data/published.csv``, or given with their source in `note`).
    allowed : float or None
        Largest deviation from `dft` (from `experiment` without one) that still counts as agreement.
    note : str
        Anything a reader must know.
    at_least : float or None
        The smallest value that is sound, where no reference is needed to judge it.
    """

    quantity: str
    system: str
    value: float
    error: float
    unit: str
    dft: float | None = None
    experiment: float | None = None
    allowed: float | None = None
    note: str = ""
    at_least: float | None = None

    @property
    def verdict(self) -> str:
        """``good``, ``off``, or nothing where there is neither a reference with a tolerance nor a limit."""
        if self.at_least is not None:
            return "good" if self.value >= self.at_least else "off"
        reference = self.dft if self.dft is not None else self.experiment
        if reference is None or self.allowed is None:
            return ""
        return "good" if abs(self.value - reference) <= self.allowed else "off"

    def row(self) -> tuple[str, ...]:
        """Cells of a table: quantity, system, ours, DFT, experiment, verdict, note."""
        ours = str(Measured(self.value, self.error, self.unit))
        others = ("" if x is None else f"{x:.4g}" for x in (self.dft, self.experiment))
        return (self.quantity, self.system, ours, *others, self.verdict, self.note)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"verdict": self.verdict}


def reference_value(quantity: str, system: str) -> float:
    """An independent reference value from ``data/published.csv``; the middle where it is a range."""
    exact = published.find("reference", quantity, system)
    ends = [published.find("reference", f"{quantity}_{end}", system) for end in ("min", "max")]
    found = exact or [row for rows in ends for row in rows]
    if not found:
        raise ValueError(f"data/published.csv has no reference value of {quantity!r} for {system!r}.")
    return float(np.mean([row.value for row in found]))


def over_members(potential: Potential, compute: Callable[[Any], float]) -> tuple[float, float]:
    """``compute(calculator)`` for the first member, and its standard deviation over all members."""
    return first_and_spread([compute(calculator) for calculator in potential.calculators()])


def first_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """The first of the members' values and their standard deviation; NaN with one member."""
    return values[0], float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
