"""Cut a small periodic cell out of a big configuration, so that a reference engine can afford the label.

What the active-learning loops of large systems do around the atom a potential is least sure of: MLIP-3 (cells around
an extrapolating neighbourhood, doi:10.1063/5.0155887) and the dendrite study followed here (parts of a big dendrite,
doi:10.1002/aenm.202202892).
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from lisi_nb.errors import check_range

CLOSEST_A = 2.2  # across the new boundary: below the Li-Li, Li-Si and Si-Si distances of any solid


def cut_around(atoms: Atoms, centre: int, radius_A: float, closest_A: float = CLOSEST_A) -> Atoms:
    """Cut a periodic cell around one atom that keeps everything within `radius_A` of it.

    Along each axis the new edge is ``2 * radius_A + closest_A``, or the old one where that is shorter. Atoms that would
    meet another one across the new boundary are left out, the farther one of each pair.

    Parameters
    ----------
    atoms : ase.Atoms
        Configuration of n atoms in an orthogonal, fully periodic cell (A).
    centre : int
        Index of the atom to cut around.
    radius_A : float
        What lies within it of the centre stays as it is. The energy of the centre's atom needs the cutoff of the
        potential; the force on it twice that.
    closest_A : float
        Least distance of two atoms across the new boundary.

    Returns
    -------
    ase.Atoms
        Fully periodic, the centre in the middle of the cell, atoms in their old order; ``info`` has ``centre``, its new
        index, ``cut_from``, the number of atoms before, and ``left_out``, that of atoms taken from the boundary.

    Raises
    ------
    ValueError
        No such atom, a cell that is not orthogonal and periodic, or a distance out of range.

    Notes
    -----
    Images of an atom in the cell lie at least half an edge, more than `radius_A`, from the centre, and two atoms within
    `radius_A` of it are at least `closest_A` apart across the boundary: so none of them is ever left out.
    """
    check_range("centre", centre, 0, len(atoms) - 1)
    check_range("radius_A", radius_A, 1.0, 50.0, "A")
    check_range("closest_A", closest_A, 0.5, 5.0, "A")
    old = atoms.cell.lengths()
    if not atoms.pbc.all() or not np.allclose(atoms.cell.array, np.diag(old), atol=1e-6) or not old.all():
        raise ValueError(
            f"The cell {atoms.cell.array.tolist()} Å, pbc {atoms.pbc.tolist()}, must be orthogonal, periodic."
        )
    edge = np.minimum(old, 2 * radius_A + closest_A)
    apart = atoms.positions - atoms.positions[centre]
    apart -= old * np.floor(apart / old + 0.5)
    inside = np.flatnonzero(((apart >= -edge / 2) & (apart < edge / 2)).all(axis=1))
    cell = Atoms(atoms.symbols[inside], positions=apart[inside] + edge / 2, cell=edge, pbc=True)
    kept = _without_contacts(cell, np.linalg.norm(apart[inside], axis=1), edge < old, closest_A)
    info = {"centre": int(np.searchsorted(inside[kept], centre)), "cut_from": len(atoms)}
    cell = cell[kept]
    cell.info = info | {"left_out": len(inside) - len(kept)}
    return cell


def _without_contacts(cell: Atoms, distance_A: np.ndarray, is_cut: np.ndarray, closest_A: float) -> np.ndarray:
    """Indices, in order, of the atoms that stay: taken from the centre outwards, each only if it meets none before."""
    first, second, shift = neighbor_list("ijS", cell, closest_A)
    meets: dict[int, set[int]] = {k: set() for k in range(len(cell))}
    for i, j, crossing in zip(first.tolist(), second.tolist(), (shift[:, is_cut] != 0).any(axis=1), strict=True):
        if crossing:
            meets[i].add(j)
    kept: set[int] = set()
    for k in np.argsort(distance_A, kind="stable").tolist():
        if not meets[k] & kept:
            kept.add(k)
    return np.array(sorted(kept))
