"""Whether silicon is molten: by an anneal that shall make it amorphous, or in a particle that shall stay solid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

Array = np.ndarray
LIQUID = 0.1  # Lindemann index above which a particle counts as liquid; 0.1 to 0.15 are usual
NEAR_A = 6.0  # neighbours of the first and second shell of Si in LixSi
MOLTEN_A2 = 4.0  # Si that has moved less was not molten: two thirds of a squared Si-Si bond


def silicon_moved_A2(first_A: Array, last_A: Array, first_box_A: Array, last_box_A: Array, is_si: Array) -> float:
    """Mean square displacement of silicon from one frame to another, with drift and the change of the cell taken out.

    Parameters
    ----------
    first_A, last_A : (n, 3) arrays
        Unwrapped positions.
    first_box_A, last_box_A : (3, 2) arrays
        Where the orthogonal cell begins and ends along each axis.
    is_si : (n,) array of bool
        The silicon atoms.

    Returns
    -------
    float
        In A^2.
    """
    step = last_A / (np.ptp(last_box_A, axis=1) / np.ptp(first_box_A, axis=1)) - first_A
    silicon = step[is_si] - step.mean(axis=0)
    return float((silicon**2).sum(axis=1).mean())


def not_molten(moved_A2: float, remedy: str) -> str:
    """A warning where silicon moved too little in an anneal; empty where it was molten."""
    if moved_A2 >= MOLTEN_A2:
        return ""
    return f"not amorphous: silicon moved by {moved_A2:.1f} Å² in the anneal, less than {MOLTEN_A2:g}. {remedy}"


def lindemann_index(positions_A: Sequence[Array], near_A: float = NEAR_A) -> float:
    """How much the distances between neighbours of a free particle fluctuate; turning as a whole leaves it alone.

    ``delta = < sqrt(<r_ij^2> - <r_ij>^2) / <r_ij> >`` over pairs i, j within `near_A` in the first frame; inner
    averages are over time. It grows with the time looked at: in a solid to a limit, in a liquid on and on.

    Parameters
    ----------
    positions_A : sequence of (n, 3) arrays
        Frames without periodic boundaries, atoms in one order.
    near_A : float
        In A.

    Returns
    -------
    float
        NaN where no two atoms are neighbours, or with a single frame.
    """
    pairs = cKDTree(positions_A[0]).query_pairs(near_A, output_type="ndarray")
    if not len(pairs) or len(positions_A) < 2:
        return float("nan")
    i, j = pairs.T
    distances = np.array([np.linalg.norm(frame[i] - frame[j], axis=1) for frame in positions_A])
    return float((distances.std(axis=0) / distances.mean(axis=0)).mean())


def molten(lindemann: float, where: str) -> str:
    """A warning where neighbours fluctuate as in a liquid; empty where they do not."""
    if not lindemann > LIQUID:
        return ""
    return (
        f"molten: {where} distances between near silicon atoms fluctuate by {100 * lindemann:.0f} % (Lindemann index; "
        f"above {100 * LIQUID:.0f} % is liquid). Not a number for a solid particle: lower temperature_K."
    )
