"""A small table of texts that shows well in a notebook and in a terminal."""

from __future__ import annotations

import html
from dataclasses import dataclass

from lisi_nb.engine import versions
from lisi_nb.engine.doctor import Check
from lisi_nb.engine.run import Run


@dataclass(frozen=True)
class Table:
    """Column names and rows of texts; prints aligned, and as HTML in a notebook."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(len(line[k]) for line in lines) for k in range(len(self.columns))]
        return "\n".join("  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)).rstrip() for line in lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def line(tag: str, texts: tuple[str, ...]) -> str:
            return "".join(f'<{tag} style="text-align:left">{html.escape(text)}</{tag}>' for text in texts)

        body = "".join(f"<tr>{line('td', row)}</tr>" for row in self.rows)
        return f"<table><thead><tr>{line('th', self.columns)}</tr></thead><tbody>{body}</tbody></table>"


def provenance(run: Run) -> Table:
    """What decided the outcome of a run: inputs by hash, seed, device, versions."""
    m = run.manifest
    rows = [
        ("run", run.id),
        ("inputs (sha256)", m["identity"]),
        ("structure", f"{m['structure']['formula']}, sha256 {m['structure']['sha256'][:16]}"),
        *(
            (f"potential {m['potential']['name']}", f"{p['file']}, sha256 {p['sha256'][:16]}")
            for p in m["potential"]["members"]
        ),
        ("seed", str(m["seed"])),
        ("device", f"{m['device']['name']}, {m['device']['ranks']} MPI ranks"),
        *m["versions"].items(),
    ]
    return Table(("what", "value"), tuple(rows))


def health(checks: list[Check]) -> Table:
    """The doctor's checks: what works, what is missing and what to type, and the versions of all parts."""
    rows = [(c.name, "ok" if c.ok else ("MISSING" if c.needed else "not here"), c.seen, c.remedy) for c in checks]
    parts = ", ".join(f"{name} {version}" for name, version in versions.installed().items())
    return Table(("part", "state", "seen", "what to do"), (*rows, ("versions", "", parts, "")))
