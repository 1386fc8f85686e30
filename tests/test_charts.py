"""A chart's numbers on disk, and that every kind of curve is drawn."""

import csv

import numpy as np

from lisi_nb import plots
from lisi_nb.charts import Chart, Curve


def chart() -> Chart:
    x = np.array([0.0, 1.0, 2.0])
    return Chart(
        "title",
        "z (Å)",
        "n (1)",
        (
            Curve(x, x**2, "line", error=0.1 * np.ones(3)),
            Curve(x, -x, "points, with a comma", style="points", error=np.ones(3)),
            Curve(x[:2], np.array([np.nan, 0.5]), "level", style="level"),
            Curve(x, x, "shaded", shade=0.5),
        ),
    )


def test_csv_holds_the_numbers_behind_the_figure(tmp_path):
    path = chart().to_csv(tmp_path / "figure.csv")
    header, *rows = csv.reader(path.open(newline=""))
    assert header == ["curve", "z (Å)", "n (1)", "error"]
    back = {c.label: [[float(v) for v in r[1:]] for r in rows if r[0] == c.label] for c in chart().curves}
    for curve in chart().curves:
        error = curve.error if curve.error is not None else np.full(len(curve.x), np.nan)
        np.testing.assert_allclose(back[curve.label], np.column_stack([curve.x, curve.y, error]), rtol=1e-5)


def test_draw_puts_every_curve_and_label_on_the_axes():
    figure = plots.draw([chart(), chart()])
    assert len(figure.axes) == 2
    axes = figure.axes[0]
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("title", "z (Å)", "n (1)")
    assert {t.get_text() for t in axes.get_legend().get_texts()} == {c.label for c in chart().curves}
    assert plots.png(figure).startswith(b"\x89PNG")


def test_draw_nothing():
    assert plots.png(plots.draw([])).startswith(b"\x89PNG")
