"""Charts of the nanoparticle study; `lisi_nb.plots.draw` draws them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from lisi_nb import potentials, published
from lisi_nb.analysis.clusters import KINDS, silicon_clusters
from lisi_nb.charts import Chart, Curve, with_published
from lisi_nb.engine.run import Run, Segment
from lisi_nb.studies.nanoparticle.analyse import Composition, Result, measure_segment

X_LABEL = "x in LixSi"


def formation_chart(results: Mapping[str, Result]) -> Chart:
    """Formation energy per Si of each family against composition (Fig. 1 of the paper)."""
    curves = [
        Curve(np.array([c.x for c in p]), np.array([c.formation_eV_si for c in p]), name if k == 0 else "", dash=j)
        for j, (name, result) in enumerate(results.items())
        for k, p in enumerate(result.particles)
    ]
    return Chart("Formation energy of the particles", X_LABEL, "energy (eV per Si)", tuple(curves))


def coordination_chart(results: Mapping[str, Result]) -> Chart:
    """Si neighbours of a Si against composition."""
    curves = []
    for k, (name, result) in enumerate(results.items()):
        measured = result.over_seeds("si_si")
        x = np.array([c.x for c in result.compositions[: len(measured)]])
        error = np.nan_to_num([m.error for m in measured])
        curves.append(Curve(x, np.array([m.value for m in measured]), name, error, dash=k))
    chart = Chart("Silicon bonds to silicon", X_LABEL, "Si within 2.7 Å of a Si", tuple(curves))
    ends = [published.value("nanoparticle", f"cn_si_si_{end}", "Li2.25Si").value for end in ("min", "max")]
    return with_published(chart, np.full(2, 2.25), np.array(ends), "paper, 12 000 atoms")


def clusters_chart(result: Result) -> Chart:
    """Share of the silicon in each kind of cluster."""
    x = np.array([c.x for c in result.compositions])
    curves = [
        Curve(x, np.array([c.clusters[kind] for c in result.compositions]), kind, dash=k)
        for k, kind in enumerate(KINDS)
    ]
    return Chart(f"Kinds of silicon clusters, {result.family}", X_LABEL, "share of the silicon", tuple(curves))


def sizes_chart(result: Result, n: int = 4) -> Chart:
    """How many silicon clusters there are of each size, in the last frames of `n` compositions of the first seed."""
    curves = []
    for k, (name, atoms) in enumerate(result.structures(n).items()):
        found = silicon_clusters(atoms.positions, atoms.numbers == 14, np.eye(3), (False, False, False)).sizes()
        size, count = np.log10(list(found)), np.log10(list(found.values()))
        curves.append(Curve(size, count, name, style="points", dash=k))
    title = f"Sizes of silicon clusters, {result.family}"
    return Chart(title, "log10 of Si in a cluster", "log10 of clusters", tuple(curves))


def composition_chart(result: Result) -> Chart:
    """Fraction of lithium along the radius at each step (Fig. 2 of the paper).

    N_Li / (N_Li + N_Si) and not Li per Si, which has no bound where the outermost shell holds hardly any silicon.
    """
    shown = []
    for c in result.compositions:
        slope = 1 / (1 + c.profile.x) ** 2  # of x / (1 + x)
        shown.append((c.profile.x / (1 + c.profile.x), slope * c.profile.x_error))
    return _radial(result, shown, "N_Li / (N_Li + N_Si)", "Composition along the radius")


def bonding_chart(result: Result) -> Chart:
    """Si-Si coordination along the radius at each step (Fig. 2 of the paper)."""
    shown = [(c.profile.coordination, c.profile.coordination_error) for c in result.compositions]
    return _radial(result, shown, "Si within 2.7 Å of a Si", "Si-Si coordination along the radius")


def _radial(result: Result, shown: list[tuple[np.ndarray, np.ndarray]], y_label: str, title: str) -> Chart:
    n = len(result.compositions)
    curves = [
        Curve(
            c.profile.middle_A / c.profile.radius_A,
            y,
            f"x = {c.x:.2f}",
            np.nan_to_num(error),
            shade=k / max(1, n - 1),
        )
        for k, (c, (y, error)) in enumerate(zip(result.compositions, shown, strict=True))
    ]
    return Chart(title, "r / R", y_label, tuple(curves))


def live(run: Run) -> tuple[Chart, ...]:
    """The study's live physics for the monitor: energy and silicon bonding so far (empty until there is a step)."""
    try:
        sampled = [s for s in run.segments if s.decision["name"] == "sample" and s.ended]
        frame_ps, potential = run.params["frame_ps"], run.params["potential"]
        found = tuple(_finished(s, s.folder.stat().st_mtime_ns, k, frame_ps, potential) for k, s in enumerate(sampled))
    except (ValueError, FileNotFoundError, KeyError):
        return ()
    if not found:
        return ()
    return _progress(found, "formation_eV_si", "Formation energy", "eV per Si"), _coordination(found)


@lru_cache(maxsize=128)  # several chains; a large particle takes half a MB
def _finished(segment: Segment, _changed_ns: int, number: int, frame_ps: float, potential: str) -> Composition:
    """`measure_segment` of one that has ended, once: a monitor asks again and again, and it never changes."""
    return measure_segment(segment, number, frame_ps, potentials.get(potential).card["properties"]["element_eV_atom"])


def _progress(found: tuple[Composition, ...], quantity: str, title: str, y_label: str) -> Chart:
    x = np.array([c.x for c in found])
    return Chart(title, X_LABEL, y_label, (Curve(x, np.array([getattr(c, quantity) for c in found]), style="points"),))


def _coordination(found: tuple[Composition, ...]) -> Chart:
    x, y = np.array([c.x for c in found]), np.array([c.si_si.value for c in found])
    return Chart("Si-Si coordination", X_LABEL, "Si within 2.7 Å of a Si", (Curve(x, y, style="points"),))


def figures(results: Mapping[str, Result]) -> dict[str, tuple[Chart, ...]]:
    """All figures of the study's report: name -> charts drawn side by side."""
    out: dict[str, tuple[Chart, ...]] = {"families": (formation_chart(results), coordination_chart(results))}
    for name, result in results.items():
        out[f"radial-{name}"] = (composition_chart(result), bonding_chart(result))
        out[f"clusters-{name}"] = (clusters_chart(result), sizes_chart(result))
    return out
