"""Neighbours within a cutoff in a cell that is periodic in x and y."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

Array = np.ndarray


def neighbour_counts(positions_A: Array, box_A: Array, centres: Array, neighbours: Array, cutoff_A: float) -> Array:
    """How many of `neighbours` lie within `cutoff_A` of each of `centres`.

    Parameters
    ----------
    positions_A : (n, 3) array
        Positions in A, wrapped or not.
    box_A : (3, 2) array
        Lower and upper bounds; periodic in x and y, open in z.
    centres, neighbours : (n,) bool arrays
        Who is counted for, and who is counted; an atom is not its own neighbour.
    cutoff_A : float
        Cutoff, at most half of the shorter in-plane edge.

    Returns
    -------
    (centres.sum(),) int array
        Number of neighbours of each centre, in the order of the atoms.

    Raises
    ------
    ValueError
        The cutoff is longer than half of an in-plane edge.
    """
    edges = np.ptp(box_A, axis=1)[:2]
    if cutoff_A > edges.min() / 2:
        raise ValueError(
            f"cutoff_A={cutoff_A} Å is longer than half of the shorter in-plane edge ({edges.min():.2f} Å). "
            "Use a wider cell or a shorter cutoff."
        )
    shifted = positions_A - box_A[:, 0]
    shifted[:, :2] %= edges
    shifted[:, :2][shifted[:, :2] >= edges] = 0.0  # rounding of -1e-17 % edge
    # An open direction is one whose period is longer than any distance looked for.
    shifted[:, 2] -= shifted[:, 2].min()
    period = np.array([*edges, shifted[:, 2].max() + 2 * cutoff_A])
    tree = cKDTree(shifted[neighbours], boxsize=period)
    counts = tree.query_ball_point(shifted[centres], cutoff_A, return_length=True)
    return np.asarray(counts) - neighbours[centres]


def bulk_silicon(
    positions_A: Array,
    box_A: Array,
    is_li: Array,
    si_cutoff_A: float = 2.85,
    li_cutoff_A: float = 3.3,
    min_si: int = 3,
) -> Array:
    """Mask over silicon atoms: still silicon-like, with >= `min_si` Si and no Li neighbours.

    The flux of silicon into the alloy is the rate at which their number falls.
    """
    si = ~is_li
    n_si = neighbour_counts(positions_A, box_A, si, si, si_cutoff_A)
    n_li = neighbour_counts(positions_A, box_A, si, is_li, li_cutoff_A)
    return (n_si >= min_si) & (n_li == 0)
