"""Tables of the study: parameters, measured quantities, comparison with the paper, claims."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from lisi_nb.params import Params
from lisi_nb.studies.interdiffusion.analyse import Result
from lisi_nb.studies.interdiffusion.compare import COMPARED
from lisi_nb.tables import Table
from lisi_nb.units import pretty
from lisi_nb.verdicts import claims_table, comparison_table

__all__ = ["claims_table", "comparison_table", "interfaces_table", "parameters_table", "quantities_table"]

MEANING = {
    "lithiation_length": "distance from left to right front",
    "lithiation_length_paper_bins": "the same by whole 3 Å bins, as in the paper",
    "left_front_displacement": "Si | Li-Si front, into silicon",
    "right_front_displacement": "Li-Si | Li front, into lithium",
    "left_front_speed": "left displacement / duration",
    "right_front_speed": "right displacement / duration",
    "si_flux": "Si atoms that left the slab, per area and time",
    "si_flux_recession": "the same from the left front and the density",
    "si_width_10_90": "where the Si density falls from 90 to 10 %",
    "li_width_10_90": "where the Li density rises from 10 to 90 %",
    "plateau_composition": "x of LixSi in the middle of the alloy",
    "transition_composition": "x of LixSi at the kink of the profile",
    "max_force_deviation": "largest disagreement of the potentials",
    "mean_force_deviation": "its mean over the run",
}


def parameters_table(params: Params) -> Table:
    """Every parameter with its value, the paper's, and the unit."""
    rows = []
    for f in dataclasses.fields(params):
        meta, value = f.metadata, getattr(params, f.name)
        paper = "" if meta["paper"] is None else str(meta["paper"])
        rows.append((meta["label"], str(value), paper, pretty(meta["unit"])))
    return Table(("parameter", "value", "paper", "unit"), tuple(rows))


def quantities_table(result: Result) -> Table:
    """Every measured quantity with error and unit, and what it means."""
    rows = [(name, str(value), MEANING[name]) for name, value in result.quantities.items()]
    return Table(("quantity", "value ± error", "meaning"), tuple(rows))


def interfaces_table(results: Mapping[str, Result]) -> Table:
    """The compared quantities of several interfaces side by side."""
    rows = [(name, *(str(r.quantities[name]) for r in results.values())) for name in COMPARED]
    return Table(("quantity", *results), tuple(rows))
