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
    cell, pbc = cell_matrix(cell_A), np.asarray(periodic, dtype=bool)
    if not len(positions):
        nobody = np.zeros(0, dtype=np.intp)
        return Bonds(0, nobody, nobody, np.zeros((0, 3), dtype=int))
    if not _fits_a_tree(cell, pbc, cutoff_A):
        i, j, shift = primitive_neighbor_list("ijS", pbc, cell, positions, cutoff_A)
        after_zero = (shift != 0).any(axis=1) & (shift[np.arange(len(shift)), (shift != 0).argmax(axis=1)] > 0)
        once = (i < j) | ((i == j) & after_zero)
        return Bonds(len(positions), i[once], j[once], shift[once])
    inside, image, period = _wrapped(positions, cell, pbc)
    pairs = cKDTree(inside, boxsize=np.where(pbc, period, 0.0)).query_pairs(cutoff_A, output_type="ndarray")
    i, j = pairs.T
    nearest = -np.where(pbc, np.round((inside[j] - inside[i]) / period), 0.0).astype(int)
    return Bonds(len(positions), i, j, nearest + image[i] - image[j])


def neighbours_around(
    positions_A: Array,
    centres: Array,
    neighbours: Array,
    cell_A: Array,
    periodic: tuple[bool, bool, bool],
    cutoff_A: float,
) -> Array:
    """How many of `neighbours` (n,) bool lie within a cutoff of each of `centres` (n,) bool, in their order.

    Other parameters as in `find_bonds`; an atom is not its own neighbour, its image may be.
    """
    check_range("cutoff_A", cutoff_A, 0.1, 20.0, "A")
    positions = np.asarray(positions_A, dtype=float)
    cell, pbc = cell_matrix(cell_A), np.asarray(periodic, dtype=bool)
    if not _fits_a_tree(cell, pbc, cutoff_A):
        i, j = primitive_neighbor_list("ij", pbc, cell, positions, cutoff_A)
        return np.bincount(i[neighbours[j]], minlength=len(positions))[centres]
    inside, _, period = _wrapped(positions, cell, pbc)
    tree = cKDTree(inside[neighbours], boxsize=np.where(pbc, period, 0.0))
    return np.asarray(tree.query_ball_point(inside[centres], cutoff_A, return_length=True)) - neighbours[centres]


def pairs_between(
    positions_A: Array,
    ones: Array,
    others: Array,
    cell_A: Array,
    periodic: tuple[bool, bool, bool],
    cutoff_A: float,
) -> tuple[Array, Array]:
    """Atoms i of `ones` (n,) bool and j of `others` (n,) bool, without common atoms, within a cutoff: (m,), (m,).

    Other parameters as in `find_bonds`; a pair in touch by several images counts once.
    """
    check_range("cutoff_A", cutoff_A, 0.1, 20.0, "A")
    positions = np.asarray(positions_A, dtype=float)
    cell, pbc = cell_matrix(cell_A), np.asarray(periodic, dtype=bool)
    if not _fits_a_tree(cell, pbc, cutoff_A):
        i, j = primitive_neighbor_list("ij", pbc, cell, positions, cutoff_A)
        mixed = ones[i] & others[j]
        return tuple(np.unique(np.stack([i[mixed], j[mixed]]), axis=1))  # type: ignore[return-value]
    inside, _, period = _wrapped(positions, cell, pbc)
    box = np.where(pbc, period, 0.0)
    first, second = (cKDTree(inside[mask], boxsize=box) for mask in (ones, others))
    found = first.sparse_distance_matrix(second, cutoff_A, output_type="ndarray")
    return np.flatnonzero(ones)[found["i"]], np.flatnonzero(others)[found["j"]]


def cell_matrix(cell_A: Array) -> Array:
    """Cell vectors (3, 3) from vectors or from the edges (3,) of an orthogonal cell."""
    return np.diag(cell_A) if np.ndim(cell_A) == 1 else np.asarray(cell_A, dtype=float)


def _fits_a_tree(cell: Array, pbc: Array, cutoff_A: float) -> bool:
    """Orthogonal, and wide enough for one image of each neighbour."""
    edges = np.diag(cell)
    return bool(np.allclose(cell[pbc], np.diag(edges)[pbc]) and (edges[pbc] >= 2 * cutoff_A).all())


def _wrapped(positions: Array, cell: Array, pbc: Array) -> tuple[Array, Array, Array]:
    """Positions inside the cell, the image each came from, and the periods (1 in open directions)."""
    period = np.where(pbc, np.diag(cell), 1.0)
    image = np.where(pbc, np.floor(positions / period), 0.0).astype(int)
    inside = positions - image * period
    high = (inside >= period) & pbc  # rounding of -1e-17 to the far edge
    image += high
    inside[high] = 0.0
    return inside, image, period
