"""What the model of the difference is worth: each system predicted from all others, of those that may be trained on.

This decides whether the model of the difference is used at all, and says whether more ab initio labels help; the
held-out systems are not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from lisi_nb.tables import Table
from lisi_nb.training.ab_initio import Labels
from lisi_nb.training.correct import differences, element_offsets_eV
from lisi_nb.training.delta import Shape, equations, solve


@dataclass(frozen=True)
class LeftOut:
    """Root-mean-square difference of ab initio and teacher in one system, as it is and after a correction.

    Attributes
    ----------
    system : str
        Its frames were not used for the correction.
    n_frames : int
        How many they are.
    before, after : tuple of float
        Energy (meV/atom, less the elements' zeros) and force component (eV/A).
    """

    system: str
    n_frames: int
    before: tuple[float, float]
    after: tuple[float, float]


def left_out(dft: Labels, shape: Shape) -> list[LeftOut]:
    """Leave out each system in turn, learn the difference from the others, and look at the one left out."""
    frames = differences(dft.trained, element_offsets_eV(dft.trained))
    systems = [str(a.info["system"]) for a in frames]
    blocks = [equations(atoms, shape) for atoms in frames]
    normal, right = [rows.T @ rows for rows, _ in blocks], [rows.T @ target for rows, target in blocks]
    found = []
    for system in sorted(set(systems)):
        others = [k for k, name in enumerate(systems) if name != system]
        model = solve([normal[k] for k in others], [right[k] for k in others], shape)
        mine = [atoms for atoms, name in zip(frames, systems, strict=True) if name == system]
        predicted = [model.predict(atoms)[:2] for atoms in mine]
        corrected = [
            (energy + sum(model.zeros_eV[symbol] for symbol in atoms.symbols), forces)
            for atoms, (energy, forces) in zip(mine, predicted, strict=True)
        ]
        nothing = [(0.0, np.zeros((len(atoms), 3))) for atoms in mine]
        found.append(LeftOut(system, len(mine), _misfit(mine, nothing), _misfit(mine, corrected)))
    return found


def _misfit(frames: list[Atoms], predicted: list[tuple[float, np.ndarray]]) -> tuple[float, float]:
    energy = [(a.get_potential_energy() - e) / len(a) for a, (e, _) in zip(frames, predicted, strict=True)]
    force = np.concatenate([(a.get_forces() - f).ravel() for a, (_, f) in zip(frames, predicted, strict=True)])
    return 1e3 * float(np.sqrt(np.mean(np.square(energy)))), float(np.sqrt((force**2).mean()))


def pays(found: list[LeftOut]) -> bool:
    """Whether the correction brings the teacher closer to ab initio where it has no labels, in energy and in force."""
    before, after = _means(found)
    return bool((after < before).all())


def table(found: list[LeftOut]) -> Table:
    """Energy in meV/atom and force in eV/A of each system, and their root mean square over the systems."""
    rows = [(f.system, str(f.n_frames), *_texts(*f.before), *_texts(*f.after)) for f in found]
    before, after = _means(found)
    rows.append(("all", str(sum(f.n_frames for f in found)), *_texts(*before), *_texts(*after)))
    return Table(("left out", "frames", "teacher, meV/atom", "eV/Å", "corrected, meV/atom", "eV/Å"), tuple(rows))


def _means(found: list[LeftOut]) -> tuple[np.ndarray, np.ndarray]:
    before, after = np.array([f.before for f in found]), np.array([f.after for f in found])
    return np.sqrt((before**2).mean(axis=0)), np.sqrt((after**2).mean(axis=0))


def _texts(energy: float, force: float) -> tuple[str, str]:
    return f"{energy:.1f}", f"{force:.3f}"
