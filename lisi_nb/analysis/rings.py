"""Shortest-path rings of a bond network, counted by size (Franzblau, Phys. Rev. B 44, 4925 (1991))."""

from __future__ import annotations

from collections import Counter, defaultdict

from lisi_nb.analysis.bonds import Bonds
from lisi_nb.errors import check_range

Node = tuple[int, int, int, int]  # atom and its cell
Path = tuple[Node, ...]


def ring_counts(bonds: Bonds, max_size: int = 8) -> dict[int, int]:
    """Number of shortest-path rings of each size, per cell.

    A closed path is such a ring when no two of its atoms are joined by a way shorter than along the ring: the rings
    of 6 in diamond (two per atom), a lone ring of 5 in Li12Si7. Exact for periodic cells of any size; the time goes
    with the number of atoms and steeply with `max_size` (about 1 ms per atom of amorphous silicon at 8).

    Parameters
    ----------
    bonds : Bonds
        From `find_bonds`.
    max_size : int
        Largest ring looked for, 3 to 12.

    Returns
    -------
    dict of int to int
        Sizes that occur, in order.
    """
    check_range("max_size", max_size, 3, 12)
    neighbours: dict[int, list[Node]] = defaultdict(list)
    for i, j, (x, y, z) in zip(bonds.first.tolist(), bonds.second.tolist(), bonds.shift.tolist(), strict=True):
        neighbours[i].append((j, x, y, z))
        neighbours[j].append((i, -x, -y, -z))
    seen: Counter[Path] = Counter()
    for atom in list(neighbours):
        seen.update(_through((atom, 0, 0, 0), neighbours, max_size))
    # A ring is a shortest-path ring when it is one as seen from each of its atoms.
    found = Counter(len(ring) for ring, times in seen.items() if times == len(ring))
    return dict(sorted(found.items()))


def _around(node: Node, neighbours: dict[int, list[Node]]) -> list[Node]:
    atom, x, y, z = node
    return [(j, x + a, y + b, z + c) for j, a, b, c in neighbours[atom]]


def _through(root: Node, neighbours: dict[int, list[Node]], max_size: int) -> list[Path]:
    """Rings through `root` in which the way to the opposite atom (or bond) is a shortest one on both sides."""
    ways: dict[Node, list[Path]] = {root: [(root,)]}  # all shortest ways from the root
    front, rings = [root], []
    for depth in range(1, max_size // 2 + 1):
        if 2 * depth - 1 >= 3:  # odd rings: a bond between two atoms at the same distance
            for a in front:
                for b in _around(a, neighbours):
                    if a < b and b in ways and len(ways[b][0]) == depth:
                        rings += _closed(ways[a], ways[b])
        new: dict[Node, list[Path]] = defaultdict(list)
        for a in front:
            for b in _around(a, neighbours):
                if b not in ways:
                    new[b] += [(*way, b) for way in ways[a]]
        for paths in new.values():  # even rings: an atom reached in two ways
            for k, one in enumerate(paths):
                rings += _closed([one[:-1]], [other for other in paths[k + 1 :]], tip=True)
        ways |= new
        front = list(new)
    if max_size % 2:
        for a in front:
            for b in _around(a, neighbours):
                if a < b and b in ways and len(ways[b][0]) == max_size // 2 + 1:
                    rings += _closed(ways[a], ways[b])
    return [_named(ring) for ring in rings]


def _closed(ones: list[Path], others: list[Path], *, tip: bool = False) -> list[Path]:
    """Closed paths from pairs of ways that share the root only (or, with `tip`, whose second one brings the end)."""
    return [
        (*one, *reversed(other[1:]))
        for one in ones
        for other in others
        if not set(one[1:]) & set(other[1:-1] if tip else other[1:])
    ]


def _named(ring: Path) -> Path:
    """The same ring under one name, wherever it starts, whichever way it runs, whichever cell it is in."""
    lowest = min(node[0] for node in ring)
    names = []
    for start, (atom, x, y, z) in enumerate(ring):
        if atom == lowest:
            turned = ring[start:] + ring[:start]
            for way in (turned, (turned[0], *reversed(turned[1:]))):
                names.append(tuple((k, a - x, b - y, c - z) for k, a, b, c in way))
    return min(names)
