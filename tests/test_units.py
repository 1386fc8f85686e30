"""Conversions from their definitions, and how a measured number prints."""

import json
import math

import pytest
from ase import units as ase_units
from hypothesis import example, given
from hypothesis import strategies as st

from lisi_nb.units import A_PER_PS_IN_CM_S, PER_A2_PS_IN_PER_NM2_NS, U_PER_A3_IN_G_CM3, Measured, pretty


def test_conversions():
    assert pytest.approx(1e-8 / 1e-12) == A_PER_PS_IN_CM_S  # cm per A / s per ps
    assert pytest.approx((1 / 0.1**2) * (1 / 1e-3)) == PER_A2_PS_IN_PER_NM2_NS  # 0.1 nm per A, 1e-3 ns per ps
    # 1 u in kg over 1 A3 in m3, in g/cm3; both tables are CODATA, of 2014 (ASE) and 2022: they differ by 2e-8.
    assert pytest.approx(ase_units._amu * 1e30 / 1000, rel=1e-6) == U_PER_A3_IN_G_CM3


def test_paper_speed_follows_from_its_displacement():
    """Fu et al.: 19.6 A in 5 ns is printed as 39.2 cm/s."""
    assert pytest.approx(39.2) == 19.6 / 5000 * A_PER_PS_IN_CM_S


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        (Measured(3.14159, 0.4, "A"), "3.14 ± 0.40 Å"),
        (Measured(3.14159, 0.04, "A"), "3.142 ± 0.040 Å"),
        (Measured(1234.5, 250.0, "cm/s"), "1234 ± 250 cm/s"),
        (Measured(2.8, 0.1, "1"), "2.80 ± 0.10"),
        (Measured(5.0, 0.0, "A"), "5 ± 0 Å"),
        (Measured(3.579e-6, 1.6e-7, "cm^2/s"), "(3.58 ± 0.16)e-06 cm²/s"),
        (Measured(1.154e-14, 1.084e-14, "cm^2/s"), "(1.2 ± 1.1)e-14 cm²/s"),
        (Measured(-2e-9, 3e-8, "1/ps"), "(-0.2 ± 3.0)e-08 1/ps"),
        (Measured(0.0004, 0.00003, "A"), "0.000400 ± 0.000030 Å"),
        (Measured(5.0, math.nan, "A"), "5 Å (no error estimate)"),
        (Measured(math.nan, math.nan, "A"), "not measured (Å)"),
        (Measured(math.nan, math.nan, "1"), "not measured"),
    ],
)
def test_text(measured, text):
    assert str(measured) == text


@example(0.0, 5e-324, "1")
@given(st.floats(), st.floats(min_value=0), st.sampled_from(["1", "A", "cm/s"]))
def test_always_prints_and_serialises(value, error, unit):
    measured = Measured(value, error, unit)
    assert str(measured)
    data = json.loads(json.dumps(measured.to_dict(), allow_nan=False))
    assert data["value"] == (value if math.isfinite(value) else None)
    assert data["error"] == (error if math.isfinite(error) else None)


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("A", "Å"),
        ("eV/A", "eV/Å"),
        ("A^3", "Å³"),
        ("nm^-2 ns^-1", "nm⁻² ns⁻¹"),
        ("cm^2/s", "cm²/s"),
        ("K", "K"),
        ("Ah", "Ah"),
    ],
)
def test_units_are_written_as_people_write_them(unit, words):
    assert pretty(unit) == words
