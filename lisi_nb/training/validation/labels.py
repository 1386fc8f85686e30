"""Held-out labels: errors by kind of system, parity, and whether the ensemble's deviation tells the error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from lisi_nb.charts import Chart, Curve
from lisi_nb.potentials import Potential


@dataclass(frozen=True, eq=False)
class Parity:
    """Predictions of the first member beside the labels.

    Attributes
    ----------
    system : list of str
        Kind of system of each frame.
    n_atoms : numpy.ndarray
        ``(n_frames,)``.
    energy_eV_atom, label_energy_eV_atom : numpy.ndarray
        ``(n_frames,)``.
    force_eV_A, label_force_eV_A : list of numpy.ndarray
        One ``(n_atoms, 3)`` per frame.
    deviation_eV_A : list of numpy.ndarray
        Force deviation of the ensemble on each atom, ``(n_atoms,)`` per frame.
    """

    system: list[str]
    n_atoms: np.ndarray
    energy_eV_atom: np.ndarray
    label_energy_eV_atom: np.ndarray
    force_eV_A: list[np.ndarray]
    label_force_eV_A: list[np.ndarray]
    deviation_eV_A: list[np.ndarray]


def predict(potential: Potential, atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy (eV) and forces ``(n_atoms, 3)`` (eV/A) of the first member; force deviation of the ensemble on each atom.

    The deviation is ``sqrt(mean_k |F_i^k - mean_k F_i^k|^2)``, ``(n_atoms,)``, eV/A.
    """
    each, energies = [], []
    for calculator in potential.calculators():
        work = atoms.copy()
        work.calc = calculator
        each.append(work.get_forces())
        energies.append(float(work.get_potential_energy()))
    members = np.array(each)
    return energies[0], members[0], np.sqrt(((members - members.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0))


def parity(potential: Potential, frames: list[Atoms]) -> Parity:
    """Evaluate all members on labelled frames."""
    return beside(frames, [predict(potential, atoms) for atoms in frames])


def beside(frames: list[Atoms], predicted: list[tuple[float, np.ndarray, np.ndarray]]) -> Parity:
    """Labels of `frames` beside what `predict` said of each."""
    energies, forces, deviations = zip(*predicted, strict=True) if predicted else ((), (), ())
    n_atoms = np.array([len(a) for a in frames])
    return Parity(
        [a.info["system"].split("/")[0] for a in frames],
        n_atoms,
        np.array(energies) / n_atoms,
        np.array([a.get_potential_energy() for a in frames]) / n_atoms,
        list(forces),
        [a.get_forces() for a in frames],
        list(deviations),
    )


def parity_charts(found: Parity) -> tuple[Chart, Chart]:
    """Energy and force of model against label, one set of points per kind of system."""
    kinds = sorted(set(found.system))
    members = {kind: [k for k, s in enumerate(found.system) if s == kind] for kind in kinds}
    energy = [
        Curve(found.label_energy_eV_atom[m], found.energy_eV_atom[m], kind, style="dots") for kind, m in members.items()
    ]
    force = [
        Curve(
            np.concatenate([found.label_force_eV_A[k].ravel() for k in m]),
            np.concatenate([found.force_eV_A[k].ravel() for k in m]),
            kind,
            style="dots",
        )
        for kind, m in members.items()
    ]
    return (
        Chart("Energy", "label (eV/atom)", "model (eV/atom)", (*energy, _diagonal(energy))),
        Chart("Force components", "label (eV/Å)", "model (eV/Å)", (*force, _diagonal(force))),
    )


def _diagonal(curves: list[Curve]) -> Curve:
    ends = np.array([min(c.x.min() for c in curves), max(c.x.max() for c in curves)])
    return Curve(ends, ends, "equal", style="level")


@dataclass(frozen=True, eq=False)
class Calibration:
    """True force error against ensemble deviation, atom by atom, in bins of equal count.

    Attributes
    ----------
    deviation_eV_A, error_eV_A, error_p90_eV_A : numpy.ndarray
        ``(n_bins,)``: mean deviation; root-mean-square and 90th percentile of the true error.
    correlation : float
        Spearman's rank correlation of deviation and error over all atoms.
    ratio : float
        Root-mean-square error over root-mean-square deviation: how much too sure the ensemble is.
    """

    deviation_eV_A: np.ndarray
    error_eV_A: np.ndarray
    error_p90_eV_A: np.ndarray
    correlation: float
    ratio: float


def calibrate(deviation_eV_A: np.ndarray, error_eV_A: np.ndarray, n_bins: int = 12) -> Calibration:
    """Bin atoms by deviation and look at their true error; both ``(n_atoms,)`` magnitudes.

    Raises
    ------
    ValueError
        Fewer than ten atoms per bin.
    """
    from scipy.stats import spearmanr

    if len(deviation_eV_A) < 10 * n_bins:
        raise ValueError(f"{len(deviation_eV_A)} atoms are too few for {n_bins} bins. Label at least {10 * n_bins}.")
    bins = np.array_split(np.argsort(deviation_eV_A, kind="stable"), n_bins)
    return Calibration(
        np.array([deviation_eV_A[b].mean() for b in bins]),
        np.array([np.sqrt((error_eV_A[b] ** 2).mean()) for b in bins]),
        np.array([np.percentile(error_eV_A[b], 90) for b in bins]),
        float(spearmanr(deviation_eV_A, error_eV_A).statistic),
        float(np.sqrt((error_eV_A**2).mean() / (deviation_eV_A**2).mean())),
    )


def calibration_of(found: Parity) -> Calibration:
    """`calibrate` on every atom of a parity set."""
    errors = [np.linalg.norm(a - b, axis=1) for a, b in zip(found.force_eV_A, found.label_force_eV_A, strict=True)]
    return calibrate(np.concatenate(found.deviation_eV_A), np.concatenate(errors))


def calibration_chart(found: Calibration) -> Chart:
    """The calibration curve: a good ensemble rises steadily."""
    ends = np.array([0.0, float(found.deviation_eV_A[-1])])
    return Chart(
        "Does the ensemble know its error?",
        "force deviation of the ensemble (eV/Å)",
        "true force error (eV/Å)",
        (
            Curve(found.deviation_eV_A, found.error_eV_A, "root mean square", style="points"),
            Curve(found.deviation_eV_A, found.error_p90_eV_A, "90th percentile", style="points"),
            Curve(ends, ends, "error = deviation", style="level"),
        ),
    )
