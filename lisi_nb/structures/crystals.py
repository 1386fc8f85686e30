"""Crystals of lithium, silicon and the Li-Si compounds, as ``ase.Atoms``."""

from __future__ import annotations

from itertools import product

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import Spacegroup
from ase.spacegroup import crystal as spacegroup_crystal

from lisi_nb.errors import check_choice

# Cells and coordinates: Materials Project structures (CC-BY), symmetrised; lengths in A.
_LI_SI = {
    "LiSi": (
        88,
        (9.327158, 9.327158, 5.740710, 90, 90, 90),
        "Li .58097 .63552 .17933; Si .61068 .70266 .71962",
    ),
    "Li12Si7": (
        62,
        (8.531238, 19.622662, 14.312682, 90, 90, 90),
        "Li .66175 .25 .83415; Li .61308 .25 .63119; Li .49628 .375 .47243; Li .84244 .38834 .49491;"
        "Li .87711 .16565 .65959; Li .37044 .9722 .93432; Li .63043 .1127 .26348; Li .36686 .99515 .56736;"
        "Li .37182 .14506 .63884; Li .87049 .03157 .74367; Li .13792 .32864 .47785; Li .86265 .31109 .16257;"
        "Li .60882 .81281 .84337; Si .61566 .75 .49219; Si .12228 .75 .48804; Si .37179 .75 .73546;"
        "Si .36702 .75 .56956; Si .12388 .36784 .75195; Si .10653 .43498 .61402; Si .11777 .55061 .66645;"
        "Si .11992 .55314 .83142; Si .13115 .43917 .88583",
    ),
    "Li7Si3": (
        153,
        (7.579872, 7.579872, 18.002744, 90, 90, 120),
        "Li .8888 .1112 .6666666667; Li .55671 .44329 .6666666667; Li .22466 .44692 .19849;"
        "Li .24349 .46677 .04459; Li .89177 .11391 .51645; Li .91279 .13468 .37353; Li .89219 .44706 .84953;"
        "Li .91425 .46888 .7065; Si .20898 .42603 .89914; Si .8794 .10225 .2319; Si .87119 .4314 .56534",
    ),
    "Li13Si4": (
        55,
        (7.897987, 15.011548, 4.420735, 90, 90, 90),
        "Li .76992 .15356 0; Li .34756 .52543 0; Li .40473 .69421 0; Li .75803 .40463 .5;"
        "Li .59013 .74477 .5; Li .90392 .60552 .5; Li 0 .5 0; Si .92569 .06887 .5; Si .58336 .83975 0",
    ),
    "Li15Si4": (
        220,
        (10.566048, 10.566048, 10.566048, 90, 90, 90),
        "Li .09609 .62693 .71344; Li .75 .125 0; Si .04243 .54243 .95757",
    ),
}
_ELEMENTS = {"Li": ("bcc", 3.4268), "Li_fcc": ("fcc", 4.325), "Si": ("diamond", 5.4687)}
# 6 x 6 x 6 cells of bcc in F-43m, sites in twelfths of the cubic edge: Si orbits with no Si-Si below 4.4 A, Li on the
# other sites but those of multiplicity 4 that are empty. Site types: AFLOW prototypes A22B5_cF432_196 and
# A17B4_cF420_216 (Li at 4a). Of the two ways to choose such Si orbits, with Li17Si4 filled at any of 4a to 4d, this one
# has the lowest energy relaxed with the lisi potential (by 5 meV/atom), and SevenNet l3i5 puts it lowest too. Positions
# are ideal: relax them.
_SUPERSTRUCTURE_A = 18.71
_SUPERSTRUCTURE_SI = ((2, 2, 2), (11, 11, 11), (4, 0, 0), (11, 3, 3))
_FOURFOLD = {"4a": (0, 0, 0), "4b": (6, 6, 6), "4c": (3, 3, 3), "4d": (9, 9, 9)}
_EMPTY = {"Li17Si4": ("4b", "4c", "4d"), "Li21Si5": ("4a", "4b", "4c", "4d"), "Li22Si5": ()}
NAMES = (*_ELEMENTS, *_LI_SI)  # with refined coordinates: what potentials are trained and validated on
LI_RICH = tuple(_EMPTY)


def crystal(name: str, lattice_A: float | None = None) -> Atoms:
    """Build the conventional cell of a crystal.

    Parameters
    ----------
    name : str
        One of `NAMES` or `LI_RICH`.
    lattice_A : float, optional
        Cubic lattice parameter in A for ``Li``, ``Li_fcc`` and ``Si``; PBE value by default.

    Returns
    -------
    ase.Atoms
        Periodic conventional cell at the PBE lattice parameters. Li17Si4, Li21Si5 and Li22Si5 (420, 416 and 432
        atoms) stand on ideal bcc sites and are meant to be relaxed; Li17Si4 is the phase found by experiment
        (Zeilinger and Fassler), the other two are the older assignments of its composition.

    Raises
    ------
    ValueError
        Unknown name, or a lattice parameter for a compound.
    """
    check_choice("crystal", name, (*NAMES, *LI_RICH))
    if name in _ELEMENTS:
        prototype, pbe_A = _ELEMENTS[name]
        return bulk(name[:2], prototype, a=lattice_A or pbe_A, cubic=True)
    if lattice_A is not None:
        raise ValueError(
            f"lattice_A={lattice_A} was given for {name}, which has more than one cell length or "
            "internal coordinates. Scale the returned atoms with set_cell(..., scale_atoms=True)."
        )
    if name in _EMPTY:
        return _bcc_superstructure(_EMPTY[name])
    group, cell, sites = _LI_SI[name]
    symbols, positions = [], []
    for site in sites.split(";"):
        symbol, *xyz = site.split()
        symbols.append(symbol)
        positions.append([float(x) for x in xyz])
    atoms = spacegroup_crystal(symbols, positions, spacegroup=group, cellpar=cell, setting=1)
    return Atoms(atoms.get_chemical_symbols(), scaled_positions=atoms.get_scaled_positions(), cell=atoms.cell, pbc=True)


def _bcc_superstructure(empty: tuple[str, ...]) -> Atoms:
    """Conventional F-43m cell with Si on its orbits and Li on the other bcc sites except the `empty` orbits."""
    silicon = set().union(*(_orbit(site) for site in _SUPERSTRUCTURE_SI))
    without = set().union(*(_orbit(_FOURFOLD[name]) for name in empty))
    bcc = [s for s in product(range(12), repeat=3) if len({x % 2 for x in s}) == 1 and s not in without]
    symbols = ["Si" if site in silicon else "Li" for site in bcc]
    scaled = [[x / 12 for x in site] for site in bcc]
    return Atoms(symbols, scaled_positions=scaled, cell=[_SUPERSTRUCTURE_A] * 3, pbc=True)


def _orbit(site: tuple[int, int, int]) -> set[tuple[int, ...]]:
    """Sites in twelfths that F-43m makes of one."""
    equivalent, _ = Spacegroup(216).equivalent_sites([[x / 12 for x in site]])
    return {tuple(round(12 * float(x)) % 12 for x in each) for each in equivalent}


def primitive_f(atoms: Atoms) -> Atoms:
    """The primitive cell, a quarter of a face-centred cubic one."""
    vectors = 0.5 * atoms.cell.lengths()[0] * (1 - np.eye(3))
    folded = Atoms(atoms.symbols, positions=atoms.positions, cell=vectors, pbc=True)
    scaled = np.round(folded.get_scaled_positions(wrap=True) % 1.0, 6) % 1.0
    _, first = np.unique(scaled, axis=0, return_index=True)
    if 4 * len(first) != len(atoms):
        raise ValueError(f"{atoms.get_chemical_formula()} is not face-centred: {len(first)} atoms in a quarter of it.")
    return folded[np.sort(first)]
