"""Lift a teacher's labels to ab initio ones by learning their difference.

A universal potential labels a thousand frames cheaply, with errors that are smooth: too soft, and shifted between
phases. An ab initio engine labels a few hundred. Their difference is small and smooth, so a model of it needs no more
frames than that; added to the teacher's labels it makes training labels of (nearly) ab initio quality everywhere the
teacher has looked (delta learning: Ramakrishnan et al., J. Chem. Theory Comput. 11, 2087 (2015),
doi:10.1021/acs.jctc.5b00099).
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from lisi_nb.training.dataset import ELEMENTS
from lisi_nb.training.delta import Delta


def paired(ab_initio: list[Atoms], teacher: list[Atoms]) -> list[tuple[Atoms, Atoms]]:
    """The same frames labelled by both, matched by ``info["frame_id"]``.

    Raises
    ------
    ValueError
        The two have no frame in common.
    """
    known = {atoms.info["frame_id"]: atoms for atoms in teacher}
    pairs = [(a, known[a.info["frame_id"]]) for a in ab_initio if a.info["frame_id"] in known]
    if not pairs:
        raise ValueError(
            f"None of the {len(ab_initio)} ab initio frames is among the teacher's {len(teacher)}. "
            "Label the same frames with both."
        )
    return pairs


def element_offsets_eV(pairs: list[tuple[Atoms, Atoms]]) -> dict[str, float]:
    """Energy per atom of each element by which the two engines' zeros differ: least squares over the pairs, per atom.

    Raises
    ------
    ValueError
        The frames do not tell the elements' shares apart (all of one composition).
    """
    counts = np.array([[a.get_chemical_symbols().count(e) for e in ELEMENTS] for a, _ in pairs], dtype=float)
    shares = counts / counts.sum(axis=1, keepdims=True)
    shift = [(a.get_potential_energy() - t.get_potential_energy()) / len(a) for a, t in pairs]
    if np.linalg.matrix_rank(shares, tol=1e-3) < len(ELEMENTS):
        raise ValueError("All frames have one composition. Add frames of another, to tell the elements' zeros apart.")
    found, *_ = np.linalg.lstsq(shares, np.array(shift), rcond=None)
    return dict(zip(ELEMENTS, (float(x) for x in found), strict=True))


def differences(pairs: list[tuple[Atoms, Atoms]], offsets_eV: dict[str, float]) -> list[Atoms]:
    """Frames labelled with ab initio minus teacher: energy (less the offsets; eV), forces (eV/A), stress (eV/A3)."""
    out = []
    for ab_initio, teacher in pairs:
        zero = sum(offsets_eV[symbol] for symbol in ab_initio.get_chemical_symbols())
        atoms = _bare(ab_initio)
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=ab_initio.get_potential_energy() - teacher.get_potential_energy() - zero,
            forces=ab_initio.get_forces() - teacher.get_forces(),
            stress=ab_initio.get_stress() - teacher.get_stress(),
        )
        out.append(atoms)
    return out


def corrected(teacher: list[Atoms], difference: Delta) -> list[Atoms]:
    """The teacher's frames with a model of the difference added to energy, forces and stress.

    Energies keep the teacher's zero of each element, so that they can be mixed with `on_teachers_scale` labels.
    """
    out = []
    for labelled in teacher:
        energy, forces, stress = difference.predict(labelled)
        atoms = _bare(labelled)
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=labelled.get_potential_energy() + energy,
            forces=labelled.get_forces() + forces,
            stress=labelled.get_stress() + stress,
        )
        out.append(atoms)
    return out


def on_teachers_scale(ab_initio: list[Atoms], offsets_eV: dict[str, float]) -> list[Atoms]:
    """Ab initio labels with the elements' zeros of the teacher."""
    out = []
    for labelled in ab_initio:
        atoms = _bare(labelled)
        zero = sum(offsets_eV[symbol] for symbol in labelled.get_chemical_symbols())
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=labelled.get_potential_energy() - zero,
            forces=labelled.get_forces(),
            stress=labelled.get_stress(),
        )
        out.append(atoms)
    return out


def _bare(labelled: Atoms) -> Atoms:
    atoms = labelled.copy()
    atoms.calc = None
    return atoms
