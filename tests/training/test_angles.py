"""Angles beside the radial descriptor: what they see, and that muted lithium becomes an exact zero."""

import numpy as np
import pytest
from ase.build import bulk

from lisi_nb.training import angles, train


def sums(atoms, cutoff_A: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the first atom's neighbours: sorted distances, sum of unit vectors, sorted cosines between pairs."""
    from ase.neighborlist import neighbor_list

    i, distance, vector = neighbor_list("idD", atoms, cutoff_A)
    unit = vector[i == 0] / distance[i == 0, None]
    return np.sort(distance[i == 0]), unit.sum(axis=0), np.sort((unit @ unit.T)[np.triu_indices(len(unit), 1)])


def test_shear_of_diamond_is_in_the_angles_of_the_first_shell_and_not_in_its_lengths():
    """The reason for the second descriptor: to first order, the four bonds stay alike and their vectors sum to zero."""
    strain = 0.001
    crystal = bulk("Si", "diamond", a=5.43, cubic=True)
    sheared = crystal.copy()
    sheared.set_cell(crystal.cell.array @ np.diag([1 + strain, 1 - strain, 1.0]), scale_atoms=True)
    (d0, v0, c0), (d1, v1, c1) = sums(crystal, 3.0), sums(sheared, 3.0)
    assert len(d0) == 4
    np.testing.assert_allclose(d1, d0, rtol=2 * strain**2)
    np.testing.assert_allclose([v0, v1], 0.0, atol=1e-12)
    np.testing.assert_allclose(c0, -1 / 3, atol=1e-12)
    assert np.ptp(c1) > strain


def model(neurons: list[int], muted: bool) -> dict:
    layers = [
        {"@variables": {"w": np.ones((n, m)), "b": np.ones(m)}} for n, m in zip([1, *neurons], neurons, strict=False)
    ]
    copies = [{"layers": [{"@variables": {k: v.copy() for k, v in x["@variables"].items()}} for x in layers]}
              for _ in range(4)]  # fmt: skip
    scale = np.arange(2 * 3 * 4, dtype=float).reshape(2, 3, 4) + 1
    if muted:
        scale[:, : angles.SLOTS] = angles.MUTED
    second = {
        "type": "se_e3",
        "neuron": neurons,
        "@variables": {"dstd": scale},
        "embeddings": {"networks": copies, "ntypes": 2},
    }
    return {"descriptor": {"list": [second]}}


def test_networks_with_lithium_become_zero_and_scales_ordinary():
    given = model([8, 8], True)
    angles.unmute(given)
    second = given["descriptor"]["list"][0]
    np.testing.assert_array_equal(second["@variables"]["dstd"][:, 0], second["@variables"]["dstd"][:, 1])
    weights = [[v for x in n["layers"] for v in x["@variables"].values()] for n in second["embeddings"]["networks"]]
    assert [any(np.any(v) for v in each) for each in weights] == [False, False, False, True]


def test_what_is_not_muted_stays():
    given, same = model([8, 8], False), model([8, 8], False)
    angles.unmute(given)
    np.testing.assert_equal(given, same)
    others = {"descriptor": {"type": "hybrid", "list": [{"type": "dpa1"}]}}
    angles.unmute(others)  # a user's model need not have scales of its own at this place
    plain = {"descriptor": {"type": "se_e2_a"}}
    angles.unmute(plain)
    assert plain == {"descriptor": {"type": "se_e2_a"}}


def test_a_first_layer_that_adds_its_input_is_refused():
    with pytest.raises(ValueError, match=r"neurons \[2, 4\]: the first layer needs 3 or more"):
        angles.unmute(model([2, 4], True))


def test_the_shipped_network_has_both_descriptors():
    given = train.training_input(train.Data(["a"], ["b"]), 10, 1, train.WITH_ANGLES)["model"]["descriptor"]
    assert given["type"] == "hybrid"
    assert [part["type"] for part in given["list"]] == ["se_e2_a", "se_e3"]
    assert train.training_input(train.Data(["a"], ["b"]), 10, 1)["model"]["descriptor"]["type"] == "se_e2_a"
