"""Train several members side by side, one thread each, and say how they come along."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from lisi_nb.engine.devices import cpu_cores
from lisi_nb.training.curve import learning_curve

SAY_EVERY_S = 30.0
Say = Callable[[str], None]


def side_by_side(jobs: Mapping[Path, Callable[[], Path]], say: Say | None = None) -> list[Path]:
    """Run trainings, each of which fills its folder, as many at a time as there are cores; return what they return.

    `say` is called twice a minute with the last line of each learning curve.
    """
    with ThreadPoolExecutor(max(1, min(len(jobs), cpu_cores()))) as pool:
        going = {folder: pool.submit(job) for folder, job in jobs.items()}
        while wait(going.values(), timeout=SAY_EVERY_S).not_done:
            if say and (text := progress([folder for folder, job in going.items() if job.running()])):
                say(text)
        return [job.result() for job in going.values()]


def progress(folders: list[Path]) -> str:
    """Step and force error on held-out frames of each member that is training."""
    curves = {folder.name: learning_curve(folder / "lcurve.out") for folder in folders}
    return "; ".join(
        f"{name}: step {int(c.step[-1])}, held-out force error {c.force_held_out_eV_A[-1]:.3f} eV/Å"
        for name, c in curves.items()
        if len(c.step)
    )
