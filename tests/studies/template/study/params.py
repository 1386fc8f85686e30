"""Parameters of the study and its three scales: form, command line and manifest come from them."""

from dataclasses import dataclass
from typing import Any

from lisi_nb.params import ByScale, parameter
from lisi_nb.params import Params as BaseParams


@dataclass(frozen=True)
class Params(BaseParams):
    """Everything that can be changed, at the ``lesson`` scale; the engine asks every study for the last three."""

    n_cells: int = parameter(6, label="Edge", unit="cells", low=4, high=40, help="Cubes of two atoms along each edge.")
    temperature_K: float = parameter(
        298.0, label="Temperature", unit="K", low=50.0, high=450.0, paper=298.0, help="Lithium melts at 454 K."
    )
    duration_ps: float = parameter(10.0, label="Duration", unit="ps", low=0.1, high=10000.0, help="Simulated time.")
    timestep_fs: float = parameter(2.0, label="Time step", unit="fs", low=0.1, high=4.0, help="Lithium is light.")
    seed: int = parameter(1, label="Seed", low=1, high=99999999, help="Start of all random numbers.")
    potential: str = parameter("lisi", label="Potential", help="See `lisi-nb potentials list`.")


SIZES = ByScale[dict[str, Any]](smoke=dict(n_cells=4, duration_ps=0.5), lesson={}, paper=dict(n_cells=12))
SCALES = tuple(SIZES)  # seconds, minutes, and the paper's own size


def scaled(scale: str, **changes: Any) -> Params:
    """Parameters of a scale, with `changes`."""
    return Params(**(SIZES[scale] | changes))


def variants(scale: str, seeds: int = 1) -> dict[str, list[Params]]:
    """What `lisi-nb reproduce` runs: each variant with seeds 1 to `seeds`."""
    every = range(1, seeds + 1)
    return {f"{T}K": [scaled(scale, temperature_K=T, seed=seed) for seed in every] for T in (100, 298)}
