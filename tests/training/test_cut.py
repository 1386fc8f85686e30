"""A cell cut out of a big configuration keeps the centre's environment and makes no contact at its new boundary."""

import itertools

import numpy as np
import pytest
from ase.build import bulk
from ase.neighborlist import neighbor_list

from lisi_nb import potentials
from lisi_nb.structures.packing import random_packing
from lisi_nb.training.cut import cut_around
from lisi_nb.training.dataset import ELEMENTS

RADIUS_A = 5.2


def melt(seed, edges=(22.0, 24.0, 26.0), density=0.04):
    n = int(np.prod(edges) * density)
    return random_packing(["Li"] * (n // 2) + ["Si"] * (n - n // 2), edges, seed)


def environment(atoms, centre, radius_A):
    """Naive: elements and vectors to every neighbour and image within the radius, sorted."""
    found = []
    edges = atoms.cell.lengths()
    for k in range(len(atoms)):
        for image in itertools.product((-2, -1, 0, 1, 2), repeat=3):
            vector = atoms.positions[k] - atoms.positions[centre] + np.array(image) * edges
            if 1e-9 < np.linalg.norm(vector) <= radius_A:
                found.append((atoms.symbols[k], *vector.round(6) + 0.0))
    return sorted(found)


@pytest.mark.parametrize(("seed", "centre"), [(1, 0), (2, 17), (3, 200)])
def test_the_environment_of_the_centre_is_unchanged(seed, centre):
    big = melt(seed)
    small = cut_around(big, centre, RADIUS_A)
    middle = small.info["centre"]
    assert len(small) < len(big) == small.info["cut_from"]
    assert small.symbols[middle] == big.symbols[centre]
    np.testing.assert_allclose(small.positions[middle], small.cell.lengths() / 2)
    assert environment(small, middle, RADIUS_A) == environment(big, centre, RADIUS_A)


@pytest.mark.parametrize("seed", range(12))
def test_no_two_atoms_meet_at_the_new_boundary(seed):
    big = melt(seed)
    closest = neighbor_list("d", big, 3.0).min()
    small = cut_around(big, seed, RADIUS_A)
    assert neighbor_list("d", small, 3.0).min() >= min(2.2, closest)
    whole = small.cell.lengths() == 2 * RADIUS_A + 2.2
    assert whole.all()
    # As full as it can be: every atom left out would have met one that is there.
    apart = big.positions - big.positions[seed]
    apart -= big.cell.lengths() * np.round(apart / big.cell.lengths())
    half = small.cell.lengths() / 2
    inside = [k for k in range(len(big)) if (apart[k] >= -half).all() and (apart[k] < half).all()]
    assert len(inside) == len(small) + small.info["left_out"]
    there = {tuple(p.round(6)) for p in small.positions}
    for k in inside:
        if tuple((apart[k] + half).round(6)) not in there:
            gap = small.positions - (apart[k] + half)
            gap -= small.cell.lengths() * np.round(gap / small.cell.lengths())
            assert np.linalg.norm(gap, axis=1).min() < 2.2


def test_a_short_axis_is_kept_whole():
    """A thin cell stays periodic where it was: the environment holds images of its own atoms."""
    big = melt(4, (30.0, 8.0, 26.0))
    small = cut_around(big, 3, RADIUS_A)
    assert small.cell.lengths()[1] == 8.0
    assert environment(small, small.info["centre"], RADIUS_A) == environment(big, 3, RADIUS_A)
    whole = cut_around(big, 3, 20.0)
    assert len(whole) == len(big)
    assert whole.info["left_out"] == 0


def test_a_crystal_cut_at_a_multiple_of_its_period_stays_one():
    a_A = 3.5
    crystal = bulk("Li", "bcc", a=a_A, cubic=True) * (8, 8, 8)
    small = cut_around(crystal, 5, (4 * a_A - 2.2) / 2)
    assert (len(small), small.info["left_out"]) == (2 * 4**3, 0)
    assert neighbor_list("d", small, 3.2).size == 8 * len(small)


@pytest.mark.slow
def test_the_potential_sees_no_difference():
    """The energy of the centre's atom needs its cutoff, the force twice that (each neighbour has neighbours)."""
    model = potentials.get("lisi").calculator().dp
    big = melt(5, (28.0, 28.0, 28.0))
    energies, forces = [], []
    for atoms, k in ((big, 7), *((c := cut_around(big, 7, r), c.info["centre"]) for r in (5.2, 10.4))):
        types = [ELEMENTS.index(symbol) for symbol in atoms.symbols]
        found = model.eval(atoms.positions.reshape(1, -1), atoms.cell.array.reshape(1, 9), types, atomic=True)
        energies.append(found[3].ravel()[k])
        forces.append(found[1][0, k])
    np.testing.assert_allclose(energies[1:], energies[0], atol=1e-4)
    np.testing.assert_allclose(forces[2], forces[0], atol=1e-3)


def test_what_cannot_be_cut_is_said():
    big = melt(6)
    with pytest.raises(ValueError, match="centre=-1 is outside 0 to"):
        cut_around(big, -1, RADIUS_A)
    with pytest.raises(ValueError, match=r"radius_A=0\.2"):
        cut_around(big, 0, 0.2)
    with pytest.raises(ValueError, match="must be orthogonal, periodic"):
        cut_around(bulk("Si"), 0, RADIUS_A)
    big.pbc = (True, True, False)
    with pytest.raises(ValueError, match="must be orthogonal, periodic"):
        cut_around(big, 0, RADIUS_A)
