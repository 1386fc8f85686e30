"""Speeds by coordination, hops and contacts on made-up motions whose answer is known."""

import math

import numpy as np
import pytest

from lisi_nb.analysis.displacements import Displacements
from lisi_nb.analysis.hops import cluster_moves, contact_survival, find_hops
from lisi_nb.analysis.mobility import speed_by_coordination

CELL = np.full(3, 24.0)


def test_speed_falls_with_neighbours_as_put_in():
    """Si on a coarse grid; each Li sits near 0, 1 or 2 Si and trembles by 0.4, 0.2, 0.1 A from frame to frame."""
    rng = np.random.default_rng(0)
    si = np.array([[0.0, 0, 0], [6, 0, 0], [12, 12, 12]])
    sites = np.array([[3.0, 0, 0], [12, 12, 14.5], [18, 18, 6]])  # 2 (3 A each), 1, 0 neighbours
    which = np.repeat([0, 1, 2], [100, 60, 40])
    size = np.array([0.1, 0.2, 0.4])[which]
    is_si = np.arange(203) < 3
    frames = []
    for k in range(41):
        tremble = rng.normal(size=(200, 3))
        tremble *= (size * (k % 2))[:, None] / np.linalg.norm(tremble, axis=1)[:, None]
        frames.append(np.vstack([si, sites[which] + tremble]) + 0.5 * k)  # everything drifts: not counted
    found = speed_by_coordination(frames, 0.5, is_si, CELL)
    assert found.counts.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.share, [0.2, 0.3, 0.5])
    np.testing.assert_allclose(found.speed_A_ps, [0.8, 0.4, 0.2], rtol=1e-6)
    assert (found.error_A_ps < 1e-9).all()
    assert found.mean_count == pytest.approx(1.3)
    assert found.lag_ps == 0.5
    over_two = speed_by_coordination(frames, 0.5, is_si, CELL, lag_frames=2)
    np.testing.assert_allclose(over_two.speed_A_ps, 0, atol=1e-9)  # back where they were


def test_rare_numbers_get_no_speed():
    rng = np.random.default_rng(1)
    is_si = np.arange(400) < 1
    positions = rng.random((400, 3)) * CELL
    frames = [positions + 0.1 * rng.normal(size=(400, 3)) for _ in range(20)]
    found = speed_by_coordination(frames, 1.0, is_si, CELL)
    expected = np.mean([
        (np.linalg.norm((f[1:] - f[0] + 12) % 24 - 12, axis=1) <= 3.5).mean() for f in frames[:-1]
    ])  # fmt: skip
    assert found.share[1] == pytest.approx(expected)
    if expected < 0.01:
        assert math.isnan(found.speed_A_ps[1])
    assert not math.isnan(speed_by_coordination(frames, 1.0, is_si, CELL, min_share=0.0).speed_A_ps[1])


def hoppers(rate: float, n_frames: int, n_atoms: int, seed: int, tremble: float = 0.25) -> Displacements:
    rng = np.random.default_rng(seed)
    hop = rng.random((n_frames, n_atoms)) < rate
    hop[0] = False
    way = np.eye(3)[rng.integers(0, 3, (n_frames, n_atoms))] * rng.choice([-1, 1], (n_frames, n_atoms))[:, :, None]
    sites = np.cumsum(2.7 * hop[:, :, None] * way, axis=0)
    return Displacements(sites + rng.normal(0, tremble, sites.shape), 0.5, "none"), hop


def test_hops_are_found_one_by_one_without_rattling():
    moved, hop = hoppers(0.01, 400, 50, 2, tremble=0.0)
    found = find_hops(moved, confirm_frames=1)
    assert found.statement == f"{hop.sum()} hops of 50 atoms in 199.5 ps"
    np.testing.assert_allclose(found.distance_A, 2.7, rtol=1e-5)
    assert len(found.distance_A) == hop.sum()
    waits = np.concatenate([np.diff(np.flatnonzero(column)) for column in hop.T]) * 0.5
    np.testing.assert_allclose(np.sort(found.residence_ps), np.sort(waits))


def test_rate_and_distance_under_rattling():
    """0.01 hops per frame of 0.5 ps. Two hops within the confirming frames count once: 1 % fewer."""
    moved, _ = hoppers(0.01, 4000, 50, 3)
    found = find_hops(moved)
    assert abs(found.rate_per_ps.value - 0.02) < 4 * found.rate_per_ps.error + 0.0004
    assert found.rate_per_ps.error < 0.001
    assert np.median(found.distance_A) == pytest.approx(2.7, abs=0.05)
    assert found.residence_ps.mean() == pytest.approx(50.0, rel=0.1)


def test_rattling_alone_is_no_hop():
    cage = Displacements(np.random.default_rng(4).normal(0, 0.35, (1000, 50, 3)), 1.0, "none")
    found = find_hops(cage)
    assert found.statement == "no atom of 50 hops farther than 1.8 Å in 999 ps: nothing to measure."
    assert (len(found.distance_A), len(found.residence_ps), found.rate_per_ps.value) == (0, 0, 0)


def test_contacts_decay_as_put_in():
    """Each Li changes from its Si to a far place and back at random: C(t) of a two-state jump process."""
    rng, n, leave, come = np.random.default_rng(5), 400, 0.05, 0.05
    is_si = np.arange(n + 1) == 0
    near = rng.random(n) < 0.5
    frames = []
    for _ in range(300):
        flip = rng.random(n) < np.where(near, leave, come)
        near = near ^ flip
        li = np.where(near[:, None], [3.0, 0, 0], [10.0, 0, 0])
        frames.append(np.vstack([[[0.0, 0, 0]], li]))
    found = contact_survival(frames, 2.0, is_si, CELL, max_lag_frames=30)
    expected = 0.5 + 0.5 * (1 - leave - come) ** np.arange(31)
    np.testing.assert_allclose(found.survival, expected, atol=0.03)
    assert found.survival[0] == 1
    np.testing.assert_allclose(found.lags_ps, 2.0 * np.arange(31))
    assert math.isnan(found.time_ps.value)
    assert "% of the contacts hold after 60 ps: longer lags are needed" in found.statement


def test_contacts_that_never_return():
    """Leaving for good at 10 % a frame: 1/e after -1 / ln 0.9 = 9.5 frames."""
    rng, n = np.random.default_rng(6), 2000
    gone_at = rng.geometric(0.1, n)
    is_si = np.arange(n + 1) == 0
    frames = [
        np.vstack([[[0.0, 0, 0]], np.where((gone_at > k)[:, None], [3.0, 0, 0], [10.0, 0, 0])]) for k in range(40)
    ]
    found = contact_survival(frames, 1.0, is_si, CELL, max_lag_frames=20)
    assert found.time_ps.value == pytest.approx(-1 / math.log(0.9), rel=0.05)


def test_sliding_along_a_cluster_is_staying_at_it():
    """One Li goes from atom to atom of a dimer, one from the dimer to a lone Si 12 A away and back."""
    si = np.array([[2.0, 2, 2], [4.4, 2, 2], [16.0, 2, 2]])
    slides = [np.array([0.0, 4.0, 2.0]), np.array([6.4, 4.0, 2.0])]  # 2.8 A from one atom, 4.8 A from the other
    changes = [np.array([2.0, 2.0, 5.0]), np.array([16.0, 2.0, 5.0])]
    frames = [np.vstack([si, slides[k % 2], changes[k % 2]]) for k in range(12)]
    is_si, cell = np.arange(5) < 3, np.full(3, 24.0)
    by_atom = contact_survival(frames, 1.0, is_si, cell, max_lag_frames=2)
    by_cluster = contact_survival(frames, 1.0, is_si, cell, max_lag_frames=2, clusters=True)
    np.testing.assert_allclose(by_atom.survival, [1, 0, 1])
    np.testing.assert_allclose(by_cluster.survival, [1, 0.5, 1])


def test_moves_along_a_cluster_and_between_clusters():
    """A dimer and a lone Si 12 A apart: one Li circles the dimer, one swaps clusters, one comes and goes, one rests."""
    si = np.array([[2.0, 2, 2], [4.4, 2, 2], [16.0, 2, 2]])
    places = (
        (np.array([2.0, 5, 2]), np.array([4.4, 5, 2])),  # along the dimer: 2.4 A
        (np.array([2.0, 2, 5]), np.array([16.0, 2, 5])),  # to the other cluster
        (np.array([16.0, 5, 2]), np.array([16.0, 9, 2])),  # to no silicon, and back
        (np.array([16.0, 2, 23]), np.array([16.0, 2.5, 23])),  # rattling
    )
    is_si = np.arange(7) < 3
    frames = [np.vstack([si, [place[k % 2] for place in places]]) + 0.3 * k for k in range(21)]
    found = cluster_moves(frames, 0.5, is_si, np.full(3, 24.0))
    # The third touches silicon before every other move only; moves from no silicon are not moves between clusters.
    assert found.n_moves == 20 + 20 + 10
    assert found.to_another.value == pytest.approx(0.5)
    assert found.apart.value == pytest.approx(10 / 50)
    assert found.to_another.error == pytest.approx(0, abs=1e-12)
    assert "50 moves" in found.statement
    assert found.lag_ps == 0.5
    still = cluster_moves(frames, 0.5, is_si, np.full(3, 24.0), lag_frames=2)
    assert still.n_moves == 0
    assert math.isnan(still.to_another.value)
    assert "nothing to measure" in still.statement
    with pytest.raises(ValueError, match="All 4 atoms are Li"):
        cluster_moves([f[3:] for f in frames], 0.5, np.zeros(4, dtype=bool), np.full(3, 24.0))
    with pytest.raises(ValueError, match="One interval of 30 frames needs 31 frames"):
        cluster_moves(frames, 0.5, is_si, np.full(3, 24.0), lag_frames=30)


def test_long_intervals_in_a_small_cell_are_not_taken_for_wrapped_positions():
    """Steps of 1 A in a cell of 8 A, looked at every 5 frames: no jump between frames, half a cell over an interval."""
    frames = [np.array([[0.0, 0, 0], [2.0 + k, 0, 0]]) for k in range(11)]
    found = speed_by_coordination(frames, 0.2, np.array([True, False]), np.full(3, 8.0), lag_frames=5)
    assert found.speed_A_ps[found.share > 0.4] == pytest.approx(5.0)
    wrapped = [np.mod(f, 8.0) for f in frames]
    with pytest.raises(ValueError, match="wrapped into the cell"):
        speed_by_coordination(wrapped, 0.2, np.array([True, False]), np.full(3, 8.0), lag_frames=5)


def test_against_a_naive_count():
    rng = np.random.default_rng(7)
    is_si = rng.random(30) < 0.4
    frames = [rng.random((30, 3)) * 7.5 for _ in range(6)]

    def pairs(frame):
        d = frame[:, None] - frame[None]
        d -= 7.5 * np.round(d / 7.5)
        near = (d**2).sum(axis=-1) <= 3.5**2
        return {(i, j) for i in np.flatnonzero(~is_si) for j in np.flatnonzero(is_si) if near[i, j]}

    sets = [pairs(f) for f in frames]
    expected = [
        sum(len(sets[s] & sets[s + lag]) for s in range(6 - lag)) / sum(len(sets[s]) for s in range(6 - lag))
        for lag in range(6)
    ]
    found = contact_survival(frames, 1.0, is_si, np.full(3, 7.5), max_lag_frames=50)
    np.testing.assert_allclose(found.survival, expected)


def test_bad_input():
    frames = [np.zeros((4, 3))] * 3
    for is_si in (np.zeros(4, bool), np.ones(4, bool)):
        with pytest.raises(ValueError, match=r"All 4 atoms are (Li|Si): Si around Li needs both"):
            speed_by_coordination(frames, 1.0, is_si, CELL)
    half = np.array([True, False, False, True])
    with pytest.raises(ValueError, match="One interval of 5 frames needs 6 frames"):
        speed_by_coordination(frames, 1.0, half, CELL, lag_frames=5)
    jump = [np.zeros((4, 3)), np.full((4, 3), 23.0)]
    with pytest.raises(ValueError, match=r"Atom 0 moves by 0\.96 of a cell length up to frame 1: .*wrapped"):
        speed_by_coordination(jump, 1.0, half, CELL)
    assert speed_by_coordination(jump, 1.0, half, CELL, (False,) * 3).speed_A_ps[0] == 0
    with pytest.raises(ValueError, match="1 frames with"):
        contact_survival(frames[:1], 1.0, half, CELL)
    with pytest.raises(ValueError, match="threshold_A=0 Å"):
        find_hops(hoppers(0.1, 10, 2, 1)[0], 0)
