"""Mean square displacement over all origins, by FFT.

``MSD(t) = <|r_i(s + t) - r_i(s)|^2>`` over atoms i and origins s.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import fft

from lisi_nb.analysis.displacements import Displacements
from lisi_nb.errors import check_choice, check_range

Array = np.ndarray
_ATOMS_AT_ONCE = 64


@dataclass(frozen=True)
class MSD:
    """Mean square displacement ``msd_A2`` (n_lags,) at ``lags_ps`` (n_lags,), starting at lag 0.

    ``by_group_A2`` (n_groups, n_lags) is the same from groups of atoms or from segments of the trajectory, whose
    scatter gives the error; ``error_A2`` (n_lags,) is the standard error of the mean over groups.
    """

    lags_ps: Array
    msd_A2: Array
    by_group_A2: Array
    groups: str

    @property
    def error_A2(self) -> Array:
        """Standard error at each lag; NaN with a single group."""
        n = len(self.by_group_A2)
        if n < 2:
            return np.full(len(self.lags_ps), np.nan)
        return self.by_group_A2.std(axis=0, ddof=1) / np.sqrt(n)


def squared_displacements(paths_A: Array) -> Array:
    """Square displacement of each atom at every lag, averaged over all origins, in O(N log N).

    ``sum_s |r(s+t) - r(s)|^2 = sum_s (|r(s+t)|^2 + |r(s)|^2) - 2 sum_s r(s+t) . r(s)``; the last sum is an
    autocorrelation, by FFT (Wiener-Khinchin), the others are running sums.

    Parameters
    ----------
    paths_A : (n_frames, n_atoms, 3) array
        Unwrapped positions or displacements, A.

    Returns
    -------
    (n_atoms, n_frames) array
        A^2, lag 0 first.
    """
    paths = np.ascontiguousarray(np.moveaxis(paths_A, 0, -1), dtype=float)  # atoms, xyz, frames
    paths -= paths.mean(axis=-1, keepdims=True)  # smaller numbers, smaller rounding
    n = paths.shape[-1]
    length = fft.next_fast_len(2 * n - 1, real=True)
    spectrum = fft.rfft(paths, length, axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2).sum(axis=1)
    products = fft.irfft(power, length, axis=-1)[:, :n]
    squares = (paths**2).sum(axis=1)
    start = np.concatenate([np.zeros((len(squares), 1)), np.cumsum(squares, axis=-1)], axis=-1)
    lags = np.arange(n)
    sums = start[:, n - lags] + start[:, -1:] - start[:, lags]
    out = (sums - 2 * products) / (n - lags)
    out[:, 0] = 0.0
    return np.maximum(out, 0.0, out=out)  # rounding of an atom that does not move


def mean_square_displacement(moved: Displacements, *, groups: str = "atoms", n_groups: int = 20) -> MSD:
    """Multi-origin mean square displacement with error.

    Parameters
    ----------
    moved : Displacements
        From `displacements`. Streamed in blocks of atoms: little memory beyond the input.
    groups : str
        Where the error comes from. ``"atoms"``: groups of atoms, taken as independent of each other.
        ``"segments"``: equal parts of the trajectory, also right for atoms that move together; lags then end
        with a segment.
    n_groups : int
        Number of groups; at most the number of atoms, or of segments of 10 frames.

    Returns
    -------
    MSD

    Raises
    ------
    ValueError
        Unknown `groups`, or segments shorter than 10 frames.
    """
    check_choice("groups", groups, ("atoms", "segments"))
    check_range("n_groups", n_groups, 1, 10_000)
    if groups == "segments":
        length = moved.n_frames // n_groups
        if length < 10:
            raise ValueError(
                f"{moved.n_frames} frames in n_groups={n_groups} segments are {length} frames each; at least 10 are "
                "needed. Use fewer segments, a longer run, or groups='atoms'."
            )
        rows = [_mean_msd(moved.values_A[k * length : (k + 1) * length]) for k in range(n_groups)]
        by_group, n_lags = np.array(rows), length
        mean = by_group.mean(axis=0)
    else:
        n_groups, n_lags = min(n_groups, moved.n_atoms), moved.n_frames
        cuts = np.linspace(0, moved.n_atoms, n_groups + 1).astype(int)
        by_group = np.array([_mean_msd(moved.values_A[:, a:b]) for a, b in pairwise(cuts)])
        mean = np.average(by_group, axis=0, weights=np.diff(cuts))
    return MSD(np.arange(n_lags) * moved.frame_ps, mean, by_group, groups)


def _mean_msd(paths_A: Array) -> Array:
    total = np.zeros(paths_A.shape[0])
    for start in range(0, paths_A.shape[1], _ATOMS_AT_ONCE):
        total += squared_displacements(paths_A[:, start : start + _ATOMS_AT_ONCE]).sum(axis=0)
    return total / paths_A.shape[1]
