"""What the files of a run say now. Only reading, no widgets: works for runs started anywhere, also while they go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lisi_nb.analysis.trust import Trust, trust
from lisi_nb.charts import Chart, Curve
from lisi_nb.engine.run import Run

GPA_PER_BAR = 1e-4
NONE_YET = Trust(*4 * (float("nan"),), float("nan"), float("nan"))


class Unreadable(Exception):
    """The run cannot be read now; the message is a sentence for people."""


@dataclass(frozen=True)
class Progress:
    """State and speed of a run, from its ``status.json`` alone (a millisecond); `device` is known once it has begun."""

    state: str
    message: str
    step: int
    target: int
    steps_per_s: float | None
    ns_per_day: float | None
    left_s: float | None
    device: dict[str, Any] | None

    @property
    def share(self) -> float:
        """Fraction done, 0 to 1."""
        return min(1.0, self.step / max(1, self.target))

    @property
    def going(self) -> bool:
        """Whether the run is queued or running."""
        return self.state in ("queued", "running")


@dataclass(frozen=True)
class Physics:
    """Thermo columns ``(n,)`` so far and how well the potential's members agree; dearer to read in a long run.

    Times in ps, temperature in K, energy in eV per atom, pressure (of the whole cell, vacuum included) in GPa.
    """

    time_ps: np.ndarray
    temperature_K: np.ndarray
    energy_eV: np.ndarray
    pressure_GPa: np.ndarray
    trust: Trust


def progress(run: Run) -> Progress:
    """Read state, step, speed and time left of `run`.

    Raises
    ------
    Unreadable
        The folder is gone or is not that of a run.
    """
    try:
        status, timestep_fs = run.status(), run.manifest["timestep_fs"]
    except (OSError, ValueError, KeyError) as error:
        raise Unreadable(why_not(run, error)) from None
    speed = status.get("steps_per_s")
    return Progress(
        state=status["state"],
        message=status["message"],
        step=status["step"],
        target=status["target"],
        steps_per_s=speed,
        ns_per_day=speed * timestep_fs * 1e-6 * 86400 if speed else None,
        left_s=status.get("left_s"),
        device=status.get("device"),
    )


def physics(run: Run) -> Physics:
    """Read thermo lines and ensemble deviation of `run`; half-written last lines are left out.

    Raises
    ------
    Unreadable
        The folder is gone or is not that of a run.
    """
    try:
        thermo, deviation = run.thermo(), run.model_deviation()["max_devi_f_eV_A"]
        timestep_fs, n_atoms = run.manifest["timestep_fs"], run.manifest["structure"]["n_atoms"]
    except (OSError, ValueError, KeyError) as error:
        raise Unreadable(why_not(run, error)) from None
    empty = np.zeros(0)
    limits = trust_limits(run)
    return Physics(
        time_ps=thermo.get("Step", empty) * timestep_fs / 1000,
        temperature_K=thermo.get("Temp", empty),
        energy_eV=thermo.get("PotEng", empty) / thermo.get("Atoms", n_atoms),  # their number changes in a chain
        pressure_GPa=thermo.get("Press", empty) * GPA_PER_BAR,
        trust=trust(deviation, *limits) if limits else NONE_YET,
    )


def trust_limits(run: Run) -> tuple[float, float] | None:
    """The run's potential's limits *accurate below, failed above* (eV/A); ``None`` where it is not installed here."""
    try:
        return run.trust_eV_A
    except (ValueError, KeyError):
        return None


def why_not(run: Run, error: Exception) -> str:
    """A sentence about a run that cannot be read."""
    return gone(run) or f"This run cannot be read: {error}"


def gone(run: Run) -> str:
    """A sentence where the folder of a run is no more, else empty."""
    if (run.folder / "manifest.json").exists():
        return ""
    return (
        f"The folder of this run is gone: {run.folder}. There is nothing left to follow. "
        "To run it again, repeat the cell that launched it."
    )


def charts(now: Physics) -> tuple[Chart, ...]:
    """Temperature and potential energy so far; empty before the first line of the log."""
    if len(now.time_ps) == 0:
        return ()
    return (
        Chart("Temperature", "time (ps)", "T (K)", (Curve(now.time_ps, now.temperature_K),)),
        Chart("Potential energy", "time (ps)", "E (eV/atom)", (Curve(now.time_ps, now.energy_eV),)),
    )
