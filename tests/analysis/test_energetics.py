"""Formation energies, hull, voltages and tangents: by hand, against ASE's phase diagram and published energies."""

import math
from itertools import pairwise

import numpy as np
import pytest
from ase.phasediagram import PhaseDiagram
from hypothesis import given, settings
from hypothesis import strategies as st

from lisi_nb.analysis.energetics import (
    Formation,
    convex_hull,
    formation,
    two_phase_regions,
    two_phase_statement,
    voltage_steps,
)

# Li-Si crystals, PBE (alexispaz/DFTB_LiSi): E_f per atom, and the voltage of the step that ends there.
NAMES = ((1, 1), (12, 7), (7, 3), (13, 4), (15, 4))
PER_ATOM_eV = (-0.206, -0.258, -0.264, -0.256, -0.243)
PER_SI_eV = (-0.411, -0.701, -0.881, -1.090, -1.153)
VOLT = (0.411, 0.405, 0.291, 0.228, 0.126)


def published() -> Formation:
    n_li, n_si = np.array(NAMES, dtype=float).T
    return Formation(n_li, n_si, np.array(PER_SI_eV) * n_si / (n_li + n_si))


def test_formation_by_hand():
    found = formation([-20.0, -10.9], [4, 0], [2, 2], -1.9, -5.4)
    assert found.per_atom_eV == pytest.approx([(-20.0 + 4 * 1.9 + 2 * 5.4) / 6, (-10.9 + 10.8) / 2])
    assert found.per_si_eV == pytest.approx([(-20.0 + 4 * 1.9 + 2 * 5.4) / 2, -0.05])
    assert found.x.tolist() == [2, 0]
    assert found.li_fraction == pytest.approx([2 / 3, 0])


def test_published_crystals():
    """Both printed columns agree with each other, all five lie on the hull, and the steps are those printed."""
    phases = published()
    np.testing.assert_allclose(phases.per_atom_eV, PER_ATOM_eV, atol=0.0008)
    hull = convex_hull(phases)
    assert hull.members.tolist() == [-1, 0, 1, 2, 3, 4, -1]
    np.testing.assert_allclose(hull.above_eV, 0, atol=1e-12)
    steps = voltage_steps(phases)
    assert [s.x_high for s in steps] == pytest.approx([a / b for a, b in NAMES])
    assert [s.volt_V for s in steps] == pytest.approx(VOLT, abs=0.0035)  # from energies of three decimals
    assert [s.volt_V for s in steps] == sorted((s.volt_V for s in steps), reverse=True)
    # The area under the profile is the whole formation energy of Li15Si4.
    assert sum(s.volt_V * (s.x_high - s.x_low) for s in steps) == pytest.approx(1.153)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12), st.integers(0, 10**6), st.floats(-1.0, 0.3))
def test_hull_against_ase(n, seed, centre):
    rng = np.random.default_rng(seed)
    n_li, n_si = rng.integers(1, 30, n), rng.integers(7, 30, n)
    energies = rng.normal(centre, 0.3, n)
    phases = Formation(n_li.astype(float), n_si.astype(float), energies)
    references = [("Li", 0.0), ("Si", 0.0)]
    references += [(f"Li{a}Si{b}", e * (a + b)) for a, b, e in zip(n_li, n_si, energies, strict=True)]
    diagram = PhaseDiagram(references, verbose=False)
    theirs = np.array([diagram.decompose(Li=a, Si=b)[0] / (a + b) for a, b in zip(n_li, n_si, strict=True)])
    hull = convex_hull(phases)
    np.testing.assert_allclose(hull.at(phases.li_fraction), theirs, atol=1e-8)
    np.testing.assert_allclose(hull.above_eV, energies - theirs, atol=1e-8)
    volts = [step.volt_V for step in voltage_steps(phases, hull)]
    assert all(a >= b - 1e-9 for a, b in pairwise(volts))
    assert (np.diff(hull.li_fraction) > 0).all()


def test_nothing_is_stable():
    phases = Formation(np.array([1.0, 2.0]), np.array([1.0, 1.0]), np.array([0.1, 0.2]))
    hull = convex_hull(phases)
    assert hull.members.tolist() == [-1, -1]
    np.testing.assert_allclose(hull.above_eV, [0.1, 0.2])
    assert voltage_steps(phases) == ()


def branch(x, per_si) -> Formation:
    x = np.asarray(x, dtype=float)
    return Formation(100 * x, np.full(len(x), 100.0), np.asarray(per_si) / (1 + x))


X = np.arange(0.25, 4.0, 0.25)


def test_a_convex_branch_is_one_phase():
    phases = branch(X, 0.05 * (X - 4) ** 2 - 1.2)
    assert two_phase_regions(phases) == ()
    assert two_phase_statement(phases).startswith("no two-phase region within x = 0.25 to 3.75: no structure lies more")


def test_the_papers_region():
    """Convex up to 2.25, then a bump of 40 meV per atom before c-Li15Si4: 2.25 < x < 3.75."""
    per_si = 0.05 * (X - 4) ** 2 - 1.2
    inside = (X > 2.25) & (X < 3.75)
    line = np.interp(X, [2.25, 3.75], [per_si[X == 2.25][0], per_si[X == 3.75][0] - 0.1])
    per_si = np.where(X >= 2.25, line, per_si)
    per_si[inside] += 0.04 * (1 + X[inside])
    (region,) = two_phase_regions(branch(X, per_si))
    assert (region.x_low, region.x_high) == (2.25, 3.75)
    assert region.depth_eV == pytest.approx(0.04)
    assert "two-phase within x = 0.25 to 3.75: 2.25 < x < 3.75 (40 meV/atom)" in two_phase_statement(branch(X, per_si))
    assert two_phase_regions(branch(X, per_si), tolerance_eV=0.05) == ()


def test_a_double_well_against_its_exact_tangent():
    """Per Si ``k (x - 1)^2 (x - 3)^2`` plus a line has its common tangent at x = 1 and 3 exactly."""
    x = np.arange(0.5, 3.55, 0.1)
    (region,) = two_phase_regions(branch(x, 0.2 * (x - 1) ** 2 * (x - 3) ** 2 - 0.3 * x), tolerance_eV=1e-4)
    assert (region.x_low, region.x_high) == pytest.approx((1.0, 3.0))
    assert region.depth_eV == pytest.approx(max(0.2 * (x - 1) ** 2 * (x - 3) ** 2 / (1 + x) * ((x > 1) & (x < 3))))


def test_only_the_lowest_of_a_composition_counts_and_scatter_makes_no_region():
    rng = np.random.default_rng(0)
    clean = 0.05 * (X - 4) ** 2 - 1.2
    many = branch(np.tile(X, 5), np.concatenate([clean, *[clean + 0.3 * rng.random(len(X)) for _ in range(4)]]))
    assert two_phase_regions(many) == ()
    noisy = branch(X, clean + 0.002 * rng.random(len(X)) * (1 + X))
    assert two_phase_regions(noisy) == ()
    assert two_phase_regions(noisy, tolerance_eV=1e-6)  # each hair would be one


def test_bad_input():
    with pytest.raises(ValueError, match=r"x=5\.0 Li per Si is outside 0 to 4\.4"):
        formation([-1.0], [5], [1], -1.9, -5.4)
    with pytest.raises(
        ValueError, match=r"n_li=\[4\.\], n_si=\[0\.\]: each structure needs Si. Pure Li is the reference"
    ):
        formation([-1.0], [4], [0], -1.9, -5.4)
    with pytest.raises(ValueError, match=r"Energies \(2,\), n_li \(1,\)"):
        formation([-1.0, 2.0], [4], [1], -1.9, -5.4)
    with pytest.raises(ValueError, match="not finite"):
        formation([math.nan], [4], [1], -1.9, -5.4)
    with pytest.raises(ValueError, match="2 compositions came; a common tangent needs at least three"):
        two_phase_regions(branch([1.0, 2.0, 2.0], [0.0, 0.0, 0.0]))
