"""Formation energies, convex hull, voltage steps and two-phase regions of LixSi, from energies at 0 K.

With ``f = N_Li / (N_Li + N_Si)`` and ``x = N_Li / N_Si``: ``E_f = (E - N_Li E_Li - N_Si E_Si) / N`` per atom, and
``E_f / (1 - f)`` per Si. Energies of bulk lithium (bcc) and silicon (diamond) are those of the same potential.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial import ConvexHull

from lisi_nb.errors import check_range

Array = np.ndarray
X_MAX = 4.4  # Li22Si5
LIGHT_eV = 1e-9  # rounding of a point on a line


@dataclass(frozen=True)
class Formation:
    """Formation energies of n structures, each array (n,); sorted neither by x nor by energy."""

    n_li: Array
    n_si: Array
    per_atom_eV: Array

    @property
    def x(self) -> Array:
        """Li per Si."""
        return self.n_li / self.n_si

    @property
    def li_fraction(self) -> Array:
        """Li per atom."""
        return self.n_li / (self.n_li + self.n_si)

    @property
    def per_si_eV(self) -> Array:
        """Formation energy per Si."""
        return self.per_atom_eV * (self.n_li + self.n_si) / self.n_si


def formation(
    energies_eV: Sequence[float] | Array,
    n_li: Sequence[int] | Array,
    n_si: Sequence[int] | Array,
    li_eV: float,
    si_eV: float,
) -> Formation:
    """Formation energies relative to bulk lithium and silicon.

    Parameters
    ----------
    energies_eV : (n,) array
        Total energies of the cells.
    n_li, n_si : (n,) arrays
        Atoms in the cells.
    li_eV, si_eV : float
        Energy per atom of bcc lithium and diamond silicon, from the same potential.

    Raises
    ------
    ValueError
        Arrays of different length, energies that are not finite, pure lithium, or x above 4.4.
    """
    energy, li, si = (np.asarray(a, dtype=float) for a in (energies_eV, n_li, n_si))
    if not energy.shape == li.shape == si.shape or energy.ndim != 1:
        raise ValueError(f"Energies {energy.shape}, n_li {li.shape}, n_si {si.shape}: give one of each per structure.")
    if not (np.isfinite(energy).all() and np.isfinite([li_eV, si_eV]).all()):
        raise ValueError("Some energies are not finite numbers. Look at the structures they come from.")
    if (si <= 0).any() or (li < 0).any():
        raise ValueError(
            f"n_li={li[(si <= 0) | (li < 0)]}, n_si={si[(si <= 0) | (li < 0)]}: each structure needs Si. Pure Li is "
            "the reference li_eV."
        )
    for each in li / si:
        check_range("x", float(each), 0.0, X_MAX, "Li per Si", "LixSi phases end at Li22Si5.")
    return Formation(li, si, (energy - li * li_eV - si * si_eV) / (li + si))


@dataclass(frozen=True)
class Hull:
    """Lower convex hull between Si (f = 0) and Li (f = 1).

    ``li_fraction`` and ``per_atom_eV`` (m,) are its corners in order of f, both ends included, and `members` (m,) the
    structure at each (-1 for the elements); ``above_eV`` (n,) is each structure's distance above it, per atom.
    """

    li_fraction: Array
    per_atom_eV: Array
    members: Array
    above_eV: Array

    def at(self, li_fraction: float | Array) -> Array:
        """Energy of the hull per atom."""
        return np.interp(li_fraction, self.li_fraction, self.per_atom_eV)


def convex_hull(phases: Formation) -> Hull:
    """Lower hull of formation energies per atom against the Li fraction (qhull), with the elements at zero."""
    f = np.concatenate([[0.0, 1.0], phases.li_fraction])
    e = np.concatenate([[0.0, 0.0], phases.per_atom_eV])
    corners = _lower_corners(f, e)
    line_f, line_e = f[corners], e[corners]
    above = phases.per_atom_eV - np.interp(phases.li_fraction, line_f, line_e)
    return Hull(line_f, line_e, np.where(corners < 2, -1, corners - 2), np.maximum(above, 0.0))


def _lower_corners(x: Array, y: Array) -> Array:
    """Indices of the lower hull's corners in order of x, from the leftmost to the rightmost point."""
    top = [[0.5 * (x.min() + x.max()), y.max() + max(1.0, float(np.ptp(y)))]]  # so that there is an upper side
    hull = ConvexHull(np.vstack([np.stack([x, y], axis=1), top]))
    lower = hull.simplices[hull.equations[:, 1] < -LIGHT_eV]
    corners = np.unique(lower)
    return corners[np.argsort(x[corners], kind="stable")]


@dataclass(frozen=True)
class VoltageStep:
    """Plateau between two phases: from x `x_low` to `x_high` at `volt_V` against Li/Li+."""

    x_low: float
    x_high: float
    volt_V: float


def voltage_steps(phases: Formation, hull: Hull | None = None) -> tuple[VoltageStep, ...]:
    """0 K voltage profile along the hull, from silicon to the phase richest in lithium.

    ``V = -(E_f(x2) - E_f(x1)) / (x2 - x1)`` with formation energies per Si: lithium goes from bulk metal into the
    silicide; entropy and volume work are left out.

    Parameters
    ----------
    phases : Formation
        The structures.
    hull : Hull, optional
        Their hull; made here when not given.

    Returns
    -------
    tuple of VoltageStep
        Falling voltages; empty when no compound is stable.
    """
    hull = hull or convex_hull(phases)
    inside = hull.li_fraction < 1
    x = hull.li_fraction[inside] / (1 - hull.li_fraction[inside])
    per_si = hull.per_atom_eV[inside] * (1 + x)
    volts = -np.diff(per_si) / np.diff(x)
    return tuple(VoltageStep(*map(float, row)) for row in zip(x[:-1], x[1:], volts, strict=True))


@dataclass(frozen=True)
class TwoPhase:
    """A range of x where two phases together lie below one: their compositions, and by how much at most.

    `depth_eV` per atom is how far the structures in between lie above the common tangent, at the most.
    """

    x_low: float
    x_high: float
    depth_eV: float


def two_phase_regions(phases: Formation, tolerance_eV: float = 0.005) -> tuple[TwoPhase, ...]:
    """Common tangents of a branch of structures (one amorphous branch, with or without a crystal at its end).

    Along the lower hull of the branch alone, two corners with structures between them that lie more than
    `tolerance_eV` above their tangent bound a two-phase region. Structures closer than that count as on the branch,
    so scatter of energies below the tolerance makes no region; a range without any structure is not judged.

    Parameters
    ----------
    phases : Formation
        At least three compositions; of each, the structure of lowest energy counts.
    tolerance_eV : float
        Per atom; about the error of the energies.

    Returns
    -------
    tuple of TwoPhase
        In order of x; empty when the branch is one solid solution.

    Raises
    ------
    ValueError
        Fewer than three compositions.
    """
    check_range("tolerance_eV", tolerance_eV, 0.0, 1.0, "eV")
    _, one, first = np.unique(phases.li_fraction.round(9), return_index=True, return_inverse=True)
    f, x = phases.li_fraction[one], phases.x[one]
    if len(f) < 3:
        raise ValueError(f"{len(f)} compositions came; a common tangent needs at least three.")
    e = np.full(len(f), np.inf)
    np.minimum.at(e, first, phases.per_atom_eV)
    corners = _lower_corners(f, e)
    above = e - np.interp(f, f[corners], e[corners])
    # Corners that touch structures within the tolerance continue the branch: only the gaps between them are regions.
    on = np.flatnonzero(above <= tolerance_eV)
    return tuple(
        TwoPhase(float(x[a]), float(x[b]), float(above[a + 1 : b].max())) for a, b in pairwise(on) if b - a > 1
    )


def two_phase_statement(phases: Formation, tolerance_eV: float = 0.005) -> str:
    """The result of `two_phase_regions` in one sentence."""
    regions = two_phase_regions(phases, tolerance_eV)
    span = f"x = {phases.x.min():.2f} to {phases.x.max():.2f}"
    if not regions:
        return (
            f"no two-phase region within {span}: no structure lies more than {1000 * tolerance_eV:g} meV/atom above a "
            "common tangent of others"
        )
    said = ", ".join(f"{r.x_low:.2f} < x < {r.x_high:.2f} ({1000 * r.depth_eV:.0f} meV/atom)" for r in regions)
    return f"two-phase within {span}: {said}"
