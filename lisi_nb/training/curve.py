"""The learning curve of a member, readable while it trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lisi_nb.charts import Chart, Curve


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Root-mean-square errors on a batch of held-out and of training frames against steps, all ``(n,)``."""

    step: np.ndarray
    force_held_out_eV_A: np.ndarray
    force_training_eV_A: np.ndarray
    energy_held_out_eV_atom: np.ndarray
    energy_training_eV_atom: np.ndarray
    learning_rate: np.ndarray


_COLUMNS = ("step", "rmse_f_val", "rmse_f_trn", "rmse_e_val", "rmse_e_trn", "lr")


def learning_curve(file: Path) -> LearningCurve:
    """Read ``lcurve.out`` of ``dp train``; empty before its first line, and a line cut short is left out.

    A training that went on from its last checkpoint writes the steps since then a second time: the second ones count.

    Raises
    ------
    ValueError
        A column is missing: the training has no held-out frames or no forces.
    """
    names: list[str] = []
    rows: list[list[float]] = []
    for line in file.read_text().splitlines(keepends=True) if file.exists() else []:
        if not line.endswith("\n"):
            break
        words = line.lstrip("#").split()
        if line.startswith("#"):
            names = words if words[:1] == ["step"] else names
        elif len(words) == len(names):
            row = [float(word) for word in words]
            while rows and rows[-1][names.index("step")] >= row[names.index("step")]:
                rows.pop()
            rows.append(row)
    if names and (missing := [name for name in _COLUMNS if name not in names]):
        raise ValueError(f"{file.name} has no column {', '.join(missing)}; it has {', '.join(names)}.")
    table = dict(zip(names, np.array(rows).T, strict=True)) if rows else dict.fromkeys(_COLUMNS, np.zeros(0))
    return LearningCurve(*(table[name] for name in _COLUMNS))


def curve_chart(curves: dict[str, LearningCurve]) -> Chart:
    """Force errors on held-out frames against steps, one line per member."""
    return Chart(
        "Learning",
        "training step",
        "force error on held-out frames (eV/Å)",
        tuple(Curve(c.step, c.force_held_out_eV_A, name) for name, c in curves.items()),
    )
