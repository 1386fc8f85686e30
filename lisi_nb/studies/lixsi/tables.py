"""Tables of the bulk LixSi study: results side by side, crystals, voltages, orderings, barriers, dopants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lisi_nb.errors import check_choice
from lisi_nb.studies.lixsi.analyse import Result
from lisi_nb.studies.lixsi.dopants import PAPER_BEST, Screening
from lisi_nb.studies.lixsi.lattices import amorphous_density_g_cm3, lattice_A, measured_lattice_A, pbe_lattice_A
from lisi_nb.studies.lixsi.migration import HopBarrier
from lisi_nb.studies.lixsi.orderings import Orderings
from lisi_nb.studies.lixsi.thermodynamics import Amorphous, Thermodynamics
from lisi_nb.tables import Table

MEANING = {
    "tracer_D": "D of Li from its mean square displacement",
    "collective_D": "from the net motion of all Li (the paper's)",
    "haven_ratio": "tracer D / collective D",
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
    "contact_time": "after which 1/e of the Li-Si contacts still hold",
    "cluster_time": "after which 1/e of the Li are still at the Si cluster they were at",
    "max_force_deviation": "largest disagreement of the potentials",
}


def results_table(results: Mapping[str, Result]) -> Table:
    """The main quantities of several results side by side."""
    rows = [(name, *(str(r.quantities[name]) for r in results.values()), said) for name, said in MEANING.items()]
    return Table(("quantity", *results, "meaning"), tuple(rows))


def statements_table(results: Mapping[str, Result], about: Sequence[str] = ()) -> Table:
    """What there is to say about each result (or only `about` these), also where there is no number."""
    known = {what for r in results.values() for what in r.statements}
    for what in about:
        check_choice("about", what, known)
    rows = [
        (name, what, text)
        for name, r in results.items()
        for what, text in r.statements.items()
        if not about or what in about
    ]
    return Table(("result", "about", "statement"), tuple(rows))


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else ""


def crystals_table(found: Thermodynamics) -> Table:
    """Volume and formation energy of each crystal beside PBE, and how far it lies above the hull."""
    rows = [
        (c.name, f"{c.x:.2f}", _number(c.volume_A3, 2), _number(c.pbe_volume_A3, 2), _number(c.formation_eV),
         _number(c.pbe_eV), f"{1000 * c.above_eV:.0f}")
        for c in found.crystals
    ]  # fmt: skip
    columns = (
        "crystal",
        "x",
        "Å³/atom, ours",
        "PBE",
        "E_f, ours (eV/atom)",
        "E_f, PBE",
        "above the hull (meV/atom)",
    )
    return Table(columns, tuple(rows))


def lattices_table(found: Thermodynamics) -> Table:
    """Edges of each relaxed cell beside PBE and experiment."""
    rows = []
    for c in found.crystals:
        for edge, ours_A in lattice_A(c).items():
            pbe = pbe_lattice_A(c.name, edge)
            low, high = measured_lattice_A(c.name, edge)
            measured = _number(low, 2) if low == high else f"{low:.2f} to {high:.2f}" if math.isfinite(low) else ""
            off = f"{100 * (ours_A / pbe - 1):+.1f}" if math.isfinite(pbe) else ""
            rows.append((c.name, edge, _number(ours_A), _number(pbe), off, measured))
    return Table(("crystal", "edge", "ours (Å)", "PBE (Å)", "ours - PBE (%)", "experiment (Å)"), tuple(rows))


def voltages_table(found: Thermodynamics) -> Table:
    """Voltage of each step beside PBE and experiment."""
    rows = [
        (f"{v.before} to {v.after}", _number(v.volt_V), _number(v.pbe_V), _number(v.experiment_V))
        for v in found.voltages
    ]
    return Table(("step", "ours (V against Li)", "PBE", "experiment, 415 °C"), tuple(rows))


def amorphous_table(branches: Mapping[str, Amorphous]) -> Table:
    """Formation energy of each relaxed amorphous structure, its distance above the crystals' hull, and its density.

    By how it was made, the key in `branches`.
    """
    rows = []
    for how, found in branches.items():
        p = found.phases
        for row in sorted(zip(p.x, p.per_atom_eV, found.above_eV, found.density_g_cm3, strict=True)):
            x, e, above, density = map(float, row)
            dftb = _number(amorphous_density_g_cm3(x), 2)
            rows.append((how, f"{x:.2f}", _number(e), f"{1000 * above:.0f}", _number(density, 2), dftb))
    columns = (
        "made",
        "x",
        "E_f (eV/atom)",
        "above the crystals' hull (meV/atom)",
        "density (g/cm³)",
        "DFTB at 300 K (g/cm³)",
    )
    return Table(columns, tuple(rows))


def orderings_table(found: Sequence[Orderings]) -> Table:
    """What searching the places of lithium is worth at each x, and the energy of the lowest ordering relaxed."""
    rows = []
    for each in found:
        s, n = each.search, len(each.relaxed[0])
        random = f"{1000 * s.random_eV.error / n:.1f}"
        rows.append(
            (each.relaxed[0].get_chemical_formula(), f"{each.x:.2f}", str(len(s.energies_eV)),
             f"{each.gain_meV:.1f} ± {random}", _number(float(each.energies_eV[0]), 4))
        )  # fmt: skip
    columns = ("cell", "x", "orderings", "lowest below mean of random (meV/atom)", "lowest, relaxed (eV/atom)")
    return Table(columns, tuple(rows))


def barriers_table(found: Sequence[HopBarrier]) -> Table:
    """Each hop of Li into a vacancy: how far, between how many Si, how high; or why there is no number.

    A path that did not converge has none: only the force that was left.
    """
    rows = []
    for each in found:
        b, hop = each.barrier, each.hop
        energies = () if b is None else (b.forward_eV, each.scatter_eV, b.backward_eV, b.reaction_eV)
        numbers = [_number(energy) if b and b.converged else "" for energy in energies] or [""] * 4
        left = "" if b is None else _number(b.max_force_eV_A)
        rows.append(
            (each.system, f"{hop.distance_A:.2f}", f"{hop.si_from} to {hop.si_to}", *numbers, left, each.statement)
        )
    columns = (
        "cell",
        "distance (Å)",
        "Si around",
        "forward (eV)",
        "scatter of the members",
        "backward (eV)",
        "reaction (eV)",
        "force left (eV/Å)",
        "statement",
    )
    return Table(columns, tuple(rows))


def dopants_table(found: Screening) -> Table:
    """Energy of each dopant at the core less that in the shell, the most core-loving first; whose energies it says."""
    rows = [
        (d.element, f"{d.core_minus_shell_eV:+.3f}", _number(d.spread_eV), d.prefers, str(d.core_si), str(d.shell_si),
         f"{d.core_cn:.1f}, {d.shell_cn:.1f}",
         "yes" if d.element in PAPER_BEST else "", "yes" if d.converged else "no")
        for d in found.dopants
    ]  # fmt: skip
    columns = (
        "X",
        f"core - shell (eV per Li13Si12X, {found.engine})",
        "scatter of starts (eV)",
        "prefers",
        "Si around X, core",
        "shell",
        "Si around Si, core and shell",
        "among the paper's five for the core",
        "relaxed to the end",
    )
    return Table(columns, tuple(rows))
