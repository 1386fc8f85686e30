"""Whether planned runs fit this machine: asked before a launch from Python, so without measuring unless it must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType

from lisi_nb import potentials
from lisi_nb.engine import estimate, probe
from lisi_nb.engine import run as runs
from lisi_nb.engine.estimate import Estimate
from lisi_nb.params import Params


def check(study: ModuleType, planned: Sequence[Params], device: str = "auto", yes: bool = False) -> None:
    """Refuse runs, one after the other, that will not fit or take more than a day, unless confirmed by `yes`.

    Runs that exist already are not counted. Where the speed is not known here it is measured (20 s, then cached), but
    only if upper bounds do not fit.

    Raises
    ------
    ValueError
        Too little disk or memory, or too long; the message says how much it is and what to do.
    """
    todo = [] if yes else [params for params in planned if not _exists(study, params)]
    bounds = [_bound(estimate.unmeasured(study, params, device)) for params in todo]
    if todo and estimate.problems(bounds):
        estimate.check([estimate.estimate(study, params, device) for params in todo])


def _exists(study: ModuleType, params: Params) -> bool:
    potential = potentials.get(params.potential)  # type: ignore[attr-defined]
    return runs.by_hash(study.NAME, runs.identity(study.NAME, params.to_dict(), potential.sha256)) is not None


def _bound(cost: Estimate) -> Estimate:
    """`cost`, without a guessed memory where the model is small: measuring its memory would take as much."""
    small = not cost.speed_known and cost.n_atoms <= probe.SIZES[cost.device.kind][-1][0]
    return replace(cost, memory_bytes=0) if small else cost
