"""Delithiated Li15Si4 with the lithium where it costs least: search, then relax the lowest (Fig. S12 of the paper)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.db import connect
from ase.io import read, write

from lisi_nb import paths, potentials
from lisi_nb.analysis.elasticity import lower, relaxed
from lisi_nb.engine.files import locked
from lisi_nb.errors import check_range
from lisi_nb.params import ByScale
from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.delithiated import X_MAX, at_amorphous_volume
from lisi_nb.structures.orderings import FILE, Ordering, Search, search_orderings
from lisi_nb.studies.lixsi.thermodynamics import FMAX_eV_A

Progress = Callable[[str, int, int], None]
LOCK = "search.lock"
QUICK_STEPS = 60  # of every ordering searched; the lowest are relaxed to the end
QUICK_FMAX_eV_A = 0.1
# Of `delithiation`; the two-phase region is looked for around x = 2.25.
BRANCH: ByScale[dict[str, Any]] = ByScale({
    "smoke": dict(xs=(3.0, 1.5), population=4, n_generations=1, n_relaxed=1),
    "lesson": dict(xs=(3.5, 3.0, 2.25, 1.5, 0.75), population=6, n_generations=2, n_relaxed=1),
    "paper": dict(xs=(3.5, 3.25, 3.0, 2.75, 2.5, 2.25, 2.0, 1.5, 1.0, 0.75, 0.5, 0.25), repeats=(2, 2, 2),
                  population=40, n_generations=50, n_relaxed=10),
})  # fmt: skip


@dataclass(frozen=True, eq=False)
class Orderings:
    """The lowest orderings of one composition.

    Attributes
    ----------
    x : float
        Li per Si.
    search : Search
        Every ordering looked at, with the energy after a short relaxation.
    relaxed : tuple of Atoms
        The lowest of them, relaxed in positions and cell; with energy, lowest first.
    """

    x: float
    search: Search
    relaxed: tuple[Atoms, ...]

    @property
    def energies_eV(self) -> np.ndarray:
        """Of `relaxed`, per atom."""
        return np.array([a.get_potential_energy() / len(a) for a in self.relaxed])

    @property
    def gain_meV(self) -> float:
        """How far the lowest lies below the mean of random orderings, meV per atom, after the short relaxation."""
        below = self.search.random_eV.value - self.search.best[0].energy_eV
        return 1000 * below / len(self.relaxed[0])


def lowest_orderings(
    x: float,
    potential: str = "lisi",
    *,
    repeats: tuple[int, int, int] = (1, 1, 1),
    lattice: Atoms | None = None,
    population: int = 16,
    n_generations: int = 6,
    n_relaxed: int = 3,
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Orderings:
    """Search the Li of LixSi on the Li sites of Li15Si4, and relax the lowest orderings.

    Every ordering is scaled to the volume of amorphous LixSi and relaxed for at most 60 steps, cell included; it is
    ranked by what it has reached. Stopped and called again, it goes on where it was; another process that asks for the
    same search waits for this one, and finds it done.

    Parameters
    ----------
    x : float
        Li per Si, below 3.75; rounded to whole atoms.
    potential : str
        Of the registry.
    repeats : (int, int, int)
        Supercell of the cubic cell Li60Si16; the paper's largest is (2, 2, 2).
    lattice : Atoms, optional
        Sites on offer instead, such as ``previous.search.remaining()`` to take more lithium from a found ordering.
    population, n_generations, seed
        As in `search_orderings`.
    n_relaxed : int
        How many of the lowest are relaxed to 0.02 eV/A; the paper's is 10.
    folder : Path, optional
        Of the search; one of its own in the cache by default, named by the inputs.
    progress : callable, optional
        Called with (what, number done, number there will be).

    Raises
    ------
    ValueError
        x too large or small for the lattice, or a folder that holds another search.
    RuntimeError
        One of the lowest does not relax.
    """
    check_range("x", x, 0.01, X_MAX, "Li per Si", "Li15Si4 holds no more.")
    check_range("n_relaxed", n_relaxed, 1, 100)
    model = potentials.get(potential)
    sites = crystal("Li15Si4") * repeats if lattice is None else lattice
    n_si = int((sites.numbers == 14).sum())
    n_li = round(x * n_si)
    say = progress or (lambda what, done, of: None)
    own = folder or _own_folder(sites, n_li, model, population, seed)
    own.mkdir(parents=True, exist_ok=True)
    with locked(own / LOCK):
        search = search_orderings(
            sites,
            n_li,
            lambda atoms: quick(atoms, model.calculator()),
            own,
            label=f"{potential} {model.sha256}, {QUICK_STEPS} steps",
            population=population,
            n_generations=n_generations,
            seed=seed,
            keep=n_relaxed,
            progress=lambda done, of, _: say(f"searching orderings of x = {n_li / n_si:.2f}", done, of),
        )
        final = []
        for k, each in enumerate(search.best):
            final.append(_finished(each, model, own))
            say(f"relaxing the lowest of x = {n_li / n_si:.2f}", k + 1, len(search.best))
    final.sort(key=lambda atoms: atoms.get_potential_energy())
    return Orderings(n_li / n_si, search, tuple(final))


def n_missing(
    x: float, potential: str, repeats: tuple[int, int, int], population: int, n_generations: int, seed: int
) -> int:
    """Orderings that `lowest_orderings` of these inputs would still have to relax; none where it is in the cache."""
    sites = crystal("Li15Si4") * repeats
    n_li = round(x * int((sites.numbers == 14).sum()))
    file = _own_folder(sites, n_li, potentials.get(potential), population, seed) / FILE
    n_done = connect(str(file)).count(relaxed=1) if file.exists() else 0
    return max(0, population * n_generations - n_done)


def delithiation(xs: Sequence[float], potential: str = "lisi", **options: Any) -> tuple[Orderings, ...]:
    """The paper's sequence: at each x lithium is taken from the lowest ordering of the one before.

    Parameters
    ----------
    xs : sequence of float
        Falling.
    potential, **options
        As in `lowest_orderings`.
    """
    if not len(xs) or any(b >= a for a, b in pairwise(xs)):
        raise ValueError(f"xs={list(xs)} does not fall. Give compositions from rich to poor, such as [3.5, 2.25].")
    found: list[Orderings] = []
    for x in xs:
        found.append(lowest_orderings(x, potential, **options))
        options["lattice"] = found[-1].search.remaining()
    return tuple(found)


def quick(atoms: Atoms, calculator: Any) -> tuple[Atoms, float]:
    """A copy at the volume of amorphous LixSi, relaxed for a few steps in positions and cell, and its energy."""
    out = at_amorphous_volume(atoms)
    out.calc = calculator
    lower(out, True, QUICK_FMAX_eV_A, QUICK_STEPS)
    energy_eV = float(out.get_potential_energy())
    out.calc = None
    return out, energy_eV


def _own_folder(sites: Atoms, n_li: int, model: potentials.Potential, population: int, seed: int) -> Path:
    inputs = f"{sites.positions.round(4).tolist()} {n_li} {model.sha256} {population} {seed}"
    name = f"{len(sites)}-{n_li}-{hashlib.sha256(inputs.encode()).hexdigest()[:8]}"
    return paths.cache() / "orderings" / name


def _finished(ordering: Ordering, model: potentials.Potential, folder: Path) -> Atoms:
    """Relaxed to the end, and kept in the folder of the search."""
    name = hashlib.sha256(ordering.occupied.tobytes()).hexdigest()[:12]
    file = folder / f"relaxed-{name}.extxyz"
    if not file.exists():
        draft = file.with_name(f"draft-{file.name}")
        write(draft, relaxed(ordering.atoms, model.calculator(), fmax_eV_A=FMAX_eV_A, steps=2000), format="extxyz")
        draft.rename(file)
    found = read(file, format="extxyz")
    assert isinstance(found, Atoms)
    return found
