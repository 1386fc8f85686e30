"""Edges of the crystals' cells and the density of a-LixSi, ours and as published."""

from __future__ import annotations

import numpy as np

from lisi_nb import published
from lisi_nb.structures.crystals import LI_RICH
from lisi_nb.studies.lixsi.thermodynamics import Crystal

SAME = 1e-3  # of a length: relaxed cells keep their symmetry to rounding
EDGES = ("a", "b", "c")


def lattice_A(found: Crystal) -> dict[str, float]:
    """Edges of the usual cell that differ, A; of a face-centred cubic one `a` alone."""
    if found.name in LI_RICH:
        return {"a": float(np.cbrt(4 * found.atoms.get_volume()))}
    lengths = dict(zip(EDGES, map(float, found.atoms.cell.lengths()), strict=True))
    return {edge: each for edge, each in lengths.items() if edge == "a" or abs(each / lengths["a"] - 1) > SAME}


def pbe_lattice_A(name: str, edge: str) -> float:
    """Published edge by PBE, A; NaN where there is none."""
    return _published(f"lattice_{edge}", f"{name}_dft")


def measured_lattice_A(name: str, edge: str) -> tuple[float, float]:
    """Lowest and highest measured edge, A; NaN where there is none."""
    system = f"{name}_experiment"
    one = _published(f"lattice_{edge}", system)
    if np.isfinite(one):
        return one, one
    return _published(f"lattice_{edge}_min", system), _published(f"lattice_{edge}_max", system)


def amorphous_density_g_cm3(x: float) -> float:
    """Of a-LixSi at 300 K by DFTB, interpolated between the published compositions; NaN beyond them."""
    rows = [r for r in published.find("reference", "density") if r.system.endswith("_dftb")]
    known = sorted((float(r.system.removeprefix("a-Li").removesuffix("Si_dftb")), r.value) for r in rows)
    xs, densities = np.array(known, dtype=float).T
    return float(np.interp(x, xs, densities, left=np.nan, right=np.nan))


def _published(quantity: str, system: str) -> float:
    rows = published.find("reference", quantity, system)
    return rows[0].value if rows else float("nan")
