"""What a delithiation chain measured, composition by composition: energy, structure, silicon clusters, surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from ase import Atoms
from scipy.spatial import cKDTree

from lisi_nb import potentials
from lisi_nb.analysis import shells, statistics, trust
from lisi_nb.analysis.clusters import KINDS, SI_SI_A, silicon_clusters
from lisi_nb.analysis.melting import lindemann_index, molten, not_molten, silicon_moved_A2
from lisi_nb.analysis.shells import Shells
from lisi_nb.analysis.trust import NO_LOOKS, Trust
from lisi_nb.engine import parse
from lisi_nb.engine.lammps import RELAX_LOG
from lisi_nb.engine.run import Run, Segment
from lisi_nb.units import Measured

Array = np.ndarray
LAST_PS = 50.0  # the paper averages over the last 50 ps of 4 ns
LAST_SHARE = 0.5  # and a shorter run over its second half
MOST_FRAMES = 60
ALONE_A = 5.0  # beyond the reach of any bond
SMALLEST_SHELL_SI = 4  # Si per shell: fewer give no composition


@dataclass(frozen=True, eq=False)
class Composition:
    """One composition of one particle; energies in eV, lengths in A, times in ps.

    Attributes
    ----------
    number : int
        Place in the chain, from 0.
    n_li, n_si : int
        Atoms.
    formation_eV_atom : float
        Of the relaxed last structure, against bulk Li and Si of the same potential: surface included.
    energy_eV_atom : Measured
        Mean potential energy during the sampled time.
    profile : Shells
        Composition, Si-Si coordination and density in shells of equal volume.
    si_si : Measured
        Si within 2.7 A of a Si.
    clusters : dict
        Share of the silicon in each kind of cluster (`lisi_nb.analysis.clusters.KINDS`).
    largest, mean_size : Measured
        Si in the largest cluster, and in the cluster of a Si picked at random.
    surface_li : Measured
        Share of lithium among the surface atoms.
    lindemann : Measured
        Lindemann index of near silicon atoms (`lisi_nb.analysis.melting`).
    positions_A, is_li : (n, 3), (n,) arrays
        Last sampled frame.
    """

    number: int
    n_li: int
    n_si: int
    formation_eV_atom: float
    energy_eV_atom: Measured
    profile: Shells
    si_si: Measured
    clusters: dict[str, float]
    largest: Measured
    mean_size: Measured
    surface_li: Measured
    lindemann: Measured
    positions_A: Array
    is_li: Array

    @property
    def x(self) -> float:
        """Li per Si."""
        return self.n_li / self.n_si

    @property
    def atoms(self) -> Atoms:
        """The last sampled frame."""
        return Atoms(np.where(self.is_li, 3, 14), positions=self.positions_A)

    @property
    def formation_eV_si(self) -> float:
        """Formation energy per Si."""
        return self.formation_eV_atom * (self.n_li + self.n_si) / self.n_si


@dataclass(frozen=True, eq=False)
class Result:
    """One family of particles: for each seed its compositions from the lithium-rich end, and how far to trust them."""

    family: str
    params: dict[str, Any]
    n_runs: int
    particles: tuple[tuple[Composition, ...], ...]
    trust_light: str
    max_deviation_eV_A: float
    warnings: tuple[str, ...] = ()
    model_deviation: Trust = NO_LOOKS  # over all runs

    def structures(self, n: int = 4) -> dict[str, Atoms]:
        """Last frames of `n` compositions of the first seed, from the first to the last."""
        chosen = np.unique(np.linspace(0, len(self.compositions) - 1, n).round().astype(int))
        return {f"x = {self.compositions[k].x:.2f}": self.compositions[k].atoms for k in chosen}

    @property
    def compositions(self) -> tuple[Composition, ...]:
        """Those of the first seed."""
        return self.particles[0]

    def over_seeds(self, quantity: str) -> list[Measured]:
        """A measured quantity of `Composition` at each step, averaged over the seeds (as far as all have come)."""
        n = min(map(len, self.particles))
        return [statistics.over_seeds([getattr(p[k], quantity) for p in self.particles]) for k in range(n)]

    def to_dict(self) -> dict[str, Any]:
        """For ``results.json``: every number with error and unit, averaged over the seeds."""
        measured = ("si_si", "largest", "surface_li", "lindemann")
        si_si, largest, surface_li, lindemann = (self.over_seeds(quantity) for quantity in measured)
        each = list(zip(*self.particles, strict=False))
        xs = [float(np.mean([c.x for c in seeds])) for seeds in each]
        energies = [[Measured(c.formation_eV_atom, float("nan"), "eV/atom") for c in seeds] for seeds in each]
        rows = [
            {
                "x": xs[k],
                "n_li": [c.n_li for c in seeds],
                "n_si": [c.n_si for c in seeds],
                "formation_energy": statistics.over_seeds(energies[k]).to_dict(),
                "si_si_coordination": si_si[k].to_dict(),
                "largest_cluster": largest[k].to_dict(),
                "surface_li": surface_li[k].to_dict(),
                "lindemann_index": lindemann[k].to_dict(),
                "clusters": {kind: float(np.mean([c.clusters[kind] for c in seeds])) for kind in seeds[0].clusters},
            }
            for k, seeds in enumerate(each)
        ]
        quantities = {
            "x_first": Measured(xs[0], 0.0, "1"),
            "x_last": Measured(xs[-1], 0.0, "1"),
            "si_si_first": si_si[0],
            "si_si_last": si_si[-1],
            "max_force_deviation": Measured(self.max_deviation_eV_A, float("nan"), "eV/A"),
        }
        return {
            "family": self.family,
            "n_runs": self.n_runs,
            "trust": self.trust_light,
            "model_deviation": self.model_deviation.to_dict(),
            "warnings": list(self.warnings),
            "quantities": {name: value.to_dict() for name, value in quantities.items()},
            "compositions": rows,
        }


def measure_segment(segment: Segment, number: int, frame_ps: float, element_eV_atom: dict[str, float]) -> Composition:
    """Reduce the sampled segment of one composition; streams its trajectory.

    Raises
    ------
    ValueError
        It has no frame yet.
    """
    n_frames = segment.n_frames
    if n_frames < 2:
        raise ValueError(f"{segment.folder.name} has {n_frames} frames; at least 2 are needed. Let it run on.")
    n_last = max(1, min(round(LAST_PS / frame_ps), round(LAST_SHARE * n_frames)))
    every = max(1, n_last // MOST_FRAMES)
    frames = list(islice(segment.frames(), n_frames - n_last, None, every))
    is_si = ~frames[0].is_li
    n_si = int(is_si.sum())
    n_li = len(is_si) - n_si
    positions = [frame.positions_A for frame in frames]
    found = [silicon_clusters(p, is_si, np.eye(3), (False, False, False)) for p in positions]
    bonds_per_si = np.array([2 * c.n_bonds.sum() / n_si for c in found])
    energy = segment.thermo()["PotEng"]
    minimum = parse.thermo(segment.folder / RELAX_LOG).get("PotEng", np.array([np.nan]))[-1]
    bulk_eV = n_li * element_eV_atom["Li"] + n_si * element_eV_atom["Si"]
    return Composition(
        number=number,
        n_li=n_li,
        n_si=n_si,
        formation_eV_atom=float((minimum - bulk_eV) / len(is_si)),
        energy_eV_atom=statistics.block_mean(energy[len(energy) // 2 :] / len(is_si), "eV/atom"),
        profile=shells.radial_shells(positions, is_si, n_shells=min(10, max(2, n_si // SMALLEST_SHELL_SI))),
        si_si=statistics.block_mean(bonds_per_si, "1"),
        clusters={kind: float(np.mean([c.share(kind) for c in found])) for kind in KINDS},
        largest=statistics.block_mean(np.array([float(c.largest) for c in found]), "1"),
        mean_size=statistics.block_mean(np.array([c.mean_size for c in found]), "1"),
        surface_li=shells.surface_li_fraction(positions[:: max(1, len(positions) // 10)], is_si),
        lindemann=Measured(lindemann_index([p[is_si] for p in positions]), float("nan"), "1"),
        positions_A=positions[-1],
        is_li=~is_si,
    )


def measure(run: Run) -> tuple[Composition, ...]:
    """Every composition that the chain has finished sampling, from the lithium-rich end.

    Raises
    ------
    ValueError
        There is none yet.
    """
    reference = potentials.get(run.params["potential"]).card["properties"]["element_eV_atom"]
    sampled = [s for s in run.segments if s.decision["name"] == "sample" and s.ended]
    if not sampled:
        raise ValueError(f"{run.id} has not finished its first composition. Let it run on.")
    return tuple(measure_segment(s, k, run.params["frame_ps"], reference) for k, s in enumerate(sampled))


def warnings_of(run: Run, particle: Sequence[Composition]) -> list[str]:
    """What is not as its name says: an amorphous particle never molten, a solid one that is, atoms that left it."""
    found = [molten(c.lindemann.value, f"at x = {c.x:.2f}") for c in particle]
    anneal = next((s for s in run.segments if s.decision["name"] == "anneal"), None)
    if anneal is not None:
        first, last = anneal.ends()
        moved_A2 = silicon_moved_A2(first.positions_A, last.positions_A, first.box_A, last.box_A, ~first.is_li)
        found.append(not_molten(moved_A2, "Anneal longer (anneal_ps)."))
    alone = n_alone(particle[-1].positions_A)
    found.append(f"{alone} atoms have left the particle; energies count them as part of it." if alone else "")
    return [each for each in found if each]


def n_alone(positions_A: Array) -> int:
    """Atoms with no other within `ALONE_A`."""
    return int((cKDTree(positions_A).query(positions_A, k=2)[0][:, 1] > ALONE_A).sum())


def analyse(runs: Sequence[Run]) -> Result:
    """Analyse chains that differ only in their seed.

    Raises
    ------
    ValueError
        No run, a run without a finished composition, or runs that differ in more than the seed.
    """
    if not runs:
        raise ValueError("No run was given. Pass a list of runs, such as [run].")
    keys = [{k: v for k, v in run.params.items() if k != "seed"} for run in runs]
    for run, other in zip(runs, keys, strict=True):
        different = sorted(k for k in other if other[k] != keys[0].get(k))
        if different:
            raise ValueError(f"{run.id} differs from {runs[0].id} in {', '.join(different)}. Average over seeds only.")
    deviation = np.concatenate([run.model_deviation()["max_devi_f_eV_A"] for run in runs])
    agreement = trust.trust(deviation, *runs[0].trust_eV_A)
    particles = tuple(measure(run) for run in runs)
    warnings = {each for run, particle in zip(runs, particles, strict=True) for each in warnings_of(run, particle)}
    return Result(
        family=keys[0]["family"],
        params=keys[0],
        n_runs=len(runs),
        particles=particles,
        trust_light=agreement.light,
        max_deviation_eV_A=float(deviation.max()) if len(deviation) else float("nan"),
        warnings=tuple(sorted(warnings)),
        model_deviation=agreement,
    )


def analyse_each(runs: Sequence[Run]) -> dict[str, Result]:
    """`analyse` chains of several families; seeds are averaged. Keys are family names."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.params["family"], []).append(run)
    return {family: analyse(group) for family, group in groups.items()}


__all__ = ["SI_SI_A", "Composition", "Result", "analyse", "analyse_each", "measure", "measure_segment"]
