"""Which foreign atom sits inside a silicon cluster, and which in its shell: the screening of the paper (Fig. 3c).

Energies come from outside: ``screen(models(["Nb"]), relax)`` with ``relax`` such as ``lambda frames: relaxed_by("gpaw",
frames, folder)`` for density-functional theory. A teacher is a quick look (`quick_look`) and says so in the table.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from lisi_nb import paths, references
from lisi_nb.analysis.bonds import find_bonds
from lisi_nb.analysis.clusters import SI_SI_A
from lisi_nb.potentials.compressed import sha256
from lisi_nb.references.relaxing import DONE, Progress, relaxed_by
from lisi_nb.structures.dopants import SITES, doped_cluster
from lisi_nb.verdicts import Claim

PAPER_BEST = ("Sc", "Nb", "Al", "Ge", "Ce")  # the largest stabilisation of the core (Fig. 3c, text of Sec. V)
PAPER_NAMED = (*PAPER_BEST, "C")  # of its 33 dopants the text names these
TEACHER, N_STARTS = "7net-l3i5", 2  # of the quick look
RELAXED = paths.DATA / "dopants" / DONE  # its relaxations of the paper's five: an hour of one core
BOND = 1.25  # of the sum of covalent radii: what counts as a neighbour of the dopant


@dataclass(frozen=True, eq=False)
class Dopant:
    """One dopant at both sites, each the lowest of its starts; energies of the cell Li13Si12X.

    Attributes
    ----------
    element : str
        X.
    core_eV, shell_eV : float
        Lowest relaxed energy.
    spread_eV : float
        The larger scatter (highest less lowest start) of the two sites; NaN for one start.
    core_si, shell_si : int
        Si bonded to the dopant after relaxation.
    core_cn, shell_cn : float
        Si within 2.7 A of a Si, mean over the cluster: 5 or so where the icosahedron is intact. Where they are far
        apart, one cluster has changed its shape and the other not, and the energies compare shapes, not sites.
    converged : bool
        Whether both were relaxed to the end.
    core, shell : Atoms
        The structures.
    """

    element: str
    core_eV: float
    shell_eV: float
    spread_eV: float
    core_si: int
    shell_si: int
    core_cn: float
    shell_cn: float
    converged: bool
    core: Atoms
    shell: Atoms

    @property
    def core_minus_shell_eV(self) -> float:
        """Below zero where the dopant gathers silicon around itself."""
        return self.core_eV - self.shell_eV

    @property
    def prefers(self) -> str:
        """``core`` or ``shell``; ``undecided`` within the scatter of the starts, or with one start."""
        if not abs(self.core_minus_shell_eV) > self.spread_eV:
            return "undecided"
        return SITES[int(self.core_minus_shell_eV > 0)]


@dataclass(frozen=True, eq=False)
class Screening:
    """Dopants, the most core-loving first, and whose energies these are."""

    dopants: tuple[Dopant, ...]
    settings: str
    n_starts: int

    @property
    def engine(self) -> str:
        """Name of the reference whose energies these are."""
        return self.settings.split()[0]

    @property
    def statement(self) -> str:
        """Whose energies these are, and what they are worth."""
        starts = "one start of each: no scatter is known" if self.n_starts == 1 else f"{self.n_starts} starts of each"
        return f"Energies of {self.engine}: {references.get(self.engine).level_of_theory}; {starts}."


def models(elements: Sequence[str] = PAPER_BEST, n_starts: int = 1) -> list[Atoms]:
    """The structures to relax: each element at the core and in the shell, from `n_starts` displaced starts."""
    if not elements or len(set(elements)) != len(elements) or n_starts < 1:
        raise ValueError(
            f"elements={list(elements)}, n_starts={n_starts}: give each element once, at least one, and one start or "
            "more."
        )
    return [doped_cluster(x, site, seed) for x in elements for site in SITES for seed in range(n_starts)]


def quick_look(elements: Sequence[str] = PAPER_BEST, progress: Progress | None = None) -> Screening:
    """Screen by the teacher; relaxations the repository carries are read, others need ``make reference`` and minutes.

    Parameters
    ----------
    elements : sequence of str
        Any element the teacher knows.
    progress : callable, optional
        Called with the number of relaxations done and their total.

    Raises
    ------
    ValueError, RunFailed
        As of `models` and `lisi_nb.references.relaxing.relaxed_by`.
    FileNotFoundError
        An element is not among the relaxations of the repository, and ``make reference`` was not run.
    """
    folder = paths.cache() / "dopants" / sha256(RELAXED)[:12]  # later relaxations of the repository get their own
    if not (folder / DONE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(RELAXED, folder / DONE)
    return screen(models(elements, N_STARTS), lambda frames: relaxed_by(TEACHER, frames, folder, progress=progress))


def screen(frames: Sequence[Atoms], relax: Callable[[list[Atoms]], list[Atoms]]) -> Screening:
    """Relax models and compare core with shell.

    Parameters
    ----------
    frames : sequence of Atoms
        Of `models`.
    relax : callable
        Returns the frames relaxed, with energies and ``info`` (`lisi_nb.references.relaxing.relaxed_by`).

    Raises
    ------
    ValueError
        Energies of different engines, or a dopant without one of its sites.
    """
    found = relax(list(frames))
    settings = {str(a.info["settings"]) for a in found}
    if len(settings) != 1:
        raise ValueError(f"Energies of different settings cannot be compared: {sorted(settings)}. Use one folder each.")
    elements = list(dict.fromkeys(str(a.info["dopant"]) for a in found))
    dopants = sorted((_dopant(x, found) for x in elements), key=lambda d: d.core_minus_shell_eV)
    return Screening(tuple(dopants), settings.pop(), len({int(a.info["start"]) for a in found}))


def _dopant(element: str, found: Sequence[Atoms]) -> Dopant:
    by_site = {site: [a for a in found if a.info["dopant"] == element and a.info["site"] == site] for site in SITES}
    if empty := [site for site, frames in by_site.items() if not frames]:
        raise ValueError(f"{element} was not relaxed at the {empty[0]}. Take all frames of models([{element!r}]).")
    energies = {site: [float(a.get_potential_energy()) for a in frames] for site, frames in by_site.items()}
    core, shell = (by_site[site][int(np.argmin(energies[site]))] for site in SITES)
    several = min(len(e) for e in energies.values()) > 1
    return Dopant(
        element=element,
        core_eV=min(energies["core"]),
        shell_eV=min(energies["shell"]),
        spread_eV=max(float(np.ptp(e)) for e in energies.values()) if several else float("nan"),
        core_si=silicon_around(core, 13),
        shell_si=silicon_around(shell, 14),
        core_cn=silicon_neighbours(core),
        shell_cn=silicon_neighbours(shell),
        converged=bool(core.info["converged"] and shell.info["converged"]),
        core=core,
        shell=shell,
    )


def core_claim(found: Screening) -> Claim:
    """The five of the paper prefer the core; undecided without all five, or within the scatter of the starts."""
    text = f"{', '.join(PAPER_BEST[:-1])} and {PAPER_BEST[-1]} inside a silicon cluster cost less than in its shell"
    here = {d.element: d for d in found.dopants if d.element in PAPER_BEST}
    numbers = ", ".join(f"{x} {d.core_minus_shell_eV:+.2f}" for x, d in here.items())
    because = f"core - shell, eV: {numbers or 'none'}. {found.statement}"
    if any(d.prefers == "shell" for d in here.values()) and found.n_starts > 1:
        return Claim(text, "false", because)
    sure = len(here) == len(PAPER_BEST) and found.n_starts > 1 and all(d.converged for d in here.values())
    return Claim(text, "true" if sure and all(d.prefers == "core" for d in here.values()) else "undecided", because)


def silicon_around(atoms: Atoms, k: int) -> int:
    """Si bonded to atom `k`: nearer than 1.25 times the sum of covalent radii."""
    reach_A = BOND * (covalent_radii[atoms.numbers[k]] + covalent_radii[atomic_numbers["Si"]])
    bonds = find_bonds(atoms.positions, atoms.cell.array, (True, True, True), float(reach_A))
    others = np.concatenate([bonds.second[bonds.first == k], bonds.first[bonds.second == k]])
    return int((atoms.numbers[others] == 14).sum())


def silicon_neighbours(atoms: Atoms) -> float:
    """Si within 2.7 A of a Si, mean."""
    silicon = atoms[atoms.numbers == 14]
    bonds = find_bonds(silicon.positions, atoms.cell.array, (True, True, True), SI_SI_A)
    return float(bonds.coordination.mean())
