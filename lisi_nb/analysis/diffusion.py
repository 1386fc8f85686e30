"""Tracer and collective diffusion coefficient, Haven ratio.

Equations: ``6 D t = MSD(t)`` (Einstein), and the collective ``6 D t = <|sum_i dr_i(t)|^2> / N`` (Artrith, Urban, Wang,
Ceder, doi:10.48550/arXiv.1901.09272, eq. A1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lisi_nb.analysis.displacements import Displacements
from lisi_nb.analysis.msd import MSD
from lisi_nb.errors import check_range
from lisi_nb.units import Measured

Array = np.ndarray
CM2_S_PER_A2_PS = 1e-4
UNIT = "cm^2/s"


@dataclass(frozen=True)
class Diffusion:
    """A diffusion coefficient, or the plain statement why there is none.

    ``D`` is in cm^2/s, NaN when the series is not diffusive; `window_ps` is the fitted range of lags; `slope` the
    log-log slope there (1 for diffusion, 2 for free flight, 0 for rattling in a cage); `msd_end_A2` the mean
    square displacement at its end; `statement` a sentence for people.
    """

    D: Measured
    window_ps: tuple[float, float]
    slope: float
    msd_end_A2: float
    statement: str

    @property
    def diffusive(self) -> bool:
        """Whether there is a number."""
        return bool(np.isfinite(self.D.value))


def tracer_diffusion(
    msd: MSD,
    window_ps: tuple[float, float] | None = None,
    *,
    min_msd_A2: float = 3.0,
    slope_tolerance: float = 0.3,
    min_points: int = 5,
) -> Diffusion:
    """Tracer D from a straight line (with intercept) through the MSD in a window of lags: ``D = slope / 6``.

    Parameters
    ----------
    msd : MSD
        From `mean_square_displacement`.
    window_ps : (float, float), optional
        Lags that are fitted; 10 to 50 % of the longest lag by default (longer lags have few origins).
    min_msd_A2 : float
        Below this MSD at the window's end atoms have rattled rather than moved: the plateau of vibrations in
        LixSi is below 1 A^2 at 1000 K, one hop is about 7 A^2.
    slope_tolerance : float
        Allowed distance of the log-log slope from 1.
    min_points : int
        Fewest lags in the window.

    Returns
    -------
    Diffusion
        D with the standard error over the groups of `msd`; without a number and with a statement where the
        trajectory is too short for the window, the MSD too small, or its log-log slope far from 1.

    Raises
    ------
    ValueError
        A window that is none (end before start, negative).
    """
    longest = float(msd.lags_ps[-1])
    low, high = window_ps or (0.1 * longest, 0.5 * longest)
    if not 0 <= low < high:
        raise ValueError(f"window_ps=({low:g}, {high:g}) ps is no window. Give two lags, start before end.")
    inside = (msd.lags_ps >= low * (1 - 1e-9)) & (msd.lags_ps <= high * (1 + 1e-9)) & (msd.lags_ps > 0)
    nan = float("nan")

    def none(slope: float, end_A2: float, why: str) -> Diffusion:
        return Diffusion(Measured(nan, nan, UNIT), (low, high), slope, end_A2, f"not diffusive: {why}")

    if high > longest * (1 + 1e-9) or inside.sum() < min_points:
        return none(
            nan, nan, f"too short for lags of {low:g} to {high:g} ps: lags reach {longest:g} ps, {inside.sum()} of "
            f"them lie in the window, {min_points} are needed. Run longer or choose shorter lags."
        )  # fmt: skip
    lags, y = msd.lags_ps[inside], msd.msd_A2[inside]
    end_A2 = float(y[-1])
    if end_A2 < min_msd_A2:
        return none(nan, end_A2, f"the mean square displacement is {end_A2:.2g} Å² after {high:g} ps, below the "
                    f"{min_msd_A2:g} Å² that rattling in place could give. Run longer or hotter.")  # fmt: skip
    slope = _slope(np.log(lags), np.log(y))
    if abs(slope - 1) > slope_tolerance:
        kind = "faster than" if slope > 1 else "slower than"
        return none(slope, end_A2, f"the mean square displacement grows as t^{slope:.2f}, {kind} diffusion (t^1 within "
                    f"{slope_tolerance:g}). Run longer, or choose longer lags.")  # fmt: skip
    parts = np.array([_slope(lags, row[inside]) for row in msd.by_group_A2]) / 6
    error = parts.std(ddof=1) / np.sqrt(len(parts)) if len(parts) > 1 else nan
    D = Measured(_slope(lags, y) / 6 * CM2_S_PER_A2_PS, float(error) * CM2_S_PER_A2_PS, UNIT)
    said = f"diffusive: D = {D.value:.3g} ± {D.error:.2g} cm²/s from lags of {low:g} to {high:g} ps"
    return Diffusion(D, (low, high), slope, end_A2, said)


def _slope(x: Array, y: Array) -> float:
    x = x - x.mean()
    return float(x @ y / (x @ x))


@dataclass(frozen=True)
class CollectiveDiffusion:
    """Collective D from parts of a trajectory.

    ``D`` in cm^2/s (NaN when the atoms have not moved far enough); `times_ps` (n,) and `net_A2` (n_parts, n) the net
    square displacement per atom along each part; `moved_A2` the mean square displacement of the atoms over the whole
    trajectory; `statement` a sentence for people.
    """

    D: Measured
    times_ps: Array
    net_A2: Array
    moved_A2: float
    statement: str


def collective_diffusion(
    moved: Displacements, *, part_ps: float = 450.0, n_parts: int = 18, skip_ps: float = 200.0, min_msd_A2: float = 10.0
) -> CollectiveDiffusion:
    """Collective D as the paper has it: ``6 D t = <|sum_i dr_i(t)|^2> / N``, the mean over parts of the trajectory.

    Parts of `part_ps` start at equal distances after `skip_ps` and may overlap. A trajectory counts, with all its
    parts, when its atoms have moved by more than `min_msd_A2` in the mean square (caption of Fig. S14; the text has
    "net displacement"). Parts are not picked one by one: those that went far by chance would give a D too large. The
    error is the scatter over parts, for as many independent parts as fit side by side.

    Parameters
    ----------
    moved : Displacements
        Of the diffusing element, against the framework or the centre of mass.
    part_ps, n_parts, skip_ps, min_msd_A2 : float, int, float, float
        Defaults are the paper's (Artrith et al., doi:10.48550/arXiv.1901.09272, appendix A5).

    Returns
    -------
    CollectiveDiffusion

    Raises
    ------
    ValueError
        Not one part fits, or a part has fewer than 5 frames.
    """
    check_range("n_parts", n_parts, 1, 100_000)
    length = round(part_ps / moved.frame_ps)
    skip = round(skip_ps / moved.frame_ps)
    room = moved.n_frames - 1 - skip - length
    if length < 4 or room < 0:
        raise ValueError(
            f"Parts of {part_ps:g} ps after {skip_ps:g} ps do not fit a trajectory of {moved.duration_ps:g} ps with a "
            f"frame every {moved.frame_ps:g} ps (a part needs 5 frames). Run longer or choose shorter parts."
        )
    starts = np.unique(skip + np.round(np.linspace(0, room, n_parts)).astype(int))
    path = moved.collective_A[:, 0]
    net = np.array([((path[s : s + length + 1] - path[s]) ** 2).sum(axis=1) for s in starts])
    times = np.arange(length + 1) * moved.frame_ps
    far_A2 = float(((moved.values_A[-1] - moved.values_A[skip]) ** 2).sum(axis=-1).mean())
    nan = float("nan")
    if far_A2 <= min_msd_A2:
        whole_ps = moved.duration_ps - skip_ps
        said = f"not diffusive: the mean square displacement is {far_A2:.2g} Å² after {whole_ps:g} ps, not above "
        return CollectiveDiffusion(Measured(nan, nan, UNIT), times, net, far_A2, f"{said}{min_msd_A2:g} Å².")
    slopes = np.array([_slope(times, row) for row in net]) / 6 * CM2_S_PER_A2_PS
    independent = min(len(starts), (room + length) / length)
    error = slopes.std(ddof=1) / np.sqrt(independent) if len(starts) > 1 else nan
    D = Measured(float(slopes.mean()), float(error), UNIT)
    said = f"collective D = {D.value:.3g} ± {D.error:.2g} cm²/s from {len(starts)} parts of {part_ps:g} ps"
    return CollectiveDiffusion(D, times, net, far_A2, said)


def haven_ratio(tracer: Measured, collective: Measured) -> Measured:
    """``D_tracer / D_collective`` with the two errors propagated as independent; NaN where either is missing.

    1 for atoms that move independently, below 1 where they follow each other.
    """
    if not (np.isfinite(tracer.value) and collective.value > 0):
        return Measured(float("nan"), float("nan"), "1")
    ratio = tracer.value / collective.value
    error = abs(ratio) * float(np.hypot(tracer.error / tracer.value, collective.error / collective.value))
    return Measured(ratio, error, "1")


@dataclass(frozen=True)
class Framework:
    """Whether the silicon stayed in place: ``state`` is ``solid``, ``rearranged`` or ``molten``; in words, too."""

    state: str
    msd_A2: float
    statement: str


def framework(msd_si: MSD, window_ps: tuple[float, float] | None = None, rattling_A2: float = 2.0) -> Framework:
    """Flag a run meant to be solid whose silicon moves away.

    Parameters
    ----------
    msd_si : MSD
        Of the silicon, against the centre of mass of all atoms.
    window_ps : (float, float), optional
        As in `tracer_diffusion`.
    rattling_A2 : float
        MSD of silicon that stays in place, at most: a third of a squared Si-Si bond (2.4 A).

    Returns
    -------
    Framework
        ``molten`` when silicon diffuses (its own tracer D is given), ``rearranged`` when it has moved by more than
        `rattling_A2` without diffusing, else ``solid``.
    """
    own = tracer_diffusion(msd_si, window_ps, min_msd_A2=rattling_A2)
    end_A2 = float(np.interp(own.window_ps[1], msd_si.lags_ps, msd_si.msd_A2))
    after = f"{end_A2:.2g} Å² after {own.window_ps[1]:g} ps"
    if own.diffusive:
        said = f"molten: the silicon diffuses too ({after}, D = {own.D.value:.2g} cm²/s). Not a number for a solid."
        return Framework("molten", end_A2, said)
    if end_A2 > rattling_A2:
        said = (
            f"rearranged: the silicon has moved ({after}) without settling. The structure is not the one at the start."
        )
        return Framework("rearranged", end_A2, said)
    return Framework("solid", end_A2, f"solid: the silicon rattles in place ({after})")
