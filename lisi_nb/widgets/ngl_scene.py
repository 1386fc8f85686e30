"""A structure, or a short series of one system, drawn by nglview: the first frame describes all of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product
from typing import Any

import ipywidgets as w
import numpy as np
from ase import Atoms
from IPython.utils.capture import capture_output

from lisi_nb.palette import COLOURS, RADII_A
from lisi_nb.plots import shades
from lisi_nb.widgets.frames import Look

SHORT = 50  # frames that are still looked through, and kept turned for NGL
MOST_ATOMS = 50_000  # that are sent as text, 90 bytes each, before anything is seen; OVITO sends 28
SHADES = 16  # colours of a scale; nglview takes one selection of atoms for each
HEIGHT = "300px"
# Rotations (quaternions) from NGL's first camera to those of `lisi_nb.plots.CAMERAS`.
TURNS = {"side": [0.0, 0.0, 0.0, 1.0], "top": [0.5, -0.5, 0.5, 0.5]}


def why_not(look: Look) -> str:
    """Why nglview would draw these frames wrongly, or empty when it would not."""
    frames = look.frames
    if len(frames) > SHORT:
        return f"there are {len(frames)} frames, and nglview takes at most {SHORT}"
    first = frames.atoms(0)
    if len(first) > MOST_ATOMS:
        return f"there are {len(first)} atoms, and nglview takes at most {MOST_ATOMS}"
    if not first.cell.orthorhombic:
        return "the cell is not rectangular"
    for k in range(1, len(frames)):
        atoms = frames.atoms(k)
        if not np.array_equal(atoms.numbers, first.numbers):
            return f"frame {k} has other atoms than the first"
        if not np.allclose(atoms.cell.array, first.cell.array):
            return f"frame {k} has another cell than the first"
    if look.colours.of and len(frames) > 1:
        return "the colours change from frame to frame"
    return ""


class NglScene:
    """The canvas; `show`, `turn` and `paint` may be called from any thread: they only send messages."""

    name = "nglview"
    style = ""  # HTML that belongs on the page; nglview's canvas is white by itself

    def __init__(self, look: Look) -> None:
        with capture_output():  # importing it would put an empty widget of its own into the notebook
            import nglview

        self.look = look
        frames = [look.atoms(k) for k in range(len(look.frames))]
        self._groups = groups(look, frames[0])
        trajectory = nglview.ASETrajectory([turned(atoms) for atoms in frames])
        self.widget: Any = nglview.NGLWidget(trajectory, default_representation=False)
        self.widget.layout = w.Layout(width="100%", height=HEIGHT)
        for where, radius_A, colour in self._groups:
            look_alike = dict(color=colour, radius_type="size", radius_size=radius_A)
            self.widget.add_spacefill(selection=selection(where), **look_alike)
        self.widget.observe(self._moved, "frame")
        self.widget._add_shape(edges(turned(frames[0]).cell.lengths()), name="cell")  # NGL's own cell is always orange
        self.widget.camera = "orthographic"
        self._fill()

    def later(self, work: Callable[[], None]) -> None:
        """Do work that OVITO's scene must do in another thread: here at once."""
        work()

    def show(self, index: int) -> None:
        """Go to frame `index`."""
        self.widget.frame = index

    def _moved(self, _: Any) -> None:
        if self.look.slab:
            self.paint()

    def turn(self, camera: str) -> None:
        """Look from a camera of `lisi_nb.plots.CAMERAS`."""
        self.widget.control.rotate(TURNS[camera])
        self._fill()

    def _fill(self) -> None:
        self.widget.center()  # leaves room for every direction of view
        self.widget.control.zoom(0.4)

    def paint(self) -> None:
        """Draw the atoms of the slab at the present frame."""
        kept = self.look.kept(self.look.atoms(self.widget.frame))
        # nglview keeps all that it was told, for views shown later, and sends it with every word.
        with self.widget.hold_sync():
            told = self.widget._ngl_msg_archive
            self.widget._ngl_msg_archive = [words for words in told if words["methodName"] != "setSelection"]
            for number, (where, *_) in enumerate(self._groups):
                self.widget._set_selection(selection(where & kept), repr_index=number)


def selection(where: np.ndarray) -> str:
    """NGL's words for the atoms of a mask ``(n,)``."""
    return "@" + ",".join(map(str, np.flatnonzero(where))) if where.any() else "none"


def edges(lengths: np.ndarray) -> list[tuple[str, list[float], list[float], list[float], float]]:
    """The twelve edges of a rectangular cell as thin grey cylinders of NGL."""
    corners = [np.array(corner) for corner in product((0, 1), repeat=3)]
    pairs = [(a, b) for a, b in combinations(corners, 2) if np.abs(a - b).sum() == 1]
    return [("cylinder", (a * lengths).tolist(), (b * lengths).tolist(), [0.6, 0.6, 0.6], 0.08) for a, b in pairs]


def groups(look: Look, atoms: Atoms) -> list[tuple[np.ndarray, float, str]]:
    """(mask of atoms, radius in A, ``#rrggbb``) of atoms that look alike."""
    symbols = np.array(atoms.get_chemical_symbols())
    if look.colours.of is None:
        return [(symbols == element, RADII_A[element], COLOURS[element]) for element in dict.fromkeys(symbols)]
    values = look.colours.of(0)
    if kinds := tuple(look.colours.kinds.values()):
        return [
            ((symbols == e) & (values == k), RADII_A[e], kinds[k]) for e in dict.fromkeys(symbols) for k in set(values)
        ]
    low, high = look.colours.limits
    share = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    step = np.where(np.isfinite(values), np.round(np.nan_to_num(share) * (SHADES - 1)), -1)
    out = []
    for k in np.unique(step):
        middle = np.array([np.nan if k < 0 else low + k / (SHADES - 1) * (high - low)])
        colour = "#" + "".join(f"{round(255 * c):02x}" for c in shades(middle, low, high)[0])
        out += [((symbols == e) & (step == k), RADII_A[e], colour) for e in dict.fromkeys(symbols)]
    return out


def turned(atoms: Atoms) -> Atoms:
    """A copy for NGL's first camera (x to the left, y up, z away from the reader) that shows z, x, y instead."""
    x, y, z = atoms.cell.lengths()
    positions = np.column_stack((z - atoms.positions[:, 2], atoms.positions[:, 0], y - atoms.positions[:, 1]))
    return Atoms(atoms.numbers, positions, cell=(z, x, y), pbc=atoms.pbc[[2, 0, 1]])
