"""Li13Si12X: a cluster of silicon in lithium with one foreign atom, at its core or in its shell (Fig. S10).

Artrith et al. (arXiv:1901.09272) begin with an ideal icosahedron of 13 Si, surrounded by 13 Li, clusters packed
densely. Where the Li are, and how far, they do not print. Here 12 Li cap those faces of the icosahedron that the
cubic axes make one kind of (the symmetry of a face-centred cubic packing), and one sits in the octahedral hole between
clusters: the vertices stay equivalent, and there is 1 hole to a cluster.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from lisi_nb.errors import check_choice, check_range

SITES = ("core", "shell")
ELEMENTS = tuple(chemical_symbols[1:95])
# Si-Si from the centre; Li-Li and Li-Si 2.51 A at the closest; 17 A^3 per atom, a little above LiSi. All are relaxed.
SI_A, LI_A, LATTICE_A = 2.45, 4.40, 12.15
RATTLE_A = 0.25
_GOLDEN = (1 + 5**0.5) / 2


def doped_cluster(element: str, site: str, seed: int = 0, rattle_A: float = RATTLE_A) -> Atoms:
    """The primitive cell Li13Si12X with X at the core or in the shell of the silicon cluster.

    Parameters
    ----------
    element : str
        X, from H to Pu; ``"Si"`` gives the cluster without a dopant at either site.
    site : str
        ``"core"`` (the centre) or ``"shell"`` (one of the 12 vertices).
    seed : int
        Of the displacements that break the symmetry, the same for both sites and all elements.
    rattle_A : float
        Their standard deviation, A. With 0 a relaxation keeps the symmetry, also where it costs energy; with 0.05
        Sc at the core went back to it, 5 eV above Sc in a shell that had given it up (SevenNet-l3i5).

    Returns
    -------
    ase.Atoms
        26 atoms, periodic: Li, the core (13), the shell (14 to 25; X at 14); `info` has `dopant`, `site`, `start`.
    """
    check_choice("element", element, ELEMENTS)
    check_choice("site", site, SITES)
    check_range("rattle_A", rattle_A, 0.0, 0.5, "A")
    si, li = (
        np.array([np.roll((0, s * a, t * b), k) for s, t in product((1, -1), repeat=2) for k in range(3)])
        for a, b in ((1, _GOLDEN), (_GOLDEN, 1 / _GOLDEN))
    )
    positions = np.concatenate(
        [
            li * LI_A / np.linalg.norm(li[0]),
            [[LATTICE_A / 2, 0, 0]],
            [[0, 0, 0]],
            si * SI_A / np.linalg.norm(si[0]),
        ]
    )
    symbols = ["Li"] * 13 + ["Si"] * 13
    symbols[13 if site == "core" else 14] = element
    atoms = Atoms(symbols, positions=positions, cell=LATTICE_A / 2 * (1 - np.eye(3)), pbc=True)
    if rattle_A:
        atoms.rattle(rattle_A, seed=seed)
    atoms.info = {"dopant": element, "site": site, "start": seed}
    return atoms
