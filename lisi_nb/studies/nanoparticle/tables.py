"""Tables of the nanoparticle study: the compositions of a chain, and families side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lisi_nb.studies.nanoparticle.analyse import Result
from lisi_nb.studies.nanoparticle.compare import formation_at
from lisi_nb.tables import Table
from lisi_nb.units import Measured


def compositions_table(result: Result) -> Table:
    """What each composition of the first seed's chain measured."""
    rows = [
        (f"{c.x:.2f}", f"{c.n_li} + {c.n_si}", f"{c.formation_eV_si:.3f}", str(c.si_si), str(c.largest),
         f"{100 * c.surface_li.value:.0f} %")
        for c in result.compositions
    ]  # fmt: skip
    columns = (
        "x",
        "Li + Si",
        "E_f (eV per Si)",
        "Si within 2.7 Å of a Si",
        "Si in the largest cluster",
        "Li at surface",
    )
    return Table(columns, tuple(rows))


def families_table(results: Mapping[str, Result]) -> Table:
    """First and last composition of each family, its trust, and what to mind."""
    rows = []
    for name, r in results.items():
        first, last = r.compositions[0], r.compositions[-1]
        ends = (f"{c.x:.2f}: {c.formation_eV_si:.3f}" for c in (first, last))
        rows.append((name, str(first.n_li + first.n_si), *ends, r.trust_light, "; ".join(r.warnings)))
    return Table(("family", "atoms", "first x: E_f (eV per Si)", "last x: E_f", "trust", "mind"), tuple(rows))


def lowest_table(results: Mapping[str, Result], xs: Sequence[float] = (3.25, 2.75, 2.25, 1.75)) -> Table:
    """Formation energy per Si of each family, read off its chain at the same compositions, and which lies lowest."""
    rows = []
    for x in xs:
        found = {name: formation_at(r, x) for name, r in results.items()}
        there = {name: e for name, e in found.items() if math.isfinite(e.value)}
        lowest = min(there, key=lambda name: there[name].value, default="none is there")
        rows.append((f"{x:.2f}", *(_energy(e) for e in found.values()), lowest))
    return Table(("x", *(f"{name} (eV per Si)" for name in results), "lowest"), tuple(rows))


def _energy(found: Measured) -> str:
    """With its error over seeds, where there are several; empty where there is none."""
    error = f" ± {found.error:.3f}" if math.isfinite(found.error) else ""
    return f"{found.value:.3f}{error}" if math.isfinite(found.value) else ""
