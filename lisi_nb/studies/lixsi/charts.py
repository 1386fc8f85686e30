"""Charts of the bulk LixSi study; `lisi_nb.plots.draw` draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lisi_nb import potentials
from lisi_nb.analysis.clusters import KINDS
from lisi_nb.analysis.displacements import displacements
from lisi_nb.analysis.energetics import convex_hull
from lisi_nb.analysis.msd import mean_square_displacement
from lisi_nb.analysis.pair_distribution import PairDistribution
from lisi_nb.charts import Chart, Curve
from lisi_nb.engine.run import Run
from lisi_nb.studies.lixsi.across import PAPER_SPAN_K, ROOM_K, arrhenius_of, by_composition, experiments, paper_D_cm2_s
from lisi_nb.studies.lixsi.analyse import Result
from lisi_nb.studies.lixsi.measure import DRIFT, SYMBOLS, frame_time_ps, positions, sampled
from lisi_nb.studies.lixsi.thermodynamics import Amorphous, Thermodynamics

LIVE_FRAMES = 200  # of the run so far: a monitor asks again and again
LONGEST_LAGS = 0.5  # of the run: beyond, few origins are left
X_LABEL = "x in LixSi"
INVERSE_T, LOG_D = "1000 / T (1/K)", "log10 of D in cm²/s"


def _log10(values: np.ndarray) -> np.ndarray:
    return np.log10(np.asarray(values, dtype=float))


def live(run: Run) -> tuple[Chart, ...]:
    """Mean square displacements so far, of Li and of Si, from at most 200 frames (empty until sampling goes on)."""
    segment = sampled(run)
    n_frames = segment.n_frames if segment else 0
    if segment is None or n_frames < 4:
        return ()
    first = next(segment.frames())
    if first.is_li.all() or not first.is_li.any():
        return ()
    every = max(1, n_frames // LIVE_FRAMES)
    n, symbols = len(range(0, n_frames, every)), list(SYMBOLS[first.is_li.astype(int)])
    frames = [p for _, p in zip(range(n), positions(segment, every), strict=False)]
    curves = []
    for element, drift in (("Li", DRIFT), ("Si", "all")):
        moved = displacements(
            frames, every * frame_time_ps(run), cell_A=None, symbols=symbols, element=element, drift=drift
        )
        msd = mean_square_displacement(moved, n_groups=1)
        short = msd.lags_ps <= LONGEST_LAGS * msd.lags_ps[-1]
        curves.append(Curve(msd.lags_ps[short], msd.msd_A2[short], element, colour=element))
    return (Chart("Mean square displacement so far", "time between two looks (ps)", "MSD (Å²)", tuple(curves)),)


def msd_chart(result: Result) -> Chart:
    """Mean square displacement of Li and Si with error, and the lags that are fitted."""
    curves = []
    for msd, element in ((result.li, "Li"), (result.si, "Si")):
        short = msd.lags_ps <= LONGEST_LAGS * msd.lags_ps[-1] * (1 + 1e-9)
        error = np.nan_to_num(msd.error_A2[short])
        curves.append(Curve(msd.lags_ps[short], msd.msd_A2[short], element, error, colour=element))
    top = max(float(c.y.max()) for c in curves)
    for lag, label in zip(result.tracer.window_ps, ("fitted from", "to"), strict=True):
        curves.append(Curve(np.full(2, lag), np.array([0.0, top]), f"{label} {lag:g} ps", style="level"))
    title = f"Mean square displacement, Li{result.x:.2f}Si, {result.temperature_K:g} K"
    return Chart(title, "time between two looks (ps)", "MSD (Å²)", tuple(curves))


def arrhenius_chart(results: Sequence[Result], quantity: str = "tracer_D") -> Chart:
    """One composition: points, line with its 95 % band down to 300 K (of a melt only as far as the points), the paper's
    line, measured D (Fig. S14).
    """
    curves: list[Curve] = []
    good = [r for r in results if r.quantities[quantity].value > 0]
    if good:
        t = np.array([r.temperature_K for r in good])
        D = np.array([r.quantities[quantity].value for r in good])
        error = np.nan_to_num([r.quantities[quantity].error for r in good]) / D / np.log(10)
        curves.append(Curve(1000 / t, _log10(D), "this study", error, style="points"))
    line = arrhenius_of(results, quantity)
    inverse = np.linspace(1000 / PAPER_SPAN_K[1], 1000 / ROOM_K, 40)
    if line.fit.fitted:
        coolest_K = min(r.temperature_K for r in good) if line.molten_K else ROOM_K  # a melt's line ends with the melt
        along = np.linspace(1000 / PAPER_SPAN_K[1], 1000 / coolest_K, 40)
        low, high = line.fit.band_cm2_s(1000 / along)
        band = 0.5 * (_log10(high) - _log10(low))
        label = "line of a melt, 95 % band" if line.molten_K else "line, 95 % band"
        curves.append(Curve(along, _log10(line.fit.D_cm2_s(1000 / along)), label, band))
    ends = inverse[[0, -1]]
    paper = paper_D_cm2_s(line.x, 1000 / ends)
    if np.isfinite(paper).all():
        curves.append(Curve(ends, _log10(paper), "paper (Table I)", style="paper"))
    measured = _log10(np.array([r.value for r in experiments()]))
    curves.append(Curve(np.full(len(measured), ends[-1]), measured, "measured (Table S1)", style="paper"))
    return Chart(f"Diffusion of Li in Li{line.x:.2f}Si", INVERSE_T, LOG_D, tuple(curves))


def composition_chart(results: Mapping[str, Result], quantity: str = "tracer_D") -> Chart:
    """D against x at each temperature."""
    curves = []
    for k, t in enumerate(sorted({r.temperature_K for r in results.values()})):
        good = [r for r in results.values() if r.temperature_K == t and r.quantities[quantity].value > 0]
        good.sort(key=lambda r: r.x)
        D = np.array([r.quantities[quantity].value for r in good])
        error = np.nan_to_num([r.quantities[quantity].error for r in good]) / D / np.log(10)
        curves.append(Curve(np.array([r.x for r in good]), _log10(D), f"{t:g} K", error, style="points", dash=k))
    return Chart("Diffusion of Li against composition", X_LABEL, LOG_D, tuple(curves))


def speed_chart(results: Mapping[str, Result]) -> Chart:
    """Speed of Li against its number of Si neighbours (Fig. 3a of the paper)."""
    return _by_neighbours(results, "speed_by_cn", "Speed of Li by its silicon neighbours", "speed (Å/ps)")


def neighbours_chart(results: Mapping[str, Result]) -> Chart:
    """How often Li has so many Si neighbours (Fig. S9 of the paper)."""
    return _by_neighbours(results, "share_by_cn", "Silicon neighbours of Li", "share of the time")


def hull_chart(crystals: Thermodynamics, disordered: Mapping[str, Amorphous] | None = None) -> Chart:
    """Formation energies per atom, the hull, PBE, and amorphous branches with the hull of each (Fig. 1a of the paper).

    `disordered` names the branches by how they were made, such as ``{"ordered by search": branch}``.
    """
    f = np.array([c.n_li / (c.n_li + c.n_si) for c in crystals.crystals])
    known = [(x, c.pbe_eV) for x, c in zip(f, crystals.crystals, strict=True) if np.isfinite(c.pbe_eV)]
    curves = [
        Curve(f, np.array([c.formation_eV for c in crystals.crystals]), "crystals", style="points"),
        Curve(crystals.hull.li_fraction, crystals.hull.per_atom_eV, "hull"),
        Curve(np.array([x for x, _ in known]), np.array([e for _, e in known]), "PBE", style="paper"),
    ]
    for k, (name, found) in enumerate((disordered or {}).items(), start=1):
        branch, below = found.phases, convex_hull(found.phases)
        curves.append(Curve(branch.li_fraction, branch.per_atom_eV, f"amorphous, {name}", style="points", dash=k))
        curves.append(Curve(below.li_fraction, below.per_atom_eV, f"its hull, {name}", dash=k))
    return Chart("Formation energy at 0 K", "N_Li / (N_Li + N_Si)", "energy (eV/atom)", tuple(curves))


def voltage_chart(crystals: Thermodynamics) -> Chart:
    """Voltage steps along the hull, along the PBE phases, and measured (Fig. S3 of the paper)."""
    x = np.array([end for s in crystals.steps for end in (s.x_low, s.x_high)])
    volts = np.repeat([s.volt_V for s in crystals.steps], 2)
    x_of = {"Si": 0.0} | {c.name: c.x for c in crystals.crystals}
    chain = [v for v in crystals.voltages if np.isfinite(v.pbe_V) and (v.before, v.after) != ("Si", "Li12Si7")]
    pbe = Curve(
        np.array([end for v in chain for end in (x_of[v.before], x_of[v.after])]),
        np.repeat([v.pbe_V for v in chain], 2), "PBE", style="paper",
    )  # fmt: skip
    measured = [v for v in crystals.voltages if np.isfinite(v.experiment_V)]
    at_415_C = Curve(
        np.array([end for v in measured for end in (x_of[v.before], x_of[v.after])]),
        np.repeat([v.experiment_V for v in measured], 2), "experiment, 415 °C", dash=2,
    )  # fmt: skip
    curves = (Curve(x, volts, "this potential"), pbe, *((at_415_C,) if measured else ()))
    return Chart("Voltage at 0 K", X_LABEL, "voltage against Li (V)", curves)


def _by_neighbours(results: Mapping[str, Result], field: str, title: str, y_label: str) -> Chart:
    curves = []
    for k, (name, r) in enumerate(results.items()):
        found = {n: v for n, v in getattr(r, field).items() if np.isfinite(v.value)}
        y = np.array([v.value for v in found.values()])
        error = np.nan_to_num([v.error for v in found.values()])
        curves.append(Curve(np.array(list(found), dtype=float), y, name, error, dash=k))
    return Chart(title, "Si within 3.5 Å of a Li", y_label, tuple(curves))


def clusters_chart(results: Mapping[str, Result]) -> Chart:
    """Share of the silicon in each kind of cluster against x; results of one temperature."""
    found = sorted(results.values(), key=lambda r: r.x)
    x = np.array([r.x for r in found])
    curves = []
    for k, kind in enumerate(KINDS):
        share = [r.quantities[f"share_{kind}"] for r in found]
        error = np.nan_to_num([v.error for v in share])
        curves.append(Curve(x, np.array([v.value for v in share]), kind, error, dash=k))
    return Chart(
        f"Kinds of silicon clusters, {found[0].temperature_K:g} K", X_LABEL, "share of the silicon", tuple(curves)
    )


def pdf_chart(found: Mapping[str, PairDistribution]) -> Chart:
    """Total g(r) of each, as broad as it was made (Fig. S7 of the paper, up to 0.3 Å)."""
    fwhm = " and ".join(f"{w:g} Å" for w in sorted({g.fwhm_A for g in found.values()}))
    curves = [
        Curve(g.r_A, g.total, name, np.nan_to_num(g.total_error), dash=k) for k, (name, g) in enumerate(found.items())
    ]
    return Chart(f"Pair distribution, Gaussian of {fwhm}", "distance (Å)", "g(r)", tuple(curves))


def partials_chart(name: str, found: PairDistribution) -> Chart:
    """g(r) of each pair of elements."""
    curves = [Curve(found.r_A, g, "-".join(pair), dash=k) for k, (pair, g) in enumerate(found.partials.items())]
    return Chart(f"Pairs of elements, {name}", "distance (Å)", "g(r)", tuple(curves))


def deviation_chart(result: Result) -> Chart:
    """Largest force deviation of the ensemble while sampling, with the trust thresholds."""
    low, high = potentials.get(result.params["potential"]).card["validity"]["trust_eV_A"]
    n = max(len(s.deviation_eV_A) for s in result.series)
    looks = [
        Curve(np.arange(len(s.deviation_eV_A)), s.deviation_eV_A, f"run {k + 1}") for k, s in enumerate(result.series)
    ]
    marks = [
        Curve(np.array([0.0, n]), np.full(2, value), text, style="level")
        for value, text in ((low, "accurate below"), (high, "failed above"))
    ]
    return Chart("Do the potential's members agree?", "look", "max force deviation (eV/Å)", (*looks, *marks))


def figures(results: Mapping[str, Result]) -> dict[str, tuple[Chart, ...]]:
    """All figures of the study's report: name -> charts drawn side by side."""
    lowest = min(r.temperature_K for r in results.values())  # where compositions differ most
    cool = {name: r for name, r in results.items() if r.temperature_K == lowest}
    out: dict[str, tuple[Chart, ...]] = {
        "arrhenius": tuple(arrhenius_chart(each) for each in by_composition(results).values()),
        "diffusion": (composition_chart(results),),
        "neighbours": (speed_chart(cool), neighbours_chart(cool), clusters_chart(cool)),
    }
    for name, result in results.items():
        out[f"run-{name}"] = (msd_chart(result), deviation_chart(result))
    return out
