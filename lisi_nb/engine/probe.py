"""How fast LAMMPS with a potential is on a device of this machine, from two short real runs; kept in the cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from ase import Atoms

from lisi_nb import paths
from lisi_nb.engine import devices
from lisi_nb.engine.devices import Device
from lisi_nb.engine.execute import run_blocking
from lisi_nb.engine.files import write_json
from lisi_nb.engine.lammps import Segment, Stage, log_file
from lisi_nb.potentials import Potential
from lisi_nb.structures.packing import random_packing

SIZES = {"cpu": ((200, 100), (800, 40)), "gpu": ((1000, 300), (8000, 100))}  # (atoms, steps)
VACUUM_A = 10.0
VOLUME_A3 = 20.0  # per atom: LixSi lies between 15 and 22
_LOOP = re.compile(r"Loop time of ([\d.e+-]+) on \d+ procs for (\d+) steps")
_SHARE = re.compile(r"([\d.]+)% CPU use with")


@dataclass(frozen=True)
class Probe:
    """One short run: `n_atoms`, time per step (s), time before the first step (s), memory (bytes)."""

    n_atoms: int
    step_s: float
    start_s: float
    memory_bytes: int


@dataclass(frozen=True)
class Speed:
    """Two probes on one device, and the straight lines through them."""

    small: Probe
    large: Probe

    def step_s(self, n_atoms: int) -> float:
        """Seconds per step, without the ensemble's deviation; never less than proportional to atoms below `small`."""
        return _line(n_atoms, self.small.n_atoms, self.small.step_s, self.large.n_atoms, self.large.step_s)

    def memory_bytes(self, n_atoms: int) -> int:
        """Memory of all ranks, or of the GPU."""
        first, second = self.small, self.large
        return round(_line(n_atoms, first.n_atoms, first.memory_bytes, second.n_atoms, second.memory_bytes))

    @property
    def start_s(self) -> float:
        """Seconds from the start of LAMMPS to its first step."""
        return min(self.small.start_s, self.large.start_s)


def _line(x: float, x0: float, y0: float, x1: float, y1: float) -> float:
    """The line through two points; level where it would fall, and proportional below where it would start negative."""
    slope = max(0.0, (y1 - y0) / (x1 - x0))
    return y0 + slope * (x - x0) if y0 > slope * x0 else y1 * x / x1


def loop_time(log: Path) -> tuple[float, int, float]:
    """Seconds, steps and share of a core (0 to 1) of the last MD stretch in a LAMMPS log.

    Raises
    ------
    ValueError
        The log has no finished stretch.
    """
    text = log.read_text(errors="replace")
    loops, shares = _LOOP.findall(text), _SHARE.findall(text)
    if not loops or not shares:
        raise ValueError(f"{log} has no 'Loop time' line: its MD did not end.")
    return float(loops[-1][0]), int(loops[-1][1]), min(1.0, float(shares[-1]) / 100)


def memory_bytes(folder: Path) -> int:
    """Memory of all processes that work in `folder`, without what they map from files and can give back."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.cwd() == str(folder):
                used = process.memory_info()
                total += used.rss - getattr(used, "shared", 0)
    return total


def probe_cell(elements: Sequence[str], n_atoms: int) -> Atoms:
    """A random slab, twice as high as wide, with as many atoms of each element and free faces, as studies have."""
    edge = (n_atoms * VOLUME_A3 / 2) ** (1 / 3)
    symbols = [elements[k % len(elements)] for k in range(n_atoms)]
    atoms = random_packing(symbols, (edge, edge, 2 * edge), seed=1, shrink=0.9)
    atoms.set_cell([edge, edge, 2 * edge + VACUUM_A])
    return atoms


def measure(potential: Potential, device: Device, n_atoms: int, n_steps: int) -> Probe:
    """Run `n_steps` of a cell of `n_atoms` and return what it took.

    On a CPU the time is that of an otherwise idle machine: wall time times the share of the cores that LAMMPS got.
    """
    # The ensemble is loaded and evaluated at the first step only: its memory counts, its time does not.
    segment = Segment(
        (Stage(n_steps, 600.0, 600.0),), timestep_fs=0.5, dump_every=0, thermo_every=5, deviation_every=10 * n_steps
    )
    free = devices.gpu_free_bytes(device.cuda_visible) if device.kind == "gpu" else 0
    seen = [0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()

        def sample(_step: int, _steps: int) -> None:
            gpu = free - devices.gpu_free_bytes(device.cuda_visible) if device.kind == "gpu" else 0
            seen.append(gpu or memory_bytes(folder))

        started = time.monotonic()
        run_blocking(folder, probe_cell(potential.elements, n_atoms), segment, potential.models(), device, sample)
        wall_s = time.monotonic() - started
        spent_s, steps, share = loop_time(folder / log_file())
    share = 1.0 if device.kind == "gpu" else share
    return Probe(n_atoms, spent_s * share / steps, max(0.0, wall_s - spent_s), max(seen))


def cached_file(potential: Potential, device: Device) -> Path:
    """Where the speed of this potential on this device is kept."""
    name = device.name.partition(" (")[0]  # a GPU's free memory is no part of its name
    text = json.dumps([potential.sha256, device.kind, name, device.ranks, SIZES[device.kind], VACUUM_A])
    return paths.cache() / "speed" / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def known(potential: Potential, device: Device) -> Speed | None:
    """Speed of `potential` on `device` as measured before, or ``None``."""
    path = cached_file(potential, device)
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    return Speed(Probe(**kept["small"]), Probe(**kept["large"]))


def speed(potential: Potential, device: Device) -> Speed:
    """Speed of `potential` on `device`: from the cache, or measured now (about 20 s).

    Raises
    ------
    RunFailed
        LAMMPS does not run here; in its words.
    """
    if kept := known(potential, device):
        return kept
    path = cached_file(potential, device)
    small, large = (measure(potential, device, *size) for size in SIZES[device.kind])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"potential": potential.name, "device": str(device), **asdict(Speed(small, large))})
    return Speed(small, large)
