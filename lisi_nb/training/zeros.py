"""Put the labels of two engines on one scale: the same frames paired, and the zeros of the elements' energies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from lisi_nb.training.dataset import ELEMENTS


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
            f"None of {len(ab_initio)} labelled frames is among {len(teacher)} others. Label the same frames with both."
        )
    return pairs


def element_offsets_eV(pairs: list[tuple[Atoms, Atoms]], elements: Sequence[str] = ELEMENTS) -> dict[str, float]:
    """Energy per atom of each element by which the two engines' zeros differ: least squares over the pairs, per atom.

    Raises
    ------
    ValueError
        The frames do not tell the elements' shares apart (all of one composition).
    """
    counts = np.array([[a.get_chemical_symbols().count(e) for e in elements] for a, _ in pairs], dtype=float)
    shares = counts / counts.sum(axis=1, keepdims=True)
    shift = [(a.get_potential_energy() - t.get_potential_energy()) / len(a) for a, t in pairs]
    if np.linalg.matrix_rank(shares, tol=1e-3) < len(elements):
        raise ValueError("All frames have one composition. Add frames of another, to tell the elements' zeros apart.")
    found, *_ = np.linalg.lstsq(shares, np.array(shift), rcond=None)
    return dict(zip(elements, (float(x) for x in found), strict=True))


def on_teachers_scale(ab_initio: list[Atoms], offsets_eV: dict[str, float]) -> list[Atoms]:
    """Ab initio labels with the elements' zeros of the teacher."""
    out = []
    for labelled in ab_initio:
        atoms = labelled.copy()
        atoms.calc = None
        zero = sum(offsets_eV[symbol] for symbol in labelled.get_chemical_symbols())
        label = {"energy": labelled.get_potential_energy() - zero, "forces": labelled.get_forces()}
        if "stress" in labelled.calc.results:
            label["stress"] = labelled.get_stress()
        atoms.calc = SinglePointCalculator(atoms, **label)
        out.append(atoms)
    return out
