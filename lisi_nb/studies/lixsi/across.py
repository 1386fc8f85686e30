"""Across runs: Arrhenius lines of each composition, and Table I of the paper beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from ase.units import kB

from lisi_nb import published
from lisi_nb.analysis.arrhenius import Arrhenius, arrhenius
from lisi_nb.errors import check_choice
from lisi_nb.studies.lixsi.analyse import Result
from lisi_nb.studies.lixsi.params import PAPER_X
from lisi_nb.tables import Table
from lisi_nb.units import Measured

ROOM_K = 300.0  # the paper's "room temperature" is not printed as a number
PAPER_SPAN_K = (400.0, 1200.0)
KINDS_OF_D = ("tracer_D", "collective_D")
SAME_X = 0.02


@dataclass(frozen=True, eq=False)
class Line:
    """The Arrhenius line of one composition; `molten_K` are its temperatures at which the silicon diffused too."""

    x: float
    quantity: str
    fit: Arrhenius
    molten_K: tuple[float, ...]

    @property
    def statement(self) -> str:
        """The fit in words, with what is not a solid."""
        if not self.molten_K:
            return self.fit.statement
        named = ", ".join(f"{t:g} K" for t in self.molten_K)
        return f"{self.fit.statement} The silicon diffused too (a melt, not a solid) at {named}."


def arrhenius_of(results: Iterable[Result], quantity: str = "tracer_D") -> Line:
    """Activation energy and room-temperature D of one composition from its results at several temperatures.

    Parameters
    ----------
    results : iterable of Result
        One for each temperature, of one composition, start and cell.
    quantity : str
        ``"tracer_D"`` or ``"collective_D"`` (the paper's).

    Returns
    -------
    Line
        Series that are not diffusive are left out and named; fewer than three give no line, and say so.

    Raises
    ------
    ValueError
        No result, different set-ups, or a temperature twice.
    """
    check_choice("quantity", quantity, KINDS_OF_D)
    found = sorted(results, key=lambda r: r.temperature_K)
    if not found:
        raise ValueError("No result was given. Pass the results of one composition at several temperatures.")
    for r in found[1:]:
        different = [k for k, v in r.params.items() if k in ("x", "start", "repeats") and v != found[0].params[k]]
        if different:
            raise ValueError(f"The results differ in {', '.join(different)}. Give those of one composition and start.")
    temperatures = [r.temperature_K for r in found]
    if len(set(temperatures)) < len(temperatures):
        raise ValueError(f"Temperatures {temperatures} K: one comes twice. Average its seeds with analyse(runs).")
    D = [r.quantities[quantity] for r in found]
    usable = [d if d.value > 0 else Measured(float("nan"), float("nan"), d.unit) for d in D]
    molten = tuple(r.temperature_K for r in found if r.silicon.state == "molten")
    return Line(found[0].x, quantity, arrhenius(temperatures, usable), molten)


def by_composition(results: Mapping[str, Result]) -> dict[float, list[Result]]:
    """Results of each x, in order of x and temperature."""
    out: dict[float, list[Result]] = {}
    for r in sorted(results.values(), key=lambda r: (r.x, r.temperature_K)):
        out.setdefault(next((x for x in out if abs(x - r.x) < SAME_X), r.x), []).append(r)
    return out


def lines(results: Mapping[str, Result], quantity: str = "tracer_D") -> dict[float, Line]:
    """The Arrhenius line of each composition that is there."""
    return {x: arrhenius_of(each, quantity) for x, each in by_composition(results).items()}


def paper_system(x: float) -> str:
    """Name of a composition in ``data/published.csv``; empty where the paper has none within 0.02 of it."""
    near = min(PAPER_X, key=lambda k: abs(k - x))
    return f"Li{near:.2f}Si" if abs(near - x) < SAME_X else ""


def paper_D_cm2_s(x: float, temperature_K: float | np.ndarray) -> np.ndarray:
    """D on the line of the paper's Table I (from its E_a and D at room temperature, taken as 300 K), cm^2/s.

    NaN for compositions without a line in the paper.
    """
    system = paper_system(x)
    if system in ("", "Li3.75Si"):
        return np.full(np.shape(temperature_K), np.nan)
    D = published.value("nanoparticle", "diffusivity", system).value
    Ea = published.value("nanoparticle", "activation_energy", system).value
    return D * np.exp(Ea / kB * (1 / ROOM_K - 1 / np.asarray(temperature_K, dtype=float)))


def experiments() -> list[published.Published]:
    """Measured room-temperature D that the paper quotes (Table S1)."""
    return [
        r for r in published.load() if r.study == "nanoparticle" and r.quantity.startswith("diffusivity_experiment")
    ]


def table_1(results: Mapping[str, Result]) -> Table:
    """E_a and D at 300 K of each composition beside the paper's Table I; below, the measured D of Table S1.

    Ours are of the tracer and of the net motion of all lithium (collective), which is the paper's. Compositions of the
    paper that were not run have a row, too. A line through melts is marked, and not extended to 300 K.
    """
    rows: list[tuple[str, ...]] = []
    tracer, collective = lines(results), lines(results, "collective_D")
    for x, line in tracer.items():
        E_a, D = _ours(line)
        rows.append((f"{x:.2f}", E_a, _ours(collective[x])[0], _papers(x)[0], D, _papers(x)[1], line.statement))
    there = {paper_system(x) for x in tracer}
    for x in PAPER_X:
        if paper_system(x) not in there:
            rows.append((f"{x:.2f}", "not run", "not run", _papers(x)[0], "not run", _papers(x)[1], ""))
    rows.sort(key=lambda row: float(row[0]))
    measured = ", ".join(f"{r.value:.0e} ({r.note.split(', ', 1)[1]})" for r in experiments())
    rows.append(
        ("a-LixSi, measured", "", "", "", "", measured.replace(", room temperature", "") + " cm²/s", "Table S1")
    )
    columns = (
        "x",
        "E_a, tracer",
        "E_a, collective",
        "E_a, paper (collective)",
        "D(300 K), tracer",
        "D(300 K), paper",
        "said",
    )
    return Table(columns, tuple(rows))


def _ours(line: Line) -> tuple[str, str]:
    """E_a and D at 300 K as texts."""
    if not line.fit.fitted:
        return "no line", "no line"
    if line.molten_K:
        return f"{line.fit.Ea_eV} (of a melt)", "not extended: a melt"
    low, high = line.fit.band_cm2_s(ROOM_K)
    return (
        str(line.fit.Ea_eV),
        f"{line.fit.at(ROOM_K).value:.1e} (95 %: {float(low):.0e} to {float(high):.0e}) cm²/s",
    )


def _papers(x: float) -> tuple[str, str]:
    """E_a and D at room temperature of Table I as texts."""
    system = paper_system(x)
    if not system:
        return "not in the paper", "not in the paper"
    if system == "Li3.75Si":
        return "no line", "not distinguishable from 0"
    E_a, D = (published.value("nanoparticle", q, system) for q in ("activation_energy", "diffusivity"))
    return (
        str(Measured(E_a.value, E_a.error if E_a.error is not None else float("nan"), E_a.unit)),
        str(Measured(D.value, D.error if D.error is not None else float("nan"), D.unit)),
    )
