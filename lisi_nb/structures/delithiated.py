"""LixSi cells with lithium taken at random from Li15Si4: where melting and annealing toward amorphous LixSi starts."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from lisi_nb.errors import check_range
from lisi_nb.structures.crystals import crystal

X_MAX = 3.75  # Li15Si4
X_RICHEST = 4.4  # Li22Si5
# Amorphous LixSi64 at 300 K (DFTB, alexispaz/DFTB_LiSi_amorphous, CC BY-SA 4.0): a parabola through its eight volumes
# per Si from x = 0.20 to 3.75, A^3.
_VOLUME_A3 = (20.6, 12.4, 0.83)


def amorphous_volume_A3(x: float) -> float:
    """Volume per Si of amorphous LixSi at 300 K, A^3; within 3 % from x = 0 to 4.4."""
    check_range("x", x, 0.0, X_RICHEST, "Li per Si", "LixSi phases end at Li22Si5.")
    return sum(a * x**k for k, a in enumerate(_VOLUME_A3))


def at_amorphous_volume(atoms: Atoms) -> Atoms:
    """A copy of a LixSi cell, scaled evenly to `amorphous_volume_A3`; fractional coordinates stay."""
    out, n_si = atoms.copy(), int((atoms.numbers == 14).sum())
    scale = np.cbrt(n_si * amorphous_volume_A3((len(atoms) - n_si) / n_si) / atoms.get_volume())
    out.set_cell(atoms.cell * scale, scale_atoms=True)
    return out


def delithiated(x: float, repeats: tuple[int, int, int] = (2, 2, 2), seed: int = 0) -> Atoms:
    """Remove lithium at random from a supercell of Li15Si4 until LixSi is left, at the amorphous volume.

    Lithium goes in an order that the seed alone decides: a smaller x has lost the same atoms and more. The paper's
    cell, Li480Si128, is ``repeats=(2, 2, 2)``.

    Parameters
    ----------
    x : float
        Li per Si of the result, above 0 and at most 3.75; rounded to whole atoms.
    repeats : (int, int, int)
        Supercell of the cubic cell (Li60Si16).
    seed : int
        Random seed.

    Returns
    -------
    ase.Atoms
        Periodic; fractional coordinates are the crystal's.

    Raises
    ------
    ValueError
        x outside 0 to 4.4, above what Li15Si4 holds, or so small that no Li is left (pure Si).
    """
    check_range("x", x, 0.0, X_RICHEST, "Li per Si", "LixSi phases end at Li22Si5.")
    if x > X_MAX:
        raise ValueError(f"x={x:g} is more lithium than Li15Si4 has (x = {X_MAX}). Start from crystal('Li17Si4').")
    for each in repeats:
        check_range("repeats", each, 1, 50)
    atoms = crystal("Li15Si4") * repeats
    li = np.flatnonzero(atoms.numbers == 3)
    n_si = len(atoms) - len(li)
    n_li = round(x * n_si)
    if n_li == 0:
        raise ValueError(f"x={x:g} leaves no Li beside {n_si} Si: for pure silicon use melt_quench.")
    gone = np.random.default_rng(seed).permutation(li)[: len(li) - n_li]
    out = atoms[np.setdiff1d(np.arange(len(atoms)), gone)]
    out = at_amorphous_volume(out)
    return out[np.argsort(out.numbers, kind="stable")]
