"""Migration barriers: the lowest path between two minima by the nudged elastic band with a climbing image (ASE)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.geometry import find_mic
from ase.mep import NEB
from ase.optimize import FIRE

from lisi_nb.analysis.elasticity import relaxed
from lisi_nb.errors import check_range

Array = np.ndarray
Progress = Callable[[int, float], None]
DIP_eV = 0.01  # shallower dips between images are no minimum of their own
SAME_A = 0.3  # ends whose atoms all lie closer than this are one minimum
CLIMB_BELOW_eV_A = 0.5  # first the band settles, then its highest image climbs


@dataclass(frozen=True, eq=False)
class Barrier:
    """A path of n images between two relaxed ends.

    Attributes
    ----------
    distance_A : float
        How far the atom that moves farthest goes from end to end.
    path_A : (n,) array
        Way along the path, all atoms together: sums of ``|x_k - x_{k-1}|`` in 3 N dimensions.
    energies_eV : (n,) array
        Above the first end.
    max_force_eV_A : float
        Largest force left on an image (band forces).
    converged : bool
        Whether that is below what was asked for.
    n_steps : int
        Of the optimizer.
    images : tuple of Atoms
        With energy and forces.
    """

    distance_A: float
    path_A: Array
    energies_eV: Array
    max_force_eV_A: float
    converged: bool
    n_steps: int
    images: tuple[Atoms, ...]

    @property
    def forward_eV(self) -> float:
        """From the first end to the highest image."""
        return float(self.energies_eV.max())

    @property
    def backward_eV(self) -> float:
        """From the last end to the highest image."""
        return float(self.energies_eV.max() - self.energies_eV[-1])

    @property
    def reaction_eV(self) -> float:
        """Energy of the last end above the first."""
        return float(self.energies_eV[-1])

    @property
    def statement(self) -> str:
        """What there is to say about the path, also where the barrier is none."""
        e, top, last = self.energies_eV, int(self.energies_eV.argmax()), len(self.energies_eV) - 1
        words = [] if self.converged else [f"not converged: {self.max_force_eV_A:.2f} eV/Å left"]
        if top in (0, last):
            words.append("no barrier: the highest image is an end")
        stops = [
            e[k]
            for k in range(1, last)
            if e[k] <= e[k - 1 : k + 2].min() and e[k] < min(e[:k].max(), e[k + 1 :].max()) - DIP_eV
        ]
        if stops:
            words.append(f"a minimum of {min(stops):.3f} eV lies between the ends")
        return "; ".join(words) or f"one barrier of {self.forward_eV:.3f} eV, {self.backward_eV:.3f} eV back"


def forward_by(path: Barrier, calculators: Sequence[Any]) -> Array:
    """Barrier forward (n,), eV, of each of n calculators on the images of one path.

    The scatter over the members of an ensemble says how sure it is.
    """
    heights = []
    for calculator in calculators:
        energies = []
        for image in path.images:
            work = image.copy()
            work.calc = calculator
            energies.append(work.get_potential_energy())
        heights.append(max(energies) - energies[0])
    return np.array(heights)


def migration_barrier(
    initial: Atoms,
    final: Atoms,
    calculator: Any,
    *,
    n_images: int = 7,
    fmax_eV_A: float = 0.05,
    steps: int = 500,
    spring_eV_A2: float = 1.0,
    relax_ends: bool = True,
    progress: Progress | None = None,
) -> Barrier:
    """Relax two ends at their cell, then the path between them (improved tangents, IDPP start, climbing image).

    Parameters
    ----------
    initial, final : ase.Atoms
        The same atoms in the same order and cell; never changed.
    calculator : ase calculator
        Energy and forces; shared by all images.
    n_images : int
        Images between the ends; odd numbers have one in the middle.
    fmax_eV_A : float
        Largest force left, on the ends and on the band.
    steps : int
        Of the optimizer at most; a band that needs more is returned and says that it is not converged.
    spring_eV_A2 : float
        Between images.
    relax_ends : bool
        ``False`` where they are minima already.
    progress : callable, optional
        Called with the step and the largest component of the forces.

    Returns
    -------
    Barrier

    Raises
    ------
    ValueError
        Ends with different atoms or cells, or that are (or relax into) the same minimum.
    RuntimeError
        An end does not relax.
    """
    check_range("n_images", n_images, 1, 51)
    check_range("fmax_eV_A", fmax_eV_A, 1e-4, 1.0, "eV/A")
    check_range("steps", steps, 1, 100_000)
    check_range("spring_eV_A2", spring_eV_A2, 1e-3, 100.0, "eV/A^2")
    _check(initial, final)
    moved = _distance_A(initial, final)
    if relax_ends:
        initial, final = (
            relaxed(end, calculator, cell=False, fmax_eV_A=fmax_eV_A, steps=steps) for end in (initial, final)
        )
    distance_A = _distance_A(initial, final)
    if distance_A < SAME_A:
        became = f"relax into one minimum (they were {moved:.2f} Å apart)" if moved >= SAME_A else "are one structure"
        raise ValueError(f"The two ends {became}: there is no path. Choose another hop, or a longer one.")
    images = [initial.copy(), *(initial.copy() for _ in range(n_images)), final.copy()]
    for image in images:
        image.calc = calculator
    band = NEB(images, k=spring_eV_A2, climb=False, method="improvedtangent", allow_shared_calculator=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)  # of the pair potential that only makes the start
        band.interpolate("idpp", mic=bool(initial.pbc.any()))
    n_steps, converged = _lowered(band, fmax_eV_A, steps, progress)
    return _record(band, calculator, distance_A, converged, n_steps)


def _lowered(band: NEB, fmax_eV_A: float, steps: int, progress: Progress | None) -> tuple[int, bool]:
    """Lower the band; once it has settled, its highest image climbs, unless that is an end: steps, converged."""
    done, converged = 0, False
    for fmax, climb in ((max(CLIMB_BELOW_eV_A, fmax_eV_A), False), (fmax_eV_A, False), (fmax_eV_A, True)):
        over = done > 0 and 0 < int(np.argmax(np.asarray(band.energies))) < band.nimages - 1
        if climb != over and done:  # a settled band with a top climbs at once; one without never does
            continue
        band.climb = climb
        optimizer = FIRE(band, logfile=None)
        if progress:
            optimizer.attach(
                lambda before=done, run=optimizer: progress(before + run.nsteps, float(band.get_residual()))
            )
        converged = bool(optimizer.run(fmax=fmax, steps=max(1, steps - done)))
        done += max(1, optimizer.nsteps)
    return done, converged


def _check(initial: Atoms, final: Atoms) -> None:
    if not np.array_equal(initial.numbers, final.numbers):
        raise ValueError(
            f"The ends are {initial.get_chemical_formula()} and {final.get_chemical_formula()}, or their atoms are in "
            "different order. Make the second from the first, such as with hop_ends."
        )
    if not np.allclose(initial.cell, final.cell, atol=1e-8) or (initial.pbc != final.pbc).any():
        raise ValueError("The ends have different cells. Relax the cell before making a vacancy, then keep it.")


def _step(first: Atoms, second: Atoms) -> Array:
    return find_mic(second.positions - first.positions, first.cell, first.pbc)[0]


def _distance_A(initial: Atoms, final: Atoms) -> float:
    """Of the atom that moves farthest."""
    return float(np.linalg.norm(_step(initial, final), axis=1).max())


def _record(band: NEB, calculator: Any, distance_A: float, converged: bool, n_steps: int) -> Barrier:
    images = []
    for image in band.images:
        kept = image.copy()
        kept.calc = calculator
        energy, forces = kept.get_potential_energy(), kept.get_forces()
        kept.calc = SinglePointCalculator(kept, energy=energy, forces=forces)
        images.append(kept)
    energies = np.array([image.get_potential_energy() for image in images])
    ways = [np.linalg.norm(_step(a, b)) for a, b in pairwise(images)]
    path_A = np.concatenate([[0.0], np.cumsum(ways)])
    left_eV_A = float(np.linalg.norm(band.get_forces(), axis=1).max())
    return Barrier(distance_A, path_A, energies - energies[0], left_eV_A, converged, n_steps, tuple(images))
