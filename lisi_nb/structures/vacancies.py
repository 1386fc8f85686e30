"""A lithium vacancy and the lithium that hops into it: the two ends of a migration path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from lisi_nb.errors import check_range

LONGEST_A = 3.6  # first neighbours of a Li in LixSi
SI_NEAR_A = 3.5  # the paper's cutoff of Li-Si neighbours


@dataclass(frozen=True)
class Hop:
    """The Li `mover` goes to the place of the Li `vacant`, which is taken out; indices in the cell without vacancy.

    ``distance_A`` between the two sites, ``si_from`` and ``si_to`` the Si within 3.5 A of each.
    """

    mover: int
    vacant: int
    distance_A: float
    si_from: int
    si_to: int


def li_hops(atoms: Atoms, longest_A: float = LONGEST_A) -> tuple[Hop, ...]:
    """Hops of a Li into a neighbouring Li site, each pair of sites once, shortest first.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic cell with Li.
    longest_A : float
        Longest distance between the two sites, A.

    Raises
    ------
    ValueError
        No two Li are that close.
    """
    check_range("longest_A", longest_A, 1.0, 10.0, "A")
    li = np.flatnonzero(atoms.numbers == 3)
    every = atoms.get_all_distances(mic=True)
    n_si = (every[:, atoms.numbers == 14] <= SI_NEAR_A).sum(axis=1)
    distance = every[np.ix_(li, li)]
    i, j = np.nonzero(np.triu(distance <= longest_A, 1))
    if not len(i):
        raise ValueError(
            f"{atoms.get_chemical_formula()} has no two Li within {longest_A:g} Å. Allow a longer hop (longest_A)."
        )
    found = (
        Hop(int(a), int(b), float(every[a, b]), int(n_si[a]), int(n_si[b])) for a, b in zip(li[i], li[j], strict=True)
    )
    return tuple(sorted(found, key=lambda hop: (round(hop.distance_A, 4), hop.mover, hop.vacant)))


def distinct(hops: tuple[Hop, ...], tolerance_A: float = 0.01) -> tuple[Hop, ...]:
    """The first hop of each kind: length and the Si around both ends; in a crystal, copies by symmetry go.

    Hops that differ in more than these (not so in Li15Si4) are taken for one.
    """
    kept: list[Hop] = []
    for hop in hops:
        ends = {hop.si_from, hop.si_to}
        if not any(abs(o.distance_A - hop.distance_A) <= tolerance_A and {o.si_from, o.si_to} == ends for o in kept):
            kept.append(hop)
    return tuple(kept)


def hop_ends(atoms: Atoms, hop: Hop) -> tuple[Atoms, Atoms]:
    """The cell before and after a hop: one Li less, the atoms in the same order, only the mover in another place.

    Raises
    ------
    ValueError
        The hop is not of two different Li of this cell.
    """
    for name, index in (("mover", hop.mover), ("vacant", hop.vacant)):
        check_range(name, index, 0, len(atoms) - 1)
        if atoms.numbers[index] != 3:
            raise ValueError(f"{name}={index} is {atoms.symbols[index]}, not Li. Take hops from li_hops of this cell.")
    if hop.mover == hop.vacant:
        raise ValueError(f"mover and vacant are both atom {hop.mover}. Take hops from li_hops of this cell.")
    after = atoms.copy()
    after.positions[hop.mover] += atoms.get_distance(hop.mover, hop.vacant, mic=True, vector=True)
    keep = np.arange(len(atoms)) != hop.vacant
    return atoms[keep], after[keep]
