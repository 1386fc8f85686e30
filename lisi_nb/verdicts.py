"""Our numbers beside published ones, and claims judged by error bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lisi_nb.tables import Table
from lisi_nb.units import NO_ERROR, Measured, pretty


@dataclass(frozen=True)
class Row:
    """One line of the comparison table."""

    quantity: str
    system: str
    ours: Measured
    paper: float
    unit: str
    place: str
    agrees: str


@dataclass(frozen=True)
class Claim:
    """A qualitative claim of the paper: `verdict` is true, false or undecided, `because` gives the numbers."""

    text: str
    verdict: str
    because: str


def greater(a: Measured, b: Measured) -> str:
    """Whether a > b: ``true`` or ``false`` beyond two standard errors of the difference, else ``undecided``."""
    error = math.hypot(a.error, b.error)
    if not math.isfinite(error + a.value - b.value) or abs(a.value - b.value) <= 2 * error:
        return "undecided"
    return "true" if a.value > b.value else "false"


def comparison_table(rows: Sequence[Row], system: str = "system") -> Table:
    """Ours beside the published ones."""
    texts = [
        (r.quantity, r.system, str(r.ours), f"{r.paper:g} {pretty(r.unit)}".removesuffix(" 1"), r.agrees) for r in rows
    ]
    return Table(("quantity", system, "ours", "paper", "agrees?"), tuple(texts))


def claims_table(claims: Sequence[Claim]) -> Table:
    """The paper's claims with our verdict and its reason."""
    rows = tuple((c.text, c.verdict, _said_once(c.because)) for c in claims)
    return Table(("claim of the paper", "verdict", "because"), rows)


def _said_once(because: str) -> str:
    if because.count(NO_ERROR) < 2:
        return because
    return f"{because.replace(f' ({NO_ERROR})', '')} ({NO_ERROR}s)"
