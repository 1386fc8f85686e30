"""Our numbers beside the paper's, and its claims judged by error bars."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

from lisi_nb import published
from lisi_nb.studies.interdiffusion.analyse import Result
from lisi_nb.verdicts import Claim, Row, greater

COMPARED = (
    "lithiation_length",
    "left_front_displacement",
    "right_front_displacement",
    "left_front_speed",
    "right_front_speed",
    "si_flux",
    "transition_composition",
    "max_force_deviation",
)
SEEDS_TO_JUDGE = 3  # one run's error says how well that run fixes a number, not what the next seed would give
PAPER_BIN_A = 3.3  # the paper's lengths are whole bins of 3.0 to 3.3 A


def at_paper_conditions(result: Result) -> str:
    """Empty when temperature, time and size are the paper's; otherwise what differs."""
    p, different = result.params, []
    if abs(p["temperature_K"] - 500) > 1:
        different.append(f"{p['temperature_K']:g} K, not 500 K")
    if p["duration_ps"] < 4900:
        different.append(f"{p['duration_ps']:g} ps, not 5000 ps")
    if result.n_atoms < 4000:
        different.append(f"{result.n_atoms} atoms, not 4428 to 4608")
    return "; ".join(different)


def compare(result: Result) -> list[Row]:
    """The table *quantity, ours ± error, paper, agrees?* of one interface.

    Numbers are judged only at the paper's temperature, time and size: within two standard errors, plus one of
    the paper's bins for lengths. Elsewhere the row says ``other conditions``, or ``not this structure`` when the
    built structure carries warnings: nothing can agree or disagree.
    """
    other = at_paper_conditions(result)
    rows = []
    for quantity in COMPARED:
        paper = published.value("interdiffusion", quantity, result.interface)
        ours = result.quantities[quantity]
        if not math.isfinite(ours.value):
            agrees = "not measured"
        elif result.warnings:
            agrees = "not this structure"
        elif quantity == "max_force_deviation":
            agrees = "yes" if ours.value < paper.value else "no"
        elif other:
            agrees = "other conditions"
        else:
            slack = {"A": PAPER_BIN_A, "cm/s": 2 * PAPER_BIN_A}.get(paper.unit, 0.0)
            error = ours.error if math.isfinite(ours.error) else 0.0
            agrees = "yes" if abs(ours.value - paper.value) <= 2 * error + slack else "no"
        rows.append(Row(quantity, result.interface, ours, paper.value, paper.unit, paper.place, agrees))
    return rows


def _order(results: Mapping[str, Result], quantity: str, order: tuple[str, ...]) -> tuple[str, str]:
    values = [results[name].quantities[quantity] for name in order]
    verdicts = [greater(a, b) for a, b in pairwise(values)]
    verdict = "false" if "false" in verdicts else "undecided" if "undecided" in verdicts else "true"
    unlike = [name for name in order if results[name].warnings]
    if unlike:
        verdict = "undecided"
    measured = sorted(order, key=lambda name: -results[name].quantities[quantity].value)
    numbers = ", ".join(f"{name} {results[name].quantities[quantity]}" for name in measured)
    because = f"ours: {numbers}"
    return verdict, because + (f"; {', '.join(unlike)} is not what its name says" if unlike else "")


def claims(results: Mapping[str, Result]) -> list[Claim]:
    """Judge the paper's claims from the results of the four interfaces.

    A claim is ``true`` or ``false`` only beyond two standard errors over at least `SEEDS_TO_JUDGE` seeds of each
    interface; ``undecided`` means that the runs are too few or too short to tell, or that a structure is not what its
    name says. Claims about an order need all four interfaces.
    """
    out = []
    for text, quantity, order in (
        ("Lithiation length: aSi > (110) > (100)", "lithiation_length", ("aSi", "110", "100")),
        ("Lithiation length: (100) > (111) (below the paper's own bin)", "lithiation_length", ("100", "111")),
        ("Si flux: aSi > (110) > (100) > (111)", "si_flux", ("aSi", "110", "100", "111")),
        ("Left front: aSi > (110) > (100)", "left_front_displacement", ("aSi", "110", "100")),
    ):
        if set(order) <= set(results):
            out.append(Claim(text, *_order(results, quantity, order)))
    for text, more, less in (
        ("The right front moves farther than the left one", "right_front_displacement", "left_front_displacement"),
        ("The Si step is wider than the Li step (10-90 %)", "si_width_10_90", "li_width_10_90"),
    ):
        verdicts = {n: greater(r.quantities[more], r.quantities[less]) for n, r in results.items()}
        values = set(verdicts.values())
        verdict = "false" if "false" in values else "true" if values == {"true"} else "undecided"
        numbers = "; ".join(f"{n}: {r.quantities[more]} against {r.quantities[less]}" for n, r in results.items())
        out.append(Claim(text, verdict, numbers))
    few = sorted({r.n_runs for r in results.values() if r.n_runs < SEEDS_TO_JUDGE})
    if few:
        note = f"; too few seeds to judge ({few[0]} of an interface, {SEEDS_TO_JUDGE} needed: --seeds {SEEDS_TO_JUDGE})"
        out = [Claim(claim.text, "undecided", claim.because + note) for claim in out]
    return out
