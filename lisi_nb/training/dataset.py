"""From labelled frames (extxyz) to DeePMD's training format, with systems held out by name."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
from ase import Atoms

ELEMENTS = ("Li", "Si")
MAX_FORCE_EV_A = 12.0  # frames beyond this teach a small network little but their own overlap


def usable(atoms: Atoms) -> bool:
    """Whether a labelled frame is kept for training: no force above `MAX_FORCE_EV_A`."""
    return float(np.abs(atoms.get_forces()).max()) <= MAX_FORCE_EV_A


def split(frames: list[Atoms], every: int = 10) -> tuple[list[Atoms], list[Atoms]]:
    """Training and test frames: every `every`-th frame of each system is never trained on."""
    count: dict[str, int] = defaultdict(int)
    train: list[Atoms] = []
    test: list[Atoms] = []
    for atoms in frames:
        system = atoms.info["system"]
        held_out = count[system] % every == every // 2
        count[system] += 1
        (test if held_out else train).append(atoms)
    return train, test


def write_deepmd(frames: list[Atoms], folder: Path) -> list[str]:
    """Write frames as DeePMD npy systems, one per chemical formula; return their folders.

    Energy in eV, forces in eV/A, virial (``-volume * stress``; where all have a stress) in eV, as DeePMD reads them.
    """
    shutil.rmtree(folder, ignore_errors=True)
    groups: dict[str, list[Atoms]] = defaultdict(list)
    for atoms in frames:
        order = np.argsort([ELEMENTS.index(s) for s in atoms.symbols], kind="stable")
        groups[atoms[order].get_chemical_formula(mode="reduce")].append(_sorted(atoms, order))
    systems = []
    for formula, members in sorted(groups.items()):
        system = folder / formula
        data = system / "set.000"
        data.mkdir(parents=True)
        types = [ELEMENTS.index(s) for s in members[0].symbols]
        np.savetxt(system / "type.raw", types, fmt="%d")
        (system / "type_map.raw").write_text("\n".join(ELEMENTS) + "\n")
        n = len(members)
        np.save(data / "coord.npy", np.array([a.positions for a in members]).reshape(n, -1))
        np.save(data / "box.npy", np.array([a.cell.array for a in members]).reshape(n, -1))
        np.save(data / "energy.npy", np.array([a.get_potential_energy() for a in members]))
        np.save(data / "force.npy", np.array([a.get_forces() for a in members]).reshape(n, -1))
        if all("stress" in a.calc.results for a in members):
            virial = [-a.get_volume() * a.get_stress(voigt=False) for a in members]
            np.save(data / "virial.npy", np.array(virial).reshape(n, -1))
        systems.append(str(system))
    return systems


def _sorted(atoms: Atoms, order: np.ndarray) -> Atoms:
    from ase.calculators.singlepoint import SinglePointCalculator

    out = atoms[order]
    label = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()[order]}
    if "stress" in atoms.calc.results:
        label["stress"] = atoms.get_stress()
    out.calc = SinglePointCalculator(out, **label)
    return out
