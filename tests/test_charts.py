"""A chart's numbers on disk, and that every kind of curve is drawn."""

import csv
import io
from itertools import pairwise
from unittest.mock import Mock

import numpy as np
import pytest
from ase import Atoms
from PIL import Image

from lisi_nb import palette, plots
from lisi_nb.charts import Chart, Curve, overlay, with_published
from lisi_nb.studies import interdiffusion
from lisi_nb.studies.interdiffusion import charts


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


def test_an_unknown_style_is_refused():
    with pytest.raises(ValueError, match="Did you mean 'points'"):
        Curve(np.zeros(1), np.zeros(1), style="point")


def test_a_figure_writes_one_file_for_each_chart(tmp_path):
    files = plots.draw([chart(), chart()]).to_csv(tmp_path / "figure")
    assert [file.name for file in files] == ["figure.csv", "figure-2.csv"]
    assert files[0].read_text() == chart().to_csv(tmp_path / "x.csv").read_text()


def rows_of(file):
    return list(csv.reader(file.open(newline="")))


def test_a_picture_of_atoms_writes_the_atoms_that_it_shows(tmp_path):
    atoms = Atoms("LiSi", [[1.0, 2.0, 30.0], [20.0, 4.5, -3.0]])
    header = ["symbol", "x (Å)", "y (Å)", "z (Å)"]
    rows = [["Li", "1", "2", "30"], ["Si", "20", "4.5", "-3"]]
    both = plots.side_view({"one": atoms, "other": atoms[1:]})
    atoms.positions += 100  # what is drawn stays
    first, second = both.to_csv(tmp_path / "both")
    assert (first.name, second.name) == ("both.csv", "both-2.csv")
    assert (rows_of(first), rows_of(second)) == ([header, *rows], [header, rows[1]])
    atoms.positions -= 100
    for values, kinds, written in (
        (np.array([-0.25, np.nan]), None, ["-0.25", "nan"]),
        (np.array([1, 0]), {"melt": "#000000", "crystal": "#ffffff"}, ["crystal", "melt"]),
    ):
        picture = plots.atoms_view(atoms, values=values, label="energy (eV)", kinds=kinds)
        (file,) = picture.to_csv(tmp_path / "coloured")
        assert rows_of(file) == [[*header, "energy (eV)"], *([*r, w] for r, w in zip(rows, written, strict=True))]
    (file,) = plots.atoms_view(atoms).to_csv(tmp_path / "plain")
    assert rows_of(file) == [header, *rows]
    (file,) = plots.slices({"cut": Atoms("Si3", [(0, 9, 0), (0, 0, 0), (3, -9, 0)])}).to_csv(tmp_path / "cut")
    assert [float(entry) for entry in rows_of(file)[1][1:]] == pytest.approx([-1, 0, 0])
    assert len(rows_of(file)) == 2


def test_published_values_are_drawn_at_their_place():
    drawn = with_published(chart(), np.array([0.5, 1.5]), np.array([3.0, 4.0]), "paper", np.array([0.1, 0.2]))
    axes = plots.draw([drawn]).axes[0]
    (line,) = [line for line in axes.lines if line.get_marker() == "D"]
    assert line.get_xydata().tolist() == [[0.5, 3.0], [1.5, 4.0]]
    assert "paper" in {t.get_text() for t in axes.get_legend().get_texts()}
    one = with_published(chart(), 1.0, 2.0, "paper")
    assert one.curves[-1].x.tolist() == [1.0]


def test_the_error_band_reaches_exactly_one_error_up_and_down():
    axes = plots.draw([chart()]).axes[0]
    band = axes.collections[0].get_paths()[0].vertices
    for x in (0.0, 1.0, 2.0):
        at = band[band[:, 0] == x, 1]
        assert (at.min(), at.max()) == pytest.approx((x**2 - 0.1, x**2 + 0.1))


def test_a_figure_brings_its_own_white_ground_for_dark_and_light_themes():
    picture = Image.open(io.BytesIO(plots.png(plots.draw([chart()])))).convert("RGBA")
    assert {picture.getpixel(at) for at in ((0, 0), (picture.width - 1, picture.height - 1))} == {(255,) * 4}


def run_charts(shift):
    x = np.arange(4.0)
    level = Curve(x[:2], np.ones(2), "limit", style="level")
    here = Curve(x[:2], np.full(2, shift), "start", style="level")
    times = [Curve(x, x + shift + k, f"{k} ps", shade=k / 2) for k in range(3)]
    fronts = (Curve(x, x + shift, "left", colour="Si"), Curve(x, -x, "right", colour="Li"))
    return Chart("profile", "z (Å)", "f", (*times, level, here)), Chart("fronts", "t (ps)", "d (Å)", fronts)


def test_an_overlay_keeps_the_last_time_tells_runs_by_colour_and_curves_by_dash():
    profile, fronts = overlay({"a": run_charts(0.0), "b": run_charts(10.0)})
    assert [c.label for c in profile.curves] == ["a, 2 ps", "b, 2 ps", "limit"]
    assert profile.curves[1].y.tolist() == [12.0, 13.0, 14.0, 15.0]
    assert [(c.label, c.colour, c.dash) for c in fronts.curves] == [
        ("a, left", palette.CYCLE[0], 0), ("a, right", palette.CYCLE[0], 1),
        ("b, left", palette.CYCLE[1], 0), ("b, right", palette.CYCLE[1], 1),
    ]  # fmt: skip
    assert (fronts.title, fronts.x_label, fronts.y_label) == ("fronts", "t (ps)", "d (Å)")
    assert len(plots.draw([profile, fronts]).axes[1].lines) == 4


def test_an_overlay_of_runs_with_different_charts_shows_all_of_them():
    a, b = run_charts(0.0)
    assert [c.title for c in overlay({"one": (a,), "two": (b,)})] == ["profile", "fronts"]
    assert overlay({}) == overlay({"one": ()}) == ()


def test_slices_share_one_scale_and_hold_only_what_is_cut():
    """Two structures about their centres of mass: only atoms within half the thickness are drawn."""
    flat = Atoms("Si2Li2", positions=[(0, 0, 0), (8, 0, 0), (4, 20, 0), (4, -20, 0)])
    flat.positions -= flat.get_center_of_mass()
    small = Atoms("Li2", positions=[(0, 0, -1), (0, 0, 1)])
    figure = plots.slices({"two Si": flat, "both Li": small}, thickness_A=6.0)
    drawn = [sum(len(c.get_offsets()) for c in axes.collections) for axes in figure.axes]
    assert drawn == [2, 2]
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["two Si", "both Li"]


def test_levels_differ_in_dash_and_numbers_along_x_do_not_touch():
    x = np.linspace(-1.8751, -1.6749, 50)
    levels = [Curve(x[[0, -1]], np.full(2, height), f"level {height}", style="level") for height in (1.0, 2.0)]
    figure = plots.draw([Chart("parity", "label (eV/atom)", "", (Curve(x, x, "many", style="dots"), *levels))] * 2)
    first, second, *_ = figure.axes[0].get_lines()[2:]
    assert first.get_linestyle() != second.get_linestyle()
    (mark, *_) = figure.axes[0].get_legend().get_lines()
    assert mark.get_markersize() >= 6
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].get_xticklabels() if text.get_text()]
    inside = [box for box in boxes if figure.axes[0].bbox.x0 - 20 < box.x0 < figure.axes[0].bbox.x1]
    assert len(inside) >= 3
    assert all(left.x1 < right.x0 for left, right in pairwise(inside))


def test_no_sphere_of_a_side_view_is_cut_by_its_frame():
    atoms = Atoms("LiSi", [[0.0, 0.0, 0.0], [9.0, 0.0, 30.0]])
    axes = plots.side_view({"two": atoms}).axes[0]
    assert axes.get_ylim()[0] <= -palette.RADII_A["Li"]
    assert axes.get_ylim()[1] >= 9 + palette.RADII_A["Si"]


def test_curves_of_a_study_differ_in_dash_too():
    """Nothing relies on colour alone."""
    run = np.arange(5.0)
    series = Mock(time_ps=run, left_A=-run, right_A=run, boundary_A=0.0, centres_A=run)
    series.si_per_A3 = series.li_per_A3 = np.ones((5, 5))
    results = {name: Mock(series=(series,)) for name in interdiffusion.INTERFACES}
    overlays = charts.fronts_overlay(results)
    for drawn in (charts.fronts_chart(series), charts.density_chart(series), *overlays):
        assert len({curve.dash for curve in drawn.curves}) == len(drawn.curves) >= 2
