"""Where LAMMPS can run on this machine: CPU ranks or a GPU, each named.

``LISI_NB_DEVICE`` says what ``auto`` means, for a machine that is shared: ``LISI_NB_DEVICE=cpu:4``. Where
``CUDA_VISIBLE_DEVICES`` is set, other GPUs are not there; its numbers, like ours, are those of nvidia-smi.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lisi_nb.errors import check_choice, check_range

VISIBLE, SLICE = "CUDA_VISIBLE_DEVICES", "MIG-"
QUERY_S = 20.0


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
    return [(index, f"{name} ({free / 2**30:.0f} GiB free)") for index, name, free in _smi()]


def gpu_free_bytes(index: str) -> int:
    """Free memory of a GPU; raises ``ValueError`` when nvidia-smi does not list it."""
    found = {number: free for number, _, free in _smi()}
    check_choice("gpu", index, found)
    return found[index]


def _smi() -> list[tuple[str, str, int]]:
    """(index, name, free bytes) of each GPU; none when nvidia-smi is missing or does not answer."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    rows = _query(tool, "index,name,memory.free")
    shown = os.environ.get(VISIBLE)
    if shown is not None and not shown.startswith(SLICE):
        ids = dict(_query(tool, "index,uuid")) if "GPU-" in shown else {}
        wanted = [word.strip() for word in shown.split(",") if word.strip()]
        rows = [row for row in rows if any(row[0] == w or ids.get(row[0], "").startswith(w) for w in wanted)]
    return [(index, name, int(float(free_MiB)) * 2**20) for index, name, free_MiB in rows]


def _query(tool: str, fields: str) -> list[list[str]]:
    query = [tool, f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=False, timeout=QUERY_S)
    except subprocess.TimeoutExpired:  # its driver hangs
        return []
    return [line.split(", ") for line in done.stdout.splitlines() if line.count(", ") == fields.count(",")]


def told(device: Device) -> str:
    """What CUDA is told to see: nothing, a GPU, or a slice of one (MIG) where the environment names that."""
    shown = os.environ.get(VISIBLE, "")
    return "" if device.kind == "cpu" else shown if shown.startswith(SLICE) else device.cuda_visible


def check_there(device: Device) -> None:
    """Raise ``ValueError`` when the GPU of `device` is not on this machine, or ``CUDA_VISIBLE_DEVICES`` hides it."""
    if device.kind == "gpu" and device.cuda_visible not in (found := dict(gpus())):
        there = ", ".join(f"gpu:{number}" for number in found) or "none"
        raise ValueError(
            f"gpu:{device.cuda_visible} is not there. Allowed: {there} ({VISIBLE}={os.environ.get(VISIBLE)}). Start it "
            "where its GPU is, or make a new run on another device."
        )


def gpu_backend_installed() -> bool:
    """Whether DeePMD can use CUDA here: the CUDA runtime came with it (``make gpu``)."""
    names = (distribution.metadata["Name"] or "" for distribution in metadata.distributions())
    return any(name.startswith("nvidia-cuda-runtime") for name in names)


def offered() -> dict[str, str]:
    """What a user may choose from here: words -> the name that `choose` takes. Looking for GPUs may take seconds."""
    cores = cpu_cores()
    words = {"automatic": "auto"}
    for n in sorted({*(2**k for k in range(cores.bit_length())), cores}):
        words[f"CPU, {n} of {cores} cores" if cores > 1 else "CPU, its one core"] = f"cpu:{n}"
    if gpu_backend_installed():
        words |= {f"GPU {index}: {name}": f"gpu:{index}" for index, name in gpus()}
    return words


def choose(device: str = "auto") -> Device:
    """Return the device of this name.

    Parameters
    ----------
    device : str
        ``auto`` (``LISI_NB_DEVICE`` if set, else a GPU when present and supported, else CPU), ``cpu`` (a rank for each
        core), ``cpu:RANKS``, ``gpu`` (the first), or ``gpu:INDEX`` as nvidia-smi counts.

    Raises
    ------
    ValueError
        Another name, more ranks than cores, or a GPU that is not there.
    """
    if device == "auto":
        device = os.environ.get("LISI_NB_DEVICE", "auto")
    kind, colon, which = device.partition(":")
    if (colon and kind == "auto") or kind not in ("auto", "cpu", "gpu") or (colon and not _is_number(which)):
        raise ValueError(
            f"device={device!r} is not known. Allowed: auto, cpu, gpu, cpu:RANKS (such as cpu:2), gpu:INDEX (gpu:0)."
        )
    if kind == "cpu":
        ranks = int(which) if colon else cpu_cores()
        check_range("ranks", ranks, 1, cpu_cores(), "", "More ranks than cores only slow each other down.")
        return Device("cpu", _cpu_name(), ranks)
    found = dict(gpus())
    if kind == "gpu" and not found:
        raise ValueError(
            f"device={device!r} was asked for, but no NVIDIA GPU answers nvidia-smi here. Use device='cpu', or run on "
            "a machine with a GPU after `make gpu`."
        )
    if kind == "gpu" or (found and gpu_backend_installed()):
        index = which or next(iter(found))
        if index not in found:
            listed = "; ".join(f"gpu:{number} is {name}" for number, name in found.items())
            raise ValueError(f"device={device!r} is not there. Allowed: {listed}.")
        return Device("gpu", found[index], 1, index)
    return Device("cpu", _cpu_name(), cpu_cores())


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
