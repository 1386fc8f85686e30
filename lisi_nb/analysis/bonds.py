"""Bonds within a cutoff under periodic boundaries, each with the lattice translation it crosses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.neighborlist import primitive_neighbor_list
from scipy.spatial import cKDTree

from lisi_nb.errors import check_range

Array = np.ndarray


@dataclass(frozen=True)
class Bonds:
    """Each bond once: atom `first` (m,) to the image of atom `second` (m,) in the cell at ``shift`` (m, 3).

    An atom of a small cell may be bonded to its own image, and two atoms by several bonds.
    """

    n_atoms: int
    first: Array
    second: Array
    shift: Array

    @property
    def coordination(self) -> Array:
        """Bonds of each atom, (n_atoms,)."""
        return np.bincount(self.first, minlength=self.n_atoms) + np.bincount(self.second, minlength=self.n_atoms)


def find_bonds(positions_A: Array, cell_A: Array, periodic: tuple[bool, bool, bool], cutoff_A: float) -> Bonds:
    """All pairs closer than a cutoff.

    A k-d tree (scipy) for orthogonal cells at least two cutoffs wide, ASE's neighbour list for all others.

    Parameters
    ----------
    positions_A : (n, 3) array
        Positions in A, wrapped or not.
    cell_A : (3,) or (3, 3) array
        Cell edges or vectors, A; not looked at in open directions.
    periodic : (bool, bool, bool)
        Which directions repeat.
    cutoff_A : float
        Longest bond, A.

    Returns
    -------
    Bonds
        Shifts hold for the positions as given: ``positions[second] + shift @ cell - positions[first]`` is the bond.
    """
    check_range("cutoff_A", cutoff_A, 0.1, 20.0, "A")
    positions = np.asarray(positions_A, dtype=float)
    if not np.isfinite(positions).all():
        raise ValueError("Some positions are not finite numbers. Look at the frame they come from.")
    cell = np.diag(cell_A) if np.ndim(cell_A) == 1 else np.asarray(cell_A, dtype=float)
    pbc = np.asarray(periodic, dtype=bool)
    edges = np.diag(cell)
    orthogonal = np.allclose(cell[np.ix_(pbc, [0, 1, 2])], np.diag(edges)[pbc])
    if not len(positions):
        return Bonds(0, *np.zeros((2, 0), dtype=np.intp), np.zeros((0, 3), dtype=int))
    if not orthogonal or (edges[pbc] < 2 * cutoff_A).any():
        i, j, shift = primitive_neighbor_list("ijS", pbc, cell, positions, cutoff_A)
        after_zero = (shift != 0).any(axis=1) & (shift[np.arange(len(shift)), (shift != 0).argmax(axis=1)] > 0)
        once = (i < j) | ((i == j) & after_zero)
        return Bonds(len(positions), i[once], j[once], shift[once])
    period = np.where(pbc, edges, 1.0)
    image = np.where(pbc, np.floor(positions / period), 0.0).astype(int)
    inside = positions - image * period
    high = (inside >= period) & pbc  # rounding of -1e-17 to the far edge
    image += high
    inside[high] = 0.0
    pairs = cKDTree(inside, boxsize=np.where(pbc, edges, 0.0)).query_pairs(cutoff_A, output_type="ndarray")
    i, j = pairs.T
    nearest = -np.where(pbc, np.round((inside[j] - inside[i]) / period), 0.0).astype(int)
    return Bonds(len(positions), i, j, nearest + image[i] - image[j])
