"""Neighbour counts: diamond, a naive minimum-image loop, periodic in x and y only, limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lisi_nb.analysis.bonding import bulk_silicon, neighbour_counts
from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.interfaces import interface, silicon_slab
from lisi_nb.structures.packing import random_packing


def box_of(atoms) -> np.ndarray:
    return np.column_stack([np.zeros(3), atoms.cell.lengths()])


def naive(positions, box, centres, neighbours, cutoff) -> list[int]:
    """Every pair, minimum image in x and y, open in z."""
    edges = np.ptp(box, axis=1)
    counts = []
    for i in np.flatnonzero(centres):
        n = 0
        for j in np.flatnonzero(neighbours):
            if i == j:
                continue
            d = positions[i] - positions[j]
            d[:2] -= edges[:2] * np.round(d[:2] / edges[:2])
            n += bool(np.sqrt((d**2).sum()) <= cutoff)
        counts.append(n)
    return counts


def test_diamond_has_four_inside():
    atoms = crystal("Si") * (3, 3, 3)
    everyone = np.ones(len(atoms), dtype=bool)
    counts = neighbour_counts(atoms.positions, box_of(atoms), everyone, everyone, 2.85)
    z = atoms.positions[:, 2]
    inside = (z > 2) & (z < z.max() - 2)
    assert (counts[inside] == 4).all()
    assert (counts[z == 0] == 2).all()  # open in z: the lower neighbours are not the upper face's atoms


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 60), st.integers(0, 10**6), st.floats(0.5, 4.0))
def test_against_a_naive_loop_with_unwrapped_positions(n, seed, cutoff):
    rng = np.random.default_rng(seed)
    low = rng.uniform(-20, 20, 3)
    box = np.column_stack([low, np.add(low, [8.5, 9.7, 30.0])])
    positions = low + rng.random((n, 3)) * [8.5, 9.7, 12.0]
    positions[:, :2] += rng.integers(-3, 4, (n, 2)) * [8.5, 9.7]  # atoms that have wandered through the faces
    centres, neighbours = rng.random(n) < 0.6, rng.random(n) < 0.6
    found = neighbour_counts(positions, box, centres, neighbours, cutoff)
    assert found.tolist() == naive(positions, box, centres, neighbours, cutoff)


def test_input_is_left_alone():
    atoms = crystal("Si") * (2, 2, 2)
    positions, everyone = atoms.positions - 100.0, np.ones(len(atoms), dtype=bool)
    before = positions.copy()
    neighbour_counts(positions, box_of(atoms), everyone, everyone, 2.85)
    np.testing.assert_array_equal(positions, before)


def test_cutoff_longer_than_half_an_edge():
    atoms = crystal("Si")
    everyone = np.ones(8, dtype=bool)
    with pytest.raises(ValueError, match=r"cutoff_A=2\.85 Å is longer than half .*\(5\.47 Å\).*wider cell"):
        neighbour_counts(atoms.positions, box_of(atoms), everyone, everyone, 2.85)


def test_bulk_silicon_of_a_fresh_interface():
    """Before anything mixes: every silicon with three silicon neighbours and no lithium within 3.3 A is bulk."""
    slab = silicon_slab("111", 12.0, 20.0)
    x, y = (float(v) for v in slab.cell.lengths()[:2])
    atoms = interface(slab, random_packing(["Li"] * 80, (x, y, 80 * 22.4 / (x * y)), 3), vacuum_A=15.0)
    is_li = atoms.numbers == 3
    mask = bulk_silicon(atoms.positions, box_of(atoms), is_li)
    si = naive(atoms.positions, box_of(atoms), ~is_li, ~is_li, 2.85)
    li = naive(atoms.positions, box_of(atoms), ~is_li, is_li, 3.3)
    assert mask.tolist() == [a >= 3 and b == 0 for a, b in zip(si, li, strict=True)]
    z = atoms.positions[~is_li, 2]
    assert mask[(z > 3) & (z < z.max() - 3)].all()
    assert not mask[z > z.max() - 0.1].all()
