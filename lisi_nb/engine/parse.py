"""Read what LAMMPS writes, also while it is still writing: log, binary trajectory, model deviation.

A half-written last line or frame is left out; a file that is damaged in the middle is an error.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from lisi_nb.engine.lammps import DUMP_COLUMNS, TYPES

Array = np.ndarray
PERIODIC = 0  # a face of the cell, as LAMMPS numbers its kinds


@dataclass(frozen=True)
class Frame:
    """One frame: step, box ``(3, 2)`` in A, types ``(n,)`` (1 Li, 2 Si), unwrapped positions ``(n, 3)`` in A.

    `periodic` says of x, y, z whether the cell repeats along it; LAMMPS writes it into each frame.
    """

    step: int
    box_A: Array
    types: Array
    positions_A: Array
    periodic: tuple[bool, bool, bool] = (True, True, True)

    @property
    def is_li(self) -> Array:
        """Mask of lithium atoms."""
        return self.types == 1 + TYPES.index("Li")

    def atoms(self) -> Atoms:
        """The frame as ``ase.Atoms``, wrapped into its cell in the periodic directions."""
        atoms = self.unwrapped()
        atoms.wrap()
        return atoms

    def unwrapped(self) -> Atoms:
        """The frame as ``ase.Atoms``, each atom where its path led it; the cell's lower corner is the origin."""
        symbols = [TYPES[t - 1] for t in self.types]
        return Atoms(symbols, self.positions_A - self.box_A[:, 0], cell=np.ptp(self.box_A, axis=1), pbc=self.periodic)


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
                step, n_atoms, periodic, box, n_columns, n_chunks = header
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
                yield Frame(step, box, table[:, 1].astype(np.int8), table[:, 2:5], periodic)
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
    faces = np.array(struct.unpack("6i", _exactly(stream, 24))).reshape(3, 2)
    x, y, z = (faces == PERIODIC).all(axis=1).tolist()
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
    return step, n_atoms, (x, y, z), box, n_columns, n_chunks


def count_frames(path: Path) -> int:
    """Number of whole frames in a trajectory, from its size and first frame."""
    first = next(frames(path), None)
    if first is None:
        return 0
    with path.open("rb") as stream:
        header = _header(stream, path)
        assert header is not None
        _, n_atoms, _, _, n_columns, n_chunks = header
        size = stream.tell() + n_chunks * 4 + 8 * n_atoms * n_columns
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
                for _ in range(header[-1]):
                    (count,) = struct.unpack("i", _exactly(stream, 4))
                    _skip(stream, 8 * count)
            except EOFError:
                break
            end = stream.tell()
    os.truncate(path, end)


RESTART_MAGIC = b"LammpS RestartT"
RESTART_TEXTS, RESTART_STEP = (0, 4), 5  # numbers of records in the header, as in LAMMPS's write_restart.cpp


def is_whole_restart(path: Path) -> bool:
    """Whether a LAMMPS restart file was written to its end: it begins and ends with LAMMPS's own mark."""
    with path.open("rb") as stream:
        begins = stream.read(len(RESTART_MAGIC)) == RESTART_MAGIC
        stream.seek(max(0, path.stat().st_size - len(RESTART_MAGIC) - 1))
        return begins and stream.read().rstrip(b"\0") == RESTART_MAGIC


def restart_step(path: Path) -> int:
    """Step that a whole LAMMPS restart file holds, from its header: version, sizes of integers, units, step."""
    with path.open("rb") as stream:
        stream.seek(len(RESTART_MAGIC) + 1 + 8)  # its mark, byte order and revision
        while (record := struct.unpack("i", _exactly(stream, 4))[0]) != RESTART_STEP:
            (value,) = struct.unpack("i", _exactly(stream, 4))
            if record in RESTART_TEXTS:
                _skip(stream, value)
        return struct.unpack("q", _exactly(stream, 8))[0]


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
    return thermo_in(whole_lines(path), [])


def thermo_in(lines: Iterable[str], names: list[str]) -> dict[str, Array]:
    """`thermo` of some lines; `names`, the columns of a table that goes on in them, is kept up to date."""
    rows: dict[int, dict[str, float]] = {}
    for line in lines:
        words = line.split()
        if words[:1] == ["Step"]:
            names[:] = words
        elif line.startswith("Loop time"):
            names.clear()
        elif words and len(words) == len(names):
            with suppress(ValueError):
                rows[int(words[0])] = dict(zip(names, map(float, words), strict=True))
    found = [rows[step] for step in sorted(rows)]
    return {name: np.array([row.get(name, np.nan) for row in found]) for name in found[-1]} if found else {}


def whole_lines(path: Path, start: int = 0) -> list[str]:
    """Lines of a text file from byte `start`, a character for each byte, without one still being written."""
    if not path.exists():
        return []
    with path.open("rb") as stream:
        stream.seek(start)
        new = stream.read()
    return new[: new.rfind(b"\n") + 1].decode("latin-1").splitlines(keepends=True)


def errors(path: Path) -> list[str]:
    """Lines in which LAMMPS reports an error, in order, without repetition."""
    if not path.exists():
        return []
    lines = (line.strip() for line in path.read_text(errors="replace").splitlines())
    return list(dict.fromkeys(line for line in lines if line.startswith("ERROR")))


def model_deviation(path: Path) -> dict[str, Array]:
    """Ensemble deviations of DeePMD: ``step``, ``max_devi_f_eV_A``, ``min_devi_f_eV_A``, ``avg_devi_f_eV_A``."""
    return model_deviation_in(whole_lines(path))


def model_deviation_in(lines: Iterable[str]) -> dict[str, Array]:
    """`model_deviation` of some lines."""
    columns = {"step": 0, "max_devi_f_eV_A": 4, "min_devi_f_eV_A": 5, "avg_devi_f_eV_A": 6}
    found = (line.split() for line in lines if not line.startswith("#"))
    rows = [[float(words[k]) for k in columns.values()] for words in found if len(words) >= 7]
    table = np.array(rows).reshape(-1, len(columns))
    return {name: table[:, k] for k, name in enumerate(columns)}
