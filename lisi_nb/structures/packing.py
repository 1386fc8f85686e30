"""Random, overlap-free atoms in an orthorhombic box: the start of every melt."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from scipy.spatial import cKDTree

# Closest approach of a freshly packed pair, A: a little below the first peak of g(r) in the melt.
CLOSEST_A = {("Li", "Li"): 2.55, ("Li", "Si"): 2.35, ("Si", "Si"): 2.20}


def pair_distance_A(first: str, second: str) -> float:
    """Closest allowed distance in A between two elements when packing."""
    return CLOSEST_A[tuple(sorted((first, second)))]  # type: ignore[index]


def random_packing(
    symbols: list[str],
    cell_A: tuple[float, float, float],
    seed: int,
    *,
    shrink: float = 1.0,
    max_sweeps: int = 4000,
) -> Atoms:
    """Place atoms at random in a periodic box and push overlapping pairs apart.

    Parameters
    ----------
    symbols : list of str
        Elements, Li or Si.
    cell_A : (3,) floats
        Box edges in A.
    seed : int
        Random seed; the same seed gives the same atoms.
    shrink : float
        Factor on the closest approaches; below 1 for hot, dense or deliberately squeezed frames.
    max_sweeps : int
        Sweeps of pair repulsion before giving up.

    Returns
    -------
    ase.Atoms
        Fully periodic; no pair closer than ``shrink`` times its closest approach (2 % slack).

    Raises
    ------
    ValueError
        The box is too dense for these closest approaches.
    """
    rng = np.random.default_rng(seed)
    box = np.asarray(cell_A, dtype=float)
    positions = rng.random((len(symbols), 3)) * box
    kinds = np.array(symbols)
    elements = sorted(set(symbols))
    limit = np.zeros((len(symbols), len(symbols)), dtype=np.float32)
    for a in elements:
        for b in elements:
            limit[np.ix_(kinds == a, kinds == b)] = shrink * pair_distance_A(a, b)
    reach = float(limit.max(initial=0.0))
    for _ in range(max_sweeps if box.min() >= reach else 0):  # in a narrower box an atom meets its own image
        pairs = cKDTree(positions % box, boxsize=box).query_pairs(reach, output_type="ndarray")
        i, j = pairs.T
        vector = positions[i] - positions[j]
        vector -= box * np.round(vector / box)
        distance = np.linalg.norm(vector, axis=1)
        close = distance < 0.98 * limit[i, j]
        if not close.any():
            return Atoms(symbols, positions=positions % box, cell=box, pbc=True)
        i, j, vector, distance = i[close], j[close], vector[close], np.maximum(distance[close], 1e-6)
        push = 0.3 * ((limit[i, j] - distance) / distance)[:, None] * vector
        np.add.at(positions, i, push)
        np.add.at(positions, j, -push)
    raise ValueError(
        f"{len(symbols)} atoms do not fit in a box of {box.round(2)} Å with closest approaches of "
        f"{reach:.2f} Å. Lower the density or pass a smaller shrink (came: {shrink})."
    )
