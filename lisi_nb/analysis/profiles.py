"""Profiles along the interface normal: Li fraction, fronts, number densities and their widths.

The fraction in a bin is ``n_Li = N_Li / (N_Li + N_Si)`` (Fu et al., npj Comput. Mater. 2024,
doi:10.1038/s41524-024-01327-1, Fig. 2). Silicon lies at low z, lithium at high z. The *left front* is the
Si | Li-Si boundary, the *right front* the Li-Si | Li boundary.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
LOW, HIGH = 0.05, 0.95  # n_Li at the left and right front when interpolating


@dataclass
class ProfileAccumulator:
    """Counts of Li and Si in bins along z, summed frame by frame into time windows.

    Memory is ``2 * n_windows * n_bins`` numbers, whatever the number of frames.

    Parameters
    ----------
    edges_A : (n_bins + 1,) array
        Equally spaced bin edges, A.
    n_windows : int
        Number of time windows.
    """

    edges_A: Array
    n_windows: int
    li: Array = field(init=False)
    si: Array = field(init=False)
    frames: Array = field(init=False)

    def __post_init__(self) -> None:
        shape = (self.n_windows, len(self.edges_A) - 1)
        self.li, self.si = np.zeros(shape), np.zeros(shape)
        self.frames = np.zeros(self.n_windows, dtype=int)

    def add(self, window: int, z_A: Array, is_li: Array) -> None:
        """Count one frame, heights `z_A` ``(n,)`` in A, into `window`; atoms beyond the edges are dropped."""
        n_bins = len(self.edges_A) - 1
        width = self.edges_A[1] - self.edges_A[0]
        index = np.floor((z_A - self.edges_A[0]) / width).astype(np.intp)
        inside = (index >= 0) & (index < n_bins)
        code = index[inside] + n_bins * is_li[inside]
        counts = np.bincount(code, minlength=2 * n_bins)
        self.si[window] += counts[:n_bins]
        self.li[window] += counts[n_bins:]
        self.frames[window] += 1

    def li_fraction(self) -> Array:
        """``(n_windows, n_bins)`` mean Li fraction; NaN in empty bins."""
        return li_fraction(self.li, self.si)

    def coarsened(self, bins_per_bin: int) -> ProfileAccumulator:
        """The same counts in bins `bins_per_bin` times as wide (a remainder at the top is dropped)."""
        n = (len(self.edges_A) - 1) // bins_per_bin
        out = ProfileAccumulator(self.edges_A[: n * bins_per_bin + 1 : bins_per_bin], self.n_windows)
        for mine, theirs in ((self.li, out.li), (self.si, out.si)):
            theirs[:] = mine[:, : n * bins_per_bin].reshape(self.n_windows, n, bins_per_bin).sum(axis=2)
        out.frames[:] = self.frames
        return out


def li_fraction(n_li: Array, n_si: Array) -> Array:
    """``n_li / (n_li + n_si)``, NaN where both are zero."""
    total = n_li + n_si
    return np.divide(n_li, total, out=np.full(np.shape(total), np.nan), where=total > 0)


@dataclass(frozen=True)
class Fronts:
    """Positions of the left and right front, A; NaN where the profile has none."""

    left_A: float
    right_A: float

    @property
    def length_A(self) -> float:
        """Distance from the left to the right front: the lithiation length."""
        return self.right_A - self.left_A


def fronts(centres_A: Array, fraction: Array, low: float = LOW, high: float = HIGH) -> Fronts:
    """Fronts of one profile by linear interpolation between bins.

    Parameters
    ----------
    centres_A : (n_bins,) array
        Bin centres, A.
    fraction : (n_bins,) array
        Li fraction; NaN in empty bins, which are left out.
    low, high : float
        The left front is where the fraction rises through `low` and stays above it for a second bin; the
        right front is where it falls below `high`, seen from the Li side, and stays below for a second bin.
        A single stray atom ahead of a front therefore does not move it.

    Returns
    -------
    Fronts
        NaN for a front that the profile does not have.
    """
    full = ~np.isnan(fraction)
    z, f = centres_A[full], fraction[full]
    left = _crossing(z, f, low)
    right = -_crossing(-z[::-1], 1.0 - f[::-1], 1.0 - high)
    return Fronts(left, right)


def _crossing(z: Array, f: Array, level: float) -> float:
    """First z at which f rises through `level` for at least two bins."""
    above = f > level
    lasting = above & np.append(above[1:], above[-1:])
    hits = np.flatnonzero(lasting)
    if not len(hits) or hits[0] == 0:
        return float("nan")
    k = int(hits[0])
    if f[k - 1] > level:  # a lone bin above the level sits just before
        return float(0.5 * (z[k - 1] + z[k]))
    share = (level - f[k - 1]) / (f[k] - f[k - 1])
    return float(z[k - 1] + share * (z[k] - z[k - 1]))


def fronts_by_bins(edges_A: Array, fraction: Array, boundary_A: float) -> Fronts:
    """Fronts as the paper has them: edges of the connected bins with ``0 < n_Li < 1`` around the boundary.

    The result is a whole number of bins, so differences below one bin width mean nothing.
    """
    mixed = (fraction > 0) & (fraction < 1)
    start = int(np.clip(np.searchsorted(edges_A, boundary_A) - 1, 0, len(fraction) - 1))
    near = np.flatnonzero(mixed[max(0, start - 1) : start + 2])
    if not len(near):
        return Fronts(boundary_A, boundary_A)
    first = last = max(0, start - 1) + int(near[0])
    while first > 0 and mixed[first - 1]:
        first -= 1
    while last < len(mixed) - 1 and mixed[last + 1]:
        last += 1
    return Fronts(float(edges_A[first]), float(edges_A[last + 1]))


def smooth(values: Array, width_bins: int) -> Array:
    """Running mean over an odd number of bins, shorter at the ends."""
    kernel = np.ones(width_bins | 1)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones_like(values), kernel, "same")


def width_10_90(centres_A: Array, density: Array, plateau: float) -> float:
    """z-range in A over which a density step goes from 10 to 90 % of `plateau` (Fu et al., Fig. 3).

    The outermost crossings are taken: first rise through 10 % to last rise through 90 %, for a step in either
    direction. NaN when the profile does not pass both levels.
    """
    f = density / plateau
    if f[: len(f) // 2].mean() > f[len(f) // 2 :].mean():
        f, z = f[::-1], -centres_A[::-1]
    else:
        z = centres_A
    low, high = _crossing(z, f, 0.1), _crossing(z, f, 0.9)
    return high - low


def kink(centres_A: Array, fraction: Array, front: Fronts) -> float:
    """Li fraction at the kink of the profile: where the steep rise behind the left front ends.

    It is the point between the fronts farthest above the chord from the left front to the right one: the
    two-phase transition composition of Fu et al., Fig. 2, is ``x = f / (1 - f)``. NaN without both fronts.
    """
    inside = (centres_A > front.left_A) & (centres_A < front.right_A) & ~np.isnan(fraction)
    if inside.sum() < 3:
        return float("nan")
    z, f = centres_A[inside], fraction[inside]
    chord = LOW + (HIGH - LOW) * (z - front.left_A) / front.length_A
    best = int((f - chord).argmax())
    return float(f[best]) if f[best] > chord[best] else float("nan")
