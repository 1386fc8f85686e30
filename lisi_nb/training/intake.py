"""Labelled frames from elsewhere: DeePMD, MTP, aenet, VASP, PWmat or extended XYZ files, read and checked.

`read_labelled` reads, `sort_labels` sets unusable frames apart with a reason each, so that nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from lisi_nb.errors import check_choice
from lisi_nb.training.label import CLOSEST_A, MAX_FORCE_EV_A, frame_id
from lisi_nb.training.readers import FOLDERS, READERS

FORMATS = tuple(READERS)


def read_labelled(path: Path, form: str = "auto", elements: Sequence[str] = ()) -> list[Atoms]:
    """Read labelled frames; energy in eV, forces in eV/A and, where given, stress in eV/A3 are on each frame.

    What is malformed, unlabelled or did not converge comes as a frame without labels whose ``info["failure"]`` says
    which and why; `sort_labels` sets it apart.

    Parameters
    ----------
    path : Path
        File; a folder for ``deepmd/npy`` or many ``aenet`` or ``extxyz`` files.
    form : str
        One of `FORMATS`, or ``auto`` to tell it by the name.
    elements : sequence of str
        Elements in type order, for files that know only numbers: ``mtp``, and DeePMD's without ``type_map.raw``.

    Raises
    ------
    FileNotFoundError, ValueError
        Not there; not of a known format; a folder for a file or a file for a folder; no usable frame in it; types
        without elements.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Give a file or folder with labelled frames.")
    form = guess_format(path) if form == "auto" else form
    check_choice("format", form, FORMATS)
    _check_kind(path, form)
    try:
        frames = list(READERS[form](path, elements))
    except OSError as error:
        raise ValueError(f"{path} cannot be read in format {form}: {error}") from error
    failures = [str(atoms.info["failure"]) for atoms in frames if "failure" in atoms.info]
    if len(failures) == len(frames):
        raise ValueError(
            f"{path} holds no usable labelled frame in format {form}. Mend it, or choose another of "
            f"{', '.join(FORMATS)}." + "".join(f"\n  {why}" for why in failures[:5])
        )
    for atoms in frames:
        atoms.info.setdefault("system", f"imported/{path.stem}")
        atoms.info.setdefault("round", 0)
    return frames


def _check_kind(path: Path, form: str) -> None:
    if path.is_dir() and form not in FOLDERS:
        raise ValueError(f"{path} is a folder, but {form} is one file: give that. Folders may be {', '.join(FOLDERS)}.")
    if not path.is_dir() and form == "deepmd/npy":
        raise ValueError(f"{path} is a file, but deepmd/npy is a folder: give the one that holds type.raw and set.000.")


def guess_format(path: Path) -> str:
    """Format by name: suffix of a file, content of a folder."""
    by_content = {"aenet": "*.xsf", "extxyz": "*.*xyz", "deepmd/npy": "**/type.raw"}
    if path.is_dir() and (held := [form for form, files in by_content.items() if any(path.glob(files))]):
        return held[0]
    by_name = {"OUTCAR": "vasp/outcar", "vasprun.xml": "vasp/xml", "MOVEMENT": "pwmat/movement"}
    by_suffix = {
        ".xyz": "extxyz",
        ".extxyz": "extxyz",
        ".cfg": "mtp",
        ".xsf": "aenet",
        ".h5": "deepmd/hdf5",
        ".hdf5": "deepmd/hdf5",
        ".xml": "vasp/xml",
    }
    found = by_name.get(path.name) or by_suffix.get(path.suffix.lower())
    if found is None:
        raise ValueError(f"{path.name!r} does not tell its format. Give one of: {', '.join(FORMATS)}.")
    return found


@dataclass(frozen=True)
class SortedLabels:
    """Frames that can be trained on, and the index and reason of each that cannot."""

    good: list[Atoms]
    apart: list[tuple[int, str]]

    def __str__(self) -> str:
        lines = [f"{len(self.good)} frames are usable, {len(self.apart)} are set apart"]
        return "\n".join(lines + [f"  frame {k}: {why}" for k, why in self.apart[:20]])


def sort_labels(frames: list[Atoms], elements: Sequence[str], max_force_eV_A: float = MAX_FORCE_EV_A) -> SortedLabels:
    """Set frames apart that would spoil a training: failed, empty, foreign, unlabelled, unphysical, or there twice.

    Where frames name their reference settings (``info["settings"]``), those that name none are set apart too.

    Raises
    ------
    ValueError
        Labels of different reference settings are mixed: their energies have no common zero.
    """
    settings = {str(a.info["settings"]) for a in frames if a.info.get("settings")}
    if len(settings) > 1:
        raise ValueError(
            "Labels of different reference settings are mixed: " + " | ".join(sorted(settings)) + ". Train on one."
        )
    good: list[Atoms] = []
    apart: list[tuple[int, str]] = []
    seen: dict[str, int] = {}
    for index, atoms in enumerate(frames):
        reason = _problem(atoms, elements, max_force_eV_A)
        if reason is None and settings and not atoms.info.get("settings"):
            reason = f"it names no reference settings; others name {next(iter(settings))}"
        if reason is None:
            first = seen.setdefault(frame_id(atoms), index)
            reason = None if first == index else f"the same geometry as frame {first}"
        if reason is None:
            good.append(atoms)
        else:
            apart.append((index, reason))
    return SortedLabels(good, apart)


def _problem(atoms: Atoms, elements: Sequence[str], max_force_eV_A: float) -> str | None:
    if "failure" in atoms.info:
        return str(atoms.info["failure"])
    if len(atoms) == 0:
        return "it has no atoms"
    if foreign := sorted(set(atoms.get_chemical_symbols()) - set(elements)):
        return f"it contains {', '.join(foreign)}; the potential knows {', '.join(elements)}"
    if atoms.calc is None or not {"energy", "forces"} <= set(atoms.calc.results):
        return "it has no energy or no forces"
    forces = atoms.get_forces()
    if not (np.isfinite(forces).all() and np.isfinite(atoms.get_potential_energy())):
        return "its energy or a force is not finite"
    if (largest := float(np.abs(forces).max())) > max_force_eV_A:
        return f"a force of {largest:.1f} eV/Å, above {max_force_eV_A:g}"
    distances = neighbor_list("d", atoms, CLOSEST_A)
    return f"two atoms are {distances.min():.2f} Å apart, below {CLOSEST_A}" if len(distances) else None
