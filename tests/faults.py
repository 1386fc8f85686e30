"""What the fault tests counted, in tests/artifacts/faults.json; docs/faults.md shows it."""

import json
from pathlib import Path

from lisi_nb.engine.files import write_json

FILE = Path(__file__).parent / "artifacts" / "faults.json"


def write(what: str, **counts: int) -> None:
    """Put the counts of one test beside those of the others."""
    FILE.parent.mkdir(exist_ok=True)
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    write_json(FILE, known | {what: counts})


def frames(steps: list[int], n_steps: int, every: int) -> dict[str, int]:
    """How many frames there are, how many are missing, how many come twice."""
    wanted = set(range(0, n_steps + 1, every))
    return {"frames": len(steps), "lost": len(wanted - set(steps)), "repeated": len(steps) - len(set(steps))}
