"""How fast lithium moves with how many silicon neighbours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lisi_nb.analysis.bonds import neighbours_around
from lisi_nb.analysis.displacements import check_unwrapped
from lisi_nb.errors import check_range

Array = np.ndarray
LI_SI_A = 3.5  # Si around Li (Artrith et al., doi:10.48550/arXiv.1901.09272, section V)
N_BLOCKS = 5


@dataclass(frozen=True)
class CoordinationMobility:
    """Li by its number of Si neighbours at the start of each interval of `lag_ps`.

    ``counts`` (m,) are the numbers that occur, ``share`` (m,) how often, ``speed_A_ps`` and ``error_A_ps`` (m,) the
    mean displacement over the lag divided by the lag, NaN for numbers rarer than the least share.
    """

    lag_ps: float
    counts: Array
    share: Array
    speed_A_ps: Array
    error_A_ps: Array

    @property
    def mean_count(self) -> float:
        """Mean number of Si neighbours."""
        return float(self.counts @ self.share)


def speed_by_coordination(
    frames: Iterable[Array],
    frame_ps: float,
    is_si: Array,
    cell_A: Array,
    periodic: tuple[bool, bool, bool] = (True, True, True),
    *,
    lag_frames: int = 1,
    cutoff_A: float = LI_SI_A,
    min_share: float = 0.01,
) -> CoordinationMobility:
    """Mean Li speed against the number of Si neighbours (Artrith et al., Fig. 3a), frame by frame.

    The speed is ``|dr| / lag`` with the displacement taken against the centre of the silicon atoms. It depends on the
    lag: over short ones atoms rattle, over long ones they forget the neighbours they started with.

    Parameters
    ----------
    frames : iterable of (n, 3) arrays
        Unwrapped positions in A, equally spaced in time.
    frame_ps : float
        Time between frames.
    is_si : (n,) bool array
        Silicon; the others are lithium.
    cell_A, periodic
        As in `find_bonds`.
    lag_frames : int
        Interval in frames; intervals follow each other.
    cutoff_A : float
        Distance within which an Si counts.
    min_share : float
        Numbers of neighbours that are rarer get no speed.

    Returns
    -------
    CoordinationMobility
        Errors from 5 blocks of intervals (NaN for fewer than 10).

    Raises
    ------
    ValueError
        Pure Li or pure Si, wrapped positions, fewer frames than one interval needs.
    """
    check_range("lag_frames", lag_frames, 1, 10**6)
    check_range("frame_ps", frame_ps, 1e-6, 1e6, "ps")
    si = both_elements(is_si)
    rows: list[tuple[Array, Array]] = []
    before: Array | None = None
    last = np.empty(0)
    count = np.empty(0, dtype=int)
    for k, frame in enumerate(frames):
        here = np.array(frame, dtype=float)
        if k and any(periodic):  # frame by frame: over an interval an atom may well cross half a small cell
            check_unwrapped((here - last) * np.asarray(periodic), cell_A, k)
        last = here
        if k % lag_frames:
            continue
        if before is not None:
            step = here - before
            moved = np.linalg.norm(step[~si] - step[si].mean(axis=0), axis=1)
            n = int(count.max()) + 1
            rows.append((np.bincount(count, minlength=n), np.bincount(count, weights=moved, minlength=n)))
        count, before = neighbours_around(here, ~si, si, cell_A, periodic, cutoff_A), here
    if not rows:
        raise ValueError(f"One interval of {lag_frames} frames needs {lag_frames + 1} frames. Run longer.")
    width = max(len(n) for n, _ in rows)
    times, way = (np.array([np.pad(row[c], (0, width - len(row[c]))) for row in rows]) for c in (0, 1))
    share = times.sum(axis=0) / times.sum()
    often = share >= min_share
    lag_ps = lag_frames * frame_ps

    def speed(chosen: Array) -> Array:
        n = times[chosen].sum(axis=0)
        return np.divide(way[chosen].sum(axis=0), n * lag_ps, out=np.full(width, np.nan), where=often & (n > 0))

    error = np.full(width, np.nan)
    if len(rows) >= 2 * N_BLOCKS:
        blocks = np.array([speed(b) for b in np.array_split(np.arange(len(rows)), N_BLOCKS)])
        error = blocks.std(axis=0, ddof=1) / np.sqrt(N_BLOCKS)
    seen = share > 0
    return CoordinationMobility(
        lag_ps, np.flatnonzero(seen), share[seen], speed(np.arange(len(rows)))[seen], error[seen]
    )


def both_elements(is_si: Array) -> Array:
    """`is_si` as a mask; ``ValueError`` for pure Li or pure Si."""
    si = np.asarray(is_si, dtype=bool)
    if si.all() or not si.any():
        raise ValueError(f"All {len(si)} atoms are {'Si' if si.any() else 'Li'}: Si around Li needs both.")
    return si
