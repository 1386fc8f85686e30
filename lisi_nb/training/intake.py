"""Labelled frames from elsewhere: DeePMD, MTP, aenet, VASP, PWmat or extended XYZ files, read and checked.

`read_labelled` reads, `sort_labels` sets unusable frames apart with a reason each, so that nothing is dropped silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read
from ase.neighborlist import neighbor_list
from ase.units import Hartree

from lisi_nb.errors import check_choice
from lisi_nb.training.label import CLOSEST_A, MAX_FORCE_EV_A, frame_id

Reader = Callable[[Path, Sequence[str]], list[Atoms]]


def read_labelled(path: Path, form: str = "auto", elements: Sequence[str] = ()) -> list[Atoms]:
    """Read labelled frames; energy in eV, forces in eV/A and, where given, stress in eV/A3 are on each frame.

    Parameters
    ----------
    path : Path
        File, or folder for ``deepmd/npy`` and for many ``aenet`` or ``extxyz`` files.
    form : str
        One of `FORMATS`, or ``auto`` to tell it by the name.
    elements : sequence of str
        Elements in type order, for files that know only numbers: ``mtp``, and DeePMD's without ``type_map.raw``.

    Raises
    ------
    FileNotFoundError, ValueError
        Not there; not of a known format; no frame in it; types without elements.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Give a file or folder with labelled frames.")
    form = guess_format(path) if form == "auto" else form
    check_choice("format", form, FORMATS)
    frames = _READERS[form](path, elements)
    if not frames:
        raise ValueError(f"{path} holds no labelled frame in format {form}. Choose another of {', '.join(FORMATS)}.")
    for atoms in frames:
        atoms.info.setdefault("system", f"imported/{path.stem}")
        atoms.info.setdefault("round", 0)
    return frames


def guess_format(path: Path) -> str:
    """Format by name: suffix of a file, content of a folder."""
    if path.is_dir():
        return "aenet" if any(path.glob("*.xsf")) else "extxyz" if any(path.glob("*.xyz")) else "deepmd/npy"
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


def _extxyz(path: Path, _elements: Sequence[str]) -> list[Atoms]:
    files = sorted(path.glob("*.xyz")) if path.is_dir() else [path]
    return [atoms for file in files for atoms in read(file, index=":", format="extxyz")]


def _through_dpdata(form: str) -> Reader:
    def reader(path: Path, elements: Sequence[str]) -> list[Atoms]:
        import dpdata

        if form == "deepmd/npy":
            folders = sorted(file.parent for file in path.rglob("type.raw"))
            systems = [dpdata.LabeledSystem(str(folder), fmt=form) for folder in folders]
        else:
            systems = [dpdata.LabeledSystem(str(path), fmt=form)]
        for system in systems:
            system.data["atom_names"] = _named(system["atom_names"], elements, path.name)  # type: ignore[assignment]
        return [atoms for system in systems for atoms in system.to_ase_structure()]  # type: ignore[attr-defined]

    return reader


def _named(names: list[str], elements: Sequence[str], source: str) -> list[str]:
    """Elements of the types that dpdata calls Type_0, Type_1, ..., because no ``type_map.raw`` names them."""
    numbers = [int(name.removeprefix("Type_")) for name in names if name.startswith("Type_")]
    if not numbers:
        return names
    if not elements:
        raise ValueError(
            f"{source} numbers its types and has no type_map.raw. Give their elements in order, such as Li Si, or "
            "write them into a type_map.raw beside each type.raw."
        )
    _check_enough(max(numbers) + 1, elements, source)
    return [elements[k] for k in numbers]


def _check_enough(n_types: int, elements: Sequence[str], source: str) -> None:
    if n_types > len(elements):
        raise ValueError(f"{source} has {n_types} types, but elements={list(elements)} names {len(elements)}.")


def _aenet(path: Path, _elements: Sequence[str]) -> list[Atoms]:
    """XSF files of aenet: forces in columns 5 to 7, ``# total energy = ... eV`` on top."""
    frames = []
    for file in sorted(path.glob("*.xsf")) if path.is_dir() else [path]:
        text = file.read_text()
        energy = re.search(r"#\s*total energy\s*=\s*(\S+)\s*eV", text)
        if energy is None:
            raise ValueError(f"{file.name} has no line '# total energy = ... eV'; it is not an aenet XSF file.")
        atoms = read(file, format="xsf")
        assert isinstance(atoms, Atoms)
        forces = atoms.get_forces() / Hartree if atoms.calc is not None else None  # ASE reads XSF's as Hartree/A
        atoms.calc = SinglePointCalculator(atoms, energy=float(energy[1]), forces=forces)
        frames.append(atoms)
    return frames


def _mtp(path: Path, elements: Sequence[str]) -> list[Atoms]:
    """Configurations of MLIP (``.cfg``): PlusStress is minus stress times volume in eV, order xx yy zz yz xz xy."""
    if not elements:
        raise ValueError(f"{path.name} numbers its types. Give their elements in order, such as Li Si.")
    return [_configuration(block, elements, path.name) for block in _blocks(path.read_text())]


def _blocks(text: str) -> Iterator[list[list[str]]]:
    for part in text.split("BEGIN_CFG")[1:]:
        body, end, _ = part.partition("END_CFG")
        if end:  # a block that was cut short has no end
            yield [line.split() for line in body.splitlines() if line.strip()]


def _configuration(lines: list[list[str]], elements: Sequence[str], name: str) -> Atoms:
    at = {line[0].rstrip(":"): k for k, line in enumerate(lines) if line[0][0].isalpha()}
    n_atoms = int(lines[at["Size"] + 1][0])
    cell = np.array(lines[at["Supercell"] + 1 : at["Supercell"] + 4], dtype=float)
    columns = lines[at["AtomData"]][1:]
    rows = np.array(lines[at["AtomData"] + 1 : at["AtomData"] + 1 + n_atoms], dtype=float)
    column = dict(zip(columns, rows.T, strict=True))
    kinds = column["type"].astype(int)
    _check_enough(kinds.max() + 1, elements, name)
    positions = np.column_stack([column[f"cartes_{axis}"] for axis in "xyz"])
    atoms = Atoms([elements[k] for k in kinds], positions=positions, cell=cell, pbc=True)
    stress = None
    if "PlusStress" in at:
        stress = -np.array(lines[at["PlusStress"] + 1], dtype=float) / atoms.get_volume()
    forces = np.column_stack([column[f"f{axis}"] for axis in "xyz"])
    energy = float(lines[at["Energy"] + 1][0])
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=stress)
    return atoms


_DPDATA = ("deepmd/npy", "deepmd/hdf5", "vasp/outcar", "vasp/xml", "pwmat/movement")
_READERS: dict[str, Reader] = {
    "extxyz": _extxyz,
    "aenet": _aenet,
    **{form: _through_dpdata(form) for form in _DPDATA},
    "mtp": _mtp,
}
FORMATS = tuple(_READERS)


@dataclass(frozen=True)
class SortedLabels:
    """Frames that can be trained on, and the index and reason of each that cannot."""

    good: list[Atoms]
    apart: list[tuple[int, str]]

    def __str__(self) -> str:
        lines = [f"{len(self.good)} frames are usable, {len(self.apart)} are set apart"]
        return "\n".join(lines + [f"  frame {k}: {why}" for k, why in self.apart[:20]])


def sort_labels(frames: list[Atoms], elements: Sequence[str], max_force_eV_A: float = MAX_FORCE_EV_A) -> SortedLabels:
    """Set frames apart that would spoil a training: empty, foreign, unlabelled, unphysical, or there twice.

    Raises
    ------
    ValueError
        Labels of different reference settings are mixed: their energies have no common zero.
    """
    settings = {str(a.info["settings"]) for a in frames if "settings" in a.info}
    if len(settings) > 1:
        raise ValueError(
            "Labels of different reference settings are mixed: " + " | ".join(sorted(settings)) + ". Train on one."
        )
    good: list[Atoms] = []
    apart: list[tuple[int, str]] = []
    seen: dict[str, int] = {}
    for index, atoms in enumerate(frames):
        reason = _problem(atoms, elements, max_force_eV_A)
        if reason is None:
            first = seen.setdefault(frame_id(atoms), index)
            reason = None if first == index else f"the same geometry as frame {first}"
        if reason is None:
            good.append(atoms)
        else:
            apart.append((index, reason))
    return SortedLabels(good, apart)


def _problem(atoms: Atoms, elements: Sequence[str], max_force_eV_A: float) -> str | None:
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
