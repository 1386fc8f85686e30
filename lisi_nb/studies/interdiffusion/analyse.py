"""What an interdiffusion run measured: fronts, lithiation length, fluxes, widths, composition, trust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lisi_nb.analysis import bonding, profiles, statistics, trust
from lisi_nb.analysis.profiles import ProfileAccumulator
from lisi_nb.analysis.trust import NO_LOOKS, Trust
from lisi_nb.engine.parse import Frame
from lisi_nb.engine.run import Run
from lisi_nb.units import A_PER_PS_IN_CM_S, PER_A2_PS_IN_PER_NM2_NS, Measured

Array = np.ndarray
BIN_A = 1.0
PAPER_BIN_A = 3  # in units of BIN_A: the paper's bins are 3.0 to 3.3 A
NEIGHBOUR_FRAMES = 150  # frames whose neighbours are counted; spread over the whole run
CN_CUTOFF_A = 3.3


@dataclass(frozen=True)
class Series:
    """One run reduced to arrays; times in ps, lengths in A.

    Attributes
    ----------
    time_ps, left_A, right_A, left_bins_A, right_bins_A : (n_windows,) array
        Window centres and the fronts: interpolated, and by the paper's bins.
    centres_A : (n_bins,) array
        Bin centres along z.
    fraction, si_per_A3, li_per_A3 : (n_windows, n_bins) array
        Li fraction and number densities.
    boundary_A, area_A2, duration_ps : float
        First Si | Li boundary, cross-section, simulated time.
    bulk_time_ps, bulk_si : (n,) array
        Number of silicon atoms that are still silicon-like.
    cn_li_si : (n_bins,) array
        Mean number of Si within `CN_CUTOFF_A` of a Li atom, in the last tenth of the run.
    deviation_time_ps, deviation_eV_A : (n,) array
        Largest force deviation of the ensemble.
    """

    time_ps: Array
    left_A: Array
    right_A: Array
    left_bins_A: Array
    right_bins_A: Array
    centres_A: Array
    fraction: Array
    si_per_A3: Array
    li_per_A3: Array
    boundary_A: float
    area_A2: float
    duration_ps: float
    si_bulk_per_A3: float
    bulk_time_ps: Array
    bulk_si: Array
    cn_li_si: Array
    deviation_time_ps: Array
    deviation_eV_A: Array


@dataclass(frozen=True)
class Result:
    """Numbers with error and unit, and the series of each run behind them."""

    interface: str
    params: dict[str, Any]
    n_atoms: int
    n_runs: int
    quantities: dict[str, Measured]
    series: tuple[Series, ...]
    trust_light: str
    warnings: tuple[str, ...] = ()
    model_deviation: Trust = NO_LOOKS  # over all runs

    def to_dict(self) -> dict[str, Any]:
        """For ``results.json``: every quantity as value, error, unit."""
        return {
            "interface": self.interface,
            "n_runs": self.n_runs,
            "trust": self.trust_light,
            "model_deviation": self.model_deviation.to_dict(),
            "warnings": list(self.warnings),
            "quantities": {name: value.to_dict() for name, value in self.quantities.items()},
        }


def measure(run: Run, neighbours: bool = True) -> Series:
    """Reduce one run (finished, or as far as it has come) to a `Series`; streams the trajectory once.

    Without `neighbours`, which take most of the time, `bulk_si` and `cn_li_si` stay without numbers.

    Raises
    ------
    ValueError
        The trajectory has no frame yet.
    """
    params = run.params
    step_ps = params["timestep_fs"] / 1000
    n_frames = run.n_frames
    if n_frames < 2:
        raise ValueError(f"{run.id} has {n_frames} frames; at least 2 are needed. Let it run on, or shorten frame_ps.")
    per_window = max(1, round(params["window_ps"] / params["frame_ps"]))
    n_windows = max(1, n_frames // per_window)
    look_every = max(1, n_frames // NEIGHBOUR_FRAMES)
    first: Frame | None = None
    bulk_time, bulk_si = [], []
    cn_sum, cn_n, counts = np.zeros(0), np.zeros(0), None
    last_step = 0
    for index, frame in enumerate(run.frames()):
        z, is_li = frame.positions_A[:, 2], frame.is_li
        if counts is None:
            first = frame
            low, high = float(frame.box_A[2, 0]), float(frame.box_A[2, 1])
            edges = low + BIN_A * np.arange(int(np.ceil((high - low) / BIN_A)) + 1)
            counts = ProfileAccumulator(edges, n_windows)
            cn_sum, cn_n = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
        if index < n_windows * per_window:
            counts.add(index // per_window, z, is_li)
            last_step = frame.step
        if not neighbours:
            continue
        if index % look_every == 0:
            bulk_time.append(frame.step * step_ps)
            bulk_si.append(int(bonding.bulk_silicon(frame.positions_A, frame.box_A, is_li).sum()))
        if index >= 0.9 * n_frames and index % max(1, look_every // 4) == 0:
            n = bonding.neighbour_counts(frame.positions_A, frame.box_A, is_li, ~is_li, CN_CUTOFF_A)
            at = np.clip(((z[is_li] - edges[0]) / BIN_A).astype(int), 0, len(cn_n) - 1)
            cn_sum += np.bincount(at, weights=n, minlength=len(cn_n))
            cn_n += np.bincount(at, minlength=len(cn_n))
    assert first is not None
    assert counts is not None
    boundary, area, si_density = _start(first)
    centres = 0.5 * (counts.edges_A[1:] + counts.edges_A[:-1])
    fraction = counts.li_fraction()
    found = [profiles.fronts(centres, f) for f in fraction]
    coarse = counts.coarsened(PAPER_BIN_A)
    by_bins = [profiles.fronts_by_bins(coarse.edges_A, f, boundary) for f in coarse.li_fraction()]
    deviation = run.model_deviation()
    volume = BIN_A * area * counts.frames[:, None]
    return Series(
        time_ps=(np.arange(n_windows) + 0.5) * per_window * params["frame_ps"],
        left_A=np.array([f.left_A for f in found]),
        right_A=np.array([f.right_A for f in found]),
        left_bins_A=np.array([f.left_A for f in by_bins]),
        right_bins_A=np.array([f.right_A for f in by_bins]),
        centres_A=centres,
        fraction=fraction,
        si_per_A3=counts.si / volume,
        li_per_A3=counts.li / volume,
        boundary_A=boundary,
        area_A2=area,
        duration_ps=last_step * step_ps,
        si_bulk_per_A3=si_density,
        bulk_time_ps=np.array(bulk_time),
        bulk_si=np.array(bulk_si, dtype=float),
        cn_li_si=np.divide(cn_sum, cn_n, out=np.full(len(cn_n), np.nan), where=cn_n > 0),
        deviation_time_ps=deviation["step"] * step_ps,
        deviation_eV_A=deviation["max_devi_f_eV_A"],
    )


def _start(first: Frame) -> tuple[float, float, float]:
    """Boundary (A), cross-section (A2) and silicon number density (1/A3) of the first frame."""
    z_si, z_li = first.positions_A[~first.is_li, 2], first.positions_A[first.is_li, 2]
    boundary = 0.5 * float(z_si.max() + z_li.min())
    area = float(np.prod(np.ptp(first.box_A, axis=1)[:2]))
    low, high = np.percentile(z_si, (15, 85))
    inner = (z_si >= low) & (z_si < high)
    density = inner.sum() / (area * (high - low)) if high > low else np.nan
    return boundary, area, float(density)


def quantities(series: Series) -> dict[str, Measured]:
    """The numbers of one run, by the paper's definitions and by the unbiased ones.

    ``*_paper_bins`` uses 3 A bins as the paper does (whole bins only). ``si_flux`` counts atoms that left the
    silicon-like state per area over the whole run; ``si_flux_recession`` is density times left displacement.
    """
    end_ps = float(series.time_ps[-1])  # the fronts at the end are those of the last window, at its centre
    duration = series.duration_ps
    length = statistics.end_of_trend(series.right_A - series.left_A, "A")
    left = statistics.end_of_trend(series.boundary_A - series.left_A, "A")
    right = statistics.end_of_trend(series.right_A - series.boundary_A, "A")
    bins = statistics.end_of_trend(series.right_bins_A - series.left_bins_A, "A")
    bulk = statistics.end_of_trend(series.bulk_si, "1")
    per_flux = PER_A2_PS_IN_PER_NM2_NS / (series.area_A2 * duration)
    recession = series.si_bulk_per_A3 * PER_A2_PS_IN_PER_NM2_NS / end_ps
    speed = A_PER_PS_IN_CM_S / end_ps
    last = max(1, round(0.04 * len(series.time_ps)))
    si = profiles.smooth(series.si_per_A3[-last:].mean(axis=0), 3)
    li = profiles.smooth(series.li_per_A3[-last:].mean(axis=0), 3)
    front = profiles.Fronts(float(series.left_A[-1]), float(series.right_A[-1]))
    top = series.centres_A[np.flatnonzero(li > 0.3 * np.nanmax(li))[-1]]
    pure_li = (series.centres_A > front.right_A + 3) & (series.centres_A < top - 4)
    li_plateau = float(li[pure_li].mean()) if pure_li.sum() >= 3 else float("nan")
    below_top = series.centres_A < top - 2
    x_plateau = _plateau_compositions(series)
    kinks = [profiles.kink(series.centres_A, f, front) for f in series.fraction[-max(3, last) :]]
    x_kink = np.array([k / (1 - k) for k in kinks if not np.isnan(k) and k < 1])
    return {
        "lithiation_length": length,
        "lithiation_length_paper_bins": Measured(bins.value, max(bins.error, float(PAPER_BIN_A)), "A"),
        "left_front_displacement": left,
        "right_front_displacement": right,
        "left_front_speed": _scaled(left, speed, "cm/s"),
        "right_front_speed": _scaled(right, speed, "cm/s"),
        "si_flux": Measured((series.bulk_si[0] - bulk.value) * per_flux, bulk.error * per_flux, "nm^-2 ns^-1"),
        "si_flux_recession": _scaled(left, recession, "nm^-2 ns^-1"),
        "si_width_10_90": Measured(
            profiles.width_10_90(series.centres_A[below_top], si[below_top], series.si_bulk_per_A3), float("nan"), "A"
        ),
        "li_width_10_90": Measured(
            profiles.width_10_90(series.centres_A[below_top], li[below_top], li_plateau), float("nan"), "A"
        ),
        "plateau_composition": statistics.block_mean(x_plateau[-max(10, len(x_plateau) // 3) :], "1"),
        "transition_composition": Measured(
            float(x_kink.mean()) if len(x_kink) else float("nan"),
            float(x_kink.std(ddof=1) / np.sqrt(len(x_kink))) if len(x_kink) > 1 else float("nan"),
            "1",
        ),
        "max_force_deviation": Measured(
            float(series.deviation_eV_A.max()) if len(series.deviation_eV_A) else float("nan"), float("nan"), "eV/A"
        ),
        "mean_force_deviation": statistics.block_mean(series.deviation_eV_A, "eV/A"),
    }


def _scaled(measured: Measured, factor: float, unit: str) -> Measured:
    return Measured(measured.value * factor, measured.error * abs(factor), unit)


def _plateau_compositions(series: Series) -> Array:
    """X of LixSi per window in the middle half of the alloy; NaN where the fronts are closer than 4 A."""
    out = np.full(len(series.time_ps), np.nan)
    for w in range(len(out)):
        left, right = series.left_A[w], series.right_A[w]
        quarter = 0.25 * (right - left)
        middle = (series.centres_A > left + quarter) & (series.centres_A < right - quarter)
        n_si = series.si_per_A3[w, middle].sum()
        if right - left >= 4 and n_si > 0:
            out[w] = series.li_per_A3[w, middle].sum() / n_si
    return out


def analyse(runs: Sequence[Run]) -> Result:
    """Analyse runs that differ only in their seed; with several, errors are over the seeds.

    Raises
    ------
    ValueError
        No run, a run without frames, or runs that differ in more than the seed.
    """
    if not runs:
        raise ValueError("No run was given. Pass a list of runs, such as [run].")
    keys = [{k: v for k, v in run.params.items() if k != "seed"} for run in runs]
    for run, other in zip(runs, keys, strict=True):
        different = sorted(k for k in other if other[k] != keys[0].get(k))
        if different:
            raise ValueError(f"{run.id} differs from {runs[0].id} in {', '.join(different)}. Average over seeds only.")
    series = tuple(measure(run) for run in runs)
    each = [quantities(s) for s in series]
    limits = runs[0].trust_eV_A
    lights = [trust.trust(s.deviation_eV_A, *limits).light for s in series]
    worst = next(light for light in ("red", "amber", "unknown", "green") if light in lights)
    return Result(
        interface=keys[0]["interface"],
        params=keys[0],
        n_atoms=runs[0].manifest["structure"]["n_atoms"],
        n_runs=len(runs),
        quantities={name: statistics.over_seeds([q[name] for q in each]) for name in each[0]},
        series=series,
        trust_light=worst,
        warnings=tuple(sorted({w for run in runs for w in run.manifest["structure"].get("warnings", [])})),
        model_deviation=trust.trust(np.concatenate([s.deviation_eV_A for s in series]), *limits),
    )
