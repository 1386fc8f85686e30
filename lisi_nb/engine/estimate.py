"""What a run will cost before it is launched: atoms, steps, time, disk and memory on this machine."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from lisi_nb import paths, potentials
from lisi_nb.engine import devices, probe
from lisi_nb.engine import run as runs
from lisi_nb.engine.devices import Device
from lisi_nb.engine.lammps import DUMP_COLUMNS, RESTARTS, Segment, Stage
from lisi_nb.engine.probe import Speed
from lisi_nb.engine.steps import Step
from lisi_nb.params import Params
from lisi_nb.units import duration

LONG_S = 24 * 3600.0
# A launch that is small even with these is not probed: five times the slowest core and hungriest potential we met.
SLOWEST_S_PER_ATOM_STEP = 500e-6
MOST_BYTES_PER_ATOM, MOST_BYTES_PER_RANK = 500e3, 2e9
RESTART_BYTES_PER_ATOM, DATA_BYTES_PER_ATOM = 92, 90 + 130  # binary; data.lmp and final.data are text
THERMO_BYTES, DEVIATION_BYTES, REST_BYTES = 125, 140, 40_000


@dataclass(frozen=True)
class Estimate:
    """Cost of one run here; times in s, sizes in bytes.

    `run_s` is for an otherwise idle machine; `preparation_s` is for structures that have to be made by MD first.
    `memory_bytes` is the GPU's on a GPU. `speed_known` is false when no probe was run because the launch is small by
    any measure; times and memory are then upper bounds.
    """

    device: Device
    n_atoms: int
    n_steps: int
    run_s: float
    preparation_s: float
    disk_bytes: int
    memory_bytes: int
    free_disk_bytes: int
    free_memory_bytes: int
    speed_known: bool = True

    @property
    def wall_s(self) -> float:
        """Preparation and run."""
        return self.preparation_s + self.run_s

    def __str__(self) -> str:
        most = "" if self.speed_known else "at most "
        kind = "GPU memory" if self.device.kind == "gpu" else "memory"
        made = f" (of this {duration(self.preparation_s)} for making structures)" if self.preparation_s else ""
        return (
            f"{self.n_atoms} atoms, {self.n_steps} steps on {self.device}\n"
            f"wall time {most}{duration(self.wall_s)}{made}\n"
            f"disk {size(self.disk_bytes)} of {size(self.free_disk_bytes)} free, "
            f"{kind} {most}{size(self.memory_bytes)} of {size(self.free_memory_bytes)} free"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self) | {"wall_s": self.wall_s}


def size(n_bytes: float) -> str:
    """Bytes as words: ``12 kB``, ``3.4 GB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.3g} {unit}"
    return f"{n_bytes:.0f} B"


def frame_bytes(n_atoms: int, ranks: int = 1) -> int:
    """Bytes of one frame of LAMMPS's binary dump (see `lisi_nb.engine.parse.frames`)."""
    header = 8 + len("DUMPCUSTOM") + 28 + 24 + 48 + 4 + 4 + 1 + 4 + len(" ".join(DUMP_COLUMNS)) + 4
    return header + 4 * ranks + 8 * len(DUMP_COLUMNS) * n_atoms


def disk_bytes(n_atoms: int, segment: Segment, ranks: int = 1) -> int:
    """Bytes of a finished run folder: trajectory, restart and data files, logs."""

    def lines(every: int) -> int:
        return segment.n_steps // every + 1 if every else 0

    frames = lines(segment.dump_every) * frame_bytes(n_atoms, ranks)
    restarts = (len(RESTARTS) if 0 < segment.restart_every <= segment.n_steps else 1) * RESTART_BYTES_PER_ATOM
    logs = lines(segment.thermo_every) * THERMO_BYTES + lines(segment.deviation_every) * DEVIATION_BYTES
    return frames + n_atoms * (restarts + DATA_BYTES_PER_ATOM) + logs + REST_BYTES


def count_atoms(study: ModuleType, params: Params) -> int:
    """Number of atoms of a run: the study's own count, or that of the built structure where it has none."""
    return study.n_atoms(params) if hasattr(study, "n_atoms") else len(study.build(params))


def estimate(study: ModuleType, params: Params, device: str = "auto", exact: bool = True) -> Estimate:
    """What this run would cost on this machine.

    Parameters
    ----------
    study : module
        Has ``plan(params, history)`` (a chain also ``expected_steps(params)`` and ``expected_segments(params)``) and,
        so that nothing must be built, ``n_atoms(params)`` and ``preparation(params)``: a list of (what, atoms, steps)
        of MD that building still needs.
    params : Params
        Every input.
    device : str
        See `lisi_nb.engine.devices.choose`.
    exact : bool
        Measure the speed here if it is not known (20 s, then cached). Without, upper bounds are given instead of
        measuring when even these are far below what `check` asks about.

    Raises
    ------
    ValueError, RunFailed
        A bad parameter or device; LAMMPS does not run here.
    """
    cost = unmeasured(study, params, device)
    if not exact and (cost.speed_known or not problems([cost])):
        return cost
    potential = potentials.get(params.potential)  # type: ignore[attr-defined]
    return _at_speed(study, params, cost.device, probe.speed(potential, cost.device))


def unmeasured(study: ModuleType, params: Params, device: str = "auto") -> Estimate:
    """`estimate` within a second: with the speed that was measured here before, or with upper bounds.

    Raises
    ------
    ValueError
        A bad parameter or device.
    """
    if hasattr(study, "check"):
        study.check(params)
    where = devices.choose(device)
    potential = potentials.get(params.potential)  # type: ignore[attr-defined]
    return _at_speed(study, params, where, probe.known(potential, where))


def _at_speed(study: ModuleType, params: Params, where: Device, speed: Speed | None) -> Estimate:
    """The cost at a measured `speed`; without one, upper bounds of times and memory."""
    potential = potentials.get(params.potential)  # type: ignore[attr-defined]
    n_atoms, (segment, n_starts) = count_atoms(study, params), whole(study, params)
    jobs = [(n, steps) for _, n, steps in study.preparation(params)] if hasattr(study, "preparation") else []
    free = _free_memory(where)
    ask_of_all = 1.0
    if segment.deviation_every:
        ask_of_all += (len(potential.card["members"]) - 1) / segment.deviation_every
    common: dict[str, Any] = dict(
        device=where,
        n_atoms=n_atoms,
        n_steps=segment.n_steps,
        disk_bytes=disk_bytes(n_atoms, segment, where.ranks),
        free_disk_bytes=shutil.disk_usage(existing(paths.runs())).free,
        free_memory_bytes=free,
    )
    if speed is None:
        return Estimate(
            **common,
            run_s=n_atoms * segment.n_steps * SLOWEST_S_PER_ATOM_STEP * ask_of_all,
            preparation_s=sum(n * steps * SLOWEST_S_PER_ATOM_STEP for n, steps in jobs),
            memory_bytes=round(n_atoms * MOST_BYTES_PER_ATOM + where.ranks * MOST_BYTES_PER_RANK),
            speed_known=False,
        )
    return Estimate(
        **common,
        run_s=n_starts * speed.start_s + segment.n_steps * speed.step_s(n_atoms) * ask_of_all,
        preparation_s=sum(speed.start_s + steps * speed.step_s(n) for n, steps in jobs),
        memory_bytes=speed.memory_bytes(n_atoms),
    )


def whole(study: ModuleType, params: Params) -> tuple[Segment, int]:
    """The run as if it were one segment, and how often LAMMPS starts: a chain writes as often as its first MD does."""
    first = study.plan(params, ())
    if not isinstance(first, Step):
        return first, 1
    like = first.segment if isinstance(first.segment, Segment) else Segment(())
    n_steps = study.expected_steps(params)
    return dataclasses.replace(like, stages=(Stage(n_steps, 300.0, 300.0),)), study.expected_segments(params)


def atom_steps(study: ModuleType, params: Params) -> int:
    """Atoms times steps of a run, by which the time left for several runs is shared out; nothing is built."""
    return count_atoms(study, params) * whole(study, params)[0].n_steps


def _free_memory(device: Device) -> int:
    if device.kind == "gpu":
        return devices.gpu_free_bytes(device.cuda_visible)
    return int(psutil.virtual_memory().available)


def existing(path: Path) -> Path:
    """The nearest folder on the way to `path` that exists."""
    return next(p for p in (path, *path.resolve().parents) if p.exists())


def problems(costs: Sequence[Estimate], slots: int = 1) -> list[str]:
    """Why these runs, `slots` at a time, should not be launched without asking; empty when nothing speaks against."""
    disk, seconds = sum(c.disk_bytes for c in costs), sum(c.wall_s for c in costs) / slots
    memory = sum(sorted((c.memory_bytes for c in costs), reverse=True)[: slots if costs[0].device.kind == "cpu" else 1])
    first, found = costs[0], []
    if disk > first.free_disk_bytes:
        found.append(
            f"It would write {size(disk)}, but only {size(first.free_disk_bytes)} are free on the disk of "
            f"{paths.runs()}. Save frames less often, or free space (`lisi-nb clean`)."
        )
    if memory > first.free_memory_bytes:
        found.append(
            f"It would take about {size(memory)} of memory, but only {size(first.free_memory_bytes)} are free on "
            f"{first.device.name}. Use fewer atoms, fewer ranks or another device."
        )
    if seconds > LONG_S:
        found.append(
            f"It would take about {duration(seconds)} on {first.device}. Choose a smaller scale, another device, or a "
            "cluster."
        )
    return found


def check(costs: Sequence[Estimate], slots: int = 1, yes: bool = False) -> None:
    """Raise ``ValueError`` for a launch that will not fit or takes more than a day, unless confirmed by `yes`."""
    found = [] if yes else problems(costs, slots)
    if found:
        raise ValueError("\n".join([*found, "If you want it all the same, confirm with --yes (yes=True)."]))


def check_launch(study: ModuleType, params: Params, device: str = "auto", yes: bool = False) -> None:
    """`check` of one run; one that exists already, and one confirmed by `yes`, is not estimated at all.

    Raises
    ------
    ValueError
        It will not fit in free disk or memory, or takes more than 24 h here; the message says what to do.
    """
    potential = potentials.get(params.potential)  # type: ignore[attr-defined]
    if yes or runs.by_hash(study.NAME, runs.identity(study.NAME, params.to_dict(), potential.sha256)):
        return
    check([estimate(study, params, device, exact=False)])
