"""What LAMMPS wrote in one folder: logs, trajectories, deviations and restart files of all its parts.

A folder has one part, and one more for each resumption: ``log.lammps`` ``traj.0.bin`` ``model_devi.out``, then
``log.1.lammps`` ``traj.1.bin`` ``model_devi.1.out``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lisi_nb.engine import parse
from lisi_nb.engine.lammps import RESTARTS, deviation_file, log_file, trajectory_file


@dataclass(frozen=True)
class Output:
    """The output of one LAMMPS segment, also while it is written. Reading never changes anything."""

    folder: Path

    @property
    def n_parts(self) -> int:
        """Parts so far: 1, and one more for each resumption."""
        n = 1
        while (self.folder / log_file(n)).exists():
            n += 1
        return n

    @property
    def logs(self) -> list[Path]:
        """LAMMPS logs of the parts, in order of time."""
        return [self.folder / log_file(part) for part in range(self.n_parts)]

    @property
    def trajectories(self) -> list[Path]:
        """Binary trajectories of the parts that have one, in order of time."""
        files = (self.folder / trajectory_file(part) for part in range(self.n_parts))
        return [file for file in files if file.exists()]

    @property
    def n_frames(self) -> int:
        """Whole frames written so far."""
        return sum(parse.count_frames(file) for file in self.trajectories)

    def frames(self, every: int = 1) -> Iterator[parse.Frame]:
        """Stream every `every`-th frame written so far, over all parts (see `lisi_nb.engine.parse.frames`)."""
        skip = 0
        for file in self.trajectories:
            yield from parse.frames(file, every, first=skip)
            skip = (skip - parse.count_frames(file)) % every

    def ends(self) -> tuple[parse.Frame, parse.Frame]:
        """First and last whole frame, streaming; an output without frames raises ``ValueError``."""
        first = last = None
        for frame in self.frames():
            first, last = first or frame, frame
        if first is None or last is None:
            raise ValueError(f"{self.folder.name} has no frame yet. Let it run on.")
        return first, last

    def thermo(self) -> dict[str, Any]:
        """Thermo columns so far, on one axis of steps."""
        return parse.joined([parse.thermo(file) for file in self.logs], "Step")

    def model_deviation(self) -> dict[str, Any]:
        """Ensemble deviation so far, on one axis of steps."""
        parts = [parse.model_deviation(self.folder / deviation_file(k)) for k in range(self.n_parts)]
        return parse.joined(parts, "step")

    def restart_file(self) -> Path | None:
        """The whole restart file of the latest step, or ``None``; one cut while it was written is passed over."""
        files = [self.folder / name for name in RESTARTS]
        whole = [file for file in files if file.exists() and parse.is_whole_restart(file)]
        return max(whole, key=parse.restart_step, default=None)
