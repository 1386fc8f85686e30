"""Published data sets and models: what they hold, where their authors keep them, how labels are read once downloaded.

None is shipped. ``published_set("li-si-pbe", path)`` reads a download in its own format and says what to cite.
"""

from __future__ import annotations

import csv
import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from lisi_nb import paths
from lisi_nb.errors import check_choice
from lisi_nb.potentials.compressed import sha256 as file_sha256
from lisi_nb.training.intake import FORMATS, read_labelled


@dataclass(frozen=True)
class PublishedSet:
    """One entry of ``data/published_sets.csv``; `sha256` is empty while nobody has recorded it.

    Only what has a `format` of `lisi_nb.training.intake.FORMATS` is read here; others are models or bare structures.
    """

    name: str
    holds: str
    title: str
    authors: str
    doi: str
    licence: str
    elements: tuple[str, ...]
    format: str
    where: str
    sha256: str

    def citation(self) -> str:
        """What to cite and the terms of use."""
        return f"cite {self.authors}: {self.title}, doi:{self.doi}; licence: {self.licence}"


def published_sets() -> dict[str, PublishedSet]:
    """All entries by name."""
    with (paths.DATA / "published_sets.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {r["name"]: PublishedSet(**(r | {"elements": tuple(r["elements"].split())})) for r in rows}


def hash_of(path: Path) -> str:
    """SHA-256 of a file, or of a folder: of the sorted names and hashes of its files."""
    if path.is_file():
        return file_sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = [f"{file.relative_to(path).as_posix()} {file_sha256(file)}" for file in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def find(name: str) -> PublishedSet:
    """The entry of that name; an unknown one raises ``ValueError`` with the choices."""
    entries = published_sets()
    check_choice("published set", name, entries)
    return entries[name]


def published_set(name: str, path: Path, sha256: str = "", say: Callable[[str], object] = warnings.warn) -> list[Atoms]:
    """Read a downloaded published set; each frame carries the citation.

    Parameters
    ----------
    name : str
        Entry of ``data/published_sets.csv``.
    path : Path
        The unpacked download: a file or a folder.
    sha256 : str, optional
        Hash it must have (`hash_of`); the recorded one by default, if there is one.
    say : callable
        Told the hash if none is recorded.

    Raises
    ------
    FileNotFoundError, ValueError
        Unknown name; not of a format that is read here; not downloaded; another hash; nothing readable in it.
    """
    entry = find(name)
    if entry.format not in FORMATS:
        raise ValueError(
            f"{name} ({entry.holds}) is not read here: its format is {entry.format!r}. Allowed: {', '.join(FORMATS)}. "
            "Convert labels to extxyz and give them as a file of your own; a DeePMD model goes to `potentials add`."
        )
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist. Get {name} from {entry.where}, unpack it and give its path ({entry.citation()})."
        )
    wanted, found = sha256 or entry.sha256, hash_of(path)
    if not wanted:
        say(
            f"Nobody has recorded the sha256 of {name}. That of {path} is {found}: write it into {name}'s row of "
            "data/published_sets.csv, or give it with --sha256, and another version will be refused."
        )
    elif found != wanted:
        raise ValueError(
            f"{path} has sha256 {found[:16]}..., but {wanted[:16]}... was expected. It is another version or was "
            f"damaged: download it again from {entry.where}."
        )
    frames = read_labelled(path, entry.format, entry.elements)
    for atoms in frames:
        atoms.info |= {"reference": name, "settings": name, "citation": entry.citation()}
    return frames
