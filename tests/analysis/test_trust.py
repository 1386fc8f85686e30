"""Accurate, candidate, failed: counted by hand; the light they give."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lisi_nb.analysis.trust import candidates, trust


@pytest.mark.parametrize(
    ("values", "fractions", "light"),
    [
        ([0.1] * 10, (1, 0, 0), "green"),
        ([0.1] * 19 + [0.3], (0.95, 0.05, 0), "green"),
        ([0.1] * 9 + [0.3], (0.9, 0.1, 0), "amber"),
        ([0.1] * 99 + [0.51], (0.99, 0, 0.01), "red"),
        ([0.2, 0.5], (0, 1, 0), "amber"),  # the thresholds themselves are candidates
    ],
)
def test_by_hand(values, fractions, light):
    found = trust(np.array(values), 0.2, 0.5)
    assert (found.accurate, found.candidate, found.failed) == pytest.approx(fractions)
    assert found.light == light
    assert found.largest_eV_A == max(values)


def test_no_looks_are_unknown():
    found = trust(np.array([]), 0.2, 0.5)
    assert found.light == "unknown"
    assert math.isnan(found.accurate)


def test_a_deviation_that_is_no_number_is_not_trusted():
    assert trust(np.array([0.1, math.nan]), 0.2, 0.5).light in ("unknown", "red")


@given(st.lists(st.floats(0, 10), min_size=1), st.floats(0.01, 5), st.floats(0.01, 5))
def test_everything_is_counted_once(values, low, step):
    found = trust(np.array(values), low, low + step)
    assert found.accurate + found.candidate + found.failed == pytest.approx(1)


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.2), (0, 1), (0.3, 0.3), (math.nan, 1)])
def test_bad_thresholds(low, high):
    with pytest.raises(ValueError, match="needs 0 < low < high"):
        trust(np.array([0.1]), low, high)


LOW, HIGH = 0.10, 1.2
MID = 0.5 * (LOW + HIGH)


@pytest.mark.parametrize(
    ("values", "n", "chosen"),
    [
        ([0, 0, 0], 3, []),
        ([MID, MID, 0, MID], 3, [1, 3]),  # the start is in the labels already
        ([0, MID, MID, HIGH + 1, MID, MID], 5, [1, 2]),  # nothing after a failed frame
        ([HIGH + 1, MID], 5, []),
        ([0, LOW, HIGH], 5, [2]),  # the window is open below and closed above
        ([0, 0.2, 0.3, 0.25, 0.22, 0.9, 0.21], 2, [2, 5]),  # the worst of each half of the candidates
        ([], 3, []),
    ],
)
def test_candidates_by_hand(values, n, chosen):
    assert candidates(np.array(values, dtype=float), LOW, HIGH, n) == chosen


@given(st.lists(st.floats(0, 2), max_size=60), st.integers(1, 8))
def test_candidates_keeps_its_promises(values, n):
    chosen = candidates(np.array(values, dtype=float), LOW, HIGH, n)
    assert len(chosen) <= n
    assert chosen == sorted(set(chosen))
    assert all(LOW < values[k] <= HIGH for k in chosen)
    assert all(v <= HIGH for v in values[: max(chosen, default=0)])
