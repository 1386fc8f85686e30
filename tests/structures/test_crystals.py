"""Crystals against the Materials Project cells they come from and geometry."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from ase.spacegroup import Spacegroup

from lisi_nb.structures.crystals import LI_RICH, NAMES, crystal

# name: atoms of each element in the conventional cell, volume per atom in A3 (Materials Project, PBE), space group.
# Volumes: Materials Project cells, as printed (two decimals); elements from 3.4268, 4.325, 5.4687 A.
TABLE = {
    "Li": (2, 0, 3.4268**3 / 2, 229),
    "Li_fcc": (4, 0, 4.325**3 / 4, 225),
    "Si": (0, 8, 5.4687**3 / 8, 227),
    "LiSi": (16, 16, 15.61, 88),
    "Li12Si7": (96, 56, 15.76, 62),
    "Li7Si3": (42, 18, 14.93, None),  # ordered form of R-3m; its own group, P3_212, is what it is built from
    "Li13Si4": (26, 8, 15.42, 55),
    "Li15Si4": (60, 16, 15.52, 220),
    "Li17Si4": (340, 80, 18.71**3 / 420, 216),
    "Li21Si5": (336, 80, 18.71**3 / 416, 216),
    "Li22Si5": (352, 80, 18.71**3 / 432, 216),
}
# Coordination in the Zintl phases: Si-Si within 2.7 A, Si around Li within 3.5 A.
ZINTL = {
    "LiSi": (3.0, 8.0),
    "Li12Si7": (1.857, 5.13),
    "Li7Si3": (1.0, 5.14),
    "Li13Si4": (0.5, 3.69),
    "Li15Si4": (0.0, 3.2),
}


def test_every_crystal_is_in_the_table():
    assert {*NAMES, *LI_RICH} == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_counts_and_volume(name):
    atoms = crystal(name)
    n_li, n_si, volume_A3, _ = TABLE[name]
    symbols = atoms.get_chemical_symbols()
    assert (symbols.count("Li"), symbols.count("Si")) == (n_li, n_si)
    assert atoms.pbc.all()
    assert atoms.get_volume() / len(atoms) == pytest.approx(volume_A3, abs=0.005)  # the table has two decimals


@pytest.mark.parametrize(
    ("name", "factor", "neighbours"), [("Li", 3**0.5 / 2, 8), ("Li_fcc", 0.5**0.5, 12), ("Si", 3**0.5 / 4, 4)]
)
def test_nearest_neighbours_of_the_elements(name, factor, neighbours):
    for lattice_A in (None, 5.0):
        atoms = crystal(name, lattice_A)
        nearest = factor * atoms.cell[0, 0]
        assert lattice_A is None or atoms.cell[0, 0] == pytest.approx(lattice_A)
        distances = neighbor_list("d", atoms, nearest * 1.01)
        np.testing.assert_allclose(distances, nearest)
        assert len(distances) == neighbours * len(atoms)


@pytest.mark.parametrize("name", ZINTL)
def test_zintl_coordination(name):
    atoms = crystal(name)
    is_si = atoms.numbers == 14
    i, j, d = neighbor_list("ijd", atoms, 3.5)
    si_si = (is_si[i] & is_si[j] & (d < 2.7)).sum() / is_si.sum()
    li_si = (~is_si[i] & is_si[j]).sum() / (~is_si).sum()
    assert (si_si, li_si) == pytest.approx(ZINTL[name], abs=0.006)  # printed with two or three decimals
    assert d.min() > 2.2


@pytest.mark.parametrize("name", LI_RICH)
def test_lithium_rich_superstructure(name):
    """No Si touches an Si (4.41 A in ideal coordinates); every site is a bcc site; the symmetry is F-43m."""
    atoms = crystal(name)
    is_si = atoms.numbers == 14
    i, j, d = neighbor_list("ijd", atoms, 4.6)
    assert d[is_si[i] & is_si[j]].min() == pytest.approx(2 * 2**0.5 / 12 * 18.71)
    assert d.min() == pytest.approx(3**0.5 / 12 * 18.71)
    twelfths = atoms.get_scaled_positions() * 12
    whole = np.round(twelfths)
    np.testing.assert_allclose(twelfths, whole, atol=1e-9)
    assert (whole.astype(int) % 2 == whole.astype(int)[:, :1] % 2).all()
    sites = {(*s.astype(int) % 12, z) for s, z in zip(whole, atoms.numbers, strict=True)}
    assert len(sites) == len(atoms)
    for operation, shift in Spacegroup(216).get_symop():
        moved = {(*(operation @ s + 12 * shift).astype(int) % 12, z) for *s, z in sites}
        assert moved == sites


def test_lithium_rich_phases_differ_by_the_fourfold_sites():
    """Each of 4a, 4b, 4c, 4d holds 4 Li in Li22Si5; Li21Si5 has none of them and Li17Si4 the one at the origin."""

    def li(name):
        atoms = crystal(name)
        return {tuple(s) for s in np.round(atoms[atoms.numbers == 3].get_scaled_positions() * 12).astype(int) % 12}

    assert li("Li21Si5") < li("Li17Si4") < li("Li22Si5")
    assert li("Li17Si4") - li("Li21Si5") == {(0, 0, 0), (0, 6, 6), (6, 0, 6), (6, 6, 0)}
    assert len(li("Li22Si5") - li("Li21Si5")) == 16


def test_bad_input():
    with pytest.raises(ValueError, match=r"Allowed: Li, .*Did you mean 'Li15Si4'"):
        crystal("LI15Si4")
    with pytest.raises(ValueError, match="set_cell"):
        crystal("LiSi", 9.0)
