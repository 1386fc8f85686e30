"""Whether an anneal has molten the silicon, so that what came out is amorphous and not the crystal it began as."""

from __future__ import annotations

import numpy as np

Array = np.ndarray
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
