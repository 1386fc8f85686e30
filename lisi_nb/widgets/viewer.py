"""Look at atoms in three dimensions: nglview for what has one fixed cell, OVITO for the trajectory of a run.

Both see the cell along -y with z to the right, as `lisi_nb.plots.side_view` does. A widget leaves no picture in
a saved notebook: show `lisi_nb.plots.side_view` beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import ipywidgets as w
import numpy as np
from ase import Atoms
from IPython.utils.capture import capture_output

from lisi_nb.engine.lammps import TYPES
from lisi_nb.engine.run import Run
from lisi_nb.plots import COLOURS, RADII_A

SHORT = 50  # frames that are still sent to the browser all at once


class View(w.VBox):
    """A viewer below one line that says which it is and why; `parts` are the scene and its player."""

    def __init__(self, said: str, *parts: w.Widget) -> None:
        self.said = said
        legend = " ".join(f'<span style="color:{COLOURS[e]}">&#9679;</span> {e}' for e in RADII_A)
        super().__init__([w.HTML(f"{legend} &nbsp; {said}; z to the right; drag to turn, wheel to zoom"), *parts])

    def __repr__(self) -> str:
        return self.said


def view(what: Atoms | Sequence[Atoms] | Run) -> View:
    """Return a 3-D view of a structure, a short series of one system, or a run's trajectory.

    Parameters
    ----------
    what : ase.Atoms, sequence of ase.Atoms, or Run
        A run is shown with the frames it has written so far; call again for more.

    Raises
    ------
    TypeError
        Something else was given.
    ValueError
        No atoms or frames, elements without a colour, a cell that is not rectangular, or a series that is long or
        whose atoms or cell change.
    """
    if isinstance(what, Run):
        return _trajectory(what)
    structures = [what] if isinstance(what, Atoms) else list(what) if isinstance(what, Sequence) else []
    if not structures or not all(isinstance(atoms, Atoms) for atoms in structures):
        raise TypeError(f"view() takes ase.Atoms, a list of them, or a Run; {type(what).__name__} came.")
    _check(structures)
    return _structures(structures)


def _check(structures: list[Atoms]) -> None:
    first = structures[0]
    strange = sorted(set(first.get_chemical_symbols()) - set(RADII_A))
    if not len(first):
        raise ValueError("The structure has no atoms. Build it first, for example with study.build(params).")
    if strange:
        raise ValueError(f"No colour is known for {', '.join(strange)}. Allowed: {', '.join(RADII_A)}.")
    if len(structures) > SHORT:
        raise ValueError(f"{len(structures)} structures came, at most {SHORT} can be shown. Give every n-th.")
    if not first.cell.orthorhombic:
        raise ValueError(
            "The cell is not rectangular, which this viewer would draw wrongly. Repeat or convert it first."
        )
    for k, atoms in enumerate(structures):
        same = np.array_equal(atoms.numbers, first.numbers) and np.allclose(atoms.cell.array, first.cell.array)
        if not same:
            raise ValueError(
                f"Structure {k} has other atoms or another cell than the first, which this viewer would draw "
                "wrongly. View it alone, or view the run."
            )


def _structures(structures: list[Atoms]) -> View:
    with capture_output():  # importing it would put an empty widget of its own into the notebook
        import nglview

    scene = nglview.NGLWidget(
        nglview.ASETrajectory([_turned(atoms) for atoms in structures]), default_representation=False
    )
    scene.layout = w.Layout(width="100%", height="300px")
    for element in dict.fromkeys(structures[0].get_chemical_symbols()):
        scene.add_spacefill(
            selection=f"_{element}", color=COLOURS[element], radius_type="size", radius_size=RADII_A[element]
        )
    scene.add_unitcell(color="grey")
    scene.camera = "orthographic"
    scene.center()
    scene.control.zoom(0.4)
    said = f"nglview, because the cell stays the same: {len(structures[0])} atoms"
    if len(structures) == 1:
        return View(said, scene)
    player = _player(len(structures))
    w.jslink((player.children[1], "value"), (scene, "frame"))
    return View(said, scene, player)


def _turned(atoms: Atoms) -> Atoms:
    """A copy for NGL's first camera (x to the left, y up, z away from the reader) that shows z, x, y instead."""
    x, y, z = atoms.cell.lengths()
    positions = np.column_stack((z - atoms.positions[:, 2], atoms.positions[:, 0], y - atoms.positions[:, 1]))
    return Atoms(atoms.numbers, positions, cell=(z, x, y), pbc=atoms.pbc[[2, 0, 1]])


def _trajectory(run: Run) -> View:
    n_frames = run.n_frames
    if n_frames == 0:
        raise ValueError(f"{run.id} has written no frame yet. Wait a moment: await follow(run).")
    import ovito
    from ovito.gui import create_ipywidget
    from ovito.io import import_file
    from ovito.modifiers import WrapPeriodicImagesModifier
    from ovito.vis import Viewport

    pipeline: Any = import_file([str(file) for file in run.trajectories])
    _paint(pipeline.source.data)
    pipeline.modifiers.append(WrapPeriodicImagesModifier())
    private = ovito.Scene()  # else two views would share one time slider
    private.pipelines.append(pipeline)
    port = Viewport(scene=private.scene_root, type=Viewport.Type.Ortho)  # type: ignore[call-arg]
    port.camera_dir, port.camera_up = (0, -1, 0), (1, 0, 0)
    port.zoom_all((900, 300))
    scene = create_ipywidget(port, layout=w.Layout(width="100%", height="300px"))
    # ipykernel 7 delivers widget messages in another thread, where OVITO takes the kernel down: the camera
    # stays in the browser, and frames are changed on the main thread.
    scene.unobserve_all("_camera_params")
    loop = _loop()

    def show(frame: int) -> None:
        private.anim.current_frame = frame
        scene.refresh()

    def moved(change: dict[str, Any]) -> None:
        if loop:
            loop.call_soon_threadsafe(show, change["new"])
        else:
            show(change["new"])

    player = _player(n_frames)
    player.children[1].observe(moved, "value")
    return View(f"OVITO, because frames are read one by one: {n_frames} frames of {run.id}", scene, player)


def _paint(first: Any) -> None:
    for element_type in first.particles_.particle_types_.types_:
        element = TYPES[element_type.id - 1]
        element_type.name, element_type.radius = element, RADII_A[element]
        element_type.color = tuple(int(COLOURS[element][k : k + 2], 16) / 255 for k in (1, 3, 5))
    first.cell_.vis.rendering_color = (0.6, 0.6, 0.6)


def _player(n_frames: int) -> w.HBox:
    play = w.Play(max=n_frames - 1, interval=200)
    slider = w.IntSlider(max=n_frames - 1, description="frame", layout=w.Layout(width="420px"))
    w.jslink((play, "value"), (slider, "value"))
    return w.HBox([play, slider])


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
