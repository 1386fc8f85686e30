"""The runs of a sweep side by side: a table of what they measured, and charts across them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lisi_nb.charts import Chart, Curve
from lisi_nb.engine.sweep import Sweep
from lisi_nb.errors import check_choice
from lisi_nb.tables import Table
from lisi_nb.units import Measured

Rows = list[dict[str, Any]]


def rows(sweep: Sweep) -> Rows:
    """One dictionary for each run: varied parameters, seed, run id, state, and its quantities as `Measured`."""
    names, found = [*sweep.definition["over"]], []
    for point, run, state in zip(sweep.points, sweep.runs(), sweep.states(), strict=True):
        measured = ((run.results() or {}) if run else {}).get("quantities", {})
        found.append(
            {
                **{name: point["params"][name] for name in names if name != "seed"},
                "seed": point["params"]["seed"],
                "run": run.id if run else "",
                "state": state,
                "quantities": {
                    name: Measured(_number(m["value"]), _number(m["error"]), m["unit"]) for name, m in measured.items()
                },
            }
        )
    return found


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def quantities(found: Rows, wanted: Sequence[str] = ()) -> list[str]:
    """Names of the quantities of these rows, or those `wanted`; an unknown one raises ``ValueError``."""
    names = list(dict.fromkeys(name for row in found for name in row["quantities"]))
    for name in wanted:
        check_choice("quantity", name, names)
    return list(wanted) or names


def table(sweep: Sweep, wanted: Sequence[str] = ()) -> Table:
    """A row for each quantity and run: value ± error and unit, or the state of a run without results."""
    found = rows(sweep)
    varied = [name for name in sweep.definition["over"] if name != "seed"]
    lines = []
    for name in quantities(found, wanted) or [""]:
        for row in found:
            value = row["quantities"].get(name, row["state"])
            lines.append((name, *(f"{row[v]}" for v in varied), str(row["seed"]), str(value), row["run"]))
    return Table(("quantity", *varied, "seed", "value ± error", "run"), tuple(lines))


def charts(sweep: Sweep, wanted: Sequence[str] = ()) -> tuple[Chart, ...]:
    """For each quantity a chart over the first varied parameter: a point with error bar for each run.

    The other varied parameters make a curve for each of their combinations; seeds are points of one curve.
    """
    found = [row for row in rows(sweep) if row["quantities"]]
    over = [name for name in sweep.definition["over"] if name != "seed"] or ["seed"]
    drawn = []
    for name in quantities(found, wanted):
        having = [row for row in found if name in row["quantities"]]
        categories = () if _numbers(having, over[0]) else tuple(dict.fromkeys(str(row[over[0]]) for row in having))
        curves: dict[str, Rows] = {}
        for row in having:
            curves.setdefault(", ".join(f"{other}={row[other]}" for other in over[1:]), []).append(row)
        unit = having[0]["quantities"][name].unit
        lines = tuple(_curve(label, each, over[0], name, categories) for label, each in curves.items())
        drawn.append(Chart(name, over[0], name if unit == "1" else f"{name} ({unit})", lines, categories))
    return tuple(drawn)


def _numbers(found: Rows, name: str) -> bool:
    return all(isinstance(row[name], (int, float)) and not isinstance(row[name], bool) for row in found)


def _curve(label: str, found: Rows, over: str, name: str, categories: tuple[str, ...]) -> Curve:
    x = [categories.index(str(row[over])) if categories else row[over] for row in found]
    y = [row["quantities"][name] for row in found]
    error = np.nan_to_num(np.array([m.error for m in y]))  # drawn as no bar
    return Curve(np.array(x, dtype=float), np.array([m.value for m in y]), label, error, style="points")


def overlay(sweep: Sweep) -> tuple[Chart, ...]:
    """Temperature and potential energy of all runs over time, a curve for each run."""
    curves: dict[str, list[Curve]] = {"Temp": [], "PotEng": []}
    names = [*sweep.definition["over"]] or ["seed"]
    for point, run in zip(sweep.points, sweep.runs(), strict=True):
        thermo = run.thermo() if run else {}
        if run is None or "Step" not in thermo:
            continue
        label = ", ".join(f"{name}={point['params'][name]}" for name in dict.fromkeys([*names, "seed"]))
        time_ps = thermo["Step"] * run.manifest["timestep_fs"] / 1000
        n_atoms = run.manifest["structure"]["n_atoms"]
        for column, scale in (("Temp", 1), ("PotEng", n_atoms)):
            curves[column].append(Curve(time_ps, thermo[column] / scale, label))
    return (
        Chart("Temperature", "time (ps)", "T (K)", tuple(curves["Temp"])),
        Chart("Potential energy", "time (ps)", "E (eV/atom)", tuple(curves["PotEng"])),
    )
