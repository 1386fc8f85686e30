"""What the runs of one composition and temperature say, averaged over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lisi_nb.analysis import statistics, trust
from lisi_nb.analysis.diffusion import Diffusion, Framework, framework, haven_ratio, tracer_diffusion
from lisi_nb.analysis.msd import MSD
from lisi_nb.analysis.trust import NO_LOOKS, Trust
from lisi_nb.engine.run import Run
from lisi_nb.studies.lixsi.measure import DRIFT, Series, measure
from lisi_nb.studies.lixsi.params import name
from lisi_nb.units import Measured

LOW_CN = 2  # Si neighbours of a Li that is off its cluster (Artrith et al., section V)


@dataclass(frozen=True, eq=False)
class Result:
    """One composition at one temperature.

    Attributes
    ----------
    x, temperature_K : float
        Li per Si as run, and the temperature.
    tracer : Diffusion
        Of Li, or the plain statement why there is no number.
    silicon : Framework
        Whether the silicon stayed in place, rearranged, or diffuses (``molten``).
    li, si : MSD
        Mean over seeds; the groups are the seeds where there are several.
    share_by_cn, speed_by_cn : dict of int to Measured
        How often Li has so many Si within 3.5 A, and its speed then (A/ps; NaN below 1 %).
    quantities : dict of Measured
        Every number with error and unit.
    statements : dict of str
        What there is to say in words, also where there is no number.
    series : tuple of Series
        The runs behind it.
    """

    x: float
    temperature_K: float
    params: dict[str, Any]
    n_atoms: int
    n_runs: int
    tracer: Diffusion
    silicon: Framework
    li: MSD
    si: MSD
    share_by_cn: dict[int, Measured]
    speed_by_cn: dict[int, Measured]
    quantities: dict[str, Measured]
    statements: dict[str, str]
    series: tuple[Series, ...]
    trust_light: str
    warnings: tuple[str, ...] = ()
    model_deviation: Trust = NO_LOOKS  # over all runs

    def to_dict(self) -> dict[str, Any]:
        """For ``results.json``: every quantity as value, error, unit; the statements beside them."""
        return {
            "x": self.x,
            "temperature_K": self.temperature_K,
            "n_runs": self.n_runs,
            "trust": self.trust_light,
            "model_deviation": self.model_deviation.to_dict(),
            "warnings": list(self.warnings),
            "quantities": {key: value.to_dict() for key, value in self.quantities.items()},
            "statements": self.statements,
            "share_by_cn": {str(n): value.to_dict() for n, value in self.share_by_cn.items()},
            "speed_by_cn": {str(n): value.to_dict() for n, value in self.speed_by_cn.items()},
        }


def analyse(runs: Sequence[Run], window_ps: tuple[float, float] | None = None, drift: str = DRIFT) -> Result:
    """Analyse runs that differ only in their seed; with several, errors are over the seeds.

    Parameters
    ----------
    runs : sequence of Run
        Of one composition, temperature and set-up.
    window_ps : (float, float), optional
        Lags that are fitted; 10 to 50 % of the run by default. A run too short for it gives a statement, no number.
    drift : str
        What Li is followed against: ``"Si"`` (the framework), ``"all"`` (centre of mass) or ``"none"``.

    Raises
    ------
    ValueError
        No run, too few frames, or runs that differ in more than the seed.
    """
    if not runs:
        raise ValueError("No run was given. Pass a list of runs, such as [run].")
    keys = [{k: v for k, v in run.params.items() if k != "seed"} for run in runs]
    for run, other in zip(runs, keys, strict=True):
        different = sorted(k for k in other if other[k] != keys[0].get(k))
        if different:
            raise ValueError(f"{run.id} differs from {runs[0].id} in {', '.join(different)}. Average over seeds only.")
    series = tuple(measure(run, drift) for run in runs)
    li, si = pooled([s.li for s in series]), pooled([s.si for s in series])
    tracer, silicon = tracer_diffusion(li, window_ps), framework(si, window_ps)
    net = [s.collective.D for s in series]
    shares, speeds = by_neighbours(series)
    low = [float(s.mobility.share[s.mobility.counts <= LOW_CN].sum()) for s in series]
    each = [s.quantities for s in series]
    collective = statistics.over_seeds(net)
    quantities = {
        "tracer_D": tracer.D,
        "collective_D": collective,
        "haven_ratio": haven_ratio(tracer.D, collective),
        "li_msd_end": _at(li, tracer.window_ps[1]),
        "si_msd_end": _at(si, tracer.window_ps[1]),
        **{key: statistics.over_seeds([q[key] for q in each]) for key in each[0]},
        f"share_cn_up_to_{LOW_CN}": statistics.over_seeds([Measured(v, float("nan"), "1") for v in low]),
        "moves_to_another_cluster": statistics.over_seeds([s.moves.to_another for s in series]),
        "hop_rate": statistics.over_seeds([s.hops.rate_per_ps for s in series]),
        "hop_distance": statistics.over_seeds([_mean(s.hops.distance_A) for s in series]),
    }
    limits = runs[0].trust_eV_A
    lights = [trust.trust(s.deviation_eV_A, *limits).light for s in series]
    warnings = {w for s in series for w in s.warnings} | ({silicon.statement} if silicon.state != "solid" else set())
    n_net = sum(math.isfinite(d.value) for d in net)
    return Result(
        x=_composition(runs[0]),
        temperature_K=float(keys[0]["temperature_K"]),
        params=keys[0],
        n_atoms=runs[0].manifest["structure"]["n_atoms"],
        n_runs=len(runs),
        tracer=tracer,
        silicon=silicon,
        li=li,
        si=si,
        share_by_cn=shares,
        speed_by_cn=speeds,
        quantities=quantities,
        statements={
            "lithium": tracer.statement,
            "silicon": silicon.statement,
            "collective": f"{n_net} of {len(series)} runs give a number; the first: {series[0].collective.statement}",
            "moves": series[0].moves.statement,
            "hops": series[0].hops.statement,
            "contacts": series[0].contacts.statement,
            "speed": f"of Li by its Si neighbours: distance moved in {series[0].mobility.lag_ps:g} ps, per ps",
        },
        series=series,
        trust_light=next(light for light in ("red", "amber", "unknown", "green") if light in lights),
        warnings=tuple(sorted(warnings)),
        model_deviation=trust.trust(np.concatenate([s.deviation_eV_A for s in series]), *limits),
    )


def analyse_each(runs: Sequence[Run]) -> dict[str, Result]:
    """`analyse` runs of several compositions and temperatures; seeds are averaged. Keys are as ``Li2.25Si-800K``."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(name(run.params["x"], run.params["temperature_K"]), []).append(run)
    return {key: analyse(group) for key, group in groups.items()}


def pooled(each: Sequence[MSD]) -> MSD:
    """Mean square displacement over several runs, up to the longest lag all of them have; the runs are its groups.

    A single run keeps its own groups of atoms, whose error is that of this run alone.
    """
    if len(each) == 1:
        return each[0]
    n = min(len(m.lags_ps) for m in each)
    by_run = np.array([m.msd_A2[:n] for m in each])
    return MSD(each[0].lags_ps[:n], by_run.mean(axis=0), by_run, "runs")


def by_neighbours(series: Sequence[Series]) -> tuple[dict[int, Measured], dict[int, Measured]]:
    """Share of time and speed of Li by its number of Si neighbours, over the seeds."""
    shares: dict[int, Measured] = {}
    speeds: dict[int, Measured] = {}
    for n in sorted({int(c) for s in series for c in s.mobility.counts}):
        share, speed = [], []
        for m in (s.mobility for s in series):
            at = np.flatnonzero(m.counts == n)
            share.append(Measured(float(m.share[at].sum()), float("nan"), "1"))
            here = (float(m.speed_A_ps[at[0]]), float(m.error_A_ps[at[0]])) if len(at) else (math.nan, math.nan)
            speed.append(Measured(*here, "A/ps"))
        shares[n], speeds[n] = statistics.over_seeds(share), statistics.over_seeds(speed)
    return shares, speeds


def _at(msd: MSD, lag_ps: float) -> Measured:
    """The mean square displacement at a lag, NaN beyond the longest."""
    value, error = (np.interp(lag_ps, msd.lags_ps, y, right=np.nan) for y in (msd.msd_A2, msd.error_A2))
    return Measured(float(value), float(error), "A^2")


def _mean(values: np.ndarray) -> Measured:
    n = len(values)
    error = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Measured(float(values.mean()) if n else float("nan"), error, "A")


def _composition(run: Run) -> float:
    """Li per Si of the structure that was run."""
    n_atoms, (a, b, c) = run.manifest["structure"]["n_atoms"], map(int, run.params["repeats"].split("x"))
    n_si = 16 * a * b * c
    return (n_atoms - n_si) / n_si
