"""Arrhenius: an exact line, coverage at 300 K, what is left out, the paper's Table I."""

import math

import numpy as np
import pytest
from ase.units import kB
from scipy.optimize import curve_fit

from lisi_nb.analysis.arrhenius import arrhenius
from lisi_nb.units import Measured

T = np.arange(400.0, 1300.0, 100.0)
NOTHING = Measured(math.nan, math.nan, "cm^2/s")


def measured(D, relative):
    return [Measured(float(d), float(d * relative), "cm^2/s") for d in D]


def test_exact_line_gives_the_papers_room_temperature_value():
    """D0 = 0.014 cm^2/s and 0.483 eV are Li2.25Si of Table I: 1.1e-10 at 300 K, 5.2e-5 at 1000 K."""
    found = arrhenius(T, measured(0.014 * np.exp(-0.483 / (kB * T)), 0.1))
    assert found.Ea_eV.value == pytest.approx(0.483)
    assert math.exp(found.ln_D0.value) == pytest.approx(0.014)
    assert found.at(300).value == pytest.approx(0.014 * math.exp(-0.483 / (kB * 300)))
    assert found.at(300).value == pytest.approx(1.1e-10, rel=0.05)
    assert found.D_cm2_s(1000.0) == pytest.approx(5.2e-5, rel=0.02)
    low, high = found.band_cm2_s(np.array([300.0, 800.0]))
    assert low * high == pytest.approx(found.D_cm2_s(np.array([300.0, 800.0])) ** 2)
    assert (low < high).all()
    assert high[0] / low[0] > high[1] / low[1]  # an extrapolation is less sure


def test_errors_against_scipy():
    rng = np.random.default_rng(0)
    relative = rng.uniform(0.05, 0.3, len(T))
    D = 0.02 * np.exp(-0.5 / (kB * T)) * np.exp(0.3 * relative * rng.normal(size=len(T)))  # chi^2 below 1: not scaled
    found = arrhenius(T, [Measured(d, d * r, "cm^2/s") for d, r in zip(D, relative, strict=True)])
    best, covariance = curve_fit(
        lambda t, a, e: a - e / (kB * t), T, np.log(D), (0, 0.5), relative, absolute_sigma=True
    )
    assert (found.ln_D0.value, found.Ea_eV.value) == pytest.approx(tuple(best), rel=1e-5)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-4)
    assert math.isinf(found.freedom)


@pytest.mark.parametrize("stated", [0.2, 0.05, math.nan])
def test_band_at_300_K_covers_the_truth(stated):
    """Scatter of 20 %; errors stated right, four times too small, or not at all: the 95 % band holds 95 %.

    2000 trials: +-0.5 %, four of those. The larger of two error estimates covers a little more: let pass.
    """
    rng = np.random.default_rng(1)
    clean = 0.02 * np.exp(-0.5 / (kB * T))
    truth = 0.02 * math.exp(-0.5 / (kB * 300))
    hits = 0
    for _ in range(2000):
        low, high = arrhenius(T, measured(clean * np.exp(rng.normal(0, 0.2, len(T))), stated)).band_cm2_s(300.0)
        hits += bool(low < truth < high)
    assert 0.93 < hits / 2000 < 0.985


def test_non_diffusive_temperatures_are_left_out_and_named():
    D = measured(0.02 * np.exp(-0.5 / (kB * T)), 0.1)
    D[0] = D[1] = NOTHING
    found = arrhenius(T, D)
    assert found.Ea_eV.value == pytest.approx(0.5)
    assert found.left_out_K.tolist() == [400, 500]
    assert "7 temperatures, 600 to 1200 K. Not diffusive and left out: 400 K, 500 K." in found.statement


def test_nothing_is_extrapolated_from_two_points():
    D = [NOTHING] * 7 + measured(0.02 * np.exp(-0.5 / (kB * T[7:])), 0.1)
    found = arrhenius(T, D)
    assert not found.fitted
    assert found.statement.startswith("no Arrhenius line: 2 diffusive temperatures, three are needed. Not diffusive")
    assert math.isnan(found.at(300).value)
    assert np.isnan(found.band_cm2_s(300.0)).all()


def test_bad_input():
    with pytest.raises(ValueError, match="3 temperatures and 2 D came"):
        arrhenius([500, 600, 700], [NOTHING] * 2)
    with pytest.raises(ValueError, match=r"temperature_K=-5\.0 K is outside"):
        arrhenius([-5, 600, 700], [NOTHING] * 3)
    with pytest.raises(ValueError, match=r"D=-1e-06 cm.* has no logarithm"):
        arrhenius([500, 600, 700], [Measured(-1e-6, 1e-6, "cm^2/s")] * 3)
    with pytest.raises(ValueError, match=r"level=1\.5"):
        arrhenius(T, measured(np.ones(len(T)), 0.1)).band_cm2_s(300.0, 1.5)
