"""Amorphous silicon and molten lithium by melt and quench with a shipped potential, cached by hash."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write
from ase.neighborlist import neighbor_list

from lisi_nb import paths
from lisi_nb.engine import devices
from lisi_nb.engine.execute import run_blocking
from lisi_nb.engine.lammps import Segment, Stage
from lisi_nb.errors import check_choice, check_range
from lisi_nb.potentials import Potential
from lisi_nb.structures.packing import random_packing
from lisi_nb.units import U_PER_A3_IN_G_CM3

Progress = Callable[[str, int, int], None]

FREEZING_K = {"Si": (1500.0, 700.0)}  # where the slow part of a quench is spent
FAST = 10.0


@dataclass(frozen=True)
class Recipe:
    """A melt-quench: hold at `melt_K`, cool to `end_K`, relax the height at 0 bar.

    Cooling goes at `quench_K_per_ps` through the range where the network freezes (`FREEZING_K`), and ten times
    faster above and below it, where nothing is decided.

    Densities are those of the start; the height relaxes at the end, so the result has the potential's own
    density. `melt_ps`, `relax_ps` and `timestep_fs` as named.
    """

    element: str
    n_atoms: int
    lateral_A: tuple[float, float]
    density_g_cm3: float
    melt_K: float
    melt_ps: float
    quench_K_per_ps: float
    end_K: float
    relax_ps: float
    timestep_fs: float
    seed: int

    def segment(self) -> Segment:
        """The MD of this recipe."""
        check_choice("element", self.element, ("Li", "Si"))
        check_range("quench_K_per_ps", self.quench_K_per_ps, 0.1, 1e5, "K/ps")

        def steps(ps: float) -> int:
            return max(1, round(1000 * ps / self.timestep_fs))

        freezing = FREEZING_K.get(self.element, (self.melt_K, self.end_K))
        hot, cold = (min(self.melt_K, max(self.end_K, each)) for each in freezing)
        ramps = ((self.melt_K, hot, FAST), (hot, cold, 1.0), (cold, self.end_K, FAST))
        return Segment(
            (
                Stage(steps(self.melt_ps), self.melt_K, self.melt_K),
                *(
                    Stage(steps((start - stop) / (factor * self.quench_K_per_ps)), start, stop)
                    for start, stop, factor in ramps
                    if start > stop
                ),
                Stage(steps(self.relax_ps), self.end_K, self.end_K, 0.0),
            ),
            timestep_fs=self.timestep_fs,
            seed=self.seed,
            dump_every=0,
            deviation_every=500,
        )


@dataclass(frozen=True)
class AmorphousCheck:
    """Density (g/cm3), mean coordination within `cutoff_A`, and first g(r) peak (A) of a made structure."""

    element: str
    density_g_cm3: float
    coordination: float
    cutoff_A: float
    first_peak_A: float

    def __str__(self) -> str:
        return (
            f"density {self.density_g_cm3:.3f} g/cm3, coordination {self.coordination:.2f} "
            f"(r < {self.cutoff_A:g} Å), g(r) peak {self.first_peak_A:.2f} Å"
        )

    def problems(self) -> tuple[str, ...]:
        """What lies outside the substance's range, in words; empty when it is what its name says."""
        return tuple(
            f"{name} = {getattr(self, name):.3g}, expected {low} to {high}"
            for name, (low, high) in _ALLOWED[self.element].items()
            if not low <= getattr(self, name) <= high
        )


# Outside these it is not amorphous silicon or molten lithium: density g/cm3, coordination, first peak A.
_CUTOFF_A = {"Si": 2.85, "Li": 4.2}
_ALLOWED = {
    "Si": {"density_g_cm3": (1.9, 2.7), "coordination": (3.4, 5.0), "first_peak_A": (2.25, 2.6)},
    "Li": {"density_g_cm3": (0.40, 0.60), "coordination": (9.0, 15.0), "first_peak_A": (2.7, 3.3)},
}


def check(atoms: Atoms, element: str) -> AmorphousCheck:
    """Measure density, coordination and the first g(r) peak of a periodic one-element cell."""
    cutoff = _CUTOFF_A[element]
    distances = neighbor_list("d", atoms, 6.0)
    counts, edges = np.histogram(distances, bins=np.arange(1.5, 6.0, 0.05))
    centres = 0.5 * (edges[1:] + edges[:-1])
    g = np.convolve(counts / centres**2, np.ones(3) / 3, mode="same")
    return AmorphousCheck(
        element=element,
        density_g_cm3=float(atoms.get_masses().sum() / atoms.get_volume() * U_PER_A3_IN_G_CM3),
        coordination=float((distances < cutoff).sum() / len(atoms)),
        cutoff_A=cutoff,
        first_peak_A=float(centres[g[: np.searchsorted(centres, 3.6)].argmax()]),
    )


def cached_file(recipe: Recipe, potential: Potential) -> Path:
    """Where `melt_quench` keeps (or would keep) what this recipe and potential make."""
    identity = json.dumps([asdict(recipe), potential.sha256, 2], sort_keys=True)
    return paths.cache() / "structures" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.extxyz"


def melt_quench(recipe: Recipe, potential: Potential, progress: Progress | None = None) -> tuple[Atoms, AmorphousCheck]:
    """Make (or fetch from the cache) an amorphous or liquid cell.

    Parameters
    ----------
    recipe : Recipe
        What to make; together with the potential's hash it names the cached file.
    potential : Potential
        Drives the MD.
    progress : callable, optional
        Called with (what, step, steps).

    Returns
    -------
    ase.Atoms, AmorphousCheck
        Periodic cell whose widest gap along z lies at the boundary, ready to be cut open; its check, whose
        ``problems()`` must be shown to whoever uses the cell.

    Raises
    ------
    RunFailed
        The MD failed.
    """
    path = cached_file(recipe, potential)
    if path.exists():
        cached = read(path, format="extxyz")
        assert isinstance(cached, Atoms)
        return cached, check(cached, recipe.element)
    mass = Atoms(recipe.element).get_masses()[0]
    height = recipe.n_atoms * mass * U_PER_A3_IN_G_CM3 / recipe.density_g_cm3 / np.prod(recipe.lateral_A)
    start = random_packing([recipe.element] * recipe.n_atoms, (*recipe.lateral_A, float(height)), recipe.seed)
    what = f"melting and quenching {recipe.n_atoms} {recipe.element}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = run_blocking(
            Path(folder),
            start,
            recipe.segment(),
            potential.models()[:1],
            devices.choose(),
            progress and (lambda step, steps: progress(what, step, steps)),
        )
    atoms = Atoms(made.symbols, positions=made.positions, cell=made.cell.lengths(), pbc=True)
    _open_at_widest_gap(atoms)
    found = check(atoms, recipe.element)
    draft = path.with_suffix(".part")
    write(draft, atoms, format="extxyz")
    draft.rename(path)
    return atoms, found


def _open_at_widest_gap(atoms: Atoms) -> None:
    """Shift atoms along z so that the widest empty layer is at the periodic boundary."""
    atoms.wrap()
    z = np.sort(atoms.positions[:, 2])
    gaps = np.diff(np.append(z, z[0] + atoms.cell[2, 2]))
    widest = int(gaps.argmax())
    atoms.positions[:, 2] -= z[widest] + 0.5 * gaps[widest]
    atoms.wrap()
