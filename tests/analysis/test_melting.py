"""Whether silicon has left its place: exact displacements, with drift and a changed cell taken out."""

import numpy as np
import pytest

from lisi_nb.analysis.melting import MOLTEN_A2, not_molten, silicon_moved_A2

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
