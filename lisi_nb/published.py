"""Values printed in the five papers, and independent reference values, with unit and source."""

from __future__ import annotations

import csv
import difflib
import pathlib
import re
from dataclasses import dataclass, fields
from typing import Any

FILE = pathlib.Path(__file__).parents[1] / "data" / "published.csv"
# haml has no row: the text of that paper held here prints no number.
STUDIES = ("interdiffusion", "nanoparticle", "dendrite", "sei", "haml", "reference")
_NUMBER = r"\d+(\.\d*)?([eE][-+]?\d\d?)?"
_RULES = {
    "study": ("|".join(STUDIES), f"one of {', '.join(STUDIES)}"),
    "quantity": (r"[a-z][a-z0-9_]*", "a snake_case name"),
    "system": (r"\S.*", "any text"),
    "value": (f"-?{_NUMBER}", "a plain number such as -6.98 or 1.25e-15"),
    "error": (f"({_NUMBER})?", "empty or a plain number >= 0"),
    "unit": (r"\S.*", "any text, 1 for a dimensionless value"),
    "place": (r"\S.*", "any text"),
    "doi": (r"(10\.\d{4,9}/[^\s,;]+)?", "empty or a DOI such as 10.1039/d5mh01343g"),
}


@dataclass(frozen=True)
class Published:
    """One number and its source; `error` is None where none is printed."""

    study: str
    quantity: str
    system: str
    value: float
    error: float | None
    unit: str
    place: str
    doi: str
    note: str


_COLUMNS = [field.name for field in fields(Published)]


def _parse(row: list[str]) -> Published:
    if len(row) != len(_COLUMNS):
        raise ValueError(f"{len(row)} columns came; allowed are {len(_COLUMNS)}: {_COLUMNS}")
    cell: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
    for name, (pattern, allowed) in _RULES.items():
        if not re.fullmatch(pattern, cell[name]):
            raise ValueError(f"{name}={cell[name]!r} came; allowed is {allowed}")
    error = float(cell["error"]) if cell["error"] else None
    return Published(**{**cell, "value": float(cell["value"]), "error": error})


def load(path: str | pathlib.Path | None = None) -> tuple[Published, ...]:
    """Return every row of `path` (default ``data/published.csv``); ValueError names a bad line."""
    path = pathlib.Path(path or FILE)
    with path.open(encoding="utf-8", newline="") as stream:
        reader, rows = csv.reader(stream), []
        if (header := next(reader, [])) != _COLUMNS:
            raise ValueError(f"{path}, line 1: header {header} came; allowed is {_COLUMNS}")
        for row in reader:
            try:
                rows.append(_parse(row))
            except ValueError as error:
                raise ValueError(f"{path}, line {reader.line_num}: {error}") from None
    return tuple(rows)


def find(study: str | None = None, quantity: str | None = None, system: str | None = None) -> tuple[Published, ...]:
    """Return the rows that match every given name, in file order (empty if none does)."""
    given = {"study": study, "quantity": quantity, "system": system}
    return tuple(r for r in load() if all(n in (None, getattr(r, c)) for c, n in given.items()))


def value(study: str, quantity: str, system: str) -> Published:
    """Return the row of `study`, `quantity`, `system`; KeyError names the closest stored names."""
    rows = load()
    for column, name in (("study", study), ("quantity", quantity), ("system", system)):
        known = list(dict.fromkeys(getattr(row, column) for row in rows))
        if name not in known:
            close = difflib.get_close_matches(str(name), known, cutoff=0.4) or known[:5]
            raise KeyError(
                f"No published value for {study=}, {quantity=}, {system=}: {column} {name!r} is "
                f"not stored. Closest: {', '.join(close)}. Use one, or list with published.find()."
            )
        rows = tuple(row for row in rows if getattr(row, column) == name)
    return rows[0]
