"""MSD and D: a naive double loop, MDAnalysis, exact walks and flights, error bars that cover, plain statements."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lisi_nb.analysis import msd as msd_module
from lisi_nb.analysis.diffusion import collective_diffusion, framework, haven_ratio, tracer_diffusion
from lisi_nb.analysis.displacements import Displacements, displacements
from lisi_nb.analysis.msd import mean_square_displacement, squared_displacements
from lisi_nb.units import Measured


def naive(paths) -> np.ndarray:
    """Every lag, every origin."""
    n = len(paths)
    return np.array(
        [np.mean([((paths[s + lag] - paths[s]) ** 2).sum(axis=-1) for s in range(n - lag)], axis=0) for lag in range(n)]
    ).T


def random_walk(n_frames: int, n_atoms: int, D_A2_ps: float, seed: int, frame_ps: float = 1.0) -> Displacements:
    """Free Brownian motion: each coordinate gains a variance of 2 D dt per frame."""
    steps = np.random.default_rng(seed).normal(0, math.sqrt(2 * D_A2_ps * frame_ps), (n_frames, n_atoms, 3))
    steps[0] = 0
    return Displacements(np.cumsum(steps, axis=0), frame_ps, "none")


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 40), st.integers(1, 5), st.integers(0, 10**6), st.floats(-1e4, 1e4))
def test_against_a_naive_double_loop(n_frames, n_atoms, seed, offset):
    paths = offset + np.cumsum(np.random.default_rng(seed).normal(0, 1, (n_frames, n_atoms, 3)), axis=0)
    np.testing.assert_allclose(squared_displacements(paths), naive(paths), rtol=1e-8, atol=1e-8)


def test_against_mdanalysis():
    """The windowed MSD of MDAnalysis on the same 60 frames of 7 atoms."""
    import MDAnalysis
    from MDAnalysis.analysis.msd import EinsteinMSD

    moved = random_walk(60, 7, 0.3, 1)
    universe = MDAnalysis.Universe.empty(7, trajectory=True)
    universe.load_new(moved.values_A.astype(np.float32), order="fac")
    theirs = EinsteinMSD(universe, msd_type="xyz", fft=False).run().results
    ours = mean_square_displacement(moved, n_groups=3)
    np.testing.assert_allclose(ours.msd_A2, theirs.timeseries, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(squared_displacements(moved.values_A).T, theirs.msds_by_particle, rtol=1e-4, atol=1e-4)


def test_against_kinisi():
    """60 walkers on a lattice of 2.7 A with vibration: what kinisi 2.1.0 gave for the same arrays, lags 5 to 100 ps.

    Its posterior weighs lags by their covariance; ours is a plain line through them.
    """
    kinisi = {0: (3.609e-6, 0.336e-6, 22.120), 1: (3.638e-6, 0.324e-6, 22.024), 3: (3.811e-6, 0.337e-6, 24.136)}
    for seed, (D, error, msd_100_ps) in kinisi.items():
        rng, n, f = np.random.default_rng(seed), 60, 800
        hops = (rng.random((f, n)) < 0.03)[:, :, None] * np.eye(3)[rng.integers(0, 3, (f, n))]
        hops = hops * rng.choice([-1, 1], (f, n))[:, :, None] * 2.7
        paths = np.cumsum(hops, axis=0) + rng.normal(0, 0.3, (f, n, 3)) + 15
        moved = displacements(paths, 1.0, cell_A=np.full(3, 30.0), symbols=["Li"] * n, drift="none")
        msd = mean_square_displacement(moved)
        assert msd.msd_A2[100] == pytest.approx(msd_100_ps, rel=1e-3)
        assert abs(tracer_diffusion(msd, (5.0, 100.0)).D.value - D) < error


def test_blocks_of_atoms_and_uneven_groups_change_nothing(monkeypatch):
    moved = random_walk(50, 23, 0.2, 2)
    whole = mean_square_displacement(moved, n_groups=4)
    monkeypatch.setattr(msd_module, "_ATOMS_AT_ONCE", 5)
    blocks = mean_square_displacement(moved, n_groups=4)
    np.testing.assert_allclose(blocks.by_group_A2, whole.by_group_A2)
    np.testing.assert_allclose(whole.msd_A2, squared_displacements(moved.values_A).mean(axis=0))
    assert len(mean_square_displacement(moved, n_groups=50).by_group_A2) == 23


def test_free_flight():
    """An ideal gas: MSD = v^2 t^2 exactly, and no diffusion coefficient."""
    velocity = np.random.default_rng(3).normal(0, 2, (40, 3))
    moved = Displacements(np.arange(100)[:, None, None] * 0.1 * velocity, 0.1, "none")
    msd = mean_square_displacement(moved)
    np.testing.assert_allclose(msd.msd_A2, (velocity**2).sum(axis=1).mean() * msd.lags_ps**2, rtol=1e-9, atol=1e-8)
    found = tracer_diffusion(msd)
    assert not found.diffusive
    assert found.slope == pytest.approx(2)
    assert "grows as t^2.00, faster than diffusion" in found.statement


@pytest.mark.parametrize("groups", ["atoms", "segments"])
def test_random_walk_is_recovered_and_covered(groups):
    """D within its error bars as often as they say.

    The error comes from 10 groups: |D - truth| < 2.26 errors (Student, 9 degrees) in 95 % of 200 trials, whose own
    scatter is 1.5 %; four of those are allowed. The mean over all trials has the truth to 4 standard errors.
    """
    truth = 0.05  # A^2/ps = 5e-6 cm^2/s
    found = []
    for seed in range(200):
        msd = mean_square_displacement(random_walk(600, 30, truth, seed), groups=groups, n_groups=10)
        found.append(tracer_diffusion(msd, (2.0, 20.0), min_msd_A2=1.0).D)
    values, errors = np.array([(f.value, f.error) for f in found]).T * 1e4
    assert found[0].unit == "cm^2/s"
    assert abs(values.mean() - truth) < 4 * values.std() / 200**0.5
    assert np.mean(np.abs(values - truth) < 2.26 * errors) == pytest.approx(0.95, abs=0.06)


def test_atoms_that_move_together_need_segments():
    """40 copies of one walker: groups of atoms see no scatter, segments see all of it."""
    one = random_walk(4000, 1, 0.05, 5)
    together = Displacements(np.repeat(one.values_A, 40, axis=1), 1.0, "none")
    by_atoms = tracer_diffusion(mean_square_displacement(together), (2.0, 50.0), slope_tolerance=1).D
    by_segments = tracer_diffusion(
        mean_square_displacement(together, groups="segments"), (2.0, 50.0), slope_tolerance=1
    ).D
    assert by_atoms.error < 1e-12
    assert by_segments.error > 0.05 * by_segments.value
    assert abs(by_segments.value - 5e-6) < 4 * by_segments.error


def test_rattling_has_no_number():
    cage = Displacements(np.random.default_rng(6).normal(0, 0.3, (500, 50, 3)), 1.0, "none")  # MSD 6 * 0.09 A^2, flat
    found = tracer_diffusion(mean_square_displacement(cage))
    assert math.isnan(found.D.value)
    assert "not diffusive: the mean square displacement is 0.55 Å² after 249.5 ps, below the 3 Å²" in found.statement
    assert "grows as t^0.0" in tracer_diffusion(mean_square_displacement(cage), min_msd_A2=0.1).statement
    frozen = Displacements(np.zeros((500, 50, 3)), 1.0, "none")
    assert not tracer_diffusion(mean_square_displacement(frozen)).diffusive


def test_too_short_for_the_window():
    msd = mean_square_displacement(random_walk(50, 30, 1.0, 7))
    found = tracer_diffusion(msd, (10.0, 200.0))
    assert not found.diffusive
    assert "too short for lags of 10 to 200 ps: lags reach 49 ps" in found.statement
    assert "3 of them lie in the window, 5 are needed" in tracer_diffusion(msd, (10.0, 12.0)).statement
    with pytest.raises(ValueError, match=r"is no window\. Give two lags, start before end"):
        tracer_diffusion(msd, (20.0, 10.0))
    with pytest.raises(ValueError, match=r"50 frames in n_groups=20 segments are 2 frames each"):
        mean_square_displacement(random_walk(50, 30, 1.0, 7), groups="segments")
    with pytest.raises(ValueError, match="groups='blocks' is not known"):
        mean_square_displacement(random_walk(50, 30, 1.0, 7), groups="blocks")


def test_collective_of_independent_walkers():
    """Independent walkers: collective D = tracer D, with error bars that cover (parts side by side)."""
    truth, pulls = 0.05, []
    for seed in range(100):
        D = collective_diffusion(random_walk(2001, 8, truth, seed), part_ps=100, n_parts=20, skip_ps=0, min_msd_A2=0).D
        pulls.append((D.value * 1e4 - truth) / (D.error * 1e4))
    # Squares of a random walk are skewed: 20 parts give 90 to 95 % within 2.09 errors (Student, 19 degrees).
    assert 0.82 < np.mean(np.abs(pulls) < 2.09) < 0.995


def test_collective_by_hand():
    """Two atoms: one part's net displacement |dr1 + dr2|^2 / 2 along it, and the fit is numpy's."""
    moved = random_walk(301, 2, 0.5, 9)
    found = collective_diffusion(moved, part_ps=100, n_parts=3, skip_ps=0, min_msd_A2=0)
    rows = []
    for start in (0, 100, 200):
        dr = moved.values_A[start : start + 101] - moved.values_A[start]
        rows.append((dr.sum(axis=1) ** 2).sum(axis=1) / 2)
    np.testing.assert_allclose(found.net_A2, rows)
    slopes = [np.polyfit(np.arange(101.0), row, 1)[0] / 6e4 for row in rows]
    assert found.D.value == pytest.approx(np.mean(slopes))
    assert found.D.error == pytest.approx(np.std(slopes, ddof=1) / 3**0.5)


def test_a_trajectory_counts_with_all_its_parts_or_not_at_all():
    """Near the paper's 10 A^2, and with parts too short to get so far, the truth comes back; below, no number does."""
    for D_A2_ps in (0.1, 0.3):  # 12 to 36 A^2 in 20 ps, 3 to 9 A^2 in a part
        trials = [random_walk(201, 80, D_A2_ps, seed, frame_ps=0.1) for seed in range(60)]
        found = [collective_diffusion(moved, part_ps=5, skip_ps=0) for moved in trials]
        D = np.array([each.D.value * 1e4 for each in found if each.moved_A2 > 10])
        assert len(D) > 50
        assert abs(D.mean() - D_A2_ps) < 4 * D.std(ddof=1) / len(D) ** 0.5
    slow = random_walk(201, 80, 0.05, 10, frame_ps=0.1)
    none = collective_diffusion(slow, part_ps=5, skip_ps=0)
    assert math.isnan(none.D.value)
    assert none.moved_A2 == pytest.approx((slow.values_A[-1] ** 2).sum(axis=1).mean())
    assert none.statement == (
        f"not diffusive: the mean square displacement is {none.moved_A2:.2g} Å² after 20 ps, not above 10 Å²."
    )
    later = collective_diffusion(slow, part_ps=5, skip_ps=10)
    assert later.moved_A2 == pytest.approx(((slow.values_A[-1] - slow.values_A[100]) ** 2).sum(axis=1).mean())


def test_overlapping_parts_claim_no_extra_information():
    """18 parts of 450 ps in 4800 ps are 10.7 independent ones: the paper's numbers."""
    moved = random_walk(5001, 10, 0.05, 11)
    found = collective_diffusion(moved, min_msd_A2=0)
    slopes = [np.polyfit(found.times_ps, row, 1)[0] / 6e4 for row in found.net_A2]
    assert len(slopes) == 18
    assert found.D.error == pytest.approx(np.std(slopes, ddof=1) / math.sqrt(4800 / 450), rel=1e-6)
    with pytest.raises(ValueError, match="Parts of 450 ps after 200 ps do not fit a trajectory of 300 ps"):
        collective_diffusion(random_walk(301, 10, 0.05, 11))


def test_haven_ratio():
    """A swarm: tracer D is s^2 + c^2, collective D is s^2 + N c^2 (own and common steps)."""
    rng, n = np.random.default_rng(12), 10
    steps = rng.normal(0, 0.3, (40_000, n, 3)) + rng.normal(0, 0.2, (40_000, 1, 3))
    moved = Displacements(np.cumsum(steps, axis=0), 1.0, "none")
    tracer = tracer_diffusion(mean_square_displacement(moved, groups="segments", n_groups=200), (1.0, 20.0)).D
    collective = collective_diffusion(moved, part_ps=20, n_parts=1999, skip_ps=0, min_msd_A2=0).D
    found = haven_ratio(tracer, collective)
    assert abs(found.value - (0.09 + 0.04) / (0.09 + 0.4)) < 4 * found.error
    assert found.error < 0.03
    by_hand = haven_ratio(Measured(2.0, 0.2, "cm^2/s"), Measured(4.0, 0.4, "cm^2/s"))
    assert (by_hand.value, by_hand.error) == pytest.approx((0.5, 0.5 * 0.02**0.5))
    assert math.isnan(haven_ratio(Measured(math.nan, math.nan, "cm^2/s"), tracer).value)


def test_melting_is_flagged():
    """Silicon that rattles, that walks, and that slides once for all."""
    cage = np.random.default_rng(13).normal(0, 0.25, (400, 60, 3))
    solid = framework(mean_square_displacement(Displacements(cage, 1.0, "all")))
    assert solid.state == "solid"
    assert solid.msd_A2 == pytest.approx(6 * 0.25**2, rel=0.05)
    molten = framework(mean_square_displacement(random_walk(400, 60, 0.05, 14)))
    assert molten.state == "molten"
    assert "the silicon diffuses too" in molten.statement
    slid = cage + np.where(np.arange(400)[:, None, None] < 200, 0.0, np.random.default_rng(15).normal(0, 2, (60, 3)))
    steady = framework(mean_square_displacement(Displacements(slid, 1.0, "all")), (250.0, 390.0))
    assert steady.state == "rearranged"
    assert "without settling" in steady.statement
