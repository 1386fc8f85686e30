"""Crystals under small strains and displacements: lattice, elastic constants, softest vibration.

Functions take ``ase.Atoms`` and an ASE calculator (eV, A) and never change the atoms they are given.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from ase.units import GPa, fs

from lisi_nb.errors import check_range


@dataclass(frozen=True)
class Cubic:
    """Elastic constants of a cubic crystal in GPa."""

    C11_GPa: float
    C12_GPa: float
    C44_GPa: float

    @property
    def bulk_modulus_GPa(self) -> float:
        """``(C11 + 2 C12) / 3``."""
        return (self.C11_GPa + 2 * self.C12_GPa) / 3

    @property
    def C_prime_GPa(self) -> float:
        """``(C11 - C12) / 2``: resistance to tetragonal shear; negative means the crystal is unstable."""
        return (self.C11_GPa - self.C12_GPa) / 2

    @property
    def stable(self) -> bool:
        """Born's conditions of a cubic crystal."""
        return self.C_prime_GPa > 0 and self.C44_GPa > 0 and self.bulk_modulus_GPa > 0


def relaxed(atoms: Atoms, calculator: Any, cell: bool = True, fmax_eV_A: float = 0.005, steps: int = 500) -> Atoms:
    """A copy at its energy minimum, in positions and, with `cell`, in cell; forces below `fmax_eV_A`.

    Raises
    ------
    RuntimeError
        Not converged within `steps`.
    """
    out = atoms.copy()
    out.calc = calculator
    if not lower(out, cell, fmax_eV_A, steps)[0]:
        raise RuntimeError(f"{atoms.get_chemical_formula()} is not relaxed to {fmax_eV_A} eV/Å after {steps} steps.")
    return out


def lower(atoms: Atoms, cell: bool, fmax_eV_A: float, steps: int, method: Any = FIRE) -> tuple[bool, int]:
    """Relax atoms with their calculator in place, for `steps` at most: whether they got there, and the steps taken."""
    optimizer = method(FrechetCellFilter(atoms) if cell else atoms, logfile=None)
    with warnings.catch_warnings():
        # scipy says so at every step of a cell filter, of errors of 1e-13
        warnings.filterwarnings("ignore", "logm result may be inaccurate", RuntimeWarning)
        converged = optimizer.run(fmax=fmax_eV_A, steps=steps)
    return bool(converged), int(optimizer.nsteps)


def elastic_constants(atoms: Atoms, calculator: Any, strain: float = 0.004) -> Cubic:
    """Elastic constants from the stress of a relaxed cubic cell at plus and minus `strain`, ions relaxed.

    ``C_ij = d sigma_i / d epsilon_j`` by central difference: one uniaxial and one (engineering) shear strain.

    Parameters
    ----------
    atoms : ase.Atoms
        Relaxed conventional cubic cell, axes along x, y, z.
    calculator : ase calculator
        Gives stress.
    strain : float
        Size of the strain, 1e-4 to 0.02.
    """
    check_range("strain", strain, 1e-4, 0.02)
    slopes = []
    for axis in (0, 3):
        stress = []
        for sign in (1, -1):
            deform = np.eye(3)
            if axis == 0:
                deform[0, 0] += sign * strain
            else:
                deform[1, 2] = deform[2, 1] = 0.5 * sign * strain
            work = atoms.copy()
            work.set_cell(atoms.cell.array @ deform, scale_atoms=True)
            work = relaxed(work, calculator, cell=False, fmax_eV_A=0.002)
            stress.append(work.get_stress())
        slopes.append((stress[0] - stress[1]) / (2 * strain) / GPa)
    return Cubic(float(slopes[0][0]), float(slopes[0][1:3].mean()), float(slopes[1][3]))


def softest_mode_THz(atoms: Atoms, calculator: Any, step_A: float = 0.01) -> float:
    """Lowest vibration of a relaxed periodic cell apart from its three translations; negative if imaginary.

    All wave vectors that fit into the cell are covered. Forces are differentiated centrally, 6 N evaluations.
    """
    work = atoms.copy()
    work.calc = calculator
    n = 3 * len(atoms)
    hessian = np.empty((n, n))
    start = atoms.positions.copy()
    for k in range(n):
        forces = []
        for sign in (1, -1):
            work.positions = start
            work.positions[k // 3, k % 3] += sign * step_A
            forces.append(work.get_forces().ravel())
        hessian[k] = -(forces[0] - forces[1]) / (2 * step_A)
    root = np.repeat(atoms.get_masses(), 3) ** 0.5
    dynamical = 0.5 * (hessian + hessian.T) / np.outer(root, root)
    translations = np.kron(np.ones((len(atoms), 1)), np.eye(3)) * root[:, None]
    basis, _ = np.linalg.qr(translations)
    others = np.eye(n) - basis @ basis.T
    # Translations are lifted far above all vibrations instead of being searched for among small numbers.
    lifted = others @ dynamical @ others + 1e3 * basis @ basis.T
    lowest = float(np.linalg.eigvalsh(lifted)[0])
    return float(np.sign(lowest) * np.sqrt(abs(lowest)) / (2 * np.pi) * 1000 * fs)
