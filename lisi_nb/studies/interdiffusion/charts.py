"""Charts of the interdiffusion study; `lisi_nb.plots.draw` draws them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lisi_nb import potentials, published
from lisi_nb.analysis import profiles
from lisi_nb.charts import Chart, Curve, with_published
from lisi_nb.engine.run import Run
from lisi_nb.studies.interdiffusion.analyse import CN_CUTOFF_A, Result, Series, measure


def profile_chart(series: Series, n_lines: int = 12) -> Chart:
    """Li fraction along z from the first to the last window (Fig. 2 of the paper)."""
    windows = np.unique(np.linspace(0, len(series.time_ps) - 1, n_lines).astype(int))
    lines = [
        Curve(series.centres_A, series.fraction[w], f"{series.time_ps[w]:g} ps", shade=w / max(1, windows[-1]))
        for w in windows
    ]
    start = Curve(np.full(2, series.boundary_A), np.array([0.0, 1.0]), "boundary at t = 0", style="level")
    return Chart("Li fraction along the interface normal", "z (Å)", "N_Li / (N_Li + N_Si)", (*lines, start))


def fronts_chart(series: Series) -> Chart:
    """How far both fronts have moved from the first boundary."""
    left = Curve(series.time_ps, series.boundary_A - series.left_A, "left front, into Si", colour="Si")
    right = Curve(series.time_ps, series.right_A - series.boundary_A, "right front, into Li", colour="Li", dash=1)
    return Chart("Front displacements", "time (ps)", "displacement (Å)", (left, right))


def density_chart(series: Series) -> Chart:
    """Number densities along z in the last windows (Fig. 3 of the paper)."""
    last = max(1, round(0.04 * len(series.time_ps)))
    si = Curve(series.centres_A, 1000 * profiles.smooth(series.si_per_A3[-last:].mean(axis=0), 3), "Si", colour="Si")
    dense_li = 1000 * profiles.smooth(series.li_per_A3[-last:].mean(axis=0), 3)
    li = Curve(series.centres_A, dense_li, "Li", colour="Li", dash=1)
    return Chart("Number densities at the end", "z (Å)", "density (nm⁻³)", (si, li))


def coordination_chart(series: Series) -> Chart:
    """Si neighbours of a Li atom along z at the end (SI Fig. 3 of the paper)."""
    curve = Curve(series.centres_A, series.cn_li_si, f"Si within {CN_CUTOFF_A} Å of a Li", colour="Li")
    return Chart("Li-Si coordination at the end", "z (Å)", "CN_Li-Si", (curve,))


def deviation_chart(series: Series, low_eV_A: float, high_eV_A: float) -> Chart:
    """Largest force deviation of the ensemble against time, with the trust thresholds."""
    span = np.array([0.0, series.duration_ps])
    return Chart(
        "Do the potential's members agree?",
        "time (ps)",
        "max force deviation (eV/Å)",
        (
            Curve(series.deviation_time_ps, series.deviation_eV_A, "this run"),
            Curve(span, np.full(2, low_eV_A), "accurate below", style="level"),
            Curve(span, np.full(2, high_eV_A), "failed above", style="level"),
        ),
    )


def live(run: Run) -> tuple[Chart, ...]:
    """The study's live physics for the monitor: profile and fronts so far (empty until there are frames)."""
    try:
        series = measure(run, neighbours=False)
    except (ValueError, FileNotFoundError):
        return ()
    return profile_chart(series, 8), fronts_chart(series)


def fronts_overlay(results: Mapping[str, Result]) -> tuple[Chart, Chart]:
    """Left and right front displacements of several interfaces, mean over seeds with its standard error."""
    left: list[Curve] = []
    right: list[Curve] = []
    for k, (name, result) in enumerate(results.items()):
        n = min(len(s.time_ps) for s in result.series)
        time_ps = result.series[0].time_ps[:n]
        for curves, moved in (
            (left, [s.boundary_A - s.left_A[:n] for s in result.series]),
            (right, [s.right_A[:n] - s.boundary_A for s in result.series]),
        ):
            error = np.std(moved, axis=0, ddof=1) / np.sqrt(len(moved)) if len(moved) > 1 else None
            curves.append(Curve(time_ps, np.mean(moved, axis=0), name, error, dash=k))
    y_label = "displacement (Å)"
    return (
        Chart("Left front, into silicon", "time (ps)", y_label, tuple(left)),
        Chart("Right front, into lithium", "time (ps)", y_label, tuple(right)),
    )


def length_chart(results: Mapping[str, Result]) -> Chart:
    """Lithiation length of each interface with its error, and the paper's, of another temperature and time."""
    curves = [
        Curve(
            np.array([k]),
            np.array([r.quantities["lithiation_length"].value]),
            name,
            np.array([np.nan_to_num(r.quantities["lithiation_length"].error)]),
            style="points",
        )
        for k, (name, r) in enumerate(results.items())
    ]
    chart = Chart("Lithiation length", "interface", "length (Å)", tuple(curves), tuple(results))
    found = {k: published.find("interdiffusion", "lithiation_length", name) for k, name in enumerate(results)}
    paper = {k: rows[0].value for k, rows in found.items() if rows}
    return with_published(chart, np.array(list(paper)), np.array(list(paper.values())), "paper: 500 K, 5 ns")


def figures(results: Mapping[str, Result]) -> dict[str, tuple[Chart, ...]]:
    """All figures of the study's report: name -> charts drawn side by side."""
    out: dict[str, tuple[Chart, ...]] = {"fronts": (*fronts_overlay(results), length_chart(results))}
    for name, result in results.items():
        first = result.series[0]
        low, high = potentials.get(result.params["potential"]).card["validity"]["trust_eV_A"]
        out[f"profile-{name}"] = (profile_chart(first), density_chart(first))
        out[f"checks-{name}"] = (coordination_chart(first), deviation_chart(first, low, high))
    return out
