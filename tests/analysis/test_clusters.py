"""Bonds, clusters and rings: naive image sums, supercells, exhaustive cycle search, and the Zintl phases."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene, nanotube
from hypothesis import given, settings
from hypothesis import strategies as st

from lisi_nb.analysis.bonds import Bonds, find_bonds, neighbours_around, pairs_between
from lisi_nb.analysis.clusters import clusters, silicon_clusters
from lisi_nb.analysis.rings import ring_counts
from lisi_nb.structures.crystals import crystal


def of_atoms(atoms: Atoms, cutoff: float = 2.7) -> Bonds:
    return find_bonds(atoms.positions, atoms.cell.array, tuple(atoms.pbc), cutoff)


def naive_pairs(positions, cell, periodic, cutoff) -> Counter:
    """Both directions of every bond as (i, j, rounded vector), from a sum over images."""
    reach = [range(-4, 5) if p else (0,) for p in periodic]
    found: Counter = Counter()
    for i, j in product(range(len(positions)), repeat=2):
        for image in product(*reach):
            d = positions[j] + np.array(image) @ cell - positions[i]
            if (i != j or any(image)) and np.sqrt(d @ d) <= cutoff:
                found[i, j, tuple(np.round(d, 6) + 0.0)] += 1
    return found


def as_pairs(bonds: Bonds, positions, cell) -> Counter:
    found: Counter = Counter()
    for i, j, s in zip(bonds.first, bonds.second, bonds.shift, strict=True):
        d = positions[j] + s @ cell - positions[i]
        found[i, j, tuple(np.round(d, 6) + 0.0)] += 1
        found[j, i, tuple(np.round(-d, 6) + 0.0)] += 1
    return found


CELLS = {
    "wide": np.diag([8.0, 9.0, 10.0]),
    "narrow": np.diag([3.0, 4.0, 12.0]),
    "slanted": np.array([[6.0, 0, 0], [2.0, 7.0, 0], [-1.0, 1.0, 5.0]]),
}


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(list(CELLS)), st.tuples(*[st.booleans()] * 3), st.integers(1, 12), st.integers(0, 10**6),
    st.floats(1.0, 3.9),
)  # fmt: skip
def test_bonds_against_a_sum_over_images(name, periodic, n, seed, cutoff):
    cell, rng = CELLS[name], np.random.default_rng(seed)
    positions = rng.random((n, 3)) @ cell + rng.integers(-1, 2, (n, 3)) * np.array(periodic) @ cell
    expected = naive_pairs(positions, cell, periodic, cutoff)
    bonds = find_bonds(positions, cell, periodic, cutoff)
    assert as_pairs(bonds, positions, cell) == expected
    assert bonds.coordination.tolist() == [sum(c for (i, *_), c in expected.items() if i == k) for k in range(n)]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(list(CELLS)), st.tuples(*[st.booleans()] * 3), st.integers(1, 12), st.integers(0, 10**6),
    st.floats(1.0, 3.9),
)  # fmt: skip
def test_counts_against_a_sum_over_images(name, periodic, n, seed, cutoff):
    cell, rng = CELLS[name], np.random.default_rng(seed)
    positions = rng.random((n, 3)) @ cell
    centres, neighbours = rng.random(n) < 0.6, rng.random(n) < 0.6
    pairs = naive_pairs(positions, cell, periodic, cutoff)
    expected = [sum(c for (i, j, _), c in pairs.items() if i == k and neighbours[j]) for k in np.flatnonzero(centres)]
    assert neighbours_around(positions, centres, neighbours, cell, periodic, cutoff).tolist() == expected
    i, j = pairs_between(positions, centres, ~centres, cell, periodic, cutoff)
    touching = {(a, b) for a, b, _ in pairs if centres[a] and not centres[b]}
    assert sorted(zip(i.tolist(), j.tolist(), strict=True)) == sorted(touching)


def naive_clusters(bonds: Bonds) -> list[int]:
    """Sizes by flooding."""
    near: dict[int, set[int]] = {k: set() for k in range(bonds.n_atoms)}
    for i, j in zip(bonds.first.tolist(), bonds.second.tolist(), strict=True):
        near[i].add(j)
        near[j].add(i)
    left, sizes = set(near), []
    while left:
        todo, size = [left.pop()], 0
        while todo:
            size += 1
            fresh = near[todo.pop()] & left
            left -= fresh
            todo += fresh
        sizes.append(size)
    return sorted(sizes, reverse=True)


def repeated(atoms: Atoms, n: int) -> Atoms:
    return atoms * tuple(n if p else 1 for p in atoms.pbc)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(list(CELLS)), st.tuples(*[st.booleans()] * 3), st.integers(1, 14), st.integers(0, 10**6),
    st.floats(1.5, 3.5),
)  # fmt: skip
def test_sizes_and_dimensions_against_supercells(name, periodic, n, seed, cutoff):
    """In a 5 x 5 x 5 supercell a cluster that is endless in d directions is 5^d times as large.

    Translations that lead back along bonds are shorter than 5 cells here, so they reach all copies of a cluster.
    """
    cell = CELLS[name]
    atoms = Atoms(f"Si{n}", np.random.default_rng(seed).random((n, 3)) @ cell, cell=cell, pbc=periodic)
    found = clusters(of_atoms(atoms, cutoff))
    assert found.size.tolist() == naive_clusters(of_atoms(atoms, cutoff))
    assert np.bincount(found.label).tolist() == found.size.tolist()
    big = clusters(of_atoms(repeated(atoms, 5), cutoff))
    for atom in range(n):
        cluster = found.label[atom]
        grown = big.size[big.label[atom]] / found.size[cluster]
        assert grown == 5 ** found.dimension[cluster]


@pytest.mark.parametrize(
    ("name", "kinds", "dimension", "rings"),
    [
        ("Si", {"network": 1}, 3, {6: 16}),
        ("LiSi", {"network": 1}, 3, None),
        ("Li12Si7", {"ring": 8, "branched": 4}, 0, {5: 8}),
        ("Li7Si3", {"dimer": 9}, 0, {}),
        ("Li13Si4", {"dimer": 2, "isolated": 4}, 0, {}),
        ("Li15Si4", {"isolated": 16}, 0, {}),
    ],
)
def test_zintl_phases(name, kinds, dimension, rings):
    """Rings of five and stars of four in Li12Si7, dumbbells in Li7Si3, dumbbells and single Si in Li13Si4."""
    atoms = crystal(name)
    si = atoms.numbers == 14
    found = silicon_clusters(atoms.positions, si, atoms.cell.array)
    assert Counter(found.kind.tolist()) == kinds
    assert (found.dimension == dimension).all()
    assert found.size.sum() == si.sum()
    if rings is not None:
        assert ring_counts(of_atoms(atoms[si])) == rings


def line(n: int, spacing: float = 2.3) -> Atoms:
    return Atoms(f"Si{n}", np.arange(n)[:, None] * np.array([spacing, 0, 0]), cell=[40, 40, 40], pbc=True)


def polygon(n: int) -> Atoms:
    angle = 2 * np.pi * np.arange(n) / n
    radius = 2.3 / (2 * np.sin(np.pi / n))
    flat = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    return Atoms(f"Si{n}", radius * flat, cell=[40, 40, 40], pbc=True)


def with_arm(atoms: Atoms) -> Atoms:
    return atoms + Atoms("Si", [atoms.positions[0] * (1 + 2.3 / np.linalg.norm(atoms.positions[0]))])


def endless(atoms: Atoms, *pbc: bool) -> Atoms:
    atoms.pbc = pbc
    return atoms


SHAPES = {
    "isolated": (line(1), "isolated", 0, {}),
    "dimer": (line(2), "dimer", 0, {}),
    "chain": (line(5), "chain", 0, {}),
    "bent over the faces": (Atoms("Si4", [[1, 1, 1], [-1, 1, 1], [-1, -1, 1], [-3, -1, 1]], cell=[30] * 3, pbc=True),
                            "chain", 0, {}),
    "ring": (polygon(5), "ring", 0, {5: 1}),
    "ring with an arm": (with_arm(polygon(6)), "network", 0, {6: 1}),
    "star": (Atoms("Si4", [[0, 0, 0], [2.3, 0, 0], [-2.3, 0, 0], [0, 2.3, 0]]), "branched", 0, {}),
    "tetrahedron": (Atoms("Si4", [[.8, .8, .8], [.8, -.8, -.8], [-.8, .8, -.8], [-.8, -.8, .8]]), "network", 0, {3: 4}),
    "endless chain": (Atoms("Si2", [[0, 0, 0], [2.3, 0, 0]], cell=[4.6, 20, 20], pbc=True), "chain", 1, {}),
    "endless chain of one atom": (Atoms("Si", cell=[2.3, 20, 20], pbc=True), "chain", 1, {}),
    "sheet": (endless(graphene("Si2", a=4.0, vacuum=10), True, True, False), "network", 2, {6: 1}),
    "tube": (endless(nanotube(6, 0, symbol="Si", bond=2.3, vacuum=10), False, False, True), "network", 1, None),
    "diamond, two atoms": (bulk("Si", "diamond", a=5.43), "network", 3, {6: 4}),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape):
    atoms, kind, dimension, rings = SHAPES[shape]
    found = clusters(of_atoms(atoms))
    assert (found.kind.tolist(), found.dimension.tolist()) == ([kind], [dimension])
    if rings is not None:
        assert ring_counts(of_atoms(atoms)) == rings


def naive_rings(n: int, edges: set[tuple[int, int]], max_size: int) -> dict[int, int]:
    """All simple cycles by exhaustive search; a ring is one along which no pair is farther than in the graph."""
    near = {k: {b for a, b in edges if a == k} | {a for a, b in edges if b == k} for k in range(n)}
    distance = np.full((n, n), 99)
    for k in range(n):
        distance[k, k], front, d = 0, {k}, 0
        while front:
            d += 1
            front = {b for a in front for b in near[a] if distance[k, b] == 99}
            for b in front:
                distance[k, b] = d
    found: Counter = Counter()

    def walk(path):
        for b in near[path[-1]]:
            if b == path[0] and len(path) >= 3 and path[1] < path[-1]:
                m = len(path)
                along = [min(abs(i - j), m - abs(i - j)) for i in range(m) for j in range(m)]
                found[m] += along == [distance[i, j] for i in path for j in path]
            elif b > path[0] and b not in path and len(path) < max_size:
                walk([*path, b])

    for k in range(n):
        walk([k])
    return {size: count for size, count in sorted(found.items()) if count}


@settings(deadline=None, max_examples=80)
@given(st.integers(3, 10), st.integers(0, 10**6), st.floats(0.15, 0.6), st.integers(3, 9))
def test_rings_against_an_exhaustive_search(n, seed, density, max_size):
    rng = np.random.default_rng(seed)
    edges = {(i, j) for i in range(n) for j in range(i + 1, n) if rng.random() < density}
    first, second = np.array(sorted(edges), dtype=int).reshape(-1, 2).T
    bonds = Bonds(n, first, second, np.zeros((len(edges), 3), dtype=int))
    assert ring_counts(bonds, max_size) == naive_rings(n, edges, max_size)


def test_rings_do_not_depend_on_the_cell():
    """Amorphous-like: a distorted diamond cell with bonds cut at random, and eight copies of it."""
    rng = np.random.default_rng(4)
    atoms = crystal("Si") * (1, 1, 1)
    del atoms[[1]]
    atoms.rattle(0.05, rng=rng)
    one, eight = (ring_counts(of_atoms(a, 2.6), 8) for a in (atoms, atoms * (2, 2, 2)))
    assert one
    assert {k: 8 * v for k, v in one.items()} == eight


def test_numbers_of_a_mixture():
    atoms = line(3) + line(2)
    atoms.positions[3:, 1] += 10
    atoms += Atoms("Si", [[20, 20, 20]])
    atoms.set_cell([40, 40, 40])
    found = clusters(of_atoms(endless(atoms, True, True, True)))
    assert found.size.tolist() == [3, 2, 1]
    assert (found.largest, found.sizes()) == (3, {1: 1, 2: 1, 3: 1})
    assert found.share("chain") == 0.5
    assert (found.count("dimer"), found.count("ring")) == (1, 0)
    assert found.mean_size == pytest.approx((9 + 4 + 1) / 6)
    assert found.independent_rings.tolist() == [0, 0, 0]


def test_bad_input():
    atoms = crystal("Li")
    with pytest.raises(ValueError, match="There is no Si among 2 atoms: pure Li has no Si clusters"):
        silicon_clusters(atoms.positions, atoms.numbers == 14, atoms.cell.array)
    with pytest.raises(ValueError, match="cutoff_A=0 Å is outside"):
        find_bonds(np.zeros((1, 3)), np.ones(3), (True,) * 3, 0)
    with pytest.raises(ValueError, match="not finite"):
        find_bonds(np.full((1, 3), np.nan), np.ones(3), (True,) * 3, 1)
    with pytest.raises(ValueError, match="kind='sheet' is not known"):
        clusters(of_atoms(line(3))).count("sheet")
    with pytest.raises(ValueError, match="max_size=2"):
        ring_counts(of_atoms(line(3)), 2)
