"""Draw charts: the only place that imports matplotlib. One style, colour-blind safe, legible on dark and light."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from ase import Atoms
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from lisi_nb.charts import Chart
from lisi_nb.drawn import Drawn
from lisi_nb.palette import COLOURS, CYCLE, DASHES, MARKERS, RADII_A, rgb

_STYLE: Any = {
    "figure.facecolor": "white",
    "axes.prop_cycle": cycler(color=CYCLE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "font.size": 10,
    "legend.framealpha": 0.75,  # curves below stay visible, words stay legible
    "legend.edgecolor": "none",
    "legend.fontsize": 8,
}


LEVELS = ("--", ":", "-.")
# The style is global to matplotlib, and monitors draw in threads of their own.
_DRAWING = threading.RLock()


class Picture(Figure):
    """A figure that a notebook shows without pyplot, with the charts or atoms behind it."""

    charts: tuple[Chart | Drawn, ...] = ()

    def to_csv(self, path: Path | str) -> list[Path]:
        """Write the numbers behind each chart or structure, with units, to ``path`` (further: ``-2``, ``-3`` ...)."""
        path = Path(path).with_suffix(".csv")
        names = [path.with_stem(f"{path.stem}-{k}") if k > 1 else path for k in range(1, 1 + len(self.charts))]
        return [chart.to_csv(name) for chart, name in zip(self.charts, names, strict=True)]

    def _repr_png_(self) -> bytes:
        return png(self)


def draw(charts: Sequence[Chart], width: float = 4.6, height: float = 3.3, columns: int = 4) -> Picture:
    """Draw charts in rows of `columns` and return the figure (sizes in inches); it is not registered with pyplot."""
    with _DRAWING, mpl.rc_context(_STYLE):
        figure = panels(len(charts), width, height, columns)
        figure.set_layout_engine("constrained")
        figure.charts = tuple(charts)
        for axes, chart in zip(figure.axes, charts, strict=True):
            _draw(axes, chart)
    return figure


def panels(n: int, width: float, height: float, columns: int) -> Picture:
    """A figure of empty axes for `n` charts, as `draw` places them."""
    columns = max(1, min(n, columns))
    rows = max(1, -(-n // columns))
    with _DRAWING, mpl.rc_context(_STYLE):
        figure = Picture(figsize=(width * columns, height * rows), dpi=100)
        for unused in figure.subplots(rows, columns, squeeze=False).flat[n:]:
            unused.remove()
    return figure


def _draw(axes: Any, chart: Chart) -> None:
    shades = mpl.colormaps["viridis"]
    shaded = [c for c in chart.curves if c.shade is not None]
    levels = [c for c in chart.curves if c.style == "level"]
    for curve in chart.curves:
        colour: Any = COLOURS.get(curve.colour, curve.colour or None)
        if curve.shade is not None:
            colour = shades(0.92 * curve.shade)
        label = curve.label if curve not in shaded[1:-1] else None
        if curve.style == "level":
            dash = LEVELS[levels.index(curve) % len(LEVELS)]
            axes.plot(curve.x, curve.y, dash, color=COLOURS["paper"], lw=1, label=label)
        elif curve.style == "dots":
            (many,) = axes.plot(curve.x, curve.y, ".", ms=2, alpha=0.6, color=colour)
            axes.plot([], [], ".", ms=8, color=many.get_color(), label=label)  # one that is seen in the legend
        elif curve.style == "paper":
            _published(axes, curve)
        elif curve.style == "points":
            marker = MARKERS[curve.dash % len(MARKERS)]
            axes.errorbar(curve.x, curve.y, curve.error, fmt=marker, color=colour, ms=4, capsize=2, label=label)
        else:
            (line,) = axes.plot(
                curve.x, curve.y, color=colour, lw=1.4, ls=DASHES[curve.dash % len(DASHES)], label=label
            )
            if curve.error is not None:
                axes.fill_between(
                    curve.x, curve.y - curve.error, curve.y + curve.error, color=line.get_color(), alpha=0.2, lw=0
                )
    axes.set(title=chart.title, xlabel=chart.x_label, ylabel=chart.y_label)
    axes.title.set_fontsize(10)
    if chart.categories:
        axes.set_xticks(range(len(chart.categories)), chart.categories)
        axes.margins(x=0.15)
        return
    axes.locator_params(axis="x", nbins=6)  # with more, numbers such as -1.875 run into each other
    if any(c.label for c in chart.curves):
        axes.legend()


def _published(axes: Any, curve: Any) -> None:
    """Published values: open diamonds in front of everything, joined by a thin line where there are several."""
    axes.errorbar(
        curve.x, curve.y, curve.error, fmt="D-", color=COLOURS["paper"], mfc="white", ms=6, mew=1.5, lw=0.8, capsize=2,
        zorder=5, label=curve.label,
    )  # fmt: skip


def redraw(figure: Figure, charts: Sequence[Chart]) -> Image.Image:
    """Draw other charts on the axes of `panels`, each title at the top of its axes; the figure's pixels."""
    with _DRAWING, mpl.rc_context(_STYLE | {"axes.titley": 1.0}):  # else its place is looked for, tick by tick
        for axes, chart in zip(figure.axes, charts, strict=True):
            _clear(axes)
            _draw(axes, chart)
            axes.locator_params(axis="y", nbins=5)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _clear(axes: Any) -> None:
    for drawn in (axes.containers, axes.lines, axes.collections):
        for artist in list(drawn):
            artist.remove()
    if legend := axes.get_legend():
        legend.remove()
    axes.relim()
    axes.set_prop_cycle(_STYLE["axes.prop_cycle"])


def png(figure: Figure, dpi: int = 100) -> bytes:
    """The figure as PNG bytes, in a palette of 256 colours: a third of the size, so that notebooks stay small."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    Image.open(drawn).convert("RGB").quantize(256).save(small, format="png", optimize=True)
    return small.getvalue()


# Axes of the cell that point to the right, up, and to the reader: the cameras of every viewer.
CAMERAS = {"side": (2, 0, 1), "top": (0, 1, 2)}


def shades(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Colours ``(n, 3)`` in 0-1 for `values` ``(n,)`` between `low` and `high`; grey where there is no value."""
    share = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    colours = mpl.colormaps["viridis"](np.nan_to_num(share))[:, :3]
    colours[~np.isfinite(values)] = 0.7
    return colours


def kind_colours(kind: np.ndarray, kinds: dict[str, str]) -> np.ndarray:
    """Colours ``(n, 3)`` in 0-1 for indices ``(n,)`` of `kinds` (name -> colour)."""
    return np.array([rgb(colour) for colour in kinds.values()])[kind]


def side_view(structures: dict[str, Atoms], width: float = 9.0) -> Picture:
    """Structures seen along -y with z to the right: one row each on one scale, nearer atoms stronger.

    A still picture that needs no 3-D viewer and stays in a saved notebook; `width` in inches.
    """
    low, high = (f([f(a.positions[:, 2]) for a in structures.values()]) + d for f, d in ((min, -2), (max, 2)))
    inch_per_A = (width - 1.0) / max(high - low, 30.0)
    heights = [float(np.ptp(a.positions[:, 0])) + 4 for a in structures.values()]
    with _DRAWING, mpl.rc_context(_STYLE | {"axes.grid": False}):
        total = sum(heights) * inch_per_A + 0.75 * len(structures)
        figure = Picture(figsize=(width, total), dpi=100, layout="constrained")
        figure.charts = tuple(Drawn(a.copy()) for a in structures.values())
        rows = figure.subplots(len(structures), 1, squeeze=False, height_ratios=heights).flat
        for axes, (name, atoms) in zip(rows, structures.items(), strict=True):
            _spheres(axes, atoms, "side", inch_per_A)
            x = atoms.positions[:, 0]
            axes.set(xlim=(low, high), ylim=(x.min() - 2, x.max() + 2))
            _elements(axes, atoms, name)
    return figure


def slices(structures: dict[str, Atoms], thickness_A: float = 6.0, width: float = 9.0) -> Picture:
    """A slice of each structure through its centre of mass, seen along y, side by side on one scale (width in inches).

    `thickness_A` is the whole thickness of the slice.
    """
    cut = {}
    for name, atoms in structures.items():
        middle = atoms.positions - atoms.get_center_of_mass()
        cut[name] = Atoms(atoms.numbers, positions=middle)[np.abs(middle[:, 1]) <= thickness_A / 2]
    reach = 2 + max(np.abs(a.positions).max(initial=3.0) for a in cut.values())
    each = width / len(cut)
    with _DRAWING, mpl.rc_context(_STYLE | {"axes.grid": False}):
        figure = Picture(figsize=(width, each + 0.7), dpi=100, layout="constrained")
        figure.charts = tuple(Drawn(a) for a in cut.values())
        for axes, (name, atoms) in zip(figure.subplots(1, len(cut), squeeze=False).flat, cut.items(), strict=True):
            _spheres(axes, atoms, "side", (each - 0.8) / (2 * reach))
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach))
            axes.set_title(name, loc="left", fontsize=10)
        shown = [mpl.lines.Line2D([], [], marker="o", ls="", color=COLOURS[e], label=e) for e in _symbols(cut.values())]
        figure.legend(handles=shown, loc="outside upper right", ncols=4)
    return figure


def atoms_view(
    atoms: Atoms,
    camera: str = "side",
    title: str = "",
    values: np.ndarray | None = None,
    limits: tuple[float, float] = (0.0, 1.0),
    label: str = "",
    extent_A: np.ndarray | None = None,
    kinds: dict[str, str] | None = None,
) -> Picture:
    """A still picture of a structure from a camera of `CAMERAS`, coloured by element or by `values` ``(n,)``.

    `limits` and `label` (with its unit) belong to the values; `extent_A` ``(2, 3)``, lowest and highest coordinates,
    keeps the frames of a movie on one scale. With `kinds` (name -> colour), values are indices of kinds.
    """
    ends = (
        extent_A if extent_A is not None else np.array([f(axis=0) for f in (atoms.positions.min, atoms.positions.max)])
    )
    right, up, _ = CAMERAS[camera]
    wide, high = (float(ends[1, k] - ends[0, k]) + 4 for k in (right, up))
    inch_per_A = min(8.0 / max(wide, 30.0), 5.0 / max(high, 10.0))
    size = (max(wide * inch_per_A, 3.0) + 1.6, max(high * inch_per_A, 1.5) + 0.9)
    with _DRAWING, mpl.rc_context(_STYLE | {"axes.grid": False}):
        figure = Picture(figsize=size, dpi=100, layout="constrained")
        names = [list(kinds)[k] for k in values] if kinds and values is not None else values
        figure.charts = (Drawn(atoms.copy(), label, names),)
        axes = figure.subplots()
        colours = None
        if values is not None:
            colours = kind_colours(values, kinds) if kinds else shades(values, *limits)
        _spheres(axes, atoms, camera, inch_per_A, colours)
        axes.set(xlim=(ends[0, right] - 2, ends[1, right] + 2), ylim=(ends[0, up] - 2, ends[1, up] + 2))
        if values is None:
            _elements(axes, atoms, title)
        elif kinds:
            _legend(axes, {n: c for k, (n, c) in enumerate(kinds.items()) if k in values}, title)
        else:
            axes.set_title(title, loc="left", fontsize=10)
            scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(*limits), "viridis")
            figure.colorbar(scale, ax=axes, label=label, shrink=0.8)
    return figure


def _spheres(axes: Any, atoms: Atoms, camera: str, inch_per_A: float, colours: np.ndarray | None = None) -> None:
    right, up, near = CAMERAS[camera]
    order = np.argsort(atoms.positions[:, near])
    depth = atoms.positions[order, near]
    symbols = atoms.symbols[order]
    base: Any = [COLOURS[symbol] for symbol in symbols] if colours is None else colours[order]
    paint = mpl.colors.to_rgba_array(base) if len(order) else np.zeros((0, 4))
    paint[:, 3] = 0.45 + 0.55 * (depth - depth.min(initial=np.inf)) / max(
        float(np.ptp(depth)) if len(depth) else 0, 1e-9
    )
    sizes = (2 * 72 * inch_per_A * np.array([RADII_A[symbol] for symbol in symbols])) ** 2
    x, y = atoms.positions[order][:, [right, up]].T
    axes.scatter(x, y, s=sizes, c=paint, edgecolors="k", linewidths=0.2)
    axes.set(aspect="equal", xlabel=f"{'xyz'[right]} (Å)", ylabel=f"{'xyz'[up]} (Å)")


def _elements(axes: Any, atoms: Atoms, title: str) -> None:
    _legend(axes, {element: COLOURS[element] for element in _symbols([atoms])}, title)


def _symbols(structures: Iterable[Atoms]) -> list[str]:
    return sorted({symbol for a in structures for symbol in a.get_chemical_symbols()}, key=list(RADII_A).index)


def _legend(axes: Any, colours: dict[str, str], title: str) -> None:
    for name, colour in colours.items():
        axes.scatter([], [], s=30, color=colour, label=name)
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, borderpad=0)
