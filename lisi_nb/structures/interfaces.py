"""Silicon slabs by facet, and silicon | lithium interfaces along z.

Geometry after Fu et al., npj Comput. Mater. 2024, doi:10.1038/s41524-024-01327-1: silicon below,
lithium above, vacuum on the lithium side, in-plane cell of relaxed silicon.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import cut
from scipy.spatial import cKDTree

from lisi_nb.errors import check_choice, check_range
from lisi_nb.structures.crystals import crystal

FACETS = ("100", "110", "111")
BOTTOM_TAG = 1  # atoms of the two lowest silicon layers, which a run may fix or tether
# Orthogonal surface cells of diamond in units of the cubic cell, and (110) layers per repeat along z.
_AXES = {
    "100": ((1, 0, 0), (0, 1, 0), (0, 0, 1), 4),
    "110": ((0, 0, 1), (0.5, -0.5, 0), (0.5, 0.5, 0), 2),
    "111": ((0.5, -0.5, 0), (0.5, 0.5, -1), (1, 1, 1), 6),
}


def facet_cell_A(facet: str, lattice_A: float) -> tuple[float, float, float]:
    """In-plane edges and mean layer spacing (A) of the orthogonal surface cell of a diamond facet."""
    check_choice("facet", facet, FACETS)
    *axes, layers = _AXES[facet]
    x, y, z = (lattice_A * float(np.linalg.norm(axis)) for axis in axes)
    return x, y, z / layers


def silicon_slab(facet: str, lateral_A: float, thickness_A: float, lattice_A: float = 5.4687) -> Atoms:
    """Cut a crystalline silicon slab whose normal is z.

    Parameters
    ----------
    facet : str
        ``"100"``, ``"110"`` or ``"111"``.
    lateral_A, thickness_A : float
        Wanted in-plane edge and thickness in A; rounded to whole cells and whole layers.
    lattice_A : float
        Cubic lattice parameter in A of the relaxed crystal.

    Returns
    -------
    ase.Atoms
        Periodic in x and y; ``cell[2]`` is the number of layers times the layer spacing. A (111) slab
        ends in a full bilayer at the top, the face that has one dangling bond per atom.
    """
    check_range("lateral_A", lateral_A, 7.0, 500.0, "A")
    check_range("thickness_A", thickness_A, 5.0, 2000.0, "A")
    x_A, y_A, spacing_A = facet_cell_A(facet, lattice_A)
    repeats = max(1, round(lateral_A / x_A)), max(1, round(lateral_A / y_A))
    n_layers = round(thickness_A / spacing_A)
    a, b, c, per_cell = _AXES[facet]
    unit = cut(crystal("Si", lattice_A), a=a, b=b, c=c, tolerance=0.01)
    unit.rotate(unit.cell[2], "z", rotate_cell=True)
    unit.rotate(unit.cell[0], "x", rotate_cell=True)
    unit.wrap(eps=1e-4)
    slab = unit * (*repeats, n_layers // per_cell + 2)
    height = np.round(slab.positions[:, 2], 3)
    levels = np.unique(height)
    gaps = np.diff(levels)
    # End on the widest gap: for (111) that is above a full bilayer; all gaps are equal otherwise.
    top = next(k for k in range(n_layers - 1, len(gaps)) if gaps[k] > gaps.max() - 0.05)
    keep = (height >= levels[top - n_layers + 1]) & (height <= levels[top])
    slab = slab[keep]
    slab.positions[:, 2] -= slab.positions[:, 2].min()
    slab.set_cell([unit.cell[0, 0] * repeats[0], unit.cell[1, 1] * repeats[1], n_layers * spacing_A])
    slab.set_pbc((True, True, False))
    slab.wrap(pbc=(True, True, False))
    return slab


def interface(
    silicon: Atoms,
    lithium: Atoms,
    *,
    gap_A: float = 2.5,
    vacuum_A: float = 40.0,
    strain_percent: float = 0.0,
) -> Atoms:
    """Put lithium on silicon along z, with vacuum above the lithium.

    Parameters
    ----------
    silicon, lithium : ase.Atoms
        Slabs with the same in-plane cell.
    gap_A : float
        Distance in A between the highest silicon and the lowest lithium atom.
    vacuum_A : float
        Empty space in A above the lithium; 0 makes the cell periodic with a second interface at `gap_A`.
    strain_percent : float
        In-plane strain applied to both sides, in x and y.

    Returns
    -------
    ase.Atoms
        Silicon first. The lowest two silicon layers (or 3 A of an amorphous slab) carry `BOTTOM_TAG`.

    Raises
    ------
    ValueError
        The in-plane cells differ by more than 0.1 %, or a value is out of range.
    """
    check_range("gap_A", gap_A, 1.5, 10.0, "A")
    check_range("vacuum_A", vacuum_A, 0.0, 500.0, "A")
    check_range("strain_percent", strain_percent, -10.0, 10.0, "%")
    mismatch = np.abs(lithium.cell.lengths()[:2] / silicon.cell.lengths()[:2] - 1.0).max()
    if mismatch > 1e-3:
        raise ValueError(
            f"The in-plane cells differ by {100 * mismatch:.2f} %: silicon "
            f"{silicon.cell.lengths()[:2].round(3)} Å, lithium {lithium.cell.lengths()[:2].round(3)} Å. "
            "Build the lithium in the silicon cross-section."
        )
    lower, upper = silicon.copy(), lithium.copy()
    lower.positions[:, 2] -= lower.positions[:, 2].min()
    upper.positions[:, 2] += lower.positions[:, 2].max() + gap_A - upper.positions[:, 2].min()
    height_A = upper.positions[:, 2].max() + (vacuum_A if vacuum_A > 0 else gap_A)
    atoms = Atoms(
        list(lower.symbols) + list(upper.symbols),
        positions=np.vstack([lower.positions, upper.positions]),
        cell=[*silicon.cell.lengths()[:2], height_A],
        pbc=(True, True, vacuum_A == 0),
    )
    scale = 1.0 + strain_percent / 100.0
    atoms.set_cell(np.diag([scale, scale, 1.0]) @ atoms.cell.array, scale_atoms=True)
    levels = np.unique(np.round(lower.positions[:, 2], 2))
    crystalline = len(levels) < len(lower) / 2
    limit_A = levels[1] + 0.1 if crystalline and len(levels) > 2 else 3.0
    z = atoms.positions[:, 2]
    atoms.set_tags(np.where((z <= limit_A) & (atoms.numbers == 14), BOTTOM_TAG, 0))
    return atoms


@dataclass(frozen=True)
class ConstructionReport:
    """What was built: counts, cell, densities, strain and closest pair; units in the names."""

    n_si: int
    n_li: int
    cell_A: tuple[float, float, float]
    vacuum_A: float
    si_density_g_cm3: float
    li_density_g_cm3: float
    strain_percent: float
    closest_pair: str
    closest_A: float
    n_bottom: int

    def __str__(self) -> str:
        x, y, z = self.cell_A
        return (
            f"{self.n_si} Si + {self.n_li} Li = {self.n_si + self.n_li} atoms in "
            f"{x:.2f} x {y:.2f} x {z:.2f} Å, vacuum {self.vacuum_A:.1f} Å\n"
            f"density: Si {self.si_density_g_cm3:.3f}, Li {self.li_density_g_cm3:.3f} g/cm3; "
            f"in-plane strain {self.strain_percent:+.2f} %\n"
            f"closest pair: {self.closest_pair} at {self.closest_A:.2f} Å; "
            f"{self.n_bottom} bottom Si atoms can be held"
        )


def closest_pair(atoms: Atoms) -> tuple[str, float]:
    """Elements (``"Li-Si"``) and distance in A of the closest pair under the cell's periodicity."""
    lengths = atoms.cell.lengths()
    box = np.where(atoms.pbc, lengths, lengths + 1e3)
    positions = np.where(atoms.pbc, atoms.positions % lengths, atoms.positions - atoms.positions.min(axis=0))
    tree = cKDTree(np.where(atoms.pbc, positions % box, positions), boxsize=box)
    distance, neighbour = tree.query(tree.data, k=2)
    first = int(distance[:, 1].argmin())
    symbols = atoms.get_chemical_symbols()
    pair = "-".join(sorted((symbols[first], symbols[int(neighbour[first, 1])])))
    return pair, float(distance[first, 1])


def construction_report(atoms: Atoms, *, strain_percent: float = 0.0, vacuum_A: float = 0.0) -> ConstructionReport:
    """Summarise an interface cell; densities count the space from atom to atom plus half the gap."""
    is_si = atoms.numbers == 14
    z = atoms.positions[:, 2]
    area = float(np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1])))
    boundary = 0.5 * (z[is_si].max() + z[~is_si].min())
    # Half an interatomic spacing belongs to the outermost atoms on either free side.
    si_height, li_height = boundary - z[is_si].min() + 0.7, z[~is_si].max() - boundary + 1.3
    grams = atoms.get_masses() * 1.66053907  # u/A3 -> g/cm3
    pair, distance = closest_pair(atoms)
    return ConstructionReport(
        n_si=int(is_si.sum()),
        n_li=int((~is_si).sum()),
        cell_A=tuple(float(x) for x in atoms.cell.lengths()),  # type: ignore[arg-type]
        vacuum_A=vacuum_A,
        si_density_g_cm3=float(grams[is_si].sum() / (area * si_height)),
        li_density_g_cm3=float(grams[~is_si].sum() / (area * li_height)),
        strain_percent=strain_percent,
        closest_pair=pair,
        closest_A=distance,
        n_bottom=int((atoms.get_tags() == BOTTOM_TAG).sum()),
    )
