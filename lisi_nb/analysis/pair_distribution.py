"""Pair distribution functions g(r) of periodic frames: partial and total, as sharp as the atoms or as an experiment.

The total weighs each element with its mass, as Artrith et al. (arXiv:1901.09272, Fig. S7) approximate scattering
factors, and is broadened like theirs: by a Gaussian of 0.3 A full width at half maximum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, chemical_symbols
from scipy.spatial import cKDTree

from lisi_nb.errors import check_choice, check_range

Array = np.ndarray
FWHM_A = 0.3  # the paper's
N_SIGMA = 5.0  # a Gaussian reaches so far
N_BLOCKS = 5
WEIGHTS = ("mass", "number")


@dataclass(frozen=True, eq=False)
class PairDistribution:
    """g(r) averaged over frames; 1 far away in a liquid or glass.

    Attributes
    ----------
    r_A : (n,) array
        Middles of the bins.
    partials : dict of (str, str) to (n,) array
        Of each pair of elements, in alphabetic order: neighbours of the second around the first over what an even
        density of the second would give.
    total, total_error : (n,) array
        ``sum_ij w_i w_j g_ij`` with ``w_i = c_i m_i / sum c m`` (or ``c_i``), and the standard error of 5 blocks of
        frames (NaN for fewer than 10 frames).
    fwhm_A : float
        Full width at half maximum of the Gaussian it was convoluted with; 0 for none.
    weights : str
        ``"mass"`` or ``"number"``.
    n_frames : int
        Frames averaged.
    """

    r_A: Array
    partials: dict[tuple[str, str], Array]
    total: Array
    total_error: Array
    fwhm_A: float
    weights: str
    n_frames: int

    def peak_A(self, low_A: float = 0.0, high_A: float = math.inf) -> float:
        """Position of the highest value of the total between two distances."""
        inside = np.flatnonzero((self.r_A >= low_A) & (self.r_A <= high_A))
        if not len(inside):
            raise ValueError(
                f"No bin lies between {low_A:g} and {high_A:g} Å; g(r) goes from {self.r_A[0]:g} to {self.r_A[-1]:g} Å."
            )
        return float(self.r_A[inside[self.total[inside].argmax()]])


def pair_distribution(
    frames: Iterable[Atoms],
    *,
    r_max_A: float = 10.0,
    bin_A: float = 0.02,
    fwhm_A: float = FWHM_A,
    weights: str = "mass",
) -> PairDistribution:
    """Average g(r) over frames, one at a time.

    Parameters
    ----------
    frames : iterable of ase.Atoms
        Periodic in all directions, the same elements and number of atoms; cells may change. Small cells are
        continued by their images.
    r_max_A, bin_A : float
        Longest distance and width of a bin, A.
    fwhm_A : float
        Full width at half maximum of the Gaussian that broadens g(r), A; 0 for none. Pairs beyond `r_max_A` are
        broadened into it as they should.
    weights : str
        Of elements in the total: ``"mass"`` (the paper's) or ``"number"`` (every atom the same).

    Raises
    ------
    ValueError
        No frame, a frame that is not periodic or has other atoms than the first, a bin too wide for the broadening.
    """
    check_range("r_max_A", r_max_A, 1.0, 18.0, "A")
    check_range("bin_A", bin_A, 1e-3, 0.5, "A")
    check_range("fwhm_A", fwhm_A, 0.0, 2.0, "A")
    check_choice("weights", weights, WEIGHTS)
    if 0 < fwhm_A < 2.99 * bin_A:
        raise ValueError(
            f"bin_A={bin_A:g} Å is too wide for a Gaussian of fwhm_A={fwhm_A:g} Å. Use a third of it or less, or "
            "fwhm_A=0 for none."
        )
    n_bins = round(r_max_A / bin_A)
    margin = math.ceil(N_SIGMA * fwhm_A / _FWHM_PER_SIGMA / bin_A)
    edges = bin_A * np.arange(n_bins + margin + 1)
    numbers, sums, totals = np.zeros(0, dtype=int), np.zeros((0, 0, 0)), []
    for k, frame in enumerate(frames):
        _check(frame, k, numbers)
        if k == 0:
            numbers = frame.numbers.copy()
            kinds, index = np.unique(numbers, return_inverse=True)
            w = np.bincount(index) * (atomic_masses[kinds] if weights == "mass" else 1.0)
            w /= w.sum()
            sums = np.zeros((len(kinds), len(kinds), n_bins + margin))
        g = _one_frame(frame, index, len(kinds), edges)
        sums += g
        totals.append(np.einsum("i,j,ijr->r", w, w, g))
    if not totals:
        raise ValueError("There are no frames. Give at least one structure, such as [atoms].")
    r = 0.5 * (edges[1:] + edges[:-1])

    def smooth(y: Array) -> Array:
        return broadened(y, bin_A, fwhm_A)[:n_bins]

    names = [chemical_symbols[z] for z in kinds]
    pairs = [(i, j) for i in range(len(kinds)) for j in range(len(kinds)) if names[i] <= names[j]]
    partials = {(names[i], names[j]): smooth(sums[i, j] / len(totals)) for i, j in pairs}
    total = smooth(np.mean(totals, axis=0))
    return PairDistribution(r[:n_bins], partials, total, _error(totals, smooth), fwhm_A, weights, len(totals))


_FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))


def broadened(y: Array, step: float, fwhm: float) -> Array:
    """`y` (n,) on a grid of `step`, convoluted with a Gaussian of full width at half maximum `fwhm` and norm 1.

    The grid is continued by zeros; within 5 standard deviations of an end, what lies beyond is missing.
    """
    if fwhm == 0:
        return y.copy()
    sigma = fwhm / _FWHM_PER_SIGMA / step
    half = math.ceil(N_SIGMA * sigma)
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    return np.convolve(y, kernel / kernel.sum())[half : half + len(y)]


def _check(frame: Atoms, k: int, numbers: Array) -> None:
    if not frame.pbc.all():
        raise ValueError(
            f"Frame {k} has pbc={frame.pbc.tolist()}: g(r) needs a density, so a cell periodic in all directions. "
            "For particles use radial_shells."
        )
    if len(frame) == 0 or (k and not np.array_equal(frame.numbers, numbers)):
        raise ValueError(
            f"Frame {k} is {frame.get_chemical_formula() or 'empty'}, not the atoms of the first frame in their order. "
            "Average over one composition at a time."
        )


def _one_frame(frame: Atoms, index: Array, n_kinds: int, edges: Array) -> Array:
    """Partial g(r) (kinds, kinds, bins) of one frame."""
    first, second, distance = _pairs(frame, float(edges[-1]))
    bins = np.minimum((distance / edges[1]).astype(int), len(edges) - 2)
    flat = (index[first] * n_kinds + index[second]) * (len(edges) - 1) + bins
    counts = np.bincount(flat, minlength=n_kinds**2 * (len(edges) - 1)).reshape(n_kinds, n_kinds, -1)
    n = np.bincount(index)
    shell_A3 = 4 / 3 * np.pi * np.diff(edges**3)
    return counts * frame.get_volume() / (n[:, None, None] * n[None, :, None] * shell_A3)


def _pairs(frame: Atoms, reach_A: float) -> tuple[Array, Array, Array]:
    """Atoms in the cell, atoms around them (images too), and their distances: every pair from both its ends."""
    cell = frame.cell.array
    share = reach_A * np.linalg.norm(np.linalg.inv(cell), axis=0)  # of each height of the cell
    inside = frame.get_scaled_positions(wrap=True)
    shifts = np.array(list(product(*(range(-math.ceil(s), math.ceil(s) + 1) for s in share))))
    images = (inside[None] + shifts[:, None]).reshape(-1, 3)
    near = np.flatnonzero(((images >= -share) & (images <= 1 + share)).all(axis=1))
    found = cKDTree(inside @ cell).sparse_distance_matrix(cKDTree(images[near] @ cell), reach_A, output_type="ndarray")
    others = found["v"] > 1e-6  # an atom is not its own neighbour, its images are
    return found["i"][others], near[found["j"][others]] % len(frame), found["v"][others]


def _error(totals: list[Array], smooth: Callable[[Array], Array]) -> Array:
    """Standard error of blocks of frames, NaN for fewer than two frames in each."""
    if len(totals) < 2 * N_BLOCKS:
        return np.full(len(smooth(totals[0])), np.nan)
    blocks = np.array([smooth(np.mean(b, axis=0)) for b in np.array_split(np.array(totals), N_BLOCKS)])
    return blocks.std(axis=0, ddof=1) / np.sqrt(N_BLOCKS)
