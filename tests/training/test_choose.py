"""Farthest-point sampling on made-up points, and the choice among real frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lisi_nb import potentials
from lisi_nb.structures.crystals import crystal
from lisi_nb.training.choose import descriptors, diverse, farthest


def test_farthest_points_by_hand():
    points = np.array([[0.0], [1.0], [10.0], [4.0], [10.1]])
    assert farthest(points, 3) == [0, 4, 3]
    assert farthest(points, 9) == [0, 4, 3, 1, 2]
    assert farthest(points, 2, first=2) == [2, 0]


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30), st.integers(2, 10))
def test_each_choice_is_the_farthest_from_those_before(values, n):
    points = np.array(values)[:, None]
    chosen = farthest(points, n)
    for k in range(1, len(chosen)):
        distance = np.abs(points - points[chosen[:k]].T).min(axis=1)
        assert distance[chosen[k]] == pytest.approx(distance.max())


@pytest.mark.slow
def test_diverse_frames_are_dealt_out_in_turn_and_differ():
    frames = []
    for system, name in (("crystal/Li", "Li"), ("crystal/LiSi", "LiSi")):
        for k in range(6):
            atoms = crystal(name)
            atoms.rattle(0.02 if k < 5 else 0.3, seed=k)  # five alike and one that is not
            atoms.info["system"] = system
            frames.append(atoms)
    frames.append(crystal("Li12Si7"))
    frames[-1].info["system"] = "crystal/Li12Si7"
    model = potentials.get("lisi").members()[0]
    chosen = diverse(frames, model, per_system=2, max_atoms=100)
    assert [a.info["system"] for a in chosen] == ["crystal/Li", "crystal/LiSi"] * 2
    assert chosen[0] is frames[0]
    assert chosen[2] is frames[5]
    assert chosen[3] is frames[11]


@pytest.mark.slow
def test_descriptors_do_not_depend_on_order_place_or_orientation():
    model = potentials.get("lisi").members()[0]
    atoms = crystal("LiSi")
    atoms.rattle(0.1, seed=1)
    other = atoms[np.random.default_rng(1).permutation(len(atoms))]
    other.positions += (1.0, 2.0, 3.0)
    turned = atoms.copy()
    turned.rotate(90, "z", rotate_cell=True)
    values = descriptors(model, [atoms, other, turned, crystal("Li")])
    np.testing.assert_allclose(values[1], values[0], atol=1e-5)
    np.testing.assert_allclose(values[2], values[0], atol=1e-5)
    half = values.shape[1] // 2
    assert np.all(values[3][half:] == 0), "lithium has no silicon descriptors"
    assert np.abs(values[3][:half]).max() > 0
