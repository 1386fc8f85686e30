"""First training frames of a Li-Si potential, before any MD exists: round 0 of active learning.

Crystals, surfaces, interfaces, random packings of many compositions and densities, and a few dimers so
that the potential repels at short range. Later rounds come from MD (`lisi_nb.training.explore`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.build import cut

from lisi_nb.structures.crystals import NAMES, crystal
from lisi_nb.structures.interfaces import FACETS, interface, silicon_slab
from lisi_nb.structures.packing import random_packing

LI_VOLUME_A3, SI_VOLUME_A3, LI_IN_ALLOY_A3 = 21.5, 20.4, 14.6
COMPOSITIONS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.25, 3.25, 3.75, 6.0, np.inf)  # x of LixSi


def strained_rattled(atoms: Atoms, rng: np.random.Generator, rattle_A: float, volume: float) -> Atoms:
    """A copy with its volume scaled by about `volume`, a random 2 % strain and Gaussian displacements."""
    out = atoms.copy()
    strain = rng.normal(0, 0.02, (3, 3))
    deform = volume ** (1 / 3) * (np.eye(3) + 0.5 * (strain + strain.T))
    out.set_cell(atoms.cell.array @ deform, scale_atoms=True)
    out.positions += rng.normal(0, rattle_A, out.positions.shape)
    return out


def melt_volume_A3(n_li: int, n_si: int) -> float:
    """Rough volume in A3 of a LixSi melt, interpolated between the elements and Li15Si4."""
    if n_si == 0:
        return n_li * LI_VOLUME_A3
    bound = min(n_li, 3.75 * n_si)
    return n_si * SI_VOLUME_A3 + bound * LI_IN_ALLOY_A3 + (n_li - bound) * LI_VOLUME_A3


def random_melt(x_li: float, n_atoms: int, density: float, seed: int, shrink: float = 0.95) -> Atoms:
    """Random LixSi packing of about `n_atoms` in a cube at `density` times its usual density."""
    n_si = 0 if np.isinf(x_li) else round(n_atoms / (1 + x_li))
    n_li = n_atoms - n_si
    edge = (melt_volume_A3(n_li, n_si) / density) ** (1 / 3)
    return random_packing(["Si"] * n_si + ["Li"] * n_li, (edge, edge, edge), seed, shrink=shrink)


def small_slab(name: str, facet: str, thickness_A: float) -> Atoms:
    """A thin slab of Si or Li (as tall as it is deep) with periodic x and y."""
    if name == "Si":
        return silicon_slab(facet, 8.0, thickness_A)
    from ase.build import bcc100, bcc110, bcc111

    layers = {"100": round(thickness_A / 1.72), "110": round(thickness_A / 2.43), "111": round(thickness_A / 0.99)}
    size = {"100": (2, 2), "110": (2, 2), "111": (2, 2)}[facet]
    build = {"100": bcc100, "110": bcc110, "111": bcc111}[facet]
    orthogonal = {} if facet == "100" else {"orthogonal": True}
    return build("Li", (*size, layers[facet]), a=3.43, **orthogonal)


def small_interface(facet: str, seed: int, vacuum_A: float, n_li_per_si: float = 1.2, lateral_A: float = 8.0) -> Atoms:
    """A small Si | Li interface with packed, not yet melted, lithium."""
    slab = silicon_slab(facet, lateral_A if facet != "111" else lateral_A - 1.0, 9.5)
    n_li = round(n_li_per_si * len(slab))
    x_A, y_A = slab.cell.lengths()[:2]
    lithium = random_packing(["Li"] * n_li, (x_A, y_A, n_li * LI_VOLUME_A3 / (x_A * y_A)), seed)
    return interface(slab, lithium, gap_A=2.4, vacuum_A=vacuum_A)


def dimers() -> Iterator[Atoms]:
    """Li2, LiSi and Si2 from deep overlap to separation, in a 14 A box."""
    for pair in ("Li2", "LiSi", "Si2"):
        for distance_A in (1.2, 1.5, 1.8, 2.1, 2.4, 2.8, 3.3, 4.0, 5.0):
            yield Atoms(pair, positions=[(0, 0, 0), (distance_A, 0, 0)], cell=[14] * 3, pbc=True)


def small_crystals(seed: int = 0) -> list[Atoms]:
    """The crystals, and silicon with a vacancy, in cells of at most 38 atoms: as they are, then strained and rattled.

    For ab initio labels. Li12Si7 and Li7Si3 have no cell that small.
    """
    rng = np.random.default_rng(seed)
    body_centred = {"a": (-0.5, 0.5, 0.5), "b": (0.5, -0.5, 0.5), "c": (0.5, 0.5, -0.5)}
    cells = {
        "Li": crystal("Li") * (3, 3, 2),
        "Li_fcc": crystal("Li_fcc") * (2, 2, 2),
        "Si": crystal("Si") * (2, 2, 1),
        "Si_vacancy": crystal("Si") * (2, 2, 1),
        "LiSi": crystal("LiSi"),
        "Li13Si4": crystal("Li13Si4"),
        "Li15Si4": cut(crystal("Li15Si4"), **body_centred),
    }
    del cells["Si_vacancy"][0]
    frames = []
    for name, cell in cells.items():
        moved = [strained_rattled(cell, rng, rng.uniform(0.05, 0.25), v) for v in (0.88, 0.94, 0.98, 1.0, 1.03, 1.08)]
        info = {"system": f"crystal/{name}", "round": 0}
        frames += [Atoms(a.symbols, positions=a.positions, cell=a.cell, pbc=True, info=info) for a in (cell, *moved)]
    return frames


def strained_crystals(seed: int = 0) -> list[Atoms]:
    """Crystals a little strained and hardly rattled: what elastic constants are learned from.

    Si, whose resistance to shear comes from small differences of angles, has the most. The big Li12Si7 and the held-out
    Li13Si4 (`held_out.HELD_OUT`) are not among them.
    """
    rng = np.random.default_rng(seed)
    counts = {"Si": 60, "Li": 30, "Li_fcc": 10, "LiSi": 12, "Li7Si3": 10, "Li15Si4": 10}
    frames = []
    for name, n_frames in counts.items():
        cell = crystal(name) * ((2, 2, 2) if name == "Li" else (1, 1, 1))
        for _ in range(n_frames):
            atoms = strained_rattled(cell, rng, rng.uniform(0.0, 0.06), rng.uniform(0.94, 1.06))
            atoms.info = {"system": f"crystal/{name}"}
            frames.append(atoms)
    return frames


def initial_frames(seed: int = 0) -> list[Atoms]:
    """Frames of round 0, each with ``info["system"]``; the same seed gives the same frames."""
    rng = np.random.default_rng(seed)
    frames: list[Atoms] = []

    def add(system: str, atoms: Atoms) -> None:
        atoms = atoms.copy()
        atoms.set_pbc(True)
        atoms.info = {"system": system, "round": 0}
        frames.append(atoms)

    repeat = {"Li": (3, 3, 3), "Li_fcc": (2, 2, 2), "Si": (2, 2, 2)}
    for name in NAMES:
        base = crystal(name)
        cell = base * repeat.get(name, (1, 1, 1))
        add(f"crystal/{name}", cell)
        for volume in (0.85, 0.92, 0.97, 1.0, 1.0, 1.03, 1.08, 1.16):
            if len(cell) > 100 and volume not in (0.92, 1.0, 1.08):
                continue
            add(f"crystal/{name}", strained_rattled(cell, rng, rng.uniform(0.05, 0.28), volume))
    for name in ("Li", "Si"):
        for facet in FACETS:
            for rattle_A in (0.0, 0.08, 0.15, 0.22):
                slab = small_slab(name, facet, 11.0)
                slab.center(vacuum=6.0, axis=2)
                slab.positions += rng.normal(0, rattle_A, slab.positions.shape) if rattle_A else 0.0
                add(f"surface/{name}{facet}", slab)
    for x_li in COMPOSITIONS:
        for density in (0.80, 0.90, 0.96, 1.0, 1.0, 1.04, 1.10):
            melt = random_melt(x_li, int(rng.integers(40, 64)), density, int(rng.integers(1 << 30)))
            melt.positions += rng.normal(0, 0.1, melt.positions.shape)
            add(f"melt/x={x_li:g}", melt)
    for x_li in (0.0, 1.0, 3.0, np.inf):
        for shrink in (0.65, 0.75):
            add("squeezed", random_melt(x_li, 48, 1.1, int(rng.integers(1 << 30)), shrink=shrink))
    for facet in FACETS:
        for vacuum_A in (0.0, 0.0, 0.0, 12.0, 12.0):
            atoms = small_interface(facet, int(rng.integers(1 << 30)), vacuum_A)
            atoms.positions += rng.normal(0, rng.uniform(0.03, 0.2), atoms.positions.shape)
            add(f"interface/{facet}" + ("/vacuum" if vacuum_A else ""), atoms)
    for pair in dimers():
        add("dimer", pair)
    return frames
