"""Labels of the fine-tuned teacher without their frames, which lie in ``round*.extxyz`` with the teacher's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from lisi_nb.training.ab_initio import one_setting
from lisi_nb.training.label import frame_id


def save(path: Path, frames: list[Atoms]) -> None:
    """Write the labels (eV, eV/A, eV/A3; not rounded) of frames that name their reference and its settings."""
    one_setting(frames, "tuned teacher's")
    with path.open("wb") as stream:
        np.savez_compressed(
            stream,
            frame_id=[frame_id(a) for a in frames],
            n_atoms=[len(a) for a in frames],
            energy=[a.get_potential_energy() for a in frames],
            stress=[a.get_stress() for a in frames],
            forces=np.concatenate([a.get_forces() for a in frames]),
            reference=frames[0].info["reference"],
            settings=frames[0].info["settings"],
        )


def load(path: Path, frames: list[Atoms]) -> list[Atoms]:
    """Copies, with their label, of those `frames` that have one in the file."""
    with np.load(path) as saved:
        kept = {name: saved[name] for name in saved.files}
    forces = np.split(kept["forces"], np.cumsum(kept["n_atoms"])[:-1])
    place = {name: k for k, name in enumerate(kept["frame_id"])}
    found = []
    for atoms in frames:
        if (k := place.get(frame_id(atoms))) is not None:
            copy = atoms.copy()
            copy.info |= {name: str(kept[name]) for name in ("reference", "settings")}
            label = {"energy": float(kept["energy"][k]), "forces": forces[k], "stress": kept["stress"][k]}
            copy.calc = SinglePointCalculator(copy, **label)
            found.append(copy)
    return found
