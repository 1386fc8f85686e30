"""Charts of the static parts of the bulk LixSi study: orderings, barriers, dopants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lisi_nb.charts import Chart, Curve
from lisi_nb.studies.lixsi.dopants import Screening
from lisi_nb.studies.lixsi.migration import HopBarrier
from lisi_nb.studies.lixsi.orderings import Orderings


def search_chart(found: Orderings) -> Chart:
    """Every ordering looked at and the lowest so far, above the lowest of all; the mean of random ones as a level."""
    search, n = found.search, len(found.relaxed[0])
    low = search.energies_eV.min()
    count = np.arange(1, len(search.energies_eV) + 1)

    def meV(energies_eV: np.ndarray) -> np.ndarray:
        return 1000 * (energies_eV - low) / n

    curves = (
        Curve(count, meV(search.energies_eV), "an ordering", style="dots"),
        Curve(count, meV(search.history_eV), "lowest so far"),
        Curve(count[[0, -1]], meV(np.full(2, search.random_eV.value)), "mean of random", style="level"),
    )
    return Chart(f"Where the lithium goes, Li{found.x:.2f}Si", "orderings looked at", "energy (meV/atom)", curves)


def barrier_chart(found: Sequence[HopBarrier]) -> Chart:
    """Energy along each path (Fig. S4 of the paper); hops without one and paths not converged are left out."""
    curves = []
    for k, each in enumerate(each for each in found if each.barrier is not None and each.barrier.converged):
        path = each.barrier
        assert path is not None
        label = f"{each.system}, {each.hop.distance_A:.2f} Å"
        curves.append(Curve(path.path_A, path.energies_eV, label, dash=k))
    return Chart("Lithium hops into a vacancy", "way along the path (Å)", "energy (eV)", tuple(curves))


def dopants_chart(found: Screening) -> Chart:
    """Core less shell for each dopant, with the scatter of the starts (Fig. 3c of the paper)."""
    y = np.array([d.core_minus_shell_eV for d in found.dopants])
    error = np.nan_to_num([d.spread_eV for d in found.dopants])
    x = np.arange(len(y))
    ends = np.array([-0.5, len(y) - 0.5])
    curves = (
        Curve(x, y, f"Li13Si12X, {found.engine}", error, style="points"),
        Curve(ends, np.zeros(2), "core below, shell above", style="level"),
    )
    names = tuple(d.element for d in found.dopants)
    return Chart("Which dopants gather silicon", f"dopant ({found.engine})", "core - shell (eV)", curves, names)
