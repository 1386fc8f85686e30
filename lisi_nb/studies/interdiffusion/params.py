"""Parameters of the interdiffusion study and its three scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lisi_nb import potentials
from lisi_nb.errors import check_choice
from lisi_nb.params import ByScale, parameter
from lisi_nb.params import Params as BaseParams
from lisi_nb.structures.interfaces import facet_cell_A

INTERFACES = ("aSi", "100", "110", "111")


@dataclass(frozen=True)
class Params(BaseParams):
    """Everything that can be changed; defaults are the ``lesson`` scale."""

    interface: str = parameter(
        "100",
        label="Silicon face",
        choices=INTERFACES,
        group="Structure",
        help="aSi is amorphous; the others name the crystal face that touches lithium.",
    )
    lateral_A: float = parameter(
        11.0,
        label="Lateral size",
        unit="A",
        low=7.0,
        high=200.0,
        group="Structure",
        paper=21.9,
        help="Wanted in-plane edge; rounded to whole silicon cells.",
    )
    si_thickness_A: float = parameter(
        21.9,
        label="Silicon thickness",
        unit="A",
        low=6.0,
        high=1000.0,
        group="Structure",
        paper=65.6,
        help="Wanted slab thickness; rounded to whole atomic layers.",
    )
    li_per_si: float = parameter(
        2.0,
        label="Li per Si",
        low=0.1,
        high=10.0,
        group="Structure",
        paper=2.0,
        help="Number of lithium atoms per silicon atom; must give a whole number of atoms.",
    )
    vacuum_A: float = parameter(
        20.0,
        label="Vacuum",
        unit="A",
        low=8.0,
        high=200.0,
        group="Structure",
        paper=40.0,
        help="Empty space above the lithium, closed by a reflecting wall.",
    )
    strain_percent: float = parameter(
        0.0,
        label="In-plane strain",
        unit="%",
        low=-5.0,
        high=5.0,
        group="Structure",
        paper=0.0,
        help="Stretches the cell in x and y; the paper tests +2 % for (110).",
    )
    bottom: str = parameter(
        "fixed",
        label="Bottom layers",
        choices=("fixed", "tethered", "free"),
        group="Structure",
        help="How the two lowest silicon layers are held; the paper does not say.",
    )
    temperature_K: float = parameter(
        1000.0,
        label="Temperature",
        unit="K",
        low=100.0,
        high=1600.0,
        group="Dynamics",
        paper=500.0,
        help="Held by a Nose-Hoover thermostat; hotter than the paper to mix within a lesson.",
    )
    duration_ps: float = parameter(
        20.0,
        label="Duration",
        unit="ps",
        low=0.02,
        high=50000.0,
        group="Dynamics",
        paper=5000.0,
        help="Simulated time.",
    )
    timestep_fs: float = parameter(
        2.0,
        label="Time step",
        unit="fs",
        low=0.1,
        high=3.0,
        group="Dynamics",
        paper=0.5,
        help="2 fs is a thirtieth of the fastest vibration (Si-Si, 64 fs); the paper uses 0.5 fs.",
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
        0.1,
        label="Frame interval",
        unit="ps",
        low=0.002,
        high=100.0,
        group="Output",
        paper=1.0,
        help="Time between saved frames.",
    )
    window_ps: float = parameter(
        0.5,
        label="Averaging window",
        unit="ps",
        low=0.01,
        high=1000.0,
        group="Output",
        paper=50.0,
        help="Each profile is the mean over this time.",
    )
    si_quench_K_per_ps: float = parameter(
        50.0,
        label="Silicon quench rate",
        unit="K/ps",
        low=0.1,
        high=100000.0,
        group="Preparation",
        help="Cooling rate of the silicon melt from 1500 to 700 K, where it freezes; slower is better and dearer.",
    )
    melt_ps: float = parameter(
        3.0,
        label="Melting time",
        unit="ps",
        low=0.05,
        high=1000.0,
        group="Preparation",
        help="Time the melts of lithium (1000 K) and of amorphous silicon (3000 K) are held.",
    )
    potential: str = parameter(
        "lisi",
        label="Potential",
        group="Preparation",
        help="Name of the machine-learning potential (lisi-nb potentials list).",
    )


_LESSON_THICKNESS = {"aSi": 21.9, "100": 21.9, "110": 23.2, "111": 22.1}
_PAPER_LAYERS = {"aSi": 48, "100": 48, "110": 32, "111": 41}
SCALES = ("smoke", "lesson", "paper")


def _paper_thickness_A(interface: str) -> float:
    """The paper's number of layers, at the lattice parameter of the shipped potential."""
    lattice_A = potentials.get(Params.potential).card["properties"]["si_lattice_A"]
    facet = "100" if interface == "aSi" else interface
    return round(_PAPER_LAYERS[interface] * facet_cell_A(facet, lattice_A)[2], 2)


def scaled(scale: str, interface: str = "100", **changes: Any) -> Params:
    """Parameters of a scale for one interface, with `changes`.

    ``smoke`` takes seconds on two CPU cores, ``lesson`` minutes; ``paper`` has the paper's atoms, time step,
    temperature and length (1536 Si + 3072 Li, or 1476 + 2952 for (111); 5 ns) and wants a GPU.
    """
    check_choice("interface", interface, INTERFACES)
    sizes = ByScale[dict[str, Any]](
        smoke=dict(
            lateral_A=8.5, si_thickness_A=11.0, vacuum_A=10.0, temperature_K=900.0,
            duration_ps=0.6, frame_ps=0.02, window_ps=0.1,
            si_quench_K_per_ps=1000.0, melt_ps=0.2,
        ),
        lesson=dict(si_thickness_A=_LESSON_THICKNESS[interface]),
        paper=dict(
            lateral_A=21.9, si_thickness_A=_paper_thickness_A(interface), vacuum_A=40.0, temperature_K=500.0,
            duration_ps=5000.0, timestep_fs=0.5, frame_ps=1.0, window_ps=50.0, si_quench_K_per_ps=10.0, melt_ps=20.0,
        ),
    )  # fmt: skip
    return Params(interface=interface).replace(**(sizes[scale] | changes))


def variants(scale: str, seeds: int = 1) -> dict[str, list[Params]]:
    """The four interfaces at a scale, each with seeds 1 to `seeds`."""
    return {name: [scaled(scale, name, seed=seed) for seed in range(1, seeds + 1)] for name in INTERFACES}
