"""Colours are told apart by people with each kind of colour blindness, and words are legible on light and dark."""

from itertools import combinations

import numpy as np
import pytest

from lisi_nb import palette

# Full colour blindness in linear RGB: Machado, Oliveira, Fernandes, IEEE TVCG 15 (2009) 1291, table for severity 1.
SEEN = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = TO_XYZ.sum(axis=1)


def linear(colour):
    c = np.array(palette.rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIE L*a*b* of linear RGB."""
    t = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(a, b, seen):
    return float(np.linalg.norm(lab(np.array(SEEN[seen]) @ linear(a)) - lab(np.array(SEEN[seen]) @ linear(b))))


def contrast(a, b):
    """Of two colours by WCAG 2."""
    bright, dark = sorted((float(TO_XYZ[1] @ linear(c)) + 0.05 for c in (a, b)), reverse=True)
    return bright / dark


def test_the_measures_are_right():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert lab(np.ones(3)) == pytest.approx([100, 0, 0], abs=0.01)
    assert distance("#ff0000", "#6d6d00", "deutan") < 0.5 * distance("#ff0000", "#6d6d00", "normal")


@pytest.mark.parametrize("seen", SEEN)
def test_curves_next_to_each_other_and_the_two_elements_differ(seen):
    for a, b in combinations(palette.CYCLE[:4], 2):
        assert distance(a, b, seen) > 10, (a, b)  # 2.3 is just noticeable
    assert distance(palette.COLOURS["Li"], palette.COLOURS["Si"], seen) > 20
    lights = [palette.LIGHTS[name] for name in ("green", "amber", "red")]
    assert min(distance(a, b, seen) for a, b in combinations(lights, 2)) > 10


@pytest.mark.parametrize("seen", SEEN)
def test_crystal_phases_differ(seen):
    for a, b in combinations(palette.PHASES.values(), 2):
        assert distance(a, b, seen) > 10, (a, b)


@pytest.mark.parametrize("phase", palette.PHASES)
def test_crystal_phases_are_seen_before_the_black_of_ovito(phase):
    assert contrast(palette.PHASES[phase], "#000000") >= 3


@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])  # JupyterLab, light and dark
def test_words_in_colour_are_legible_on_both_themes(ground):
    assert contrast(palette.ERROR, ground) >= 3
    assert contrast(palette.ACCENT, ground) >= 3


def test_every_element_with_a_colour_has_a_radius():
    assert set(palette.RADII_A) == set(palette.COLOURS) - {"paper"}
    assert len(set(palette.COLOURS.values())) == len(palette.COLOURS)
