"""Whether silicon has left its place, with drift and a changed cell taken out; Lindemann's index."""

from math import isnan, sqrt

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lisi_nb.analysis.melting import MOLTEN_A2, lindemann_index, molten, not_molten, silicon_moved_A2

BOX = np.array([[0.0, 10.0], [0.0, 10.0], [-5.0, 5.0]])


def test_a_known_displacement_survives_drift_and_expansion():
    first = np.random.default_rng(1).uniform(0, 10, (6, 3))
    is_si = np.array([True, True, False, False, True, True])
    step = np.zeros((6, 3))
    step[[0, 1]], step[[4, 5]] = (3.0, 0.0, 0.0), (-3.0, 0.0, 0.0)  # sums to 0: no drift
    drift = np.array([0.7, -2.0, 1.1])
    last = 1.1 * (first + step + drift)
    assert silicon_moved_A2(first, last, BOX, 1.1 * BOX, is_si) == pytest.approx(9.0)


def test_lithium_alone_moving_is_no_melt():
    first = np.random.default_rng(2).uniform(0, 10, (10, 3))
    is_si = np.arange(10) < 5
    last = first.copy()
    last[5:] += np.random.default_rng(3).normal(0, 5, (5, 3)) * [[1], [-1], [1], [-1], [0]]
    last[5:] -= (last - first).mean(axis=0) * 2  # all of the drift is lithium's
    assert silicon_moved_A2(first, last, BOX, BOX, is_si) == pytest.approx(0.0, abs=1e-12)


def test_the_warning_says_how_much_and_what_to_do():
    assert not_molten(MOLTEN_A2, "Anneal longer.") == ""
    assert not_molten(0.31, "Anneal longer.") == (
        "not amorphous: silicon moved by 0.3 Å² in the anneal, less than 4. Anneal longer."
    )


def test_lindemanns_index_of_one_breathing_pair_is_exact():
    frames = [np.array([[0.0, 0, 0], [r, 0, 0]]) for r in (3.9, 4.1, 3.9, 4.1)]
    assert lindemann_index(frames) == pytest.approx(0.1 / 4.0)


def test_a_rigid_particle_that_turns_and_drifts_is_solid():
    particle = np.random.default_rng(4).uniform(0, 12, (40, 3))
    turned = [Rotation.from_euler("xyz", [k, 0.3 * k, -k]).apply(particle) + k for k in range(6)]
    assert lindemann_index(turned) == pytest.approx(0.0, abs=1e-12)


def test_lindemanns_index_equals_a_loop_over_pairs():
    rng = np.random.default_rng(5)
    start = rng.uniform(0, 15, (30, 3))
    frames = [start + rng.normal(0, 0.2, start.shape) for _ in range(7)]
    ratios = []
    for i in range(30):
        for j in range(i):
            if np.linalg.norm(frames[0][i] - frames[0][j]) <= 5.0:
                r = [np.linalg.norm(f[i] - f[j]) for f in frames]
                ratios.append(sqrt(np.mean(np.square(r)) - np.mean(r) ** 2) / np.mean(r))
    assert lindemann_index(frames, near_A=5.0) == pytest.approx(np.mean(ratios))


def test_without_neighbours_or_time_there_is_no_index_and_no_warning():
    far = np.array([[0.0, 0, 0], [50.0, 0, 0]])
    assert isnan(lindemann_index([far, far]))
    assert isnan(lindemann_index([far / 20]))
    assert molten(float("nan"), "here") == ""


def test_a_liquid_is_flagged_and_a_solid_is_not():
    assert molten(0.06, "at x = 2.50") == ""
    assert molten(0.17, "at x = 2.50").startswith("molten: at x = 2.50 distances")
