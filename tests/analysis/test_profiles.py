"""Profiles: exact steps, a naive loop, the error function, stray atoms, whole bins, coarsening, the kink."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from lisi_nb.analysis import profiles
from lisi_nb.analysis.profiles import Fronts, ProfileAccumulator, fronts, fronts_by_bins, kink, smooth, width_10_90


@settings(deadline=None)
@given(st.data())
def test_counts_against_a_naive_loop(data):
    n_bins, width = data.draw(st.integers(1, 12)), data.draw(st.floats(0.3, 3.0))
    low, n_windows = data.draw(st.floats(-5, 5)), data.draw(st.integers(1, 3))
    edges = low + width * np.arange(n_bins + 1)
    counts = ProfileAccumulator(edges, n_windows)
    naive = np.zeros((2, n_windows, n_bins))
    n_frames = np.zeros(n_windows, dtype=int)
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    for _ in range(data.draw(st.integers(0, 6))):
        window, n = int(rng.integers(n_windows)), int(rng.integers(0, 40))
        z, is_li = rng.uniform(low - 2, low + n_bins * width + 2, n), rng.random(n) < 0.5
        counts.add(window, z, is_li)
        n_frames[window] += 1
        for height, li in zip(z, is_li, strict=True):
            for b in range(n_bins):
                if low + b * width <= height < low + (b + 1) * width:
                    naive[int(li), window, b] += 1
    np.testing.assert_array_equal(counts.si, naive[0])
    np.testing.assert_array_equal(counts.li, naive[1])
    np.testing.assert_array_equal(counts.frames, n_frames)
    for w in range(n_windows):
        for b in range(n_bins):
            total = naive[:, w, b].sum()
            fraction = counts.li_fraction()[w, b]
            assert math.isnan(fraction) if total == 0 else fraction == naive[1, w, b] / total


def test_coarsened_keeps_every_atom():
    rng = np.random.default_rng(0)
    fine = ProfileAccumulator(np.arange(0, 31.0), 2)
    for window in (0, 1, 1):
        fine.add(window, rng.uniform(0, 30, 200), rng.random(200) < 0.3)
    coarse = fine.coarsened(3)
    direct = ProfileAccumulator(np.arange(0, 31.0, 3), 2)
    np.testing.assert_array_equal(coarse.edges_A, direct.edges_A)
    np.testing.assert_array_equal(coarse.li, fine.li.reshape(2, 10, 3).sum(axis=2))
    np.testing.assert_array_equal(coarse.si, fine.si.reshape(2, 10, 3).sum(axis=2))
    np.testing.assert_array_equal(coarse.frames, [1, 2])
    assert fine.coarsened(4).si.shape == (2, 7)  # 30 bins: the two left over at the top are dropped


@given(st.floats(20, 40), st.floats(45, 60))
def test_fronts_of_straight_flanks_are_exact(left_end, right_end):
    """On a profile that is linear between bins the interpolation is exact: n_Li from 0 to 1 over `left..right`."""
    centres = np.arange(80) + 0.5
    fraction = np.clip((centres - left_end) / (right_end - left_end), 0, 1)
    span = right_end - left_end
    found = fronts(centres, fraction)
    # Within the bin in which a kink of the profile lies, interpolation cuts the corner: off by less than a bin.
    assert found.left_A == pytest.approx(left_end + 0.05 * span, abs=0.5 if 0.05 * span < 1 else 1e-9)
    assert found.right_A == pytest.approx(left_end + 0.95 * span, abs=0.5 if 0.05 * span < 1 else 1e-9)
    assert found.length_A == pytest.approx(0.9 * span, abs=1.0)


@given(st.floats(10.2, 69.8))
def test_a_sharp_step_is_found_to_a_fraction_of_a_bin(position):
    """Si below, Li above, both uniform: the bin of the step holds Li for its part above the step."""
    edges = np.arange(81.0)
    share = np.clip(edges[1:] - position, 0, 1)
    found = fronts(0.5 * (edges[1:] + edges[:-1]), share)
    # With a share u of the bin beyond the step, interpolating to 0.05 is off by 1.5 - u - 0.05 / u bins at most:
    # 1.5 - 2 * sqrt(0.05) = 1.053 at u = sqrt(0.05); the same for the right front.
    assert found.left_A == pytest.approx(position, abs=1.054)
    assert found.right_A == pytest.approx(position, abs=1.054)
    # Centred on the step: the two errors cancel.
    assert 0.5 * (found.left_A + found.right_A) == pytest.approx(position, abs=0.5)


def test_fronts_of_profiles_without_one():
    centres = np.arange(10.0)
    for fraction in (np.zeros(10), np.ones(10), np.full(10, np.nan)):
        found = fronts(centres, fraction)
        assert math.isnan(found.length_A)


def test_empty_bins_are_left_out():
    centres = np.arange(40) + 0.5
    fraction = np.clip((centres - 10) / 20, 0, 1)
    holes = fraction.copy()
    holes[[3, 20, 37, 38]] = np.nan
    assert fronts(centres, holes) == fronts(centres, fraction)


@settings(deadline=None)
@given(st.integers(1, 16), st.integers(54, 78), st.floats(0.06, 1.0))
def test_a_stray_atom_moves_no_front(in_si, in_li, strength):
    """One bin of lithium deep in silicon and one of silicon deep in lithium (not beside the front)."""
    centres = np.arange(80) + 0.5
    fraction = np.clip((centres - 20) / 30, 0, 1)
    clean = fronts(centres, fraction)
    dirty = fraction.copy()
    dirty[in_si] = strength
    dirty[in_li] = 1 - strength
    assert fronts(centres, dirty) == clean


def test_fronts_by_bins_on_a_drawn_case():
    edges = np.arange(0, 37.0, 3)
    #                    0  3  6    9   12   15   18   21 24 27   30 33
    fraction = np.array([0, 0, 0.1, 0, 0.2, 0.5, 0.8, 1, 1, 0.9, 1, np.nan])
    # The boundary at 16 lies in a mixed bin; mixed bins 12-21 are connected, the ones at 6 and 27 are strays.
    assert fronts_by_bins(edges, fraction, 16.0) == Fronts(12.0, 21.0)
    fraction[2] = 0
    assert fronts_by_bins(edges, fraction, 11.9) == Fronts(12.0, 21.0)  # the bin next to the boundary
    assert fronts_by_bins(edges, np.where(fraction < 0.5, 0.0, 1.0), 16.0) == Fronts(16.0, 16.0)  # nothing mixed yet
    assert fronts_by_bins(edges, np.full(12, 0.5), 16.0) == Fronts(0.0, 36.0)


@pytest.mark.parametrize("sigma", [2.0, 3.5, 6.0])
@pytest.mark.parametrize("falling", [True, False])
def test_width_of_an_error_function(sigma, falling):
    """A step blurred by a Gaussian: 10 to 90 % is 2 * 1.2816 sigma (the normal quantile of 0.9)."""
    centres = np.arange(0, 80, 1.0) + 0.5
    step = 0.5 * (1 + erf((centres - 40.2) / (sigma * 2**0.5)))
    density = 0.05 * (1 - step if falling else step)
    # Linear interpolation over 1 A: h^2/8 * f'' <= 0.03/sigma^2 on a slope of 0.175/sigma, at both ends.
    tolerance = 2 * (1 / 8) * 0.25 / sigma**2 / (0.175 / sigma)
    assert width_10_90(centres, density, 0.05) == pytest.approx(2 * 1.2816 * sigma, abs=tolerance)


def test_width_of_a_profile_that_never_rises():
    assert math.isnan(width_10_90(np.arange(20.0), np.full(20, 0.001), 0.05))


def test_smooth_keeps_constants_and_lines_inside():
    np.testing.assert_allclose(smooth(np.full(9, 4.2), 3), 4.2)
    line = np.arange(20.0)
    np.testing.assert_allclose(smooth(line, 5)[2:-2], line[2:-2])
    assert smooth(line, 3)[0] == pytest.approx(0.5)


def test_kink_of_two_straight_lines():
    """A steep rise to f = 0.7 over 4 A, then a slow one: the kink is where they meet."""
    centres = np.arange(0, 60, 0.5)
    fraction = np.interp(centres, [20, 24, 44, 48], [0, 0.7, 0.9, 1.0])
    assert kink(centres, fraction, fronts(centres, fraction)) == pytest.approx(0.7, abs=1e-9)
    assert math.isnan(kink(centres, fraction, Fronts(float("nan"), 30.0)))
    convex = np.interp(centres, [20, 40, 48], [0, 0.2, 1.0])  # bends the other way: no kink above the chord
    assert math.isnan(kink(centres, convex, fronts(centres, convex)))


def test_levels_are_documented_ones():
    assert (profiles.LOW, profiles.HIGH) == (0.05, 0.95)
