"""Readers of labelled frames, by format; what cannot be used comes as a frame whose ``info["failure"]`` says why."""

from __future__ import annotations

import io
import re
import tempfile
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read
from ase.stress import full_3x3_to_voigt_6_stress
from ase.units import Hartree

Reader = Callable[[Path, Sequence[str]], Iterator[Atoms]]

UNCONVERGED = "SCF did not converge"
EXTXYZ_LABELS = {
    "energy": "forces",
    "REF_energy": "REF_forces",
    "dft_energy": "dft_forces",
    "energy_mace": "forces_mace",
}
_ALLOWED = "allowed: " + ", ".join(map(" + ".join, EXTXYZ_LABELS.items()))  # in any case of letters
_STEP_ENDS = {"vasp/outcar": "free  energy   TOTEN", "pwmat/movement": "------------"}
_OUTCAR_HEAD = re.compile(r"TITEL|POTCAR:|NELM\s*=|NWRITE\s*=|ions per type")


def _failed(part: str, why: str) -> Atoms:
    return Atoms(info={"failure": f"{part}: {why}"})


def _kept(part: str, load: Callable[..., list[Atoms]], *arguments: Any) -> list[Atoms]:
    """Frames of one part of a file or folder, or one frame that says why there is none: the other parts stay."""
    try:
        return load(*arguments)
    except Exception as error:  # whatever a library raises on a malformed part
        return [_failed(part, str(error) if isinstance(error, ValueError) else repr(error))]


def _extxyz(path: Path, _elements: Sequence[str]) -> Iterator[Atoms]:
    for file in sorted(path.glob("*.*xyz")) if path.is_dir() else [path]:
        lines = file.read_text(errors="replace").splitlines(keepends=True)
        starts = sorted({0, *(k for k, line in enumerate(lines) if line.strip().isdigit())})
        blocks = ["".join(lines[a:b]) for a, b in zip(starts, [*starts[1:], None], strict=True)]
        for k, block in enumerate(blocks, 1):
            if block.strip() or len(blocks) == 1:
                yield from _kept(f"block {k} of {file.name}", _extxyz_block, block)


def _extxyz_block(block: str) -> list[Atoms]:
    if not block.strip():
        raise ValueError("it is empty")
    (atoms,) = read(io.StringIO(block), index=":", format="extxyz")
    results = atoms.calc.results if atoms.calc else {}
    values = {key.lower(): value for key, value in (atoms.info | atoms.arrays | results).items()}
    found = [pair for pair in EXTXYZ_LABELS.items() if all(key.lower() in values for key in pair)]
    if not found:
        came = [*results, *atoms.info, *(key for key in atoms.arrays if key not in ("numbers", "positions"))]
        raise ValueError(f"it has no energy or no forces but {', '.join(came) or 'nothing'}; {_ALLOWED}")
    if len(found) > 1:
        raise ValueError(f"it has several labels, {' and '.join(map(' + '.join, found))}: keep those to train on")
    energy, forces = (key.lower() for key in found[0])
    if not {"energy", "forces"} <= set(results):
        stress = values.get(energy.replace("energy", "stress"))
        if stress is not None and np.size(stress) == 9:
            stress = full_3x3_to_voigt_6_stress(np.reshape(stress, (3, 3)))
        atoms.calc = SinglePointCalculator(atoms, energy=float(values[energy]), forces=values[forces], stress=stress)
    return [atoms]


def _aenet(path: Path, _elements: Sequence[str]) -> Iterator[Atoms]:
    for file in sorted(path.glob("*.xsf")) if path.is_dir() else [path]:
        yield from _kept(file.name, _xsf, file)


def _xsf(file: Path) -> list[Atoms]:
    """XSF file of aenet: forces in columns 5 to 7, ``# total energy = ... eV`` on top."""
    energy = re.search(r"#\s*total energy\s*=\s*(\S+)\s*eV", file.read_text())
    if energy is None:
        raise ValueError("it has no line '# total energy = ... eV'; it is not an aenet XSF file")
    atoms = read(file, format="xsf")
    assert isinstance(atoms, Atoms)
    forces = atoms.get_forces() / Hartree if atoms.calc is not None else None  # ASE reads XSF's as Hartree/A
    atoms.calc = SinglePointCalculator(atoms, energy=float(energy[1]), forces=forces)
    return [atoms]


def _deepmd_npy(path: Path, elements: Sequence[str]) -> Iterator[Atoms]:
    for folder in sorted(file.parent for file in path.rglob("type.raw")):
        name, mixed = str(folder.relative_to(path.parent)), any(folder.glob("set.*/real_atom_types.npy"))
        if mixed and not (folder / "type_map.raw").exists():
            yield _failed(name, "it mixes compositions and has no type_map.raw: write its elements there")
        else:
            yield from _kept(name, _deepmd, str(folder), "deepmd/npy", mixed, elements, path.name)


def _deepmd_hdf5(path: Path, elements: Sequence[str]) -> Iterator[Atoms]:
    import h5py

    with h5py.File(path) as file:
        names = ["/"]
        file.visit(names.append)
        for name in names:
            group = file[name]
            if isinstance(group, h5py.Group) and "type.raw" in group:
                mixed = any(key.startswith("set.") and "real_atom_types.npy" in group[key] for key in group)
                yield from _kept(f"{name} of {path.name}", _deepmd, group, "deepmd/hdf5", mixed, elements, path.name)


def _deepmd(where: Any, form: str, mixed: bool, elements: Sequence[str], source: str) -> list[Atoms]:
    """Frames of one DeePMD system; a mixed one has the types of each frame in ``real_atom_types.npy``."""
    import dpdata
    from dpdata.system import load_format

    if mixed:
        parts = load_format(f"{form}/mixed").from_labeled_system_mix(where)
        return [atoms for data in parts for atoms in _to_ase(dpdata.LabeledSystem(data=data))]
    system = dpdata.LabeledSystem(where, fmt=form)
    system.data["atom_names"] = _named(system["atom_names"], elements, source)  # type: ignore[assignment]
    return _to_ase(system)


def _to_ase(system: Any) -> list[Atoms]:
    return list(system.to_ase_structure())


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


def _by_steps(form: str) -> Reader:
    """Reader of OUTCAR or MOVEMENT, step by step: dpdata drops unconverged steps and stops at a malformed one."""

    def reader(path: Path, _elements: Sequence[str]) -> Iterator[Atoms]:
        head = ""
        with tempfile.TemporaryDirectory() as folder:
            for k, (text, whole) in enumerate(_steps(path, _STEP_ENDS[form]), 1):
                part = f"step {k} of {path.name}"
                if whole:
                    (file := Path(folder) / path.name).write_text(head + text)
                    yield from _kept(part, _step, file, form)
                elif "Iteration" in text:  # else it is what VASP writes after the last step
                    yield _failed(part, "it is cut short")
                head = head or "".join(line for line in text.splitlines(keepends=True) if _OUTCAR_HEAD.search(line))

    return reader


def _steps(path: Path, end: str) -> Iterator[tuple[str, bool]]:
    """Text of each step, and whether it has its end."""
    lines: list[str] = []
    with path.open(errors="replace") as stream:
        for line in stream:
            lines.append(line)
            if end in line:
                yield "".join(lines), True
                lines = []
    yield "".join(lines), False


def _step(file: Path, form: str) -> list[Atoms]:
    import dpdata

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frames = _to_ase(dpdata.LabeledSystem(str(file), fmt=form))
    said = "; ".join(str(w.message) for w in caught if issubclass(w.category, UserWarning))
    if not frames:
        raise ValueError(UNCONVERGED if "unconverged" in said else said)
    return frames


def _vasp_xml(path: Path, _elements: Sequence[str]) -> Iterator[Atoms]:
    yield from _kept(path.name, _vasprun, path)


def _vasprun(path: Path) -> list[Atoms]:
    """Steps of a vasprun.xml; one that used all NELM electronic steps did not converge (dpdata's own criterion)."""
    import dpdata

    n_scf: list[int] = []
    n_most, cut = None, []
    try:
        for _, element in ET.iterparse(path):
            if element.tag == "i" and element.get("name") == "NELM":
                n_most = int(element.text or "")
            elif element.tag == "calculation":
                n_scf.append(len(element.findall(".//scstep")))
    except ET.ParseError as error:
        cut = [_failed(path.name, f"it is cut short or damaged after step {len(n_scf)} ({error})")]
    if n_most is None:
        raise ValueError("it has no NELM: whether its SCF converged cannot be told")
    if not n_scf:
        return cut
    frames = _to_ase(dpdata.LabeledSystem(str(path), fmt="vasp/xml", convergence_check=False))
    for k, (atoms, n) in enumerate(zip(frames, n_scf, strict=True), 1):
        if n >= n_most:
            atoms.calc = None
            atoms.info["failure"] = f"step {k} of {path.name}: {UNCONVERGED}"
    return frames + cut


def _mtp(path: Path, elements: Sequence[str]) -> Iterator[Atoms]:
    """Configurations of MLIP (``.cfg``): PlusStress is minus stress times volume in eV, order xx yy zz yz xz xy."""
    if not elements:
        raise ValueError(f"{path.name} numbers its types. Give their elements in order, such as Li Si.")
    for k, block in enumerate(path.read_text(errors="replace").split("BEGIN_CFG")[1:], 1):
        yield from _kept(f"block {k} of {path.name}", _configuration, block, elements, path.name)


def _configuration(block: str, elements: Sequence[str], name: str) -> list[Atoms]:
    body, end, _ = block.partition("END_CFG")
    if not end:
        raise ValueError("it is cut short: no END_CFG")
    lines = [line.split() for line in body.splitlines() if line.strip()]
    at = {line[0].rstrip(":"): k for k, line in enumerate(lines) if line[0][0].isalpha()}
    if missing := [key for key in ("Size", "Supercell", "AtomData", "Energy") if key not in at]:
        raise ValueError(f"it has no {', '.join(missing)}")
    n_atoms = int(lines[at["Size"] + 1][0])
    cell = np.array(lines[at["Supercell"] + 1 : at["Supercell"] + 4], dtype=float)
    columns = lines[at["AtomData"]][1:]
    if missing := [key for key in ("type", "fx", "fy", "fz") if key not in columns]:
        raise ValueError(f"its AtomData has no {', '.join(missing)}")
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
    return [atoms]


READERS: dict[str, Reader] = {
    "extxyz": _extxyz,
    "aenet": _aenet,
    "deepmd/npy": _deepmd_npy,
    "deepmd/hdf5": _deepmd_hdf5,
    "vasp/outcar": _by_steps("vasp/outcar"),
    "vasp/xml": _vasp_xml,
    "pwmat/movement": _by_steps("pwmat/movement"),
    "mtp": _mtp,
}
FOLDERS = ("extxyz", "aenet", "deepmd/npy")  # formats of many files; but for the last, one file will do as well
