"""Radial profiles of a particle: composition, Si-Si coordination and density in spherical shells of equal volume."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_masses
from scipy.spatial import cKDTree

from lisi_nb.analysis.bonds import find_bonds
from lisi_nb.analysis.clusters import SI_SI_A
from lisi_nb.analysis.statistics import block_mean
from lisi_nb.errors import check_range
from lisi_nb.units import U_PER_A3_IN_G_CM3, Measured

Array = np.ndarray
LI_U, SI_U = atomic_masses[3], atomic_masses[14]
N_BLOCKS = 5


@dataclass(frozen=True)
class Shells:
    """Profiles in n spherical shells of equal volume, centre first; every array is (n,) but ``edges_A`` (n + 1,).

    ``x`` is Li per Si, ``coordination`` the Si within 2.7 A of an Si, ``density_g_cm3`` the mass density; each with
    the standard error of 5 blocks of frames (NaN for fewer than 10 frames). NaN where a shell has no Si.
    ``n_li``, ``n_si`` are mean atoms per frame, ``outside_li``, ``outside_si`` those beyond the last edge.
    """

    edges_A: Array
    n_li: Array
    n_si: Array
    x: Array
    x_error: Array
    coordination: Array
    coordination_error: Array
    density_g_cm3: Array
    density_error: Array
    outside_li: float
    outside_si: float
    n_frames: int

    @property
    def middle_A(self) -> Array:
        """Radius that halves the volume of each shell."""
        return np.cbrt((self.edges_A[1:] ** 3 + self.edges_A[:-1] ** 3) / 2)

    @property
    def radius_A(self) -> float:
        """Outer edge."""
        return float(self.edges_A[-1])


def centred(positions_A: Array, is_si: Array) -> Array:
    """Positions (n, 3) about the centre of mass."""
    positions = np.asarray(positions_A, dtype=float)
    return positions - np.average(positions, axis=0, weights=np.where(is_si, SI_U, LI_U))


def particle_radius_A(positions_A: Array, is_si: Array) -> float:
    """Radius of the even sphere with the same median distance from the centre, ``2^(1/3) median(r)``.

    Atoms that have left the particle do not move a median.
    """
    return float(np.cbrt(2) * np.median(np.linalg.norm(centred(positions_A, is_si), axis=1)))


def radial_shells(
    frames: Iterable[Array],
    is_si: Array,
    *,
    n_shells: int = 10,
    radius_A: float | None = None,
    cutoff_A: float = SI_SI_A,
) -> Shells:
    """Profiles of a free particle, averaged over frames.

    Parameters
    ----------
    frames : iterable of (n, 3) arrays
        Positions in A of a particle in vacuum, not cut by a periodic boundary.
    is_si : (n,) bool array
        Silicon; the others are lithium.
    n_shells : int
        Number of shells; all have the volume of the sphere over `n_shells`.
    radius_A : float, optional
        Outer edge of the last shell; `particle_radius_A` of the first frame by default.
    cutoff_A : float
        Si-Si bond length that counts.

    Returns
    -------
    Shells

    Raises
    ------
    ValueError
        No silicon or no lithium, no frame, frames of another number of atoms.
    """
    check_range("n_shells", n_shells, 1, 1000)
    is_si = np.asarray(is_si, dtype=bool)
    if is_si.all() or not is_si.any():
        raise ValueError(
            f"All {len(is_si)} atoms are {'Si' if is_si.any() else 'Li'}: a composition profile needs both."
        )
    edges, rows = np.zeros(0), []
    for k, frame in enumerate(frames):
        if np.shape(frame) != (len(is_si), 3):
            raise ValueError(f"Frame {k} has shape {np.shape(frame)}; {len(is_si)} atoms need ({len(is_si)}, 3).")
        if k == 0:
            outer = radius_A or particle_radius_A(frame, is_si)
            check_range("radius_A", outer, 1.0, 1e4, "A")
            edges = outer * np.cbrt(np.arange(n_shells + 1) / n_shells)
        rows.append(_counts(centred(frame, is_si), is_si, edges, cutoff_A))
    if not rows:
        raise ValueError("There are no frames. Let the run write some.")
    counts = np.array(rows)  # frames, (Li, Si, bonds), shells and outside
    li, si, bonds = np.moveaxis(counts[:, :, :-1], 1, 0)
    grams = (li * LI_U + si * SI_U) * U_PER_A3_IN_G_CM3 / (4 / 3 * np.pi * edges[-1] ** 3 / n_shells)
    ones = np.ones_like(grams)
    x, coordination, density = _ratio(li, si), _ratio(bonds, si), _ratio(grams, ones)
    outside_li, outside_si = counts[:, :2, -1].mean(axis=0).tolist()
    return Shells(
        edges, li.mean(axis=0), si.mean(axis=0), *x, *coordination, *density, outside_li, outside_si, len(rows)
    )


def _counts(r_A: Array, is_si: Array, edges: Array, cutoff_A: float) -> Array:
    """Li, Si and Si-Si neighbours (3, n_shells + 1) of one frame; the last column is outside."""
    n = len(edges) - 1
    shell = np.minimum(np.searchsorted(edges, np.linalg.norm(r_A, axis=1), side="right") - 1, n)
    bonds = find_bonds(r_A[is_si], np.eye(3), (False, False, False), cutoff_A)
    return np.stack(
        [np.bincount(shell[~is_si], minlength=n + 1), np.bincount(shell[is_si], minlength=n + 1),
         np.bincount(shell[is_si], weights=bonds.coordination, minlength=n + 1)]
    )  # fmt: skip


def _ratio(above: Array, below: Array) -> tuple[Array, Array]:
    """Ratio of sums over frames with the error of block ratios, each (n_shells,); NaN where `below` is zero."""

    def of(rows: Array) -> Array:
        total = below[rows].sum(axis=0)
        return np.divide(above[rows].sum(axis=0), total, out=np.full(total.shape, np.nan), where=total > 0)

    frames = np.arange(len(above))
    if len(frames) < 2 * N_BLOCKS:
        return of(frames), np.full(above.shape[1], np.nan)
    blocks = np.array([of(rows) for rows in np.array_split(frames, N_BLOCKS)])
    return of(frames), blocks.std(axis=0, ddof=1) / np.sqrt(N_BLOCKS)


def surface_atoms(positions_A: Array, probe_A: float = 3.0, n_points: int = 100) -> Array:
    """Atoms that a probe can touch from outside or from a void: Shrake and Rupley's test with one radius for all.

    An atom is at the surface when some point at `probe_A` from it is nearer to no other atom (J. Mol. Biol. 79, 351
    (1973), doi:10.1016/0022-2836(73)90011-9). Holes between atoms of Li-Si phases reach 2.4 A: a probe of 3 A does
    not enter them.

    Parameters
    ----------
    positions_A : (n, 3) array
        Positions in A of a free particle.
    probe_A : float
        Distance from an atom's centre to the probe's, 2 to 10 A.
    n_points : int
        Points tested around each atom (a Fibonacci sphere).

    Returns
    -------
    (n,) bool array
    """
    check_range("probe_A", probe_A, 2.0, 10.0, "A")
    check_range("n_points", n_points, 12, 10_000)
    positions = np.asarray(positions_A, dtype=float)
    k = np.arange(n_points) + 0.5
    polar, azimuth = np.arccos(1 - 2 * k / n_points), np.pi * (1 + 5**0.5) * k
    sphere = np.stack([np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=1)
    tree = cKDTree(positions)
    free = np.zeros(len(positions), dtype=bool)
    for direction in sphere:
        left = np.flatnonzero(~free)
        nearest, _ = tree.query(positions[left] + probe_A * direction)
        free[left[nearest > probe_A * (1 - 1e-9)]] = True
    return free


def surface_li_fraction(frames: Iterable[Array], is_si: Array, probe_A: float = 3.0) -> Measured:
    """Fraction of lithium among the surface atoms of a particle, with the error of 5 blocks of frames."""
    series = [float((~np.asarray(is_si)[surface_atoms(frame, probe_A)]).mean()) for frame in frames]
    if not series:
        raise ValueError("There are no frames. Let the run write some.")
    return block_mean(np.array(series), "1")
