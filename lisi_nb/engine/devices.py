"""Where LAMMPS can run on this machine: CPU ranks or a GPU, each named."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lisi_nb.errors import check_choice


@dataclass(frozen=True)
class Device:
    """A place to run: `kind` ``cpu`` or ``gpu``, human `name`, MPI `ranks`, and `cuda_visible` for a GPU."""

    kind: str
    name: str
    ranks: int
    cuda_visible: str = ""

    def __str__(self) -> str:
        return f"{self.name}, {self.ranks} MPI rank{'s' if self.ranks > 1 else ''}"


def cpu_cores() -> int:
    """Physical-ish cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[tuple[str, str]]:
    """(index, name with free memory) of each NVIDIA GPU, or none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=index,name,memory.free", "--format=csv,noheader,nounits"]
    done = subprocess.run(query, capture_output=True, text=True, check=False, timeout=20)
    rows = [line.split(", ") for line in done.stdout.splitlines() if line.count(", ") == 2]
    return [(index, f"{name} ({int(float(free)) / 1024:.0f} GiB free)") for index, name, free in rows]


def gpu_backend_installed() -> bool:
    """Whether DeePMD can use CUDA here: the CUDA runtime came with it (``make gpu``)."""
    names = (distribution.metadata["Name"] or "" for distribution in metadata.distributions())
    return any(name.startswith("nvidia-cuda-runtime") for name in names)


def choose(device: str = "auto") -> Device:
    """Return the device for ``auto`` (GPU when present and supported, else CPU), ``cpu`` or ``gpu``."""
    check_choice("device", device, ("auto", "cpu", "gpu"))
    found = gpus() if device != "cpu" else []
    if found and (device == "gpu" or gpu_backend_installed()):
        index, name = found[0]
        return Device("gpu", name, 1, index)
    if device == "gpu":
        raise ValueError(
            "device='gpu' was asked for, but no NVIDIA GPU answers nvidia-smi here. Use device='cpu', or run on a "
            "machine with a GPU after `make gpu`."
        )
    return Device("cpu", _cpu_name(), cpu_cores())


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
