"""Clusters of bonded atoms (silicon within 2.7 A): sizes, shapes and dimensionality under periodic boundaries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from lisi_nb.analysis.bonds import Bonds, find_bonds
from lisi_nb.errors import check_choice

Array = np.ndarray
SI_SI_A = 2.7  # bond of two Si: between the first and second shell of every Li-Si phase (Artrith et al., Fig. 2)
KINDS = ("isolated", "dimer", "chain", "ring", "branched", "network")


@dataclass(frozen=True)
class Clusters:
    """Clusters of one frame, largest first.

    ``label`` (n_atoms,) is the cluster of each atom; for each cluster, ``size`` (n,) atoms, ``kind`` (n,) one of
    `KINDS`, ``dimension`` (n,) 0 to 3, the number of directions in which it is endless, and ``n_bonds`` (n,).

    Kinds: ``chain``, every atom has at most two bonds and there is no closed ring (endless chains too); ``ring``, one
    closed ring and nothing else; ``branched``, a tree with an atom of three or more bonds; ``network``, all else:
    rings with arms, several rings, sheets and frameworks.
    """

    label: Array
    size: Array
    n_bonds: Array
    dimension: Array
    kind: Array

    @property
    def largest(self) -> int:
        """Atoms of the largest cluster."""
        return int(self.size[0])

    @property
    def mean_size(self) -> float:
        """Size of the cluster that an atom picked at random belongs to, ``sum s^2 / sum s``."""
        return float((self.size.astype(float) ** 2).sum() / self.size.sum())

    @property
    def independent_rings(self) -> Array:
        """``bonds - atoms + 1`` of each cluster: independent cycles; for an endless one, of its bonds in one cell."""
        return self.n_bonds - self.size + 1

    def count(self, kind: str) -> int:
        """Number of clusters of a kind."""
        check_choice("kind", kind, KINDS)
        return int((self.kind == kind).sum())

    def share(self, kind: str) -> float:
        """Fraction of the atoms that are in clusters of a kind."""
        check_choice("kind", kind, KINDS)
        return float(self.size[self.kind == kind].sum() / self.size.sum())

    def sizes(self) -> dict[int, int]:
        """How many clusters there are of each size that occurs."""
        size, count = np.unique(self.size, return_counts=True)
        return {int(s): int(n) for s, n in zip(size, count, strict=True)}


def silicon_clusters(
    positions_A: Array,
    is_si: Array,
    cell_A: Array,
    periodic: tuple[bool, bool, bool] = (True, True, True),
    cutoff_A: float = SI_SI_A,
) -> Clusters:
    """Clusters of the silicon atoms of a frame.

    Parameters
    ----------
    positions_A : (n, 3) array
        Positions in A, wrapped or not.
    is_si : (n,) bool array
        Which atoms are silicon; labels follow their order.
    cell_A, periodic, cutoff_A
        As in `find_bonds`.

    Raises
    ------
    ValueError
        There is no silicon.
    """
    if not np.any(is_si):
        raise ValueError(f"There is no Si among {len(positions_A)} atoms: pure Li has no Si clusters.")
    return clusters(find_bonds(np.asarray(positions_A)[is_si], cell_A, periodic, cutoff_A))


def clusters(bonds: Bonds) -> Clusters:
    """Connected components of bonds (scipy), each with its shape and dimensionality."""
    n = bonds.n_atoms
    graph = coo_array((np.ones(len(bonds.first), dtype=np.int8), (bonds.first, bonds.second)), shape=(n, n)).tocsr()
    n_clusters, label = connected_components(graph, directed=False)
    order = np.argsort(-np.bincount(label), kind="stable")
    label = np.argsort(order)[label]
    size = np.bincount(label)
    n_bonds = np.bincount(label[bonds.first], minlength=n_clusters)
    dimension = _dimensions(bonds, label, n_clusters)
    degree = bonds.coordination
    most, least = np.zeros(n_clusters, dtype=int), np.full(n_clusters, n + 1)
    np.maximum.at(most, label, degree)
    np.minimum.at(least, label, degree)
    tree, one_loop = n_bonds == size - 1, (n_bonds == size) & (most == 2) & (least == 2)
    kind = np.select(
        [(size == 1) & (n_bonds == 0), (size == 2) & tree, (tree & (most <= 2)) | (one_loop & (dimension == 1)),
         one_loop & (dimension == 0), tree],
        KINDS[:5],
        default=KINDS[5],
    )  # fmt: skip
    return Clusters(label, size, n_bonds, dimension, kind)


def _dimensions(bonds: Bonds, label: Array, n_clusters: int) -> Array:
    """Rank of the lattice translations that lead from an atom of a cluster to its images along bonds."""
    dimension = np.zeros(n_clusters, dtype=int)
    wrapping = np.zeros(n_clusters, dtype=bool)
    wrapping[label[bonds.first[(bonds.shift != 0).any(axis=1)]]] = True
    if not wrapping.any():
        return dimension
    cell_of = _cells_along_a_tree(bonds, label, n_clusters)
    closing = cell_of[bonds.first] + bonds.shift - cell_of[bonds.second]
    endless = (closing != 0).any(axis=1)
    owner, closing = label[bonds.first[endless]], closing[endless]
    for cluster in np.unique(owner):
        dimension[cluster] = np.linalg.matrix_rank(np.unique(closing[owner == cluster], axis=0))
    return dimension


def _cells_along_a_tree(bonds: Bonds, label: Array, n_clusters: int) -> Array:
    """Cell of each atom (n_atoms, 3) when its cluster is laid out from one atom along a spanning tree of bonds."""
    n = bonds.n_atoms
    # One more atom, bonded to one atom of each cluster, makes all clusters one tree.
    anchors = np.unique(label, return_index=True)[1]
    i = np.concatenate([bonds.first, bonds.second, np.full(n_clusters, n)])
    j = np.concatenate([bonds.second, bonds.first, anchors])
    step = np.concatenate([bonds.shift, -bonds.shift, np.zeros((n_clusters, 3), dtype=int)])
    last = coo_array((np.arange(1, len(i) + 1), (i, j)), shape=(n + 1, n + 1)).tocsr()
    # Parallel bonds would add up to a wrong entry: the table below keeps one of them for each pair.
    key = i.astype(np.int64) * (n + 1) + j
    pairs, chosen = np.unique(key, return_index=True)
    _, parent = breadth_first_order(last, n, directed=True)
    parent = np.where(parent < 0, n, parent)
    cell = np.zeros((n + 1, 3), dtype=int)
    atoms = np.arange(n)
    cell[:n] = step[chosen[np.searchsorted(pairs, parent[:n].astype(np.int64) * (n + 1) + atoms)]]
    while (parent != n).any():  # each round doubles the distance walked toward the root
        cell = cell + cell[parent]
        parent = parent[parent]
    return cell[:n]
