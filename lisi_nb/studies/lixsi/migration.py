"""Barriers of a Li hopping into a vacancy in Li15Si4 and in Li2.25Si (Fig. S4 of the paper, which prints no numbers).

The paper's cells are Li60Si16 and Li36Si16. Of the first it says which crystal it is; the second is chosen here: the
lowest ordering of Li and vacancies in one cell of Li15Si4, relaxed (`orderings.lowest_orderings(2.25)`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from lisi_nb.analysis.barriers import Barrier, forward_by, migration_barrier
from lisi_nb.analysis.elasticity import relaxed
from lisi_nb.errors import check_range
from lisi_nb.params import ByScale
from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.vacancies import LONGEST_A, Hop, distinct, hop_ends, li_hops
from lisi_nb.studies.lixsi.orderings import Orderings
from lisi_nb.studies.lixsi.thermodynamics import FMAX_eV_A

Progress = Callable[[str], None]
POOR_X = 2.25
N_HOPS = ByScale({"smoke": 1, "lesson": 2, "paper": 8})


@dataclass(frozen=True, eq=False)
class HopBarrier:
    """A hop in a named cell and its path, or None and the statement why there is none.

    ``scatter_eV`` is the standard deviation of the barrier over the members of an ensemble on this path, NaN without.
    """

    system: str
    hop: Hop
    barrier: Barrier | None
    statement: str
    scatter_eV: float = float("nan")


def host(calculator: Any) -> Atoms:
    """Li60Si16: the crystal Li15Si4, relaxed in positions and cell."""
    return relaxed(crystal("Li15Si4"), calculator, fmax_eV_A=FMAX_eV_A, steps=1000)


def hosts(calculator: Any, lowest: Sequence[Orderings]) -> tuple[Atoms, Atoms]:
    """The paper's two cells: Li60Si16, and of the searched orderings the lowest of the composition nearest to 2.25."""
    nearest = min(lowest, key=lambda each: abs(each.x - POOR_X))
    return host(calculator), nearest.relaxed[0]


def vacancy_barriers(
    cell: Atoms,
    calculator: Any,
    *,
    members: Sequence[Any] = (),
    hops: Sequence[Hop] | None = None,
    n_hops: int = 4,
    longest_A: float = LONGEST_A,
    n_images: int = 5,
    fmax_eV_A: float = 0.05,
    steps: int = 500,
    progress: Progress | None = None,
) -> tuple[HopBarrier, ...]:
    """Barriers of hops in one cell, each with one Li taken out; a hop that has no path says so and the rest goes on.

    Parameters
    ----------
    cell : Atoms
        Without vacancy, relaxed; it keeps its size.
    calculator : ase calculator
        Energy and forces.
    members : sequence of ase calculators
        Of the ensemble (`potentials.get(name).calculators()`): their scatter on each path.
    hops : sequence of Hop, optional
        Which; by default `n_hops` kinds (length, Si around both ends) from the shortest up to `longest_A`, evenly
        spread in their order.
    n_images, fmax_eV_A, steps
        As in `migration_barrier`.
    progress : callable, optional
        Called with a line of text for each hop.

    Raises
    ------
    ValueError
        No hop within `longest_A`, or hops of another cell.
    """
    check_range("n_hops", n_hops, 1, 1000)
    chosen = spread(distinct(li_hops(cell, longest_A)), n_hops) if hops is None else tuple(hops)
    found = []
    for k, hop in enumerate(chosen):
        if progress:
            progress(f"hop {k + 1} of {len(chosen)}: {hop.distance_A:.2f} Å, {hop.si_from} to {hop.si_to} Si around")
        ends = hop_ends(cell, hop)
        name = cell.get_chemical_formula()
        try:
            path = migration_barrier(*ends, calculator, n_images=n_images, fmax_eV_A=fmax_eV_A, steps=steps)
        except (ValueError, RuntimeError) as error:  # of this hop: ends that are one minimum, or do not settle
            found.append(HopBarrier(name, hop, None, str(error)))
        else:
            scatter_eV = float(forward_by(path, members).std(ddof=1)) if len(members) > 1 else float("nan")
            found.append(HopBarrier(name, hop, path, path.statement, scatter_eV))
    return tuple(found)


def spread(hops: Sequence[Hop], n: int) -> tuple[Hop, ...]:
    """At most `n` of the hops, first and last among them, evenly spread (one: the first)."""
    places = np.unique(np.linspace(0, len(hops) - 1, min(n, len(hops))).round().astype(int))
    return tuple(hops[k] for k in places)
