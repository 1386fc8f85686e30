"""All runs as rows, filtered, and two or more of them side by side. Only reading, no widgets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from lisi_nb.engine import run as runs
from lisi_nb.engine.run import Run
from lisi_nb.tables import Table
from lisi_nb.units import NO_ERROR, Measured, pretty
from lisi_nb.widgets import reading

UNREADABLE = "unreadable"
STATES = (*runs.STATES, UNREADABLE)
NONE = "–"


@dataclass(frozen=True)
class Row:
    """One run in the list; `share` done in 0-1, `ns_per_day` and `left_s` are ``None`` where unknown."""

    run: Run
    study: str
    label: str
    state: str
    share: float
    ns_per_day: float | None
    left_s: float | None
    device: str
    potential: str
    words: str

    def matches(self, text: str) -> bool:
        """Whether every word of `text` occurs in the run's id, state, device, potential or ``name=value`` inputs."""
        return all(word in self.words for word in text.lower().split())


def row(run: Run) -> Row:
    """Read one run; a folder that cannot be read gives a row that says so."""
    label = run.folder.name.rpartition("-")[0]
    try:
        now, m = reading.progress(run), run.manifest
        where = now.device or m["device"]  # that of its worker, which a cluster may have put elsewhere
        device = f"{where['kind'].upper()}, {where['ranks']} ranks"
        potential, study = m["potential"]["name"], m["study"]
        inputs = [f"{name}={value}" for name, value in run.params.items()]
    except (reading.Unreadable, KeyError, TypeError):
        words = f"{run.id} {UNREADABLE}".lower()
        return Row(run, run.folder.parent.name, label, UNREADABLE, 0.0, None, None, NONE, NONE, words)
    words = " ".join([run.id, now.state, device, where["name"], potential, *inputs]).lower()
    return Row(run, study, label, now.state, now.share, now.ns_per_day, now.left_s, device, potential, words)


def rows(study: str | None = None, text: str = "", state: str = "") -> list[Row]:
    """All runs, newest first, of a study, with all words of `text`, in a `state`; empty arguments leave all in."""
    found = (row(run) for run in runs.find(study))
    return [r for r in found if r.matches(text) and state in ("", r.state)]


def names(chosen: Sequence[Run]) -> list[str]:
    """Short names that differ: the labels, or folder names where two runs share a label."""
    labels = [run.folder.name.rpartition("-")[0] for run in chosen]
    return [run.folder.name if labels.count(label) > 1 else label for run, label in zip(chosen, labels, strict=True)]


def differing_inputs(chosen: Sequence[Run]) -> Table:
    """What was put in differently: parameters with units, potential, atoms, steps; and how far each run has come."""
    shown: list[tuple[str, ...]] = []
    every = {name: entry for run in chosen for name, entry in run.manifest["params"].items()}
    for name, entry in every.items():
        values = [str(run.params.get(name, NONE)) for run in chosen]
        unit = f" ({pretty(entry['unit'])})" if entry["unit"] else ""
        shown.append((f"{entry['label']}{unit}", *values))
    shown += [
        ("study", *(run.manifest["study"] for run in chosen)),
        ("potential", *(_potential(run) for run in chosen)),
        ("atoms", *(str(run.manifest["structure"]["n_atoms"]) for run in chosen)),
        ("device", *((reading.progress(run).device or run.manifest["device"])["name"] for run in chosen)),
    ]
    different = [line for line in shown if len(set(line[1:])) > 1] or [("(no input differs)", *("" for _ in chosen))]
    progress = ("progress", *(_progress(run) for run in chosen))
    return Table(("input", *names(chosen)), (*different, progress))


def _potential(run: Run) -> str:
    entry = run.manifest["potential"]
    return f"{entry['name']} {entry['members'][0]['sha256'][:8]}"


def _progress(run: Run) -> str:
    now = reading.progress(run)
    return f"{now.state}, step {now.step} of {now.target}"


def quantities(chosen: Sequence[Run]) -> Table:
    """Every measured quantity of each run with error and unit, and whether any two differ beyond two errors."""
    results = [(run.results() or {}) for run in chosen]
    found = [{n: _measured(q) for n, q in result.get("quantities", {}).items()} for result in results]
    every = dict.fromkeys(name for each in found for name in each)
    lines = [
        (name, *(str(each.get(name, "not yet")) for each in found), verdict([e[name] for e in found if name in e]))
        for name in every
    ]
    if any(results):
        lines.append(("trust in the potential", *(str(result.get("trust", "not yet")) for result in results), ""))
    return Table(("quantity", *names(chosen), "do they differ?"), tuple(lines))


def _measured(entry: dict[str, Any]) -> Measured:
    value, error = (math.nan if entry[key] is None else float(entry[key]) for key in ("value", "error"))
    return Measured(value, error, entry["unit"])


def verdict(values: Sequence[Measured]) -> str:
    """Whether the farthest two differ, in standard errors of their difference."""
    if len(values) < 2 or not all(math.isfinite(v.value) for v in values):
        return "not measured in all"
    if not all(math.isfinite(v.error) for v in values):
        return NO_ERROR
    farthest = max(_sigmas(a, b) for a, b in combinations(values, 2))
    return f"{'yes' if farthest > 2 else 'no'} ({farthest:.1f} errors apart)"


def _sigmas(a: Measured, b: Measured) -> float:
    apart, error = abs(a.value - b.value), math.hypot(a.error, b.error)
    return apart / error if error else (math.inf if apart else 0.0)
