"""Train several members side by side, one thread each, and say how they come along."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from lisi_nb import plots
from lisi_nb.engine.devices import cpu_cores
from lisi_nb.training.curve import curve_chart, learning_curve

SAY_EVERY_S = 30.0
PICTURE = "learning.png"
Say = Callable[[str], None]


def side_by_side(jobs: Mapping[Path, Callable[[], Path]], say: Say | None = None) -> list[Path]:
    """Run trainings, each of which fills its folder, as many at a time as there are cores; return what they return.

    Twice a minute the learning curves are drawn anew into ``learning.png`` beside the folders, and `say` is called with
    the last line of each.
    """
    picture, shown = next(iter(jobs)).parent / PICTURE, False
    with ThreadPoolExecutor(max(1, min(len(jobs), cpu_cores()))) as pool:
        going = {folder: pool.submit(job) for folder, job in jobs.items()}
        while wait(going.values(), timeout=SAY_EVERY_S).not_done:
            text = progress([folder for folder, job in going.items() if job.running()])
            if say and text:
                draw(list(jobs), picture)
                say(text if shown else f"learning curves, drawn anew twice a minute: {picture}\n{text}")
                shown = True
        return [job.result() for job in going.values()]


def draw(folders: list[Path], picture: Path) -> None:
    """Draw the learning curves of all members that have begun; a reader never finds half a picture."""
    curves = {folder.name: learning_curve(folder / "lcurve.out") for folder in folders}
    chart = curve_chart({name: curve for name, curve in curves.items() if len(curve.step)})
    part = picture.with_suffix(".part")
    part.write_bytes(plots.png(plots.draw([chart])))
    part.rename(picture)


def progress(folders: list[Path]) -> str:
    """Step and force error on held-out frames of each member that is training."""
    curves = {folder.name: learning_curve(folder / "lcurve.out") for folder in folders}
    return "; ".join(
        f"{name}: step {int(c.step[-1])}, held-out force error {c.force_held_out_eV_A[-1]:.3f} eV/Å"
        for name, c in curves.items()
        if len(c.step)
    )
