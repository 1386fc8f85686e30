"""Pictures that are drawn again and again show what the pictures that stay show, and cost little."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from lisi_nb import palette, plots
from lisi_nb.charts import Chart, Curve
from lisi_nb.studies import interdiffusion
from lisi_nb.widgets import reading
from lisi_nb.widgets.sketch import Sketch, drawn

SIZE = (4.5, 2.6, 2)


def charts(n=100, labels=("left front", "right front")):
    """Four charts whose numbers are as long as those of runs."""
    x = np.linspace(0, 20, n)
    curves = tuple(Curve(x, np.cos(x + k), label, dash=k) for k, label in enumerate(labels))
    shades = tuple(Curve(x, k + x, f"{k} ps", shade=k / 8) for k in range(9))
    return (
        Chart("Fronts", "time (ps)", "displacement (Å)", curves),
        Chart("Profile", "z (Å)", "N_Li / (N_Li + N_Si)", shades),
        Chart("Potential energy", "time (ps)", "E (eV/atom)", (Curve(x, -3.8715 + 1e-3 * np.sin(x)),)),
        Chart("Errors", "x", "y", (Curve(x[:3], x[:3], "three", 0.1 * np.ones(3), "points"),), ("a", "b", "c")),
    )


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_nothing_of_the_picture_before_is_left():
    used = Sketch()
    for before in (charts(30, ("one", "two", "three")), charts(7, ("other",)), charts()[:2], charts()):
        used.png(before, SIZE)
    assert used.png(charts(50, ("last",)), SIZE) == Sketch().png(charts(50, ("last",)), SIZE)


def test_words_and_curves_are_those_of_the_picture_that_stays_and_none_is_cut():
    one = Sketch()
    one.png(charts(), SIZE)
    figure, still = one._figure, plots.draw(charts(), *SIZE)
    for axes, expected in zip(figure.axes, still.axes, strict=True):
        for words in ("get_title", "get_xlabel", "get_ylabel"):
            assert getattr(axes, words)() == getattr(expected, words)()
        legends = [a.get_legend() and [t.get_text() for t in a.get_legend().get_texts()] for a in (axes, expected)]
        assert legends[0] == legends[1]
        assert axes.viewLim.get_points() == pytest.approx(expected.viewLim.get_points())
        for line, other in zip(axes.lines, expected.lines, strict=True):
            np.testing.assert_array_equal(line.get_xydata(), other.get_xydata())
            assert (line.get_color(), line.get_linestyle()) == (other.get_color(), other.get_linestyle())
        reach = axes.get_tightbbox()
        assert reach.x0 >= 0
        assert reach.y0 >= 0
        assert reach.x1 <= figure.bbox.x1
        assert reach.y1 <= figure.bbox.y1
        label, numbers = axes.yaxis.label.get_window_extent(), axes.yaxis.get_ticklabels()
        assert all(label.x1 <= text.get_window_extent().x0 for text in numbers if text.get_text()), "they overlap"


def test_colours_are_those_of_the_picture_that_stays():
    quick, still = pixels(drawn(charts(), SIZE, Sketch())), pixels(drawn(charts(), SIZE))
    assert quick.shape == still.shape
    for colour in palette.CYCLE[:2]:
        seen = [
            (np.abs(image - np.multiply(255, palette.rgb(colour))).max(axis=2) < 12).sum() for image in (quick, still)
        ]
        assert 0.5 * seen[1] < seen[0] < 2 * seen[1]
        assert seen[0] > 30


def test_it_costs_less_than_a_third_of_the_picture_that_stays(smoke_run):
    made = (*interdiffusion.live(smoke_run), *reading.charts(reading.physics(smoke_run)))
    assert len(made) == 4
    one = Sketch()
    one.png(made, SIZE)

    def cost_s(by):
        before = time.thread_time()
        drawn(made, SIZE, by)
        return time.thread_time() - before

    quick_s, still_s = (min(cost_s(by) for _ in range(5)) for by in (one, None))
    print(f"{1e3 * quick_s:.0f} ms, the picture that stays {1e3 * still_s:.0f} ms, of CPU")
    assert quick_s < still_s / 3
