"""g(r): against ASE's and an ideal gas, exact shells of a crystal, and a broadening that keeps norm and width."""

import numpy as np
import pytest
from ase import Atoms
from ase.geometry.rdf import get_rdf

from lisi_nb.analysis.pair_distribution import broadened, pair_distribution
from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.delithiated import delithiated


def width_at_half_maximum(x, y):
    """By linear interpolation on both flanks of a single peak."""
    top = y.argmax()
    left = np.interp(y[top] / 2, y[: top + 1], x[: top + 1])
    right = np.interp(-y[top] / 2, -y[top:], x[top:])
    return right - left


@pytest.mark.parametrize("fwhm", [0.1, 0.3, 1.0])
def test_broadening_keeps_the_norm_and_has_the_width_asked_for(fwhm):
    step = 0.01
    x = step * np.arange(1000)
    peak = np.where(np.arange(1000) == 500, 7.0, 0.0)
    wide = broadened(peak, step, fwhm)
    assert wide.sum() == pytest.approx(peak.sum(), rel=1e-12)
    assert width_at_half_maximum(x, wide) == pytest.approx(fwhm, rel=2e-3)
    assert x[wide.argmax()] == x[500]
    np.testing.assert_allclose(wide, wide[::-1][np.arange(1000) - 1], atol=1e-12)  # symmetric about the peak


def test_two_broadenings_add_their_widths_in_quadrature():
    y = np.where(np.arange(1000) == 500, 1.0, 0.0)
    twice = broadened(broadened(y, 0.01, 0.3), 0.01, 0.4)
    np.testing.assert_allclose(twice, broadened(y, 0.01, 0.5), atol=2e-6)


def test_partials_agree_with_ase():
    """ASE's own g(r) of a disordered cell, of each pair and of all."""
    atoms = delithiated(1.5, (2, 2, 2), seed=3)
    atoms.rattle(0.3, seed=1)
    found = pair_distribution([atoms], r_max_A=6.0, bin_A=0.1, fwhm_A=0.0, weights="number")
    for (a, b), ours in found.partials.items():
        theirs, r = get_rdf(atoms, 6.0, 60, elements=[a, b])
        np.testing.assert_allclose(ours, theirs, atol=1e-9)
        np.testing.assert_allclose(found.r_A, r)
    np.testing.assert_allclose(found.total, get_rdf(atoms, 6.0, 60)[0], atol=1e-9)
    assert set(found.partials) == {("Li", "Li"), ("Li", "Si"), ("Si", "Si")}


def test_an_ideal_gas_is_one_everywhere():
    rng = np.random.default_rng(0)
    frames = (
        Atoms("Li300Si200", scaled_positions=rng.random((500, 3)), cell=[25, 26, 27], pbc=True) for _ in range(20)
    )
    found = pair_distribution(frames, r_max_A=8.0, bin_A=0.1)
    far = found.r_A > 3
    volume, share = found.r_A[far] ** 2, 4 / 3 * np.pi * (8**3 - 3**3) / (25 * 26 * 27)
    for pair, one, other, itself in (("LiLi", 300, 150, 1 / 300), ("LiSi", 300, 200, 0), ("SiSi", 200, 100, 1 / 200)):
        scatter = 1 / np.sqrt(20 * one * other * share)  # of the number of pairs; an atom is not its own neighbour
        g = np.average(found.partials[pair[:2], pair[2:]][far], weights=volume)
        assert g == pytest.approx(1 - itself, abs=3 * scatter)
    assert found.n_frames == 20
    z = (found.total[far] - 1) / found.total_error[far]
    assert 0.5 < np.median(abs(z)) < 1.5  # the error bar is one


def test_shells_of_diamond_count_its_neighbours():
    """4, 12, 12 atoms at a sqrt(3)/4, a/sqrt(2), a sqrt(11)/4, from a cell narrower than the distance looked at."""
    si = crystal("Si")
    a = si.cell[0, 0]
    found = pair_distribution([si], r_max_A=5.0, bin_A=0.01, fwhm_A=0.0)
    density = len(si) / si.get_volume()
    per_bin = found.total * density * 4 / 3 * np.pi * np.diff((0.01 * np.arange(501)) ** 3)
    shells = np.flatnonzero(per_bin > 0.5)
    np.testing.assert_allclose(per_bin[shells], [4, 12, 12], rtol=1e-9)
    np.testing.assert_allclose(found.r_A[shells], [a * 3**0.5 / 4, a / 2**0.5, a * 11**0.5 / 4], atol=0.006)


def test_a_cell_a_supercell_and_a_skewed_cell_are_the_same_crystal():
    atoms = crystal("Li15Si4")
    skewed = atoms.copy()
    skewed.set_cell(
        atoms.cell.array @ np.eye(3) + np.outer([0, 1, 0], atoms.cell[0]) - np.outer([0, 0, 1], atoms.cell[1])
    )
    one, two, three = (pair_distribution([a]) for a in (atoms, atoms * (2, 1, 3), skewed))
    for other in (two, three):
        np.testing.assert_allclose(other.total, one.total, atol=1e-10)
        for pair, g in one.partials.items():
            np.testing.assert_allclose(other.partials[pair], g, atol=1e-10)


def test_a_peak_beyond_the_end_is_broadened_into_it():
    si = crystal("Si")
    long = pair_distribution([si], r_max_A=6.0)
    short = pair_distribution([si], r_max_A=3.8)  # the second shell is at 3.87
    np.testing.assert_allclose(short.total, long.total[: len(short.total)], atol=1e-12)
    assert short.total[-1] > 1


def test_one_pair_keeps_its_norm_and_is_as_wide_as_the_paper_says():
    dimer = Atoms("LiSi", positions=[(0, 0, 0), (3.01, 0, 0)], cell=[30, 30, 30], pbc=True)
    sharp, wide = (pair_distribution([dimer], r_max_A=9.0, fwhm_A=w).partials["Li", "Si"] for w in (0.0, 0.3))
    assert np.count_nonzero(sharp) == 1
    assert wide.sum() == pytest.approx(sharp.sum(), rel=1e-12)
    r = pair_distribution([dimer], r_max_A=9.0).r_A
    assert width_at_half_maximum(r, wide) == pytest.approx(0.3, rel=2e-3)
    assert r[wide.argmax()] == pytest.approx(3.01)


def test_mass_weights_favour_silicon():
    atoms = crystal("Li15Si4")
    mass, number = (pair_distribution([atoms], weights=w, r_max_A=6.0) for w in ("mass", "number"))
    c = np.array([60, 16]) * np.array([6.94, 28.085])
    c = c / c.sum()
    p = mass.partials
    expected = c[0] ** 2 * p["Li", "Li"] + 2 * c[0] * c[1] * p["Li", "Si"] + c[1] ** 2 * p["Si", "Si"]
    np.testing.assert_allclose(mass.total, expected, rtol=1e-3)
    assert not np.allclose(mass.total, number.total, atol=0.1)
    li_si = atoms.get_all_distances(mic=True)[np.ix_(atoms.numbers == 14, atoms.numbers == 3)]
    assert mass.peak_A(2.0, 3.2) == pytest.approx(li_si[li_si < 3.2].mean(), abs=0.05)


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([], {}, "no frames"),
        ([Atoms("Si", cell=[5, 5, 5])], {}, r"Frame 0 has pbc=\[False.*periodic in all directions"),
        ([crystal("Si"), crystal("Li")], {}, r"Frame 1 is Li2, not the atoms of the first frame"),
        ([crystal("Si")], {"bin_A": 0.2}, r"bin_A=0.2 Å is too wide .*fwhm_A=0.3"),
        ([crystal("Si")], {"weights": "charge"}, r"weights='charge' is not known. Allowed: mass, number"),
        ([crystal("Si")], {"r_max_A": 100.0}, r"r_max_A=100.0 Å is outside 1 to 18"),
    ],
)
def test_bad_input(frames, options, message):
    with pytest.raises(ValueError, match=message):
        pair_distribution(frames, **options)


def test_no_bin_between():
    with pytest.raises(ValueError, match=r"No bin lies between 20 and inf Å; g\(r\) goes from"):
        pair_distribution([crystal("Si")]).peak_A(20.0)
