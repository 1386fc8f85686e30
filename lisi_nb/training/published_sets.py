"""Published training sets: what they hold, where their authors keep them, and how they are read once downloaded.

None is shipped. ``published_set("li-si-pbe", path)`` reads a download in its own format and says what to cite.
"""

from __future__ import annotations

import csv
import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from lisi_nb import paths
from lisi_nb.errors import check_choice
from lisi_nb.potentials.compressed import sha256 as file_sha256
from lisi_nb.training.intake import read_labelled


@dataclass(frozen=True)
class PublishedSet:
    """One entry of ``data/published_sets.csv``; `sha256` is empty while nobody has recorded it."""

    name: str
    holds: str
    format: str
    elements: tuple[str, ...]
    where: str
    licence: str
    doi: str
    sha256: str

    def citation(self) -> str:
        """What to cite and the terms of use."""
        return f"cite doi:{self.doi}; licence: {self.licence}"


def published_sets() -> dict[str, PublishedSet]:
    """All entries by name."""
    with (paths.DATA / "published_sets.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {r["name"]: PublishedSet(**(r | {"elements": tuple(r["elements"].split())})) for r in rows}


def hash_of(path: Path) -> str:
    """SHA-256 of a file, or of a folder: of the sorted names and hashes of its files."""
    if path.is_file():
        return file_sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = [f"{file.relative_to(path).as_posix()} {file_sha256(file)}" for file in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def published_set(name: str, path: Path, sha256: str = "") -> list[Atoms]:
    """Read a downloaded published set; each frame carries the citation.

    Parameters
    ----------
    name : str
        Entry of ``data/published_sets.csv``.
    path : Path
        The unpacked download: a file or a folder.
    sha256 : str, optional
        Hash it must have (`hash_of`); the recorded one by default, if there is one.

    Raises
    ------
    FileNotFoundError, ValueError
        Unknown name; not downloaded; another hash; nothing readable in it.
    """
    check_choice("published set", name, published_sets())
    entry = published_sets()[name]
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist. Get {name} from {entry.where}, unpack it and give its path ({entry.citation()})."
        )
    wanted, found = sha256 or entry.sha256, hash_of(path)
    if not wanted:
        warnings.warn(f"No hash of {name} is known here. Yours is {found}: give it to know this version.", stacklevel=2)
    elif found != wanted:
        raise ValueError(
            f"{path} has sha256 {found[:16]}..., but {wanted[:16]}... was expected. It is another version or was "
            f"damaged: download it again from {entry.where}."
        )
    frames = read_labelled(path, entry.format, entry.elements)
    for atoms in frames:
        atoms.info |= {"settings": name, "citation": entry.citation()}
    return frames
