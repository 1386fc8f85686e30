"""Shells of equal volume and the surface, on spheres whose content is known."""

import math

import numpy as np
import pytest

from lisi_nb.analysis.shells import particle_radius_A, radial_shells, surface_atoms, surface_li_fraction
from lisi_nb.structures.crystals import crystal

LI, SI = 6.94, 28.085


def even_ball(n: int, radius: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    way = rng.normal(size=(n, 3))
    return way / np.linalg.norm(way, axis=1)[:, None] * radius * np.cbrt(rng.random((n, 1)))


def cut(name: str, radius: float) -> tuple[np.ndarray, np.ndarray]:
    atoms = crystal(name) * (6, 6, 6)
    r = atoms.positions - atoms.positions.mean(axis=0)
    inside = np.linalg.norm(r, axis=1) < radius
    return r[inside], atoms.numbers[inside] == 14


def test_shells_have_equal_volumes_and_an_even_ball_fills_them_evenly():
    frames = [even_ball(4000, 20.0, k) for k in range(20)]
    is_si = np.arange(4000) % 5 == 0
    found = radial_shells(frames, is_si, n_shells=8, radius_A=20.0)
    np.testing.assert_allclose(np.diff(found.edges_A**3), 20.0**3 / 8)
    np.testing.assert_allclose(found.middle_A**3, (np.arange(8) + 0.5) * 1000)
    # 500 atoms in each shell and frame, 20 frames: 1 %, four of those; x = 4: 100 Si, 2.5 %.
    np.testing.assert_allclose((found.n_li + found.n_si)[:-1], 500, rtol=0.04)
    np.testing.assert_allclose(found.x, 4.0, rtol=0.1)
    assert found.n_li.sum() + found.n_si.sum() + found.outside_li + found.outside_si == pytest.approx(4000)
    density = (3200 * LI + 800 * SI) / (4 / 3 * math.pi * 8000) * 1.66053907
    np.testing.assert_allclose(found.density_g_cm3[:-1], density, rtol=0.08)
    assert (np.abs(found.x - 4.0) < 6 * found.x_error).all()
    assert found.n_frames == 20
    # The centre of mass is not the centre of the ball: a few atoms stick out by its scatter of 0.2 A.
    assert found.outside_li + found.outside_si < 0.03 * 4000


def test_errors_cover_as_often_as_they_say():
    """400 shells of even balls: |x - truth| < 2.78 errors (Student, 4 degrees) in 95 %; +-1.1 %, four of those.

    A ratio of counts and the shifted centre cost a little.
    """
    inside = []
    for seed in range(80):
        frames = [even_ball(1000, 15.0, 1000 * seed + k) for k in range(20)]
        found = radial_shells(frames, np.arange(1000) % 4 == 0, n_shells=5, radius_A=15.0)
        inside += (np.abs(found.x - 3.0) < 2.78 * found.x_error).tolist()
    assert np.mean(inside) == pytest.approx(0.95, abs=0.05)


def test_against_a_naive_loop():
    rng = np.random.default_rng(5)
    frames = [even_ball(200, 9.0, k) for k in (1, 2)]
    is_si = rng.random(200) < 0.4
    found = radial_shells(frames, is_si, n_shells=4)
    li, si, bonds, outside = np.zeros(4), np.zeros(4), np.zeros(4), 0
    masses = np.where(is_si, SI, LI)
    for number, frame in enumerate(frames):
        r = frame - (masses[:, None] * frame).sum(axis=0) / masses.sum()
        distance = np.sqrt((r**2).sum(axis=1))
        if number == 0:
            R = 2 ** (1 / 3) * np.median(distance)
            assert found.radius_A == pytest.approx(R)
        for i in range(200):
            shell = int(4 * (distance[i] / R) ** 3)
            if shell >= 4:
                outside += 1
            elif is_si[i]:
                si[shell] += 1
                bonds[shell] += sum(1 for j in range(200) if j != i and is_si[j] and np.linalg.norm(r[i] - r[j]) <= 2.7)
            else:
                li[shell] += 1
    np.testing.assert_allclose(found.n_li, li / 2)
    np.testing.assert_allclose(found.x, li / si)
    np.testing.assert_allclose(found.coordination, bonds / si)
    assert found.outside_li + found.outside_si == outside / 2
    assert np.isnan(found.x_error).all()  # two frames give no error


def test_silicon_core_in_a_lithium_shell():
    r, is_si = cut("Si", 18.0)
    core = np.linalg.norm(r, axis=1) < 9.0
    r, is_si = r - r[core].mean(axis=0), core
    found = radial_shells([r] * 10, is_si, n_shells=8, radius_A=18.0)
    assert found.x[0] == 0
    assert np.isnan(found.x[-1])  # no silicon there
    assert found.n_si[1:].sum() < 0.1 * found.n_si[0]
    assert found.coordination[0] == pytest.approx(3.4, abs=0.5)  # 4 inside, fewer at the face of the core
    assert found.coordination_error[0] == 0
    assert particle_radius_A(r, is_si) == pytest.approx(18.0, abs=0.6)


def test_lost_atoms_do_not_move_the_radius():
    r, is_si = cut("Li15Si4", 15.0)
    before = particle_radius_A(r, is_si)
    lost = int(np.flatnonzero(~is_si)[0])
    r[lost] = [300.0, 0, 0]
    assert particle_radius_A(r, is_si) == pytest.approx(before, abs=0.4)


def test_surface_of_a_crystal_sphere_is_a_skin():
    r, _ = cut("Li15Si4", 17.0)
    skin = surface_atoms(r)
    distance = np.linalg.norm(r, axis=1)
    assert not skin[distance < 17.0 - 4.5].any()
    assert skin[distance > 17.0 - 0.5].all()
    # An atom that touches the probe is one whose probe sphere is not covered: tested by hand for a few.
    rng = np.random.default_rng(0)
    way = rng.normal(size=(4000, 3))
    way /= np.linalg.norm(way, axis=1)[:, None]
    for atom in [*np.flatnonzero(skin)[:3], *np.flatnonzero(~skin)[-3:]]:
        points = r[atom] + 3.0 * way
        nearest = np.array(
            [np.linalg.norm(np.delete(r, atom, axis=0) - p, axis=1).min() for p in points[:: 1 if skin[atom] else 20]]
        )
        assert (nearest > 3.0).any() == skin[atom]


@pytest.mark.parametrize("name", ["Si", "Li", "LiSi", "Li12Si7", "Li7Si3", "Li13Si4", "Li15Si4"])
def test_the_probe_finds_no_surface_inside_a_crystal(name):
    radius = 10.0 if name == "Li" else 15.0
    r, _ = cut(name, radius)
    inside = np.linalg.norm(r, axis=1) < radius - 6.0
    assert inside.sum() > 5
    assert not surface_atoms(r)[inside].any()


def test_lithium_coat():
    r, is_si = cut("Li15Si4", 14.0)
    painted = is_si & (np.linalg.norm(r, axis=1) < 9.0)
    assert surface_li_fraction([r] * 10, painted).value == 1
    mixed = surface_li_fraction([r] * 10, is_si)
    assert (mixed.value, mixed.error) == ((~is_si[surface_atoms(r)]).mean(), 0)


def test_bad_input():
    r = even_ball(50, 5.0, 1)
    for is_si, what in ((np.zeros(50, bool), "Li"), (np.ones(50, bool), "Si")):
        with pytest.raises(ValueError, match=f"All 50 atoms are {what}: a composition profile needs both"):
            radial_shells([r], is_si)
    half = np.arange(50) < 25
    with pytest.raises(ValueError, match="There are no frames"):
        radial_shells([], half)
    with pytest.raises(ValueError, match=r"Frame 1 has shape \(49, 3\)"):
        radial_shells([r, r[1:]], half)
    with pytest.raises(ValueError, match="n_shells=0"):
        radial_shells([r], half, n_shells=0)
    with pytest.raises(ValueError, match=r"probe_A=0\.5 Å is outside"):
        surface_atoms(r, 0.5)
