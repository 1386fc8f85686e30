"""What a run measured: numbers with error and unit, and the series behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lisi_nb import potentials
from lisi_nb.analysis import statistics, trust
from lisi_nb.engine.run import Run
from lisi_nb.units import Measured


@dataclass(frozen=True)
class Result:
    """Numbers over all seeds; time in ps and volume per atom in A^3 ``(n,)`` of the first run."""

    params: dict[str, Any]
    quantities: dict[str, Measured]
    time_ps: np.ndarray
    volume_A3: np.ndarray
    trust_light: str
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For ``results.json``."""
        return {"trust": self.trust_light, "quantities": {n: q.to_dict() for n, q in self.quantities.items()}}


def volume(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Time (ps) and volume per atom (A^3), each ``(n,)``, as far as the run has come."""
    thermo = run.thermo()
    return thermo["Step"] * run.manifest["timestep_fs"] / 1000, thermo["Volume"] / thermo["Atoms"]


def analyse(runs: Sequence[Run]) -> Result:
    """Analyse runs that differ only in their seed; the first half of each is left to the thermostat."""
    series = [volume(run) for run in runs]
    each = [statistics.block_mean(v[len(v) // 2 :], "A^3") for _, v in series]
    limits = potentials.get(runs[0].params["potential"]).card["validity"]["trust_eV_A"]
    light = trust.trust(np.concatenate([r.model_deviation()["max_devi_f_eV_A"] for r in runs]), *limits).light
    return Result(runs[0].params, {"volume_per_atom": statistics.over_seeds(each)}, *series[0], light)
