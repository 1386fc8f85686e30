"""Run all sections of a validation, each cached by the potential's hash, and write the report."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ase import Atoms

from lisi_nb import paths, plots, published
from lisi_nb.charts import Chart
from lisi_nb.potentials import Potential
from lisi_nb.potentials.compressed import sha256
from lisi_nb.tables import Table
from lisi_nb.training.ab_initio import Labels
from lisi_nb.training.publish import REPORT, tell_card, test_errors
from lisi_nb.training.validation import ab_initio, abuse, alloys, compounds, elements, labels, trusted
from lisi_nb.training.validation.findings import CORRELATION, GOALS, RATIO, SHARE, TYPICAL, Finding
from lisi_nb.training.validation.labels import Parity
from lisi_nb.units import duration

Say = Callable[[str], None]
SECTIONS: dict[str, Callable[[Potential], list[Finding]]] = {
    "lithium": elements.lithium,
    "silicon": elements.silicon,
    "compounds": compounds.compounds,
    "amorphous and liquid": alloys.amorphous,
    "abuse": abuse.abuse,
}
_FACTS = {
    CORRELATION: "rank_correlation",
    RATIO: "error_over_deviation",
    SHARE: "percent_below_0.3_eV_A",
    TYPICAL: "force_rmse_of_an_atom_eV_A",
}
USUAL_MINUTES = "5 to 15"
COLUMNS = ("quantity", "system", "ours", "DFT", "experiment", "verdict", "note")


def section(name: str, potential: Potential) -> list[Finding]:
    """One section, computed or read from the cache."""
    given = f"{potential.sha256} {name} 2 {sha256(published.FILE)}"  # findings carry the reference they were judged by
    digest = hashlib.sha256(given.encode()).hexdigest()[:16]
    path = paths.cache() / "validation" / f"{digest}.json"
    if path.exists():
        return [Finding(**{k: v for k, v in row.items() if k != "verdict"}) for row in json.loads(path.read_text())]
    found = SECTIONS[name](potential)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps([row.to_dict() for row in found]))
    draft.rename(path)
    return found


def error_findings(potential: Potential, frames: list[Atoms]) -> list[Finding]:
    """Root-mean-square errors on held-out labels by kind of system, beside the goal for all of them."""
    found = []
    nan = float("nan")
    for kind, row in test_errors(potential, frames).items():
        for quantity, unit in (("energy_rmse_meV_atom", "meV/atom"), ("force_rmse_eV_A", "eV/A")):
            goal = GOALS[quantity] if kind == "all" else None
            note = f"{row['n_frames']} frames" + (f"; goal {goal:g}" if goal else "")
            found.append(
                Finding(f"{quantity.split('_')[0]} error (RMS)", kind, row[quantity], nan, unit, 0.0 if goal else None,
                        None, goal, note)
            )  # fmt: skip
    return found


def validate(
    potential: Potential, held_out: list[Atoms], folder: Path, say: Say, dft: Labels | None = None
) -> dict[str, list[Finding]]:
    """Run every section, write ``validation.md``, ``validation.json`` and pictures into `folder`.

    Parameters
    ----------
    potential : Potential
        What to validate.
    held_out : list of ase.Atoms
        Labelled frames it was not trained on; with none, errors and calibration are left out, and said to be.
    folder : Path
        Where the report goes.
    say : callable
        Called with one line as each section ends.
    dft : Labels, optional
        Ab initio labels with systems that were never trained on.

    Returns
    -------
    dict
        Section -> findings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[Finding]] = {}
    say(f"{len(SECTIONS) + 1} parts, {USUAL_MINUTES} minutes on two cores; what is finished is not computed again")
    for number, name in enumerate(SECTIONS, start=1):
        started = time.monotonic()
        found[name] = section(name, potential)
        say(
            f"[{number}/{len(SECTIONS) + 1}] {name}: {len(found[name])} numbers, {duration(time.monotonic() - started)}"
        )
    words = ["No labelled frames were given: errors and calibration are not in this report."]
    curves: list[Chart] = []
    limits = potential.card.get("validity", {}).get("trust_eV_A", ())
    if held_out:
        found["held-out labels"] = error_findings(potential, held_out)
        pairs = labels.parity(potential, held_out)
        _picture(folder / "parity.png", labels.parity_charts(pairs))
        words = ["![parity](parity.png)", ""]
        words += _calibration(found["held-out labels"], curves, pairs, "held-out labels", limits)
    say(f"[{len(SECTIONS) + 1}/{len(SECTIONS) + 1}] held-out labels: {len(held_out)} frames")
    if dft:
        members = ab_initio.of_members(potential, dft)
        found["held-out systems against DFT"] = rows = ab_initio.findings(potential, dft, members)
        pictures = ab_initio.charts(members[0])
        _picture(folder / "parity_dft.png", pictures, beside=True)
        for name, chart in zip(("energy", "force"), pictures, strict=True):
            chart.to_csv(folder / f"parity_dft_{name}.csv")
        words += ["", "![parity with DFT](parity_dft.png)", "", ab_initio.in_words(dft, members[0]), ""]
        words += _calibration(rows, curves, ab_initio.parity(members), "held-out systems, DFT", limits)
        if limits and len(members) > 1:
            rows += trusted.findings(members, limits)
        say(ab_initio.in_words(dft, members[0]))
    if curves:
        _picture(folder / "calibration.png", curves)
        words += ["", "![calibration](calibration.png)"]
    (folder / "validation.md").write_text(markdown(potential, found) + "\n".join(words) + "\n")
    data = {"potential": potential.sha256, "sections": {n: [f.to_dict() for f in rows] for n, rows in found.items()}}
    (folder / "validation.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    return found


def _calibration(
    rows: list[Finding], curves: list[Chart], pairs: Parity, against: str, limits_eV_A: Sequence[float]
) -> list[str]:
    """Add numbers to `rows` and a chart to `curves`; return what there is to say."""
    try:
        curve = labels.calibration_of(pairs)
    except ValueError as error:
        return [f"No calibration on the {against}: {error}"]
    rows += labels.calibration_findings(curve, len(pairs.n_atoms))
    curves.append(labels.calibration_chart(curve, against, *limits_eV_A[:1]))
    return [
        f"On the {against}, deviation and true force error of an atom have a rank correlation of "
        f"{curve.correlation:.2f}; the error is {curve.ratio:.1f} times the deviation (root mean squares)."
    ]


def _picture(path: Path, charts: Sequence[Chart], beside: bool = False) -> None:
    """Draw charts; with `beside`, one legend to the right of them serves all, which must show the same curves."""
    figure = plots.draw(charts, width=5.5, height=4.4) if beside else plots.draw(charts)
    if beside:
        handles, names = figure.axes[0].get_legend_handles_labels()
        for axes in figure.axes:
            if legend := axes.get_legend():
                legend.remove()
        figure.legend(handles, names, loc="outside right center", fontsize=9, frameon=False)
    path.write_bytes(plots.png(figure))


def table(findings: list[Finding]) -> Table:
    """Findings as a table for notebook and terminal."""
    return Table(COLUMNS, tuple(finding.row() for finding in findings))


def markdown(potential: Potential, found: dict[str, list[Finding]]) -> str:
    """The report as Markdown: one table per section."""
    n_judged, n_good = counts(found)
    lines = [
        f"# Validation of {potential.name}",
        "",
        f"{potential.card['level_of_theory']}. {n_good} of {n_judged} judged numbers agree with their reference "
        "within the tolerance. Errors of ours are the spread over the ensemble's members.",
        "",
    ]
    for name, rows in found.items():
        lines += [f"## {name[0].upper()}{name[1:]}", "", "| " + " | ".join(COLUMNS) + " |"]
        lines += ["|" + "---|" * len(COLUMNS)]
        lines += ["| " + " | ".join(row.row()) + " |" for row in rows]
        lines.append("")
    return "\n".join(lines)


def counts(found: dict[str, list[Finding]]) -> tuple[int, int]:
    """How many numbers have a verdict, and how many of them are good."""
    verdicts = [finding.verdict for rows in found.values() for finding in rows if finding.verdict]
    return len(verdicts), verdicts.count("good")


def into_card(potential: Potential, held_out: list[Atoms], say: Say, dft: Labels | None = None) -> Potential:
    """Validate a potential, with the report in ``validation/`` beside its card and what came out in the card.

    Parameters are those of `validate`; returns the potential with its new card.
    """
    return note_in_card(potential, validate(potential, held_out, potential.folder / REPORT, say, dft))


def note_in_card(potential: Potential, found: dict[str, list[Finding]]) -> Potential:
    """Write into the card what the report beside it found; return the potential with its new card."""
    n_judged, n_good = counts(found)
    facts = {
        "report": f"{REPORT}/validation.md",
        "n_numbers_judged": n_judged,
        "n_good": n_good,
        "calibration": calibration_facts(found),
    }
    return tell_card(potential, {"validation": facts})


def calibration_facts(found: dict[str, list[Finding]]) -> dict[str, dict[str, dict[str, float]]]:
    """What the deviation is worth, for the card: section -> quantity -> all atoms or a class of them -> value."""
    kept: dict[str, dict[str, dict[str, float]]] = {}
    for section, rows in found.items():
        for row in rows:
            if row.quantity in _FACTS and math.isfinite(row.value):
                kept.setdefault(section, {}).setdefault(_FACTS[row.quantity], {})[row.system] = round(row.value, 3)
    return kept
