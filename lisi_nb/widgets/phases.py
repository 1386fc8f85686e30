"""Which crystal every atom belongs to, by OVITO, each element looked at by itself. No widgets here."""

from __future__ import annotations

import threading

import numpy as np
from ase import Atoms

from lisi_nb.palette import PHASES

NAMES = tuple(PHASES)
# What OVITO's numbers of structure types mean. An atom at the edge has diamond neighbours but misses some of its own.
EDGE = "edge of diamond Si"
DIAMOND = ("other Si", "diamond Si", EDGE, EDGE, "diamond Si", EDGE, EDGE)  # other, three cubic, three hexagonal
NEIGHBOURS = ("other Li", "close-packed Li", "close-packed Li", "bcc Li", "other Li")  # other, fcc, hcp, bcc, ico


def phases(atoms: Atoms) -> np.ndarray:
    """Indices ``(n,)`` into `NAMES`: IdentifyDiamond for Si, adaptive common neighbour analysis for Li.

    Lithium between silicon atoms does not count for silicon's crystal, nor the other way round.

    Raises
    ------
    RuntimeError
        Called outside the main thread, where OVITO would take the kernel down.

    References
    ----------
    E. Maras et al., Comput. Phys. Commun. 205 (2016) 13 (diamond); A. Stukowski, Modelling Simul. Mater. Sci. Eng. 20
    (2012) 045021 (adaptive common neighbours).
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("Crystal phases can only be found in the main thread: call this from a cell.")
    from ovito.io.ase import ase_to_ovito
    from ovito.modifiers import CommonNeighborAnalysisModifier, IdentifyDiamondModifier

    found = np.full(len(atoms), NAMES.index("other element"))
    symbols = np.array(atoms.get_chemical_symbols())
    for element, finder, names in (
        ("Si", IdentifyDiamondModifier, DIAMOND),
        ("Li", CommonNeighborAnalysisModifier, NEIGHBOURS),
    ):
        mine = np.flatnonzero(symbols == element)
        if len(mine):
            data = ase_to_ovito(Atoms(atoms[mine].numbers, atoms.positions[mine], cell=atoms.cell, pbc=atoms.pbc))
            data.apply(finder())
            numbers = np.array([NAMES.index(name) for name in names])
            found[mine] = numbers[data.particles["Structure Type"][...]]
    return found


def of_elements(elements: set[str]) -> dict[str, str]:
    """Names and colours of the phases that these elements can have."""
    others = elements - {"Li", "Si"}
    return {n: c for n, c in PHASES.items() if n.split()[-1] in elements or (others and n == "other element")}
