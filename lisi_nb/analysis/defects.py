"""Surfaces and vacancies: energies from relaxed cells, barriers from nudged elastic bands.

Functions take ``ase.Atoms`` and an ASE calculator (eV, A) and never change the atoms they are given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.mep import NEB
from ase.optimize import FIRE
from ase.units import J, m

from lisi_nb.analysis.elasticity import relaxed


def surface_energy_J_m2(slab: Atoms, calculator: Any, bulk_eV_atom: float) -> float:
    """Energy of the two faces of a relaxed one-element slab, ``(E_slab - N e_bulk) / (2 A)``, normal along z."""
    if len(set(slab.get_chemical_symbols())) != 1:
        raise ValueError(f"{slab.get_chemical_formula()} has more than one element; its bulk energy is not one number.")
    area_A2 = float(np.linalg.norm(np.cross(slab.cell[0], slab.cell[1])))
    excess_eV = relaxed(slab, calculator, cell=False).get_potential_energy() - len(slab) * bulk_eV_atom
    return float(excess_eV / (2 * area_A2) / (J / m**2))


def vacancy_formation_eV(supercell: Atoms, calculator: Any) -> float:
    """Energy to take one atom out of a relaxed one-element supercell and put it into bulk (ions relaxed)."""
    n = len(supercell)
    whole = supercell.copy()
    whole.calc = calculator
    defect = relaxed(_without(supercell, 0), calculator, cell=False)
    return float(defect.get_potential_energy() - (n - 1) / n * whole.get_potential_energy())


def vacancy_migration_eV(supercell: Atoms, calculator: Any, n_images: int = 5) -> float:
    """Barrier for the nearest neighbour of a vacancy to hop into it: climbing-image nudged elastic band.

    Raises
    ------
    RuntimeError
        The band is not converged to 0.03 eV/A.
    """
    distances = supercell.get_distances(0, range(len(supercell)), mic=True)
    distances[0] = np.inf
    neighbour = int(np.argmin(distances))
    start = _without(supercell, 0)
    end = start.copy()
    end.positions[neighbour - 1] -= supercell.get_distance(0, neighbour, mic=True, vector=True)
    return migration_barrier_eV(start, end, calculator, n_images)


def migration_barrier_eV(start: Atoms, end: Atoms, calculator: Any, n_images: int = 5) -> float:
    """Highest energy between two states above the first: climbing-image nudged elastic band, IDPP start.

    Parameters
    ----------
    start, end : ase.Atoms
        The same atoms in the same order; both are relaxed first.
    calculator : ase calculator
        Shared by all images.
    n_images : int
        Images between the two states.

    Raises
    ------
    RuntimeError
        The band is not converged to 0.03 eV/A.
    """
    first, last = (relaxed(atoms, calculator, cell=False, fmax_eV_A=0.01) for atoms in (start, end))
    images = [first, *(first.copy() for _ in range(n_images)), last]
    band = NEB(images, climb=True, allow_shared_calculator=True, method="improvedtangent")
    band.interpolate(method="idpp", mic=True)
    for image in images[1:-1]:
        image.calc = calculator
    if not FIRE(band, logfile=None).run(fmax=0.03, steps=300):
        raise RuntimeError(f"The band of {first.get_chemical_formula()} is not converged to 0.03 eV/Å after 300 steps.")
    energies = [image.get_potential_energy() for image in images]
    return float(max(energies) - energies[0])


def _without(atoms: Atoms, index: int) -> Atoms:
    out = atoms.copy()
    del out[index]
    return out
