"""Which lithium to take out: a genetic algorithm over orderings of Li and vacancies on the Li sites of a lattice.

Population, selection, database and the swap of a Li with a vacancy are those of ase-ga (Vilhelmsen and Hammer,
doi:10.1063/1.4886337). A search lies in one file; it goes on where it was stopped, with the same outcome.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase_ga.data import DataConnection, PrepareDB
from ase_ga.offspring_creator import OffspringCreator, OperationSelector
from ase_ga.particle_mutations import RandomPermutation
from ase_ga.population import Population
from ase_ga.standard_comparators import RawScoreComparator

from lisi_nb.errors import check_range
from lisi_nb.units import Measured

Array = np.ndarray
Relax = Callable[[Atoms], tuple[Atoms, float]]
Progress = Callable[[int, int, float], None]
FILE = "orderings.db"
SAME_eV = 1e-3  # orderings this close in energy are taken for symmetric copies of one
CROSS, SWAP = 0.5, 0.5  # shares of the two ways to make a child
TRIES = 50


@dataclass(frozen=True, eq=False)
class Ordering:
    """One ordering: its sites that hold Li (n_sites,) bool, and what became of it (relaxed `atoms`, their energy)."""

    occupied: Array
    atoms: Atoms
    energy_eV: float
    generation: int


@dataclass(frozen=True, eq=False)
class Search:
    """A search so far; energies of the whole cell, in the order of evaluation.

    Attributes
    ----------
    lattice : Atoms
        Whose Li sites were offered; the others stay.
    best : tuple of Ordering
        Lowest first, no two within 1 meV of each other.
    energies_eV, generations : (n,) arrays
        Of every ordering evaluated; generation 0 is random.
    """

    lattice: Atoms
    best: tuple[Ordering, ...]
    energies_eV: Array
    generations: Array

    @property
    def history_eV(self) -> Array:
        """Lowest energy so far, (n,)."""
        return np.minimum.accumulate(self.energies_eV)

    @property
    def random_eV(self) -> Measured:
        """Mean of the random orderings with its standard error."""
        e = self.energies_eV[self.generations == 0]
        return Measured(float(e.mean()), float(e.std(ddof=1) / math.sqrt(len(e))), "eV")

    def remaining(self, rank: int = 0) -> Atoms:
        """The lattice without the Li that the ordering at `rank` of `best` lacks: where the next step starts."""
        li = np.flatnonzero(self.lattice.numbers == 3)
        gone = li[~self.best[rank].occupied]
        return self.lattice[np.setdiff1d(np.arange(len(self.lattice)), gone)]


def search_orderings(
    lattice: Atoms,
    n_li: int,
    relax: Relax,
    folder: Path,
    *,
    label: str,
    population: int = 16,
    n_generations: int = 6,
    seed: int = 0,
    keep: int = 10,
    progress: Progress | None = None,
) -> Search:
    """Search the ordering of `n_li` Li on the Li sites of a lattice that has the lowest energy.

    Generation 0 is random. A child takes one side of a plane through the cell from one parent and the rest from the
    other, its number of Li mended on sites where they differ, or is a parent with one Li and one vacancy swapped.
    Parents are drawn by energy; no ordering is evaluated twice.

    Parameters
    ----------
    lattice : ase.Atoms
        Periodic; its Li are the sites on offer.
    n_li : int
        Li to be left, at least one and fewer than there are sites.
    relax : callable
        Gets an ordering (vacancies left out), returns what became of it and its energy in eV.
    folder : Path
        Of the search, made if missing. A search with the same inputs in it is gone on with, also to more generations.
    label : str
        What gives the energies, such as the potential and its hash: part of the inputs.
    population : int
        Orderings in each generation, and parents kept.
    n_generations : int
        Generations, the random one counted.
    seed : int
        Random seed.
    keep : int
        Length of `Search.best`.
    progress : callable, optional
        Called with the number evaluated, the number there will be, and the lowest energy.

    Returns
    -------
    Search

    Raises
    ------
    ValueError
        Nothing to order, a folder with a search of other inputs, or an energy that is no number.
    """
    n_sites = int((lattice.numbers == 3).sum())
    _check(lattice, n_li, n_sites, population, n_generations, seed)
    check_range("keep", keep, 1, 1000)
    database = _open(lattice, n_li, Path(folder), label, population, seed)
    for generation in range(n_generations):
        if generation and not _has(database, generation):
            _add_children(database, population, generation, seed, math.comb(n_sites, n_li))
        _evaluate(database, lattice, relax, population * n_generations, progress)
    return _read(database, lattice, keep)


def _check(lattice: Atoms, n_li: int, n_sites: int, population: int, n_generations: int, seed: int) -> None:
    if not lattice.pbc.all():
        raise ValueError(f"pbc={lattice.pbc.tolist()}: orderings are searched on a lattice periodic in all directions.")
    check_range(
        "n_li",
        n_li,
        1,
        n_sites - 1,
        "Li",
        f"The lattice has {n_sites} Li sites; leave at least one Li and one vacancy.",
    )
    check_range("population", population, 4, 1000)
    check_range("n_generations", n_generations, 1, 1000)
    check_range("seed", seed, 0, 2**32 - 1)
    if population > math.comb(n_sites, n_li):
        raise ValueError(
            f"population={population} is more than the {math.comb(n_sites, n_li)} orderings of {n_li} Li on {n_sites} "
            "sites. Choose a smaller one, or evaluate all of them."
        )


def _ordering(sites: Atoms, occupied: Array, generation: int) -> Atoms:
    """The Li sites, X where there is a vacancy: what the database holds."""
    out = sites.copy()
    out.numbers = np.where(occupied, 3, 0)
    out.info = {"key_value_pairs": {"extinct": 0, "generation": generation}, "data": {}}
    return out


def _random(n_sites: int, n_li: int, rng: Any) -> Array:
    return rng.permutation(n_sites) < n_li


def _open(lattice: Atoms, n_li: int, folder: Path, label: str, population: int, seed: int) -> DataConnection:
    """The search in `folder`, begun with random orderings if there is none."""
    structure = hashlib.sha256(
        lattice.numbers.tobytes() + lattice.positions.round(6).tobytes() + lattice.cell.array.round(6).tobytes()
    ).hexdigest()
    inputs = {"lattice": structure[:16], "n_li": n_li, "label": label, "population_size": population, "seed": seed}
    file = folder / FILE
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"draft-{FILE}"
        draft.unlink(missing_ok=True)
        new = PrepareDB(str(draft), **inputs)
        sites, rng = lattice[lattice.numbers == 3], np.random.RandomState((seed, 0))
        known: set[bytes] = set()
        while len(known) < population:
            occupied = _random(len(sites), n_li, rng)
            if occupied.tobytes() not in known:
                known.add(occupied.tobytes())
                new.add_unrelaxed_candidate(_ordering(sites, occupied, 0))
        draft.rename(file)
    database = DataConnection(str(file))
    if wrong := [
        f"{k}={database.get_param(k)!r} there, {v!r} here" for k, v in inputs.items() if database.get_param(k) != v
    ]:
        raise ValueError(f"{file} holds a search of other inputs ({'; '.join(wrong)}). Choose another folder.")
    return database


def _has(database: DataConnection, generation: int) -> bool:
    return next(database.c.select(generation=generation, limit=1), None) is not None


class _Cross(OffspringCreator):
    """One side of a random plane through the periodic cell from one parent, the other side from the other."""

    def __init__(self, rng: Any) -> None:
        super().__init__(rng=rng)
        self.descriptor = "Cross"

    def get_new_individual(self, parents: Any) -> tuple[Atoms, str]:
        first, second = parents
        a, b = first.numbers == 3, second.numbers == 3
        normal, origin = self.rng.normal(size=3), self.rng.random(3)
        side = ((first.get_scaled_positions() + origin) % 1.0 - 0.5) @ normal > 0
        child = np.where(side, a, b)
        differ, excess = np.flatnonzero(a != b), int(child.sum() - a.sum())
        pool = differ[child[differ] == (excess > 0)]
        child[self.rng.choice(pool, abs(excess), replace=False)] = excess < 0
        out = self.initialize_individual(first, _ordering(first, child, 0))
        out.info["data"]["parents"] = [parent.info["confid"] for parent in parents]
        names = " ".join(str(parent.info["confid"]) for parent in parents)
        return self.finalize_individual(out), f"pairing: {names}"


def _add_children(database: DataConnection, population: int, generation: int, seed: int, n_orderings: int) -> None:
    """Write a whole generation at once: its making cannot be cut in two."""
    rng = np.random.RandomState((seed, generation))
    parents = Population(database, population, comparator=RawScoreComparator(SAME_eV), rng=rng)
    known = {(row.numbers == 3).tobytes() for row in database.c.select("generation>=0")}
    operators = OperationSelector([CROSS, SWAP], [_Cross(rng), RandomPermutation(rng=rng)], rng=rng)
    with database.c:
        for _ in range(min(population, n_orderings - len(known))):
            child, how = _child(parents, operators, known, rng)
            known.add((child.numbers == 3).tobytes())
            child.info["key_value_pairs"]["generation"] = generation
            database.add_unrelaxed_candidate(child, how)


def _child(parents: Population, operators: Any, known: set[bytes], rng: Any) -> tuple[Atoms, str]:
    """An ordering that was not there yet: of two parents, or random where they have no such child."""
    for _ in range(TRIES if len(parents.pop) > 1 else 0):
        child, how = operators.get_new_individual(parents.get_two_candidates())
        if (child.numbers == 3).tobytes() not in known:
            return child, how
    sites = parents.pop[0]
    while True:
        occupied = _random(len(sites), int((sites.numbers == 3).sum()), rng)
        if occupied.tobytes() not in known:
            return _ordering(sites, occupied, 0), "random: new"


def _evaluate(database: DataConnection, lattice: Atoms, relax: Relax, n_total: int, progress: Progress | None) -> None:
    """Relax what is not relaxed yet, each written down as soon as it is."""
    li = np.flatnonzero(lattice.numbers == 3)
    scores = [row.raw_score for row in database.c.select(relaxed=1)]
    for candidate in sorted(database.get_all_unrelaxed_candidates(), key=lambda each: each.info["confid"]):
        gone = li[candidate.numbers == 0]
        atoms, energy_eV = relax(lattice[np.setdiff1d(np.arange(len(lattice)), gone)])
        if not np.isfinite(energy_eV):
            raise ValueError(
                f"Ordering {candidate.info['confid']} has the energy {energy_eV}. Look at what relaxes it."
            )
        candidate.info["key_value_pairs"]["raw_score"] = -float(energy_eV)
        candidate.info["data"] |= {
            "numbers": atoms.numbers,
            "positions": atoms.positions,
            "cell": atoms.cell.array,
        }
        database.add_relaxed_step(candidate)
        scores.append(-float(energy_eV))
        if progress:
            progress(len(scores), n_total, -max(scores))


def _read(database: DataConnection, lattice: Atoms, keep: int) -> Search:
    rows = list(database.c.select(relaxed=1, sort="id"))
    energies = np.array([-row.raw_score for row in rows])
    best: list[Ordering] = []
    for k in np.argsort(energies, kind="stable"):
        if len(best) < keep and all(abs(energies[k] - other.energy_eV) > SAME_eV for other in best):
            data, numbers = rows[k].data, rows[k].numbers
            atoms = Atoms(data["numbers"], positions=data["positions"], cell=data["cell"], pbc=True)
            best.append(Ordering(numbers == 3, atoms, float(energies[k]), int(rows[k].generation)))
    return Search(lattice.copy(), tuple(best), energies, np.array([row.generation for row in rows]))
