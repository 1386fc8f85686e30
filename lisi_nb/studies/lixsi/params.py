"""Parameters of the bulk LixSi study and its three scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lisi_nb.params import ByScale, parameter
from lisi_nb.params import Params as BaseParams
from lisi_nb.structures.delithiated import X_MAX

SCALES = ("smoke", "lesson", "paper")
STARTS = ("amorphous", "crystal", "searched")
REPEATS = ("1x1x1", "2x1x1", "2x2x1", "2x2x2", "3x3x3")
PAPER_X = (0.75, 1.0, 2.25, 3.5, X_MAX)
# Of a sweep; the lesson is hotter than the paper, to see diffusion within a lesson.
TEMPERATURES_K = ByScale[tuple[float, ...]](
    smoke=(1000.0,),
    lesson=(800.0, 1000.0, 1200.0),
    paper=tuple(float(t) for t in range(400, 1201, 100)),
)


@dataclass(frozen=True)
class Params(BaseParams):
    """Everything that can be changed; defaults are the ``lesson`` scale. One run is one x, temperature and seed."""

    x: float = parameter(
        2.25,
        label="Li per Si",
        low=0.25,
        high=X_MAX,
        group="Structure",
        help="Composition LixSi, rounded to whole atoms; the paper has 0.75, 1.00, 2.25, 3.50 and 3.75.",
    )
    start: str = parameter(
        "amorphous",
        label="Start from",
        choices=STARTS,
        group="Structure",
        help="Molten and cooled, the Li15Si4 crystal with random Li vacancies (none at x = 3.75), or with the lowest "
        "vacancies that a genetic algorithm finds, as the paper's.",
    )
    repeats: str = parameter(
        "2x1x1",
        label="Li15Si4 cells",
        choices=REPEATS,
        group="Structure",
        paper="2x2x2",
        help="Supercell that Li is taken from: 16 Si per cell; 2x2x2 is the paper's Li480Si128.",
    )
    temperature_K: float = parameter(
        1000.0,
        label="Temperature",
        unit="K",
        low=300.0,
        high=1400.0,
        group="Dynamics",
        help="Held by a Nose-Hoover thermostat; the paper has 400 to 1200 K in steps of 100 K.",
    )
    duration_ps: float = parameter(
        8.0,
        label="Sampled time",
        unit="ps",
        low=0.1,
        high=50000.0,
        group="Dynamics",
        paper=4800.0,
        help="At constant volume, after equilibration; the paper's 5 ns less the 200 ps it discards.",
    )
    equilibrate_ps: float = parameter(
        1.5,
        label="Equilibration",
        unit="ps",
        low=0.05,
        high=10000.0,
        group="Dynamics",
        paper=200.0,
        help="At zero pressure; its second half fixes the volume of the sampled time.",
    )
    timestep_fs: float = parameter(
        2.0,
        label="Time step",
        unit="fs",
        low=0.1,
        high=3.0,
        group="Dynamics",
        paper=2.0,
        help="2 fs, as in the paper.",
    )
    seed: int = parameter(
        1,
        label="Seed",
        low=1,
        high=99999999,
        group="Dynamics",
        help="Start of all random numbers, Li vacancies included; repeat with several to get error bars.",
    )
    frame_ps: float = parameter(
        0.1,
        label="Frame interval",
        unit="ps",
        low=0.002,
        high=100.0,
        group="Output",
        help="Time between saved frames.",
    )
    anneal_ps: float = parameter(
        2.5,
        label="Melting and cooling",
        unit="ps",
        low=0.05,
        high=10000.0,
        group="Preparation",
        help="A third of it at the melt temperature, the rest cooling; only for start = amorphous. The paper anneals "
        "not.",
    )
    melt_K: float = parameter(
        1500.0,
        label="Melt temperature",
        unit="K",
        low=1000.0,
        high=1600.0,
        group="Preparation",
        help="Where melting starts from; only for start = amorphous.",
    )
    n_orderings: int = parameter(
        12,
        label="Orderings searched",
        low=4,
        high=40_000,
        group="Preparation",
        paper=2000,
        help="Arrangements of the Li vacancies looked at; only for start = searched. The paper prints no number.",
    )
    potential: str = parameter(
        "lisi",
        label="Potential",
        group="Preparation",
        help="Name of the machine-learning potential (lisi-nb potentials list).",
    )

    def cells(self) -> tuple[int, int, int]:
        """`repeats` as numbers."""
        a, b, c = (int(n) for n in self.repeats.split("x"))
        return a, b, c

    def steps(self, time_ps: float) -> int:
        """MD steps of a time, at least one."""
        return max(1, round(1000 * time_ps / self.timestep_fs))


def scaled(scale: str, x: float = 2.25, **changes: Any) -> Params:
    """Parameters of a scale for one composition, with `changes`; ``x = 3.75`` starts from the crystal, as the paper's.

    ``smoke`` takes seconds on two CPU cores; ``lesson`` (32 Si, 10 ps) half a minute; ``paper`` has the paper's
    128 Si and 5 ns from a searched ordering and wants a GPU.
    """
    sizes = ByScale[dict[str, Any]](
        smoke=dict(repeats="1x1x1", duration_ps=0.8, equilibrate_ps=0.2, anneal_ps=0.3, frame_ps=0.02),
        lesson={},
        paper=dict(
            repeats="2x2x2", temperature_K=600.0, duration_ps=4800.0, equilibrate_ps=200.0, frame_ps=1.0,
            start="searched", n_orderings=2000,
        ),
    )  # fmt: skip
    start = "crystal" if x == X_MAX else sizes[scale].get("start", "amorphous")
    return Params(**(sizes[scale] | {"x": x, "start": start} | changes))


def name(x: float, temperature_K: float) -> str:
    """What one composition at one temperature is called: ``Li2.25Si-800K``."""
    return f"Li{x:.2f}Si-{temperature_K:g}K"


def variants(scale: str, seeds: int = 1) -> dict[str, list[Params]]:
    """The paper's compositions at the temperatures of a scale, each with seeds 1 to `seeds`."""
    return {
        name(x, t): [scaled(scale, x, temperature_K=t, seed=seed) for seed in range(1, seeds + 1)]
        for x in PAPER_X
        for t in TEMPERATURES_K[scale]
    }
