"""Look at atoms in three dimensions: nglview for what has one fixed cell, OVITO for everything else.

Both see the cell along -y with z to the right, as `lisi_nb.plots.side_view` does. A widget leaves no picture in
a saved notebook, so a view leaves one as a second output of its cell, which is hidden as long as the view lives.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as w
import numpy as np
from ase import Atoms
from IPython.display import display

from lisi_nb import palette, plots
from lisi_nb.engine.run import Run
from lisi_nb.errors import check_choice
from lisi_nb.widgets.frames import Look, Series, Slab, Trajectory, colouring
from lisi_nb.widgets.kept import ALIVE, HIDING
from lisi_nb.widgets.movies import MOVIES, write_movie
from lisi_nb.widgets.names import Names, named
from lisi_nb.widgets.ngl_scene import NglScene, why_not
from lisi_nb.widgets.ovito_scene import OvitoScene

VIEWERS = ("auto", "nglview", "ovito")
MOVIE_FRAMES = 60  # at most, so that a movie is made within seconds and stays small
AXES = ("x", "y", "z")
STILL_BYTES = 100_000  # of the picture in a saved notebook, at most
# Stands where the canvas will be, which covers it.
WAITING = (
    "The atoms appear here within seconds. If they do not, this browser has no WebGL: press <i>Still picture</i>, "
    "which needs none."
)


class View(w.VBox):
    """A viewer with its legend, camera buttons, slice and player.

    Attributes
    ----------
    said : str
        Which viewer it is, and why.
    camera : str
        The button pressed last, of `lisi_nb.plots.CAMERAS`; pictures and movies are taken from there.
    """

    def __init__(self, look: Look, viewer: str, why: str) -> None:
        self.look, self.camera = look, "side"
        self.answer = w.HTML()
        self.scene = NglScene(look) if viewer == "nglview" else OvitoScene(look, self._failed)
        first = look.atoms(0)
        what = look.frames.name or f"{len(first)} atoms"
        self.said = f"{self.scene.name}, because {why}: {what}"
        legend = w.HTML(f"{_legend(look)} &nbsp; {html.escape(self.said)}; drag to turn, wheel to zoom")
        waiting = w.HTML(WAITING + HIDING + self.scene.style)
        waiting.layout = w.Layout(height="0px", overflow="visible", margin="0 0 0 8px")
        self.still = w.Image(format="png", layout=w.Layout(display="none", max_width="100%", align_self="flex-start"))
        self.still.layout.object_fit, self.still.layout.margin = "contain", "0"
        parts = [legend, waiting, self.scene.widget]
        if len(look.frames) > 1:
            parts.append(self._player())
        super().__init__([*parts, self._tools(first), self.answer, self.still, Names()])
        self.add_class(ALIVE)

    def __repr__(self) -> str:
        return self.said

    def _ipython_display_(self) -> None:
        display(self._repr_mimebundle_(), raw=True)
        display({"image/png": base64.b64encode(small_png(self.picture())).decode()}, raw=True)

    def _player(self) -> w.HBox:
        n = len(self.look.frames)
        play = w.Play(max=n - 1, interval=200)
        self.slider = w.IntSlider(max=n - 1, description="frame", tooltip="frame", layout=w.Layout(width="420px"))
        w.jslink((play, "value"), (self.slider, "value"))
        if isinstance(self.scene, NglScene):
            w.jslink((self.slider, "value"), (self.scene.widget, "frame"))
        else:
            self.slider.observe(lambda change: self.scene.show(change["new"]), "value")
        save = w.Button(description="Save movie", icon="film", layout=w.Layout(width="130px"))
        save.tooltip = "Write all frames, or every n-th of many, to an MP4 file beside the notebook (some seconds)."
        save.on_click(lambda _: self.scene.later(lambda: self._save(".mp4", self.save_movie)))
        return w.HBox([play, self.slider, save], layout=w.Layout(flex_flow="row wrap"))

    def _tools(self, first: Atoms) -> w.HBox:
        buttons = []
        for camera in plots.CAMERAS:
            tip = f"Look from the {camera}."
            button = named(w.Button(description=camera, tooltip=tip, layout=w.Layout(width="60px")))
            button.on_click(lambda clicked: self._turn(clicked.description))
            buttons.append(button)
        self.axis = w.Dropdown(options=[(f"slice {a}", k) for k, a in enumerate(AXES)], value=1)
        self.axis.layout.width, self.axis.tooltip = "85px", "Axis of the slice"
        self.slice = w.FloatRangeSlider(continuous_update=False, readout_format=".1f", layout=w.Layout(width="300px"))
        self.slice.tooltip = "Slice (Å)"
        self._span(first)
        self.axis.observe(lambda _: self._span(first), "value")
        self.slice.observe(lambda _: self._cut(), "value")
        save = w.Button(description="Save picture", icon="camera", layout=w.Layout(width="130px"))
        save.tooltip = "Write the frame as it is now to a PNG file beside the notebook."
        save.on_click(lambda _: self.scene.later(lambda: self._save(".png", self.save_picture)))
        still = w.ToggleButton(description="Still picture", icon="image", layout=w.Layout(width="130px"))
        still.tooltip = "The frame as it is now, drawn without WebGL."
        still.observe(lambda change: self.scene.later(lambda: self._still(change["new"])), "value")
        parts = [*buttons, self.axis, self.slice, w.Label("Å"), still, save]
        return w.HBox(parts, layout=w.Layout(flex_flow="row wrap"))

    def _span(self, first: Atoms) -> None:
        """Let the slice slider reach over the whole first frame."""
        at = first.positions[:, self.axis.value]
        low, high = float(np.floor(at.min())), float(np.ceil(at.max())) + 0.1
        with self.slice.hold_trait_notifications():
            self.slice.min, self.slice.max = min(low, self.slice.min), max(high, self.slice.max)
            self.slice.value = (low, high)
            self.slice.min, self.slice.max, self.slice.step = low, high, 0.1
        self._cut()

    def _cut(self) -> None:
        low, high = self.slice.value
        whole = (low, high) == (self.slice.min, self.slice.max)
        slab = None if whole else Slab(self.axis.value, low, high)
        if slab != self.look.slab:
            self.look.slab = slab
            self.scene.paint()

    def _turn(self, camera: str) -> None:
        self.camera = camera
        self.scene.turn(camera)

    def _failed(self, error: Exception) -> None:
        self.answer.value = html.escape(str(error))

    def _frame(self) -> int:
        return self.slider.value if len(self.look.frames) > 1 else 0

    def _still(self, shown: bool) -> None:
        try:
            self.still.value = plots.png(self.picture()) if shown else b""
            self.still.layout.display = None if shown else "none"
        except Exception as error:  # in a callback it would vanish
            self._failed(error)

    def _save(self, suffix: str, write: Callable[[Path], Path]) -> None:
        number = 1
        while (path := Path(f"view-{number}{suffix}")).exists():
            number += 1
        self.answer.value = "Saving ..."
        try:
            self.answer.value = f"Saved <code>{html.escape(str(write(path).resolve()))}</code>"
        except Exception as error:  # in a callback it would vanish
            self._failed(error)

    def picture(self, frame: int | None = None, camera: str | None = None) -> plots.Picture:
        """A still picture of the shown (or given) frame and camera; it stays in a saved notebook and needs no WebGL."""
        return self.look.picture(self._frame() if frame is None else frame, camera or self.camera)

    def save_picture(self, path: Path | str, frame: int | None = None, camera: str | None = None) -> Path:
        """Write a still picture (PNG) of the shown, or given, frame and camera.

        Raises
        ------
        ValueError
            The name does not end in ``.png``, or the camera is unknown.
        """
        path = _ending(path, ".png")
        path.write_bytes(plots.png(self.picture(frame, camera), dpi=150))
        return path

    def save_movie(self, path: Path | str, camera: str | None = None, frames_per_s: float = 8.0) -> Path:
        """Write an animated GIF or an MP4, by the ending of `path`, over all frames, or over every n-th of many.

        Raises
        ------
        ValueError
            Another ending, an unknown camera, only one frame, or no ffmpeg for an MP4.
        """
        path, n = _ending(path, *MOVIES), len(self.look.frames)
        if n < 2:
            raise ValueError("A movie needs at least 2 frames; this view has 1. Use save_picture.")
        chosen = range(0, n, -(-n // MOVIE_FRAMES))
        extent_A, camera = self.look.extent_A(chosen), camera or self.camera
        return write_movie((self.look.picture(k, camera, extent_A) for k in chosen), path, frames_per_s)


def _ending(path: Path | str, *allowed: str) -> Path:
    path = Path(path)
    if path.suffix.lower() not in allowed:
        raise ValueError(f"{path.name!r} does not end in {' or '.join(allowed)}. Rename it: nothing else is written.")
    return path


def small_png(picture: plots.Picture) -> bytes:
    """A PNG of at most `STILL_BYTES`: at 40 dpi no picture of atoms has as many pixels."""
    pictures = (plots.png(picture, dpi) for dpi in (100, 70, 40))
    return next(data for data in pictures if len(data) <= STILL_BYTES)


def _legend(look: Look) -> str:
    colours = look.colours
    if named := look.legend():
        return " &nbsp; ".join(f'<span style="color:{c}">&#9679;</span> {name}' for name, c in named.items())
    low, high = colours.limits
    stops = ",".join("rgb" + str(tuple(int(255 * c) for c in rgb)) for rgb in plots.shades(np.linspace(0, 1, 9), 0, 1))
    scale = f'<span style="display:inline-block;width:110px;height:10px;background:linear-gradient(to right,{stops})">'
    return f"{html.escape(colours.label)}: {low:.3g} {scale}</span> {high:.3g}"


def view(
    what: Atoms | Sequence[Atoms] | Run,
    colour: Any = "element",
    label: str = "",
    limits: tuple[float, float] | None = None,
    viewer: str = "auto",
    every: int | None = None,
) -> View:
    """Return a 3-D view of a structure, a series, or a run's trajectory.

    Parameters
    ----------
    what : ase.Atoms, sequence of ase.Atoms, or Run
        A run is shown with the frames it has written so far; call again for more.
    colour, label, limits
        Colour atoms by ``"element"``, ``"phase"``, ``"coordination"``, ``"displacement"``, any numbers ``(n_atoms,)``
        or a function of each frame, as ``view(run, potentials.get("lisi").atomic_energies, "energy (eV)")``;
        `label` names them with their unit, and numbers need it (see `lisi_nb.widgets.frames.colouring`).
    viewer : str
        ``"auto"``, ``"nglview"`` (one fixed cell, the same atoms) or ``"ovito"`` (anything).
    every : int, optional
        Show every n-th frame of a run; else as many as play well.

    Raises
    ------
    TypeError
        Something else was given.
    ValueError
        No atoms or frames, elements without a colour, numbers without a label or that do not fit, or frames that the
        chosen viewer would draw wrongly.
    """
    check_choice("viewer", viewer, VIEWERS)
    if every is not None and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
        raise ValueError(f"every={every!r} is not allowed. Give a whole number of 1 or more.")
    frames = _frames(what, every)
    look = Look(frames, colouring(frames, colour, label, limits))
    if isinstance(frames, Trajectory):
        reason, problem = "frames are read one by one", "a run's frames are read one by one"
    else:
        reason = problem = why_not(look)
    if viewer == "nglview" and problem:
        raise ValueError(f"nglview would draw this wrongly: {problem}. Use viewer='auto' or 'ovito'.")
    if viewer == "ovito" or problem:
        return View(look, "ovito", reason or "it was asked for")
    return View(look, "nglview", "the cell stays the same")


def _frames(what: Any, every: int | None) -> Series | Trajectory:
    if isinstance(what, Run):
        return Trajectory(what, every)
    structures = [what] if isinstance(what, Atoms) else list(what) if isinstance(what, Sequence) else []
    if not structures or not all(isinstance(atoms, Atoms) for atoms in structures):
        raise TypeError(f"view() takes ase.Atoms, a list of them, or a Run; {type(what).__name__} came.")
    for k, atoms in enumerate(structures):
        strange = sorted(set(atoms.get_chemical_symbols()) - set(palette.RADII_A))
        if not len(atoms):
            raise ValueError(f"Structure {k} has no atoms. Build it first, for example with study.build(params).")
        if strange:
            raise ValueError(f"No colour is known for {', '.join(strange)}. Allowed: {', '.join(palette.RADII_A)}.")
    return Series(structures[:: every or 1])
