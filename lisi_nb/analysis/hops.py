"""Hops of lithium from site to site, the time it stays, and how long lithium-silicon contacts last."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lisi_nb.analysis.bonds import pairs_between
from lisi_nb.analysis.clusters import silicon_clusters
from lisi_nb.analysis.displacements import Displacements
from lisi_nb.analysis.mobility import LI_SI_A, both_elements
from lisi_nb.errors import check_range
from lisi_nb.units import Measured

Array = np.ndarray
HOP_A = 1.8  # two thirds of the distance between neighbouring Li sites (2.5 to 2.8 A)
N_BLOCKS = 5


@dataclass(frozen=True)
class Hops:
    """Hops of all followed atoms.

    ``distance_A`` (n_hops,) from the mean position before to the one after; ``residence_ps`` (n_stays,) between two
    hops of an atom (stays cut by the ends of the trajectory are left out, which favours short ones); ``rate_per_ps``
    hops per atom and time with its counting error, free of that bias: 1 / rate is the mean residence time.
    """

    distance_A: Array
    residence_ps: Array
    rate_per_ps: Measured
    statement: str


def find_hops(moved: Displacements, threshold_A: float = HOP_A, confirm_frames: int = 2) -> Hops:
    """Cut each atom's path into stays around a mean position.

    A stay ends when an atom has been farther than `threshold_A` from the mean position of the stay for
    `confirm_frames` frames in a row; the next begins with the first of these. Single excursions are rattling.

    Parameters
    ----------
    moved : Displacements
        Of the hopping element, against the silicon framework.
    threshold_A : float
        Smaller than a hop, larger than rattling (about 1 A at 1000 K).
    confirm_frames : int
        Frames that confirm a hop.

    Returns
    -------
    Hops
        With a statement that there is nothing to measure where no atom hops.
    """
    check_range("threshold_A", threshold_A, 0.1, 20.0, "A")
    check_range("confirm_frames", confirm_frames, 1, 1000)
    paths, n = moved.values_A, moved.n_atoms
    mean, frames_of_stay = paths[0].astype(float), np.ones(n)
    away, sum_away = np.zeros(n, dtype=int), np.zeros((n, 3))
    since = np.zeros(n, dtype=int)
    former = np.full((n, 3), np.nan)  # mean position of the stay before; NaN in an atom's first
    distances, stays, n_hops = [], [], 0
    for k in range(1, moved.n_frames):
        here = paths[k].astype(float)
        far = np.linalg.norm(here - mean, axis=1) > threshold_A
        away = np.where(far, away + 1, 0)
        sum_away = np.where(far[:, None], sum_away + here, 0.0)
        frames_of_stay += ~far
        mean += np.where(far[:, None], 0.0, (here - mean) / frames_of_stay[:, None])
        hop = np.flatnonzero(away == confirm_frames)
        if not len(hop):
            continue
        n_hops += len(hop)
        later = hop[np.isfinite(former[hop, 0])]
        distances.append(np.linalg.norm(mean[later] - former[later], axis=1))
        stays.append(k - confirm_frames + 1 - since[later])
        former[hop], since[hop] = mean[hop], k - confirm_frames + 1
        mean[hop], frames_of_stay[hop] = sum_away[hop] / confirm_frames, confirm_frames
        away[hop], sum_away[hop] = 0, 0.0
    last = np.isfinite(former[:, 0])
    distances.append(np.linalg.norm(mean[last] - former[last], axis=1))
    time_ps = n * moved.duration_ps
    rate = Measured(n_hops / time_ps, float(np.sqrt(max(n_hops, 1))) / time_ps, "1/ps")
    said = f"{n_hops} hops of {n} atoms in {moved.duration_ps:g} ps"
    if not n_hops:
        said = f"no atom of {n} hops farther than {threshold_A:g} Å in {moved.duration_ps:g} ps: nothing to measure."
    waits = np.concatenate(stays) * moved.frame_ps if stays else np.zeros(0)
    return Hops(np.concatenate(distances), waits, rate, said)


@dataclass(frozen=True)
class Contacts:
    """Fraction of Li-Si contacts that hold, or hold again, after each lag; and the time to 1/e.

    ``lags_ps`` and ``survival`` (n_lags,); `time_ps` is NaN where contacts outlast the longest lag.
    """

    lags_ps: Array
    survival: Array
    time_ps: Measured
    statement: str


def contact_survival(
    frames: Iterable[Array],
    frame_ps: float,
    is_si: Array,
    cell_A: Array,
    periodic: tuple[bool, bool, bool] = (True, True, True),
    *,
    max_lag_frames: int = 50,
    cutoff_A: float = LI_SI_A,
    clusters: bool = False,
) -> Contacts:
    """How long lithium stays at the silicon it touches: ``C(t) = <h(s) h(s + t)> / <h(s)>`` over Li-Si pairs.

    ``h`` is 1 while a pair is within `cutoff_A` (intermittent definition: a contact may break in between). Memory is
    that of the contacts of `max_lag_frames` frames.

    With `clusters`, a pair is a Li and a whole cluster of silicon as it is at time s: sliding along it ends nothing.

    Parameters
    ----------
    frames, frame_ps, is_si, cell_A, periodic, cutoff_A
        As in `speed_by_coordination`; positions may be wrapped.
    max_lag_frames : int
        Longest lag.

    Returns
    -------
    Contacts

    Raises
    ------
    ValueError
        Pure Li or pure Si, fewer than two frames, no contact at all.
    """
    check_range("max_lag_frames", max_lag_frames, 1, 10**5)
    si = both_elements(is_si)
    place, own = np.cumsum(si) - 1, np.arange(si.sum())  # of an atom among the silicon; each silicon by itself
    recent: deque[tuple[Array, Array]] = deque(maxlen=max_lag_frames + 1)  # group of each silicon, contacts with them
    rows: list[Array] = []  # one for each origin: contacts that hold after each lag
    for frame in map(np.asarray, frames):
        li, silicon = pairs_between(frame, ~si, si, cell_A, periodic, cutoff_A)
        group = silicon_clusters(frame, si, cell_A, periodic).label if clusters else own
        recent.append((group, _contacts(li, group[place[silicon]], len(si))))
        rows.append(np.full(max_lag_frames + 1, np.nan))
        for lag, (group, before) in enumerate(reversed(recent)):
            now = _contacts(li, group[place[silicon]], len(si))
            rows[-1 - lag][lag] = len(np.intersect1d(now, before, assume_unique=True))
    table = np.array(rows)[:, : len(rows)]
    if len(rows) < 2 or not np.nansum(table[:, 0]):
        raise ValueError(f"{len(rows)} frames with {np.nansum(table[:, 0]):.0f} contacts: two frames are needed.")
    lags = np.arange(table.shape[1]) * frame_ps
    survival = _survival(table)
    value = _time_to_1_e(lags, survival)
    blocks = [_time_to_1_e(lags, _survival(b)) for b in np.array_split(table, N_BLOCKS) if len(b)]
    error = float(np.std(blocks, ddof=1) / np.sqrt(len(blocks))) if len(rows) >= 2 * N_BLOCKS else float("nan")
    said = f"contacts fall to 1/e in {value:.3g} ps"
    if not np.isfinite(value):
        said = (
            f"{100 * survival[-1]:.0f} % of the contacts hold after {lags[-1]:g} ps: longer lags are needed for a time."
        )
    return Contacts(lags, survival, Measured(value, error, "ps"), said)


def _contacts(li: Array, group: Array, n_atoms: int) -> Array:
    """Numbers that name each Li and the groups of silicon it touches, sorted."""
    return np.unique(li.astype(np.int64) * n_atoms + group)


def _survival(table: Array) -> Array:
    """Sum over origins that have the lag; NaN where none has."""
    has = np.isfinite(table)
    below = (has * table[:, :1]).sum(axis=0)
    return np.divide(np.nansum(table, axis=0), below, out=np.full(table.shape[1], np.nan), where=below > 0)


def _time_to_1_e(lags: Array, survival: Array) -> float:
    low = np.flatnonzero(survival < np.exp(-1))
    if not len(low):
        return float("nan")
    k = int(low[0])
    share = (survival[k - 1] - np.exp(-1)) / (survival[k - 1] - survival[k])
    return float(lags[k - 1] + share * (lags[k] - lags[k - 1]))


@dataclass(frozen=True)
class ClusterMoves:
    """Where lithium goes when it moves: to silicon of another cluster, or along the one it was at.

    ``n_moves`` moves longer than a hop within `lag_ps`; ``to_another`` the share of those that touch silicon before
    and after, but none of a cluster they touched before; ``apart`` the share that touches no silicon after.
    """

    lag_ps: float
    n_moves: int
    to_another: Measured
    apart: Measured
    statement: str


def cluster_moves(
    frames: Iterable[Array],
    frame_ps: float,
    is_si: Array,
    cell_A: Array,
    periodic: tuple[bool, bool, bool] = (True, True, True),
    *,
    lag_frames: int = 1,
    threshold_A: float = HOP_A,
    cutoff_A: float = LI_SI_A,
) -> ClusterMoves:
    """Whether lithium hops between silicon clusters (Artrith et al., section V) or moves along them.

    Clusters are those at the start of each interval. Where all silicon is one network no move can leave it; where all
    silicon is isolated any move to other atoms counts.

    Parameters
    ----------
    frames, frame_ps, is_si, cell_A, periodic, lag_frames, cutoff_A
        As in `speed_by_coordination`.
    threshold_A : float
        Shortest move, against the centre of the silicon; longer than rattling.

    Returns
    -------
    ClusterMoves
        Errors from 5 blocks of intervals (NaN for fewer than 10).

    Raises
    ------
    ValueError
        Pure Li or pure Si, fewer frames than one interval needs.
    """
    check_range("lag_frames", lag_frames, 1, 10**6)
    check_range("threshold_A", threshold_A, 0.1, 20.0, "A")
    si = both_elements(is_si)
    place = np.cumsum(si) - 1  # of an atom among the silicon
    rows: list[tuple[int, int, int]] = []  # moves, of these apart, of these to another
    before: Array | None = None
    touched, label = np.zeros((0, 0), dtype=bool), np.zeros(0, dtype=int)
    for k, frame in enumerate(frames):
        if k % lag_frames:
            continue
        here = np.array(frame, dtype=float)
        i, j = pairs_between(here, ~si, si, cell_A, periodic, cutoff_A)
        if before is not None:
            step = here - before
            moved = ~si & (np.linalg.norm(step - step[si].mean(axis=0), axis=1) > threshold_A)
            moved &= touched.any(axis=1)
            now, same = np.zeros(len(si), dtype=bool), np.zeros(len(si), dtype=bool)
            now[i] = True
            same[i[touched[i, label[place[j]]]]] = True
            rows.append((int(moved.sum()), int((moved & ~now).sum()), int((moved & now & ~same).sum())))
        label = silicon_clusters(here, si, cell_A, periodic).label
        touched = np.zeros((len(si), label.max() + 1), dtype=bool)
        touched[i, label[place[j]]] = True
        before = here
    if not rows:
        raise ValueError(f"One interval of {lag_frames} frames needs {lag_frames + 1} frames. Run longer.")
    table = np.array(rows, dtype=float)
    n, lag_ps = int(table[:, 0].sum()), lag_frames * frame_ps
    apart, another = _share(table[:, 1], table[:, 0]), _share(table[:, 2], table[:, 0] - table[:, 1])
    said = f"{n} moves farther than {threshold_A:g} Å within {lag_ps:g} ps"
    said += f", {100 * another.value:.0f} % of them to silicon of another cluster" if n else ": nothing to measure"
    return ClusterMoves(lag_ps, n, another, apart, said)


def _share(part: Array, whole: Array) -> Measured:
    """``sum(part) / sum(whole)`` with the scatter of 5 blocks; NaN where there is nothing."""

    def share(p: Array, w: Array) -> float:
        return float(p.sum() / w.sum()) if w.sum() else float("nan")

    error = float("nan")
    if len(part) >= 2 * N_BLOCKS:
        pairs = zip(np.array_split(part, N_BLOCKS), np.array_split(whole, N_BLOCKS), strict=True)
        blocks = np.array([share(p, w) for p, w in pairs])
        error = float(blocks.std(ddof=1) / np.sqrt(N_BLOCKS))
    return Measured(share(part, whole), error, "1")
