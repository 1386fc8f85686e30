"""A small linear model of the difference between two engines: smooth, exact derivatives, solved by least squares.

The energy difference is a sum over atoms of linear combinations of neighbour sums ``A_a`` (element and radial function
``a``; monopole, dipole and quadrupole) and of the rotation invariants ``A_a . A_b`` (atomic cluster expansion up to
three bodies: Drautz, Phys. Rev. B 99, 014104 (2019), doi:10.1103/PhysRevB.99.014104). A few dozen frames with their
thousands of forces fix its few hundred coefficients; it vanishes for atoms without neighbours, and is the same on every
machine. `lisi_nb.training.correct` uses it to lift a teacher's labels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from scipy.sparse import csr_matrix

from lisi_nb.training.dataset import ELEMENTS

VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])


@dataclass(frozen=True)
class Shape:
    """What is chosen before fitting; the defaults by leaving out one system after the other of those trained on.

    Attributes
    ----------
    cutoff_A : float
        Neighbours beyond are not seen.
    n_radial : int
        Radial functions of each neighbour's element (Chebyshev polynomials times a smooth cutoff).
    ridge : float
        Strength of the penalty on coefficients, relative to the mean square of their columns: 0 for none.
    energy_eV_atom, force_eV_A, stress_eV_A3 : float
        The misfits that weigh equally.
    """

    cutoff_A: float = 4.0
    n_radial: int = 3
    ridge: float = 1e-3
    energy_eV_atom: float = 0.002
    force_eV_A: float = 0.1
    stress_eV_A3: float = 0.005


@dataclass(frozen=True, eq=False)
class Delta:
    """A fitted difference.

    Attributes
    ----------
    shape : Shape
        What the features look like.
    coefficients : numpy.ndarray
        ``(n_features,)``, eV.
    zeros_eV : dict
        What was left of the elements' zeros, found together with the coefficients; `predict` leaves it out.
    """

    shape: Shape
    coefficients: np.ndarray
    zeros_eV: dict[str, float] = field(default_factory=lambda: dict.fromkeys(ELEMENTS, 0.0))

    def predict(self, atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray]:
        """Energy (eV), forces ``(n_atoms, 3)`` (eV/A), stress ``(6,)`` (eV/A3, Voigt) of the difference."""
        energy, forces, stress = features(atoms, self.shape)
        return (
            float(energy @ self.coefficients),
            (forces @ self.coefficients).reshape(-1, 3),
            stress @ self.coefficients,
        )


def fit(frames: list[Atoms], shape: Shape) -> Delta:
    """Fit frames whose labels are differences (`correct.differences`): ridge regression on all of their numbers.

    Raises
    ------
    ValueError
        There are no frames.
    """
    if not frames:
        raise ValueError("No frames to learn the difference from. Label some with both engines.")
    blocks = [equations(atoms, shape) for atoms in frames]
    return solve([a.T @ a for a, _ in blocks], [a.T @ b for a, b in blocks], shape)


def equations(atoms: Atoms, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Weighted rows ``(n, n_elements + n_features)`` and right-hand sides ``(n,)`` of one labelled frame."""
    energy, forces, stress = features(atoms, shape)
    scale_E = shape.energy_eV_atom * len(atoms)
    physics = np.vstack([energy[None] / scale_E, forces / shape.force_eV_A, stress / shape.stress_eV_A3])
    zeros = np.zeros((len(physics), len(ELEMENTS)))
    zeros[0] = [atoms.get_chemical_symbols().count(element) / scale_E for element in ELEMENTS]
    right = [
        [atoms.get_potential_energy() / scale_E],
        atoms.get_forces().ravel() / shape.force_eV_A,
        atoms.get_stress() / shape.stress_eV_A3,
    ]
    return np.hstack([zeros, physics]), np.concatenate(right)


def solve(normal: list[np.ndarray], right: list[np.ndarray], shape: Shape) -> Delta:
    """Solve the summed normal equations, columns scaled to one root mean square, the ridge on physics only."""
    total, target = np.sum(normal, axis=0), np.sum(right, axis=0)
    size = np.sqrt(np.diag(total))
    seen = size > 1e-9 * size.max()
    ridge = shape.ridge * (np.arange(len(size)) >= len(ELEMENTS))
    scaled = total[np.ix_(seen, seen)] / np.outer(size[seen], size[seen]) + np.diag(ridge[seen])
    found = np.zeros(len(size))
    found[seen] = np.linalg.lstsq(scaled, target[seen] / size[seen], rcond=None)[0] / size[seen]
    zeros = dict(zip(ELEMENTS, found[: len(ELEMENTS)].tolist(), strict=True))
    return Delta(shape, found[len(ELEMENTS) :], zeros)


def features(atoms: Atoms, shape: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of the energy and their negative derivatives.

    Returns
    -------
    tuple of numpy.ndarray
        For the energy ``(n_features,)``, the forces ``(3 n_atoms, n_features)`` and the stress ``(6, n_features)``.
    """
    i, j, d = neighbor_list("ijD", atoms, shape.cutoff_A)
    r = np.linalg.norm(d, axis=1)
    u = d / r[:, None]
    f, slope = radial(r, shape)
    n, e, k = len(atoms), len(ELEMENTS), shape.n_radial
    element = np.array([ELEMENTS.index(symbol) for symbol in atoms.symbols])
    place = element[j][:, None] == np.arange(e)  # the channels of its element, for each edge

    def channels(values: np.ndarray) -> np.ndarray:
        spread = place[:, :, None].reshape(len(r), e, *(1,) * (values.ndim - 1)) * values[:, None]
        return spread.reshape(len(r), e * k, *values.shape[2:])

    at = csr_matrix((np.ones(len(i)), (i, np.arange(len(i)))), shape=(n, len(i)))
    to = csr_matrix((np.ones(len(j)), (j, np.arange(len(j)))), shape=(n, len(j)))
    first, second = np.triu_indices(e * k)
    values, slopes = [], []  # per atom (n, features); per edge (edges, features, 3)
    for tensor, derivative in moments(r, u, f, slope):
        size = int(np.prod(tensor.shape[2:]))
        edge = channels(tensor.reshape(len(r), k, size))
        gradient = channels(derivative.reshape(len(r), k, size, 3))
        total = (at @ edge.reshape(len(r), e * k * size)).reshape(n, e * k, size)
        if size == 1:
            values.append(total[:, :, 0])
            slopes.append(gradient[:, :, 0])
        values.append(np.einsum("nax,nbx->nab", total, total)[:, first, second])
        product = np.einsum("maxg,mbx->mabg", gradient, total[i])
        slopes.append(product[:, first, second] + product[:, second, first])
    per_atom, per_edge = np.concatenate(values, axis=1), np.concatenate(slopes, axis=1)
    n_features = per_atom.shape[1]
    energy, forces, stress = np.zeros((e, n_features)), np.zeros((e, n, n_features, 3)), np.zeros((e, 6, n_features))
    for centre in range(e):
        energy[centre] = per_atom[element == centre].sum(axis=0)
        mine = np.where((element[i] == centre)[:, None, None], per_edge, 0.0).reshape(len(r), 3 * n_features)
        forces[centre] = ((at - to) @ mine).reshape(n, n_features, 3)
        virial = np.einsum("mp,mfq->pqf", d, mine.reshape(len(r), n_features, 3)) / atoms.get_volume()
        stress[centre] = ((virial + virial.transpose(1, 0, 2)) / 2)[VOIGT]
    return (
        energy.ravel(),
        forces.transpose(1, 3, 0, 2).reshape(3 * n, e * n_features),
        stress.transpose(1, 0, 2).reshape(6, e * n_features),
    )


def radial(r: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Radial functions ``(n, n_radial)`` of distances ``(n,)``, smoothly zero at the cutoff, and their slopes."""
    x = 2 * r / shape.cutoff_A - 1
    order = np.arange(shape.n_radial)
    angle = np.arccos(np.clip(x, -1, 1))[:, None]
    polynomial = np.cos(order * angle)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = order * np.sin(order * angle) / np.sin(angle)
    change = np.where(np.abs(np.sin(angle)) < 1e-9, order**2 * np.sign(x)[:, None] ** (order + 1), change)
    s = 1 - r / shape.cutoff_A
    cut, fall = s**3, -3 * s**2 / shape.cutoff_A
    return cut[:, None] * polynomial, fall[:, None] * polynomial + cut[:, None] * change * 2 / shape.cutoff_A


def moments(r: np.ndarray, u: np.ndarray, f: np.ndarray, slope: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Monopole, dipole and quadrupole of each edge, ``(edges, n_radial, ...)``, and derivatives by its vector."""
    across = (np.eye(3) - u[:, :, None] * u[:, None, :]) / r[:, None, None]  # d u / d vector
    square = u[:, :, None] * u[:, None, :]
    turn = across[:, :, None, :] * u[:, None, :, None] + u[:, :, None, None] * across[:, None, :, :]
    along = slope[:, :, None] * u[:, None, :]
    flat = square - np.eye(3) / 3
    return [
        (f, along),
        (
            f[:, :, None] * u[:, None, :],
            along[:, :, None, :] * u[:, None, :, None] + f[:, :, None, None] * across[:, None],
        ),
        (
            f[:, :, None, None] * flat[:, None],
            along[:, :, None, None, :] * flat[:, None, :, :, None] + f[:, :, None, None, None] * turn[:, None],
        ),
    ]
