"""Charts drawn again and again while they grow, in little of the CPU time that a run needs for itself."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

from lisi_nb import plots
from lisi_nb.charts import Chart

Size = tuple[float, float, int]  # width and height of each chart in inches, charts in a row
LEFT, RIGHT, BOTTOM, TOP = 0.9, 0.15, 0.5, 0.3  # inches beside axes
LABELS = 0.68, 0.26  # inches between axes and the labels at their left and below, for numbers such as -3.8715


class Sketch:
    """Pictures like those of `lisi_nb.plots.draw` and `png`, in a fifth of the CPU time.

    Axes are made once, and their margins are fixed: to find those that fit would take as long as to draw.
    """

    _made_for: tuple[Any, ...] = ()

    def png(self, charts: Sequence[Chart], size: Size) -> bytes:
        """The charts, at least one, as PNG bytes."""
        if self._made_for != (made_for := (size, *(chart.categories for chart in charts))):
            self._made_for, self._figure = made_for, plots.panels(len(charts), *size)
            _fix_margins(self._figure)
        stream = io.BytesIO()
        image = plots.redraw(self._figure, charts).quantize(256, Image.Quantize.FASTOCTREE)
        image.save(stream, format="png", compress_level=4)
        return stream.getvalue()


def drawn(charts: Sequence[Chart], size: Size, sketch: Sketch | None = None) -> bytes:
    """The charts as PNG: by `sketch` while they grow, else as they are to stay."""
    return sketch.png(charts, size) if sketch else plots.png(plots.draw(charts, *size))


def _fix_margins(figure: Any) -> None:
    n_rows, n_columns = figure.axes[0].get_gridspec().get_geometry()
    width, height = figure.get_size_inches()
    inside = width / n_columns - LEFT - RIGHT, height / n_rows - BOTTOM - TOP
    figure.subplots_adjust(
        left=LEFT / width, right=1 - RIGHT / width, bottom=BOTTOM / height, top=1 - TOP / height,
        wspace=(LEFT + RIGHT) / inside[0], hspace=(BOTTOM + TOP) / inside[1],
    )  # fmt: skip
    for axes in figure.axes:
        axes.tick_params(length=0)
        axes.yaxis.set_label_coords(-LABELS[0] / inside[0], 0.5)
        axes.xaxis.set_label_coords(0.5, -LABELS[1] / inside[1])
