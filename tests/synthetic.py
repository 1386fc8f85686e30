"""Synthetic trajectories and run folders with known content, in the formats that LAMMPS and the worker write."""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lisi_nb.engine import run as runs
from lisi_nb.engine.lammps import TRAJECTORY
from lisi_nb.engine.parse import Frame
from lisi_nb.params import Params

COLUMNS = "id type xu yu zu"


def dump_bytes(
    frame: Frame,
    chunk_sizes: Sequence[int] | None = None,
    columns: str = COLUMNS,
    units: str = "",
    time_ps: float | None = None,
) -> bytes:
    """One frame as `DumpCustom::write_header` and `write_data` of LAMMPS (revision 2) put it on disk."""
    n = len(frame.types)
    table = np.column_stack([np.arange(1, n + 1), frame.types, frame.positions_A]).astype(np.float64)
    sizes = [n] if chunk_sizes is None else list(chunk_sizes)
    assert sum(sizes) == n
    out = struct.pack("=q", -10) + b"DUMPCUSTOM"
    faces = [0 if periodic else 1 for periodic in frame.periodic for _ in ("low", "high")]
    out += struct.pack("=iiqqi", 1, 2, frame.step, n, 0) + struct.pack("=6i", *faces)
    out += frame.box_A.astype(np.float64).tobytes()
    out += struct.pack("=i", 5) + struct.pack("=i", len(units)) + units.encode()
    out += b"\0" if time_ps is None else b"\1" + struct.pack("=d", time_ps)
    out += struct.pack("=i", len(columns)) + columns.encode() + struct.pack("=i", len(sizes))
    start = 0
    for size in sizes:
        out += struct.pack("=i", 5 * size) + table[start : start + size].tobytes()
        start += size
    return out


def write_dump(path: Path, frames: Iterable[Frame], n_chunks: int = 1) -> Path:
    """Write frames, each cut into `n_chunks` pieces as by so many MPI ranks."""
    with path.open("wb") as stream:
        for frame in frames:
            n = len(frame.types)
            cuts = np.linspace(0, n, n_chunks + 1).astype(int)
            stream.write(dump_bytes(frame, np.diff(cuts)))
    return path


def make_run(
    folder: Path,
    params: Params,
    frames: Iterable[Frame],
    n_atoms: int,
    study: str = "interdiffusion",
    n_chunks: int = 2,
) -> runs.Run:
    """A finished run folder `folder/study/synthetic-00000000` around a synthetic trajectory."""
    where = folder / study / "synthetic-00000000"
    where.mkdir(parents=True)
    manifest = {
        "format": runs.FORMAT,
        "study": study,
        "params": params.described(),
        "potential": {"name": "lisi", "members": []},
        "structure": {"n_atoms": n_atoms, "report": "synthetic"},
    }
    run = runs.create(where, manifest, target=1)
    write_dump(run.folder / TRAJECTORY, frames, n_chunks)
    run.update(state="finished", step=1)
    return run


def moving_fronts(
    times_ps: Sequence[float],
    timestep_fs: float,
    *,
    left_A_ps: float,
    right_A_ps: float,
    alloy_fraction: float = 0.6,
    n_atoms: int = 3000,
    start_A: float = 40.0,
    edge_A: float = 20.0,
    height_A: float = 100.0,
    vacuum_A: float = 20.0,
    seed: int = 0,
) -> Iterable[Frame]:
    """Uniform random atoms: Si below the left front, Li above the right one, a `alloy_fraction` Li alloy between.

    The left front starts at `start_A` and moves down, the right one up; new random positions in every frame.
    """
    rng = np.random.default_rng(seed)
    box = np.array([[0.0, edge_A], [0.0, edge_A], [0.0, height_A + vacuum_A]])
    for time_ps in times_ps:
        positions = rng.random((n_atoms, 3)) * [edge_A, edge_A, height_A]
        z = positions[:, 2]
        left, right = start_A - left_A_ps * time_ps, start_A + right_A_ps * time_ps
        is_li = np.where(z > right, True, np.where(z < left, False, rng.random(n_atoms) < alloy_fraction))
        step = round(1000 * time_ps / timestep_fs)
        yield Frame(step, box, np.where(is_li, 1, 2), positions, (True, True, False))
