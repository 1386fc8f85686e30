"""Parameters of the nanoparticle study and its three scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lisi_nb.errors import check_choice
from lisi_nb.params import ByScale, parameter
from lisi_nb.params import Params as BaseParams

FAMILIES = ("c-Li3.75Si", "a-Li3.50Si", "a-Li2.25Si")
X_OF = {"c-Li3.75Si": 3.75, "a-Li3.50Si": 3.50, "a-Li2.25Si": 2.25}
PAPER_SHARE = 1000 / 9429  # the paper takes about 1000 of the first 9429 Li at each step
# Li and Si atoms, of two families printed (Fig. 2); the third has as many atoms.
PAPER_PARTICLES = {"c-Li3.75Si": (9429, 2571), "a-Li3.50Si": (9333, 2667), "a-Li2.25Si": (8310, 3690)}
SCALES = ("smoke", "lesson", "paper")


@dataclass(frozen=True)
class Params(BaseParams):
    """Everything that can be changed; defaults are the ``lesson`` scale."""

    family: str = parameter(
        "c-Li3.75Si",
        label="Particle cut from",
        choices=FAMILIES,
        group="Structure",
        help="Crystalline Li15Si4, or an amorphous alloy made by melting and cooling.",
    )
    diameter_A: float = parameter(
        30.0,
        label="Diameter",
        unit="A",
        low=11.0,
        high=200.0,
        group="Structure",
        paper=71.0,
        help="Of the sphere that is cut; 12 000 atoms of Li15Si4 are 71 Å.",
    )
    n_li: int = parameter(
        0,
        label="Li atoms",
        low=0,
        high=100000,
        group="Structure",
        help="With *Si atoms*: cut exactly so many, nearest to the centre, whatever the diameter; 0 takes the sphere.",
    )
    n_si: int = parameter(
        0,
        label="Si atoms",
        low=0,
        high=100000,
        group="Structure",
        help="With *Li atoms*; the paper has Li9429Si2571 from the crystal and Li8310Si3690 from a-Li2.25Si.",
    )
    vacuum_A: float = parameter(
        15.0,
        label="Vacuum",
        unit="A",
        low=8.0,
        high=100.0,
        group="Structure",
        help="Empty space around the particle; the paper does not say.",
    )
    n_remove: int = parameter(
        0,
        label="Li removed per step",
        low=0,
        high=100000,
        group="Delithiation",
        paper=1000,
        help="Number of outermost Li taken at each step; 0 takes the paper's share, 10.6 % of the first Li.",
    )
    x_end: float = parameter(
        1.3,
        label="Stop below x",
        unit="Li per Si",
        low=0.05,
        high=3.7,
        group="Delithiation",
        help="The chain ends when the next removal would bring LixSi below this.",
    )
    temperature_K: float = parameter(
        500.0,
        label="Temperature",
        unit="K",
        low=100.0,
        high=1200.0,
        group="Dynamics",
        paper=500.0,
        help="Held by a Nose-Hoover thermostat.",
    )
    step_ps: float = parameter(
        3.0,
        label="Time per composition",
        unit="ps",
        low=0.04,
        high=50000.0,
        group="Dynamics",
        paper=4000.0,
        help="After a quarter of it the state is kept that the next composition starts from.",
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
        help="Start of all random numbers; repeat with several to get error bars.",
    )
    frame_ps: float = parameter(
        0.2,
        label="Frame interval",
        unit="ps",
        low=0.002,
        high=100.0,
        group="Output",
        help="Time between saved frames.",
    )
    anneal_ps: float = parameter(
        10.0,
        label="Melting and cooling",
        unit="ps",
        low=0.1,
        high=10000.0,
        group="Preparation",
        help="Time to melt (1400 K, a third of it) and cool the amorphous bulk; unused for the crystal.",
    )
    bulk_repeat: int = parameter(
        2,
        label="Bulk cell",
        low=1,
        high=4,
        group="Preparation",
        paper=2,
        help="Repeats of the Li15Si4 cell along each edge that become the amorphous bulk; unused for the crystal.",
    )
    potential: str = parameter(
        "lisi",
        label="Potential",
        group="Preparation",
        help="Name of the machine-learning potential (lisi-nb potentials list).",
    )


def scaled(scale: str, family: str = "c-Li3.75Si", **changes: Any) -> Params:
    """Parameters of a scale for one family of particles, with `changes`.

    ``smoke`` takes seconds on two CPU cores, ``lesson`` minutes; ``paper`` has the paper's 12 000 atoms (Li9429Si2571,
    Li8310Si3690) and 4 ns per composition and wants a GPU.
    """
    check_choice("family", family, FAMILIES)
    sizes = ByScale[dict[str, Any]](
        smoke=dict(
            diameter_A=13.0,
            vacuum_A=10.0,
            n_remove=12,
            step_ps=0.4,
            frame_ps=0.02,
            x_end=1.5,
            anneal_ps=0.4,
            bulk_repeat=1,
        ),
        lesson={},
        paper=dict(
            diameter_A=71.0, step_ps=4000.0, frame_ps=1.0, x_end=0.2, anneal_ps=1000.0, bulk_repeat=2, n_remove=1000
        ),
    )
    counts = dict(zip(("n_li", "n_si"), PAPER_PARTICLES[family], strict=True)) if scale == "paper" else {}
    return Params(**(sizes[scale] | {"family": family} | counts | changes))


def quick(scale: str, **changes: Any) -> Params:
    """The scale, smaller and shorter where it is ``lesson``: for comparing families within minutes."""
    brief: dict[str, Any] = dict(diameter_A=22.0, step_ps=1.0, frame_ps=0.05, anneal_ps=3.0)
    return scaled(scale, **((brief if scale == "lesson" else {}) | changes))


def variants(scale: str, seeds: int = 1, **changes: Any) -> dict[str, list[Params]]:
    """The three families the paper compares, each with seeds 1 to `seeds`."""
    return {
        family: [scaled(scale, family, seed=seed, **changes) for seed in range(1, seeds + 1)] for family in FAMILIES
    }
