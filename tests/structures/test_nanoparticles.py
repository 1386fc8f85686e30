"""Particles: counts, roundness, what lies outside; removal from the outside; the paper's sizes."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.delithiated import delithiated
from lisi_nb.structures.interfaces import closest_pair
from lisi_nb.structures.nanoparticles import boxed, remove_outermost_li, sphere, sphere_of


def n_of(atoms) -> tuple[int, int]:
    return int((atoms.numbers == 3).sum()), int((atoms.numbers == 14).sum())


@pytest.mark.parametrize("name", ["Li15Si4", "Li12Si7", "Li7Si3", "Si"])  # cubic, orthorhombic, hexagonal
@pytest.mark.parametrize("diameter", [30.0, 41.5])
def test_a_sphere_holds_its_volume_and_nothing_else(name, diameter):
    bulk = crystal(name)
    atoms = sphere(bulk, diameter, 12.0)
    expected = np.pi / 6 * diameter**3 * len(bulk) / bulk.get_volume()
    assert len(atoms) == pytest.approx(expected, rel=0.03)
    centre = atoms.cell.lengths() / 2
    distance = np.linalg.norm(atoms.positions - centre, axis=1)
    assert distance.max() < diameter / 2 + 1.0  # the box is centred on the extent, the sphere on the cell
    assert not atoms.pbc.any()
    assert atoms.positions.min() >= 12.0 - 1e-9
    assert (atoms.cell.lengths() - atoms.positions.max(axis=0)).min() >= 12.0 - 1e-9
    assert closest_pair(atoms)[1] == pytest.approx(neighbor_list("d", bulk, 3.0).min(), abs=1e-6)
    assert (np.diff(atoms.numbers) >= 0).all()


def test_a_sphere_is_cut_from_the_bulk_without_holes():
    """Every atom's neighbours within 3 A in the bulk are there, unless they lie outside."""
    bulk = crystal("Li15Si4")
    atoms = sphere(bulk, 32.0)
    big = bulk * (7, 7, 7)
    r = big.positions - big.cell.array.sum(axis=0) / 2
    expected = r[np.linalg.norm(r, axis=1) <= 16.0]
    found = atoms.positions - atoms.positions.mean(axis=0)
    expected = expected - expected.mean(axis=0)
    assert len(found) == len(expected)
    np.testing.assert_allclose(
        sorted(map(tuple, found.round(6) + 0.0)), sorted(map(tuple, expected.round(6) + 0.0)), atol=2e-6
    )


def test_paper_scale_from_the_crystal():
    """Li9429Si2571 from c-Li15Si4: 12 000 atoms, 7.1 nm."""
    atoms = sphere_of(crystal("Li15Si4"), 9429, 2571)
    assert n_of(atoms) == (9429, 2571)
    distance = np.linalg.norm(atoms.positions - atoms.get_center_of_mass(), axis=1)
    si = atoms.numbers == 14
    assert 2 * distance.max() == pytest.approx(71.0, abs=1.5)
    assert abs(distance[si].max() - distance[~si].max()) < 1.0
    assert closest_pair(atoms)[1] > 2.4


def test_paper_scale_from_li225si():
    """Li8310Si3690 from a cell of Li2.25Si."""
    bulk = delithiated(2.25, (3, 3, 3), 1)
    atoms = sphere_of(bulk, 8310, 3690)
    assert n_of(atoms) == (8310, 3690)
    assert closest_pair(atoms)[1] == pytest.approx(closest_pair(bulk)[1], abs=1e-6)


def test_the_outermost_lithium_goes():
    atoms = sphere(crystal("Li15Si4"), 30.0)
    distance = np.linalg.norm(atoms.positions - atoms.get_center_of_mass(), axis=1)
    li = atoms.numbers == 3
    left = remove_outermost_li(atoms, 60)
    assert n_of(left) == (n_of(atoms)[0] - 60, n_of(atoms)[1])
    limit = np.sort(distance[li])[-60]
    kept = ~li | (distance < limit)
    assert abs(kept.sum() - len(left)) <= 24  # atoms of one distance: any of them may go
    there = {tuple(p) for p in left.positions.round(6)}
    assert all(tuple(p) in there for p in atoms.positions[kept].round(6))
    np.testing.assert_allclose(left.cell.array, atoms.cell.array)
    assert n_of(remove_outermost_li(atoms, n_of(atoms)[0])) == (0, n_of(atoms)[1])


def test_a_chain_of_removals_is_one_removal_when_the_centre_stays():
    """On a rigid, symmetric particle: 3 x 20 gives the distances that 60 at once gives, up to the moving centre."""
    atoms = sphere(crystal("Li15Si4"), 30.0)
    steps = atoms
    for _ in range(3):
        steps = remove_outermost_li(steps, 20)
    once = remove_outermost_li(atoms, 60)
    common = {tuple(p) for p in steps.positions.round(6)} & {tuple(p) for p in once.positions.round(6)}
    assert len(common) > len(once) - 24


def test_bad_input():
    bulk = crystal("Li15Si4")
    with pytest.raises(
        ValueError, match=r"diameter_A=8\.0 Å is outside 10\.566 to 500 Å\. A particle holds at least one cell"
    ):
        sphere(bulk, 8.0)
    with pytest.raises(ValueError, match=r"smaller than one cell of the bulk \(10\.6 Å\)\. Ask for more atoms"):
        sphere_of(bulk, 15, 4)
    with pytest.raises(ValueError, match=r"x = 1\.00, too far from the bulk's x = 3\.75"):
        sphere_of(bulk, 3000, 3000)
    with pytest.raises(ValueError, match=r"x = 3\.75, too far from the bulk's x = 0\.00"):
        sphere_of(crystal("Si"), 3000, 800)
    slab = bulk.copy()
    slab.pbc = (True, True, False)
    with pytest.raises(ValueError, match=r"pbc=\[True, True, False\]: a particle is cut from a bulk that is periodic"):
        sphere(slab, 30.0)
    particle = sphere(bulk, 20.0)
    n_li = n_of(particle)[0]
    with pytest.raises(ValueError, match=f"n={n_li + 1} Li is outside 1 to {n_li} Li. The particle has {n_li} Li"):
        remove_outermost_li(particle, n_li + 1)
    with pytest.raises(ValueError, match="n=0 Li is outside"):
        remove_outermost_li(particle, 0)
    with pytest.raises(ValueError, match=r"n=1 Li .*The particle has 0 Li"):
        remove_outermost_li(Atoms("Si2", [[0, 0, 0], [2, 0, 0]]), 1)
    with pytest.raises(ValueError, match="vacuum_A=1 Å is outside"):
        boxed(particle, 1)
