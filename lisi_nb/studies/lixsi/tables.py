"""Tables of the bulk LixSi study: results side by side, crystals, voltages."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lisi_nb.studies.lixsi.analyse import Result
from lisi_nb.studies.lixsi.thermodynamics import Amorphous, Thermodynamics
from lisi_nb.tables import Table

MEANING = {
    "tracer_D": "D of Li from its mean square displacement",
    "collective_D": "net motion of all Li, parts above 10 Å² only (the paper's)",
    "collective_D_all_parts": "the same from every part of the run",
    "haven_ratio": "tracer D / collective D of every part",
    "li_msd_end": "mean square displacement of Li at the longest lag fitted",
    "si_msd_end": "the same of Si",
    "density": "of the sampled cell",
    "cn_si_si": "Si within 2.7 Å of a Si",
    "cn_li_si": "Si within 3.5 Å of a Li",
    "share_cn_up_to_2": "share of Li with at most 2 of them",
    "mean_cluster_size": "Si in the cluster of a Si picked at random",
    "largest_cluster_share": "share of the Si in the largest cluster",
    "cluster_dimension": "directions in which a cluster is endless, at most",
    "moves_to_another_cluster": "share of the moves of Li that end at another Si cluster",
    "hop_rate": "hops of a Li per time",
    "hop_distance": "mean length of a hop",
    "max_force_deviation": "largest disagreement of the potentials",
}


def results_table(results: Mapping[str, Result]) -> Table:
    """The main quantities of several results side by side."""
    rows = [(name, *(str(r.quantities[name]) for r in results.values()), said) for name, said in MEANING.items()]
    return Table(("quantity", *results, "meaning"), tuple(rows))


def statements_table(results: Mapping[str, Result]) -> Table:
    """What there is to say about each result, also where there is no number."""
    rows = [(name, what, text) for name, r in results.items() for what, text in r.statements.items()]
    return Table(("result", "about", "statement"), tuple(rows))


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else ""


def crystals_table(found: Thermodynamics) -> Table:
    """Volume and formation energy of each crystal beside PBE, and how far it lies above the hull."""
    rows = [
        (c.name, f"{c.x:.2f}", _number(c.volume_A3, 2), _number(c.formation_eV), _number(c.pbe_eV),
         f"{1000 * c.above_eV:.0f}")
        for c in found.crystals
    ]  # fmt: skip
    columns = ("crystal", "x", "Å³/atom", "E_f, ours (eV/atom)", "E_f, PBE", "above the hull (meV/atom)")
    return Table(columns, tuple(rows))


def voltages_table(found: Thermodynamics) -> Table:
    """Voltage of each step beside PBE and experiment."""
    rows = [
        (f"{v.before} to {v.after}", _number(v.volt_V), _number(v.pbe_V), _number(v.experiment_V))
        for v in found.voltages
    ]
    return Table(("step", "ours (V against Li)", "PBE", "experiment, 415 °C"), tuple(rows))


def amorphous_table(found: Amorphous) -> Table:
    """Formation energy of each relaxed amorphous structure, and how far it lies above the crystals' hull."""
    rows = [
        (f"{x:.2f}", _number(float(e)), f"{1000 * float(above):.0f}")
        for x, e, above in sorted(zip(found.phases.x, found.phases.per_atom_eV, found.above_eV, strict=True))
    ]
    return Table(("x", "E_f (eV/atom)", "above the crystals' hull (meV/atom)"), tuple(rows))
