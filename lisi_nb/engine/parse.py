"""Read what LAMMPS writes, also while it is still writing: log, binary trajectory, model deviation.

A half-written last line or frame is left out; a file that is damaged in the middle is an error.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from lisi_nb.engine.lammps import DUMP_COLUMNS, TYPES

Array = np.ndarray


@dataclass(frozen=True)
class Frame:
    """One frame: step, box ``(3, 2)`` in A, types ``(n,)`` (1 Li, 2 Si), unwrapped positions ``(n, 3)`` in A."""

    step: int
    box_A: Array
    types: Array
    positions_A: Array

    @property
    def is_li(self) -> Array:
        """Mask of lithium atoms."""
        return self.types == 1 + TYPES.index("Li")

    def atoms(self, periodic_z: bool = False) -> Atoms:
        """The frame as ``ase.Atoms``, wrapped into its cell in the periodic directions."""
        symbols = [TYPES[t - 1] for t in self.types]
        atoms = Atoms(symbols, self.positions_A - self.box_A[:, 0], cell=np.ptp(self.box_A, axis=1))
        atoms.set_pbc((True, True, periodic_z))
        atoms.wrap()
        return atoms


class TruncatedFile(ValueError):
    """A file ends in the middle of a record."""


def frames(path: Path, every: int = 1, *, first: int = 0, strict: bool = False) -> Iterator[Frame]:
    """Stream frames of a LAMMPS binary dump; memory does not grow with its length.

    Parameters
    ----------
    path : Path
        Binary dump with columns ``id type xu yu zu`` sorted by id.
    every : int
        Yield every `every`-th frame.
    first : int
        Index of the first frame to yield.
    strict : bool
        Raise `TruncatedFile` on an unfinished last frame instead of leaving it out.

    Raises
    ------
    ValueError
        Not such a dump.
    """
    with path.open("rb") as stream:
        index = 0
        while True:
            start = stream.tell()
            try:
                header = _header(stream, path)
                if header is None:
                    return
                step, n_atoms, box, n_columns, n_chunks = header
                wanted, count = index >= first and (index - first) % every == 0, 0
                chunks = []
                left = n_atoms * n_columns
                for _ in range(n_chunks):
                    (count,) = struct.unpack("i", _exactly(stream, 4))
                    left -= count
                    if count < 0 or left < 0:
                        break
                    if wanted:
                        chunks.append(np.frombuffer(_exactly(stream, 8 * count), dtype=np.float64))
                    else:
                        _skip(stream, 8 * count)
            except EOFError:
                if strict:
                    raise TruncatedFile(
                        f"{path} ends in the middle of frame {index} (byte {start}): the run was cut while "
                        "writing. The frames before it are whole; read without strict to use them."
                    ) from None
                return
            if count < 0 or left != 0:
                raise ValueError(
                    f"{path} is damaged in frame {index} (byte {start}): its pieces do not add up to {n_atoms} atoms. "
                    "Use a copy, or run again."
                )
            if wanted:
                table = np.concatenate(chunks).reshape(n_atoms, n_columns)
                yield Frame(step, box, table[:, 1].astype(np.int8), table[:, 2:5])
            index += 1


def _exactly(stream, n: int) -> bytes:  # type: ignore[no-untyped-def]
    data = stream.read(n)
    if len(data) < n:
        raise EOFError
    return data


def _skip(stream, n: int) -> None:  # type: ignore[no-untyped-def]
    end = stream.seek(0, 1) + n
    if end > stream.seek(0, 2):
        raise EOFError
    stream.seek(end)


def _header(stream, path: Path):  # type: ignore[no-untyped-def]
    first = stream.read(8)
    if not first:
        return None
    if len(first) < 8:
        raise EOFError
    (length,) = struct.unpack("q", first)
    if not -64 < length < 0 or _exactly(stream, -length) != b"DUMPCUSTOM":
        raise ValueError(f"{path} is not a LAMMPS binary custom dump. Write it with `dump custom FILE.bin`.")
    endian, revision, step, n_atoms, triclinic = struct.unpack("=iiqqi", _exactly(stream, 28))
    if endian != 1 or revision < 2 or triclinic:
        raise ValueError(
            f"{path}: byte order {endian}, revision {revision}, triclinic {triclinic}; this reader takes "
            "little-endian, revision >= 2, orthogonal cells."
        )
    _exactly(stream, 24)
    box = np.array(struct.unpack("6d", _exactly(stream, 48))).reshape(3, 2)
    (n_columns,) = struct.unpack("i", _exactly(stream, 4))
    (units_length,) = struct.unpack("i", _exactly(stream, 4))
    _exactly(stream, units_length)
    if _exactly(stream, 1) != b"\0":
        _exactly(stream, 8)
    (columns_length,) = struct.unpack("i", _exactly(stream, 4))
    columns = tuple(_exactly(stream, columns_length).decode().split())
    if columns != DUMP_COLUMNS:
        raise ValueError(f"{path} has columns {columns}; expected {DUMP_COLUMNS}.")
    (n_chunks,) = struct.unpack("i", _exactly(stream, 4))
    return step, n_atoms, box, n_columns, n_chunks


def count_frames(path: Path) -> int:
    """Number of whole frames in a trajectory, from its size and first frame."""
    first = next(frames(path), None)
    if first is None:
        return 0
    with path.open("rb") as stream:
        header = _header(stream, path)
        assert header is not None
        size = stream.tell() + header[4] * 4 + 8 * header[1] * header[3]
    return path.stat().st_size // size


def truncate(path: Path, step: int) -> None:
    """Cut a trajectory before its first frame at or after `step`, and any unfinished frame at its end."""
    end = 0
    with path.open("rb") as stream:
        while True:
            try:
                header = _header(stream, path)
                if header is None or header[0] >= step:
                    break
                for _ in range(header[4]):
                    (count,) = struct.unpack("i", _exactly(stream, 4))
                    _skip(stream, 8 * count)
            except EOFError:
                break
            end = stream.tell()
    os.truncate(path, end)


RESTART_MAGIC = b"LammpS RestartT"


def is_whole_restart(path: Path) -> bool:
    """Whether a LAMMPS restart file was written to its end: it begins and ends with LAMMPS's own mark."""
    with path.open("rb") as stream:
        begins = stream.read(len(RESTART_MAGIC)) == RESTART_MAGIC
        stream.seek(max(0, path.stat().st_size - len(RESTART_MAGIC) - 1))
        return begins and stream.read().rstrip(b"\0") == RESTART_MAGIC


def joined(parts: list[dict[str, Array]], step: str) -> dict[str, Array]:
    """Columns of the parts of a run as one table: a part supersedes what lies at or beyond its first `step`."""
    table: dict[str, Array] = {}
    for part in parts:
        if not len(part.get(step, ())):
            table = table or part
        elif not len(table.get(step, ())):
            table = part
        else:
            keep = table[step] < part[step][0]
            table = {name: np.concatenate([table[name][keep], part[name]]) for name in part}
    return table


def thermo(path: Path) -> dict[str, Array]:
    """Thermo columns of a LAMMPS log, over all its runs, as arrays keyed by LAMMPS's column names.

    Repeated steps (the first line of a following run) appear once. An empty dict means nothing yet.
    """
    if not path.exists():
        return {}
    names: list[str] = []
    rows: dict[int, list[float]] = {}
    inside = False
    text = path.read_text(errors="replace")
    for line in text[: text.rfind("\n") + 1].splitlines():
        words = line.split()
        if words[:1] == ["Step"]:
            names, inside = words, True
        elif line.startswith("Loop time"):
            inside = False
        elif inside and len(words) == len(names):
            try:
                rows[int(words[0])] = [float(w) for w in words]
            except ValueError:
                continue
    if not rows:
        return {}
    table = np.array([rows[step] for step in sorted(rows)])
    return {name: table[:, k] for k, name in enumerate(names)}


def errors(path: Path) -> list[str]:
    """Lines in which LAMMPS reports an error, in order, without repetition."""
    if not path.exists():
        return []
    lines = (line.strip() for line in path.read_text(errors="replace").splitlines())
    return list(dict.fromkeys(line for line in lines if line.startswith("ERROR")))


def model_deviation(path: Path) -> dict[str, Array]:
    """Ensemble deviations of DeePMD: ``step``, ``max_devi_f_eV_A``, ``min_devi_f_eV_A``, ``avg_devi_f_eV_A``."""
    columns = {"step": 0, "max_devi_f_eV_A": 4, "min_devi_f_eV_A": 5, "avg_devi_f_eV_A": 6}
    rows = []
    if path.exists():
        text = path.read_text(errors="replace")
        for line in text[: text.rfind("\n") + 1].splitlines():
            words = line.split()
            if len(words) >= 7 and not line.startswith("#"):
                rows.append([float(words[k]) for k in columns.values()])
    table = np.array(rows).reshape(-1, len(columns))
    return {name: table[:, k] for k, name in enumerate(columns)}
