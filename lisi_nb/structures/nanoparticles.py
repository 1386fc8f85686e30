"""Spherical particles cut from a bulk, and lithium taken from their outside.

After Artrith, Urban, Wang, Ceder, doi:10.48550/arXiv.1901.09272: Li9429Si2571 and Li8310Si3690 (12 000 atoms each),
delithiated by removing the N lithium atoms farthest from the centre.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms

from lisi_nb.errors import check_range

Array = np.ndarray
VACUUM_A = 15.0  # on each side; more than two cutoffs of the potential


def sphere(bulk: Atoms, diameter_A: float, vacuum_A: float = VACUUM_A) -> Atoms:
    """Cut a sphere from a periodic bulk, around the centre of its cell.

    Parameters
    ----------
    bulk : ase.Atoms
        Periodic crystal or amorphous cell of Li and Si.
    diameter_A : float
        Diameter in A, at least the longest cell edge.
    vacuum_A : float
        Empty space between the particle and each face of its cubic box, A.

    Returns
    -------
    ase.Atoms
        The atoms within the sphere, Li first, in a box without periodicity.

    Raises
    ------
    ValueError
        The bulk is not periodic, or the diameter is smaller than its cell.
    """
    check_range("diameter_A", diameter_A, _least_diameter_A(bulk), 500.0, "A", "A particle holds at least one cell.")
    atoms, distance = _block(bulk, diameter_A / 2)
    return boxed(atoms[distance <= diameter_A / 2], vacuum_A)


def sphere_of(bulk: Atoms, n_li: int, n_si: int, vacuum_A: float = VACUUM_A) -> Atoms:
    """Cut a particle with exact numbers of atoms: the `n_li` Li and the `n_si` Si nearest to the cell's centre.

    Where the ratio asked for is not the bulk's, one element reaches farther out than the other; more than 1 A of that
    is refused.

    Parameters
    ----------
    bulk : ase.Atoms
        Periodic crystal or amorphous cell.
    n_li, n_si : int
        Atoms of each element.
    vacuum_A : float
        As in `sphere`.

    Raises
    ------
    ValueError
        Fewer atoms than one cell, or a composition too far from the bulk's (then remove lithium, or use another bulk).
    """
    check_range("n_li", n_li, 1, 10**7)
    check_range("n_si", n_si, 1, 10**7)
    least_A = _least_diameter_A(bulk)
    per_A3 = len(bulk) / bulk.get_volume()
    radius_A = float(np.cbrt(3 * (n_li + n_si) / (4 * np.pi * per_A3)))
    if 2 * radius_A < least_A:
        raise ValueError(
            f"{n_li} Li + {n_si} Si make a sphere of {2 * radius_A:.1f} Å, smaller than one cell of the bulk "
            f"({least_A:.1f} Å). Ask for more atoms."
        )
    atoms, distance = _block(bulk, 1.3 * radius_A + 3.0)
    keep, reach_A = [], {}
    for symbol, n in (("Li", n_li), ("Si", n_si)):
        own = np.flatnonzero(np.array(atoms.get_chemical_symbols()) == symbol)
        order = own[np.argsort(distance[own], kind="stable")]
        if len(order) < n:
            raise ValueError(_too_far(n_li, n_si, bulk))
        keep.append(order[:n])
        reach_A[symbol] = distance[order[n - 1]]
    if abs(reach_A["Li"] - reach_A["Si"]) > 1.0:
        raise ValueError(_too_far(n_li, n_si, bulk))
    return boxed(atoms[np.sort(np.concatenate(keep))], vacuum_A)


def remove_outermost_li(atoms: Atoms, n: int) -> Atoms:
    """Remove the `n` lithium atoms farthest from the particle's centre of mass; the order of the others is kept.

    Raises
    ------
    ValueError
        `n` is below one or more than there are.
    """
    li = np.flatnonzero(atoms.numbers == 3)
    check_range("n", n, 1, len(li), "Li", f"The particle has {len(li)} Li; remove at most that many.")
    distance = np.linalg.norm(atoms.positions[li] - atoms.get_center_of_mass(), axis=1)
    gone = li[np.argsort(-distance, kind="stable")[:n]]
    return atoms[np.setdiff1d(np.arange(len(atoms)), gone)]


def boxed(atoms: Atoms, vacuum_A: float = VACUUM_A) -> Atoms:
    """A copy in the middle of a cubic box with `vacuum_A` (3 to 200 A) around it; not periodic, Li before Si."""
    check_range("vacuum_A", vacuum_A, 3.0, 200.0, "A")
    out = atoms[np.argsort(atoms.numbers, kind="stable")]
    low, high = out.positions.min(axis=0), out.positions.max(axis=0)
    edge = float((high - low).max()) + 2 * vacuum_A
    out.positions += edge / 2 - (low + high) / 2
    out.set_cell([edge] * 3)
    out.set_pbc(False)
    return out


def _least_diameter_A(bulk: Atoms) -> float:
    if not bulk.pbc.all():
        raise ValueError(f"pbc={bulk.pbc.tolist()}: a particle is cut from a bulk that is periodic in all directions.")
    return float(bulk.cell.lengths().max())


def _block(bulk: Atoms, radius_A: float) -> tuple[Atoms, Array]:
    """Copies of the bulk that hold a sphere around the centre of one cell; distances from that centre."""
    widths = bulk.get_volume() / np.linalg.norm(np.cross(bulk.cell[[1, 2, 0]], bulk.cell[[2, 0, 1]]), axis=1)
    reach = np.ceil(radius_A / widths + 0.5).astype(int)
    block = bulk * tuple(2 * reach + 1)
    centre = (reach + 0.5) @ bulk.cell.array
    return block, np.linalg.norm(block.positions - centre, axis=1)


def _too_far(n_li: int, n_si: int, bulk: Atoms) -> str:
    of_bulk = (bulk.numbers == 3).sum() / max(1, (bulk.numbers == 14).sum())
    return (
        f"{n_li} Li + {n_si} Si is x = {n_li / n_si:.2f}, too far from the bulk's x = {of_bulk:.2f} for one sphere. "
        "Cut a sphere and remove its outermost Li, or start from a bulk of that composition."
    )
