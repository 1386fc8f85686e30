"""Held-out labels: errors by kind of system, parity, and whether the ensemble's deviation tells the error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from lisi_nb.charts import Chart, Curve
from lisi_nb.potentials import Potential
from lisi_nb.training.validation.findings import CORRELATION, RATIO, Finding


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
    """Energy (eV) and forces ``(n_atoms, 3)`` (eV/A) of the first member; `deviation` of the ensemble on each atom."""
    each, energies = [], []
    for calculator in potential.calculators():
        work = atoms.copy()
        work.calc = calculator
        each.append(work.get_forces())
        energies.append(float(work.get_potential_energy()))
    return energies[0], each[0], deviation(np.array(each))


def deviation(forces_eV_A: np.ndarray) -> np.ndarray:
    """``sqrt(mean_k |F_i^k - mean_k F_i^k|^2)`` of each atom i ``(n_atoms,)`` over members k ``(k, n_atoms, 3)``."""
    return np.sqrt(((forces_eV_A - forces_eV_A.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0))


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
        Fewer than ten atoms per bin, or an ensemble that never deviates: one member, or several that are the same.
    """
    from scipy.stats import spearmanr

    if len(deviation_eV_A) < 10 * n_bins:
        raise ValueError(f"{len(deviation_eV_A)} atoms are too few for {n_bins} bins. Label at least {10 * n_bins}.")
    if not deviation_eV_A.any():
        raise ValueError("The ensemble has no deviation. Train at least two members from different seeds.")
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


def calibration_findings(found: Calibration, n_frames: int) -> list[Finding]:
    """Whether the deviation ranks the errors, and how much too small it is."""
    note, nan = f"every atom of {n_frames} frames", float("nan")
    return [
        Finding(CORRELATION, "all", found.correlation, nan, "1", note=note),
        Finding(RATIO, "all", found.ratio, nan, "1", note=f"{note}; above 1 the ensemble is too sure"),
    ]


def calibration_chart(found: Calibration, against: str, low_eV_A: float | None = None) -> Chart:
    """The calibration curve against labels of one kind: a good ensemble rises steadily.

    The deviation below which a run counts as accurate, `low_eV_A`, is drawn upright.
    """
    ends = np.array([0.0, float(found.deviation_eV_A[-1])])
    curves = [
        Curve(found.deviation_eV_A, found.error_eV_A, "root mean square", style="points"),
        Curve(found.deviation_eV_A, found.error_p90_eV_A, "90th percentile", style="points", dash=1),
        Curve(ends, ends, "error = deviation", style="level"),
    ]
    if low_eV_A is not None:
        upright = np.array([0.0, float(found.error_p90_eV_A.max())])
        curves.append(Curve(np.full(2, low_eV_A), upright, f"accurate below {low_eV_A:g} eV/Å", style="level"))
    return Chart(
        f"Deviation and error, {against}",
        "force deviation of the ensemble (eV/Å)",
        "true force error (eV/Å)",
        tuple(curves),
    )
