"""Run all sections of a validation, each cached by the potential's hash, and write the report."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from ase import Atoms

from lisi_nb import paths, plots
from lisi_nb.potentials import Potential
from lisi_nb.tables import Table
from lisi_nb.training.ab_initio import Labels
from lisi_nb.training.publish import REPORT, tell_card, test_errors
from lisi_nb.training.validation import ab_initio, abuse, alloys, elements, labels
from lisi_nb.training.validation.findings import GOALS, Finding
from lisi_nb.units import duration

Say = Callable[[str], None]
SECTIONS: dict[str, Callable[[Potential], list[Finding]]] = {
    "lithium": elements.lithium,
    "silicon": elements.silicon,
    "compounds": alloys.compounds,
    "amorphous and liquid": alloys.amorphous,
    "abuse": abuse.abuse,
}
COLUMNS = ("quantity", "system", "ours", "DFT", "experiment", "verdict", "note")


def section(name: str, potential: Potential) -> list[Finding]:
    """One section, computed or read from the cache."""
    digest = hashlib.sha256(f"{potential.sha256} {name} 1".encode()).hexdigest()[:16]
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
    for number, name in enumerate(SECTIONS, start=1):
        started = time.monotonic()
        found[name] = section(name, potential)
        say(
            f"[{number}/{len(SECTIONS) + 1}] {name}: {len(found[name])} numbers, {duration(time.monotonic() - started)}"
        )
    words = ["No labelled frames were given: errors and calibration are not in this report."]
    if held_out:
        found["held-out labels"] = error_findings(potential, held_out)
        pairs = labels.parity(potential, held_out)
        curve = labels.calibration_of(pairs)
        for name, charts in {
            "parity": labels.parity_charts(pairs),
            "calibration": (labels.calibration_chart(curve),),
        }.items():
            (folder / f"{name}.png").write_bytes(plots.png(plots.draw(charts)))
        words = [
            "![parity](parity.png) ![calibration](calibration.png)",
            "",
            f"Deviation and true force error of an atom have a rank correlation of {curve.correlation:.2f}; the error "
            f"is {curve.ratio:.1f} times the deviation (root mean squares).",
        ]
    say(f"[{len(SECTIONS) + 1}/{len(SECTIONS) + 1}] held-out labels: {len(held_out)} frames")
    if dft:
        found["held-out systems against DFT"], comparison = ab_initio.findings(potential, dft)
        pictures = ab_initio.charts(comparison)
        (folder / "parity_dft.png").write_bytes(plots.png(plots.draw(pictures)))
        for name, chart in zip(("energy", "force"), pictures, strict=True):
            chart.to_csv(folder / f"parity_dft_{name}.csv")
        words += ["", "![parity with DFT](parity_dft.png)", "", ab_initio.in_words(dft, comparison)]
        say(ab_initio.in_words(dft, comparison))
    (folder / "validation.md").write_text(markdown(potential, found) + "\n".join(words) + "\n")
    data = {"potential": potential.sha256, "sections": {n: [f.to_dict() for f in rows] for n, rows in found.items()}}
    (folder / "validation.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    return found


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
    found = validate(potential, held_out, potential.folder / REPORT, say, dft)
    n_judged, n_good = counts(found)
    facts = {"report": f"{REPORT}/validation.md", "n_numbers_judged": n_judged, "n_good": n_good}
    return tell_card(potential, {"validation": facts})
