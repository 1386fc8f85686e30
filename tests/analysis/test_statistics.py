"""Error bars that cover the truth as often as they say, and exact cases."""

import math

import numpy as np
import pytest

from lisi_nb.analysis.statistics import block_mean, end_of_trend, over_seeds
from lisi_nb.units import Measured


def test_end_of_an_exact_line():
    found = end_of_trend(2.0 + 0.5 * np.arange(40), "A")
    assert (found.value, found.unit) == (pytest.approx(2.0 + 0.5 * 39), "A")
    assert found.error == pytest.approx(0, abs=1e-10)


def test_end_of_trend_covers_the_truth():
    """Line + Gaussian noise: |value - truth| < 1.96 errors in 95 % of trials (28 degrees of freedom: 94 %).

    2000 trials give the fraction to +-0.55 %; four of those and the 1 % of Student's t are allowed.
    """
    rng = np.random.default_rng(0)
    truth = 3.0 - 0.2 * np.arange(100)
    found = [end_of_trend(truth + rng.normal(0, 0.7, 100), "A") for _ in range(2000)]
    covered = np.mean([abs(f.value - truth[-1]) < 1.96 * f.error for f in found])
    assert covered == pytest.approx(0.95, abs=0.032)
    # The error is also the scatter: sqrt(1/n + 3 (n-1)/(n (n+1))) * sigma at the end of n = 30 points.
    expected = 0.7 * math.sqrt(1 / 30 + 3 * 29 / (30 * 31))
    assert np.std([f.value for f in found]) == pytest.approx(expected, rel=0.07)  # 1/sqrt(2 * 2000) = 1.6 %, four times
    assert np.mean([f.error for f in found]) == pytest.approx(expected, rel=0.07)


def test_only_the_last_part_counts_and_nan_are_left_out():
    values = np.concatenate([np.full(70, 1e6), np.arange(30.0)])
    assert end_of_trend(values, "A").value == pytest.approx(29)
    with_holes = np.insert(values, [5, 80, 100], np.nan)
    assert end_of_trend(with_holes, "A").value == pytest.approx(29)


@pytest.mark.parametrize(("values", "value"), [([], math.nan), ([math.nan], math.nan), ([1, 2, 3], 3.0)])
def test_too_few_points_give_no_error_bar(values, value):
    found = end_of_trend(np.array(values, dtype=float), "A")
    assert found.value == pytest.approx(value, nan_ok=True)
    assert math.isnan(found.error)


def test_block_mean_against_numpy():
    values = np.random.default_rng(1).normal(5, 1, 50)
    found = block_mean(values, "A")
    blocks = values.reshape(5, 10).mean(axis=1)
    assert found.value == pytest.approx(values.mean())
    assert found.error == pytest.approx(blocks.std(ddof=1) / 5**0.5)


def test_block_error_sees_correlation():
    """Each number ten times over: the naive error is sqrt(10) too small, the block error is not."""
    rng = np.random.default_rng(2)
    ratios = []
    for _ in range(300):
        values = np.repeat(rng.normal(0, 1, 50), 10)
        ratios.append(block_mean(values, "1").error ** 2 / (1 / 50))
    # Chi-squared with 4 degrees of freedom: variance 2/4 relative, over 300 trials +-4 %; four of those.
    assert np.mean(ratios) == pytest.approx(1, abs=0.17)


@pytest.mark.parametrize("n", [0, 1, 9])
def test_block_mean_of_few_values_has_no_error(n):
    found = block_mean(np.arange(float(n)), "A")
    assert math.isnan(found.error)
    assert found.value == pytest.approx((n - 1) / 2 if n else math.nan, nan_ok=True)


def test_over_seeds():
    one = Measured(3.0, 0.5, "A")
    assert over_seeds([one]) is one
    found = over_seeds([Measured(v, 9.0, "A") for v in (1.0, 2.0, 6.0)])
    assert found.value == pytest.approx(3.0)
    assert found.error == pytest.approx(np.std([1, 2, 6], ddof=1) / 3**0.5)
    assert over_seeds([one, Measured(math.nan, math.nan, "A")]).value == 3.0
    assert math.isnan(over_seeds([Measured(math.nan, math.nan, "A")] * 2).value)
    with pytest.raises(ValueError, match=r"different units: \['A', 'eV'\]"):
        over_seeds([one, Measured(1.0, 1.0, "eV")])
