"""Silicon slabs and interfaces: exact counts of the paper, surface bonding, strain, vacuum, report, bad input."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from lisi_nb import potentials
from lisi_nb.structures.interfaces import (
    BOTTOM_TAG,
    FACETS,
    closest_pair,
    construction_report,
    facet_cell_A,
    interface,
    silicon_slab,
)
from lisi_nb.structures.packing import random_packing
from lisi_nb.studies.interdiffusion import scaled

A = 5.4687  # PBE lattice parameter, A
BOND_A = A * 3**0.5 / 4
SECOND_A = A / 2**0.5  # second neighbours in diamond
# Fu et al.: wanted thickness; Si atoms and in-plane cell of the full-size model; layers.
PAPER = {
    "100": (65.6, 1536, (21.87, 21.87), 48),
    "110": (61.9, 1536, (21.87, 23.20), 32),
    "111": (64.7, 1476, (23.20, 20.09), 41),
}


def neighbours(atoms: Atoms) -> np.ndarray:
    """Bonds per atom, by ASE."""
    return np.bincount(neighbor_list("i", atoms, 0.5 * (BOND_A + SECOND_A)), minlength=len(atoms))


def lithium_on(slab: Atoms, n: int = 40, seed: int = 1) -> Atoms:
    x, y = slab.cell.lengths()[:2]
    return random_packing(["Li"] * n, (float(x), float(y), n * 22.4 / (x * y)), seed)


@pytest.mark.parametrize("facet", FACETS)
def test_full_size_slab_is_the_papers(facet):
    thickness, n_si, cell, n_layers = PAPER[facet]
    slab = silicon_slab(facet, 21.9, thickness)
    assert len(slab) == n_si
    np.testing.assert_allclose(slab.cell.lengths()[:2], cell, atol=0.011)  # the paper's geometry is known to 0.01 A
    assert len(np.unique(slab.positions[:, 2].round(2))) == n_layers


@pytest.mark.parametrize("facet", FACETS)
@pytest.mark.parametrize(("lateral", "thickness"), [(8.0, 12.0), (12.3, 19.7), (16.0, 23.1)])
def test_inside_of_a_slab_is_diamond_and_the_surface_has_the_right_dangling_bonds(facet, lateral, thickness):
    slab = silicon_slab(facet, lateral, thickness)
    z, bonds = slab.positions[:, 2], neighbours(slab)
    inside = (z > 0.6 * A) & (z < z.max() - 0.6 * A)
    assert (bonds[inside] == 4).all()
    # Ideal diamond surfaces: two dangling bonds per (100) atom, one per (110) and per (111) atom.
    top = z > z.max() - 0.05
    assert (bonds[top] == {"100": 2, "110": 3, "111": 3}[facet]).all()
    distances = neighbor_list("d", slab, 0.5 * (BOND_A + SECOND_A))
    np.testing.assert_allclose(distances, BOND_A, atol=1e-3)
    # Density of the slab as cut is that of the crystal: 8 atoms per a^3, whatever the rounding.
    assert len(slab) / slab.get_volume() == pytest.approx(8 / A**3, rel=1e-6)
    assert slab.pbc.tolist() == [True, True, False]


@pytest.mark.parametrize("thickness", np.arange(9.0, 22.0, 1.1).round(1))
def test_111_always_ends_on_a_full_bilayer(thickness):
    slab = silicon_slab("111", 8.0, float(thickness))
    z = slab.positions[:, 2]
    assert (neighbours(slab)[z > z.max() - 0.05] == 3).all()
    levels = np.unique(z.round(2))
    assert levels[-1] - levels[-2] == pytest.approx(A * 3**0.5 / 12, abs=0.02)  # the narrow gap lies below the top
    assert abs(len(levels) - thickness / (A * 3**0.5 / 6)) <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("facet", "cell"),
    [
        ("100", (A, A, A / 4)),
        ("110", (A, A / 2**0.5, A * 2**0.5 / 4)),
        ("111", (A / 2**0.5, A * 1.5**0.5, A * 3**0.5 / 6)),
    ],
)
def test_facet_cell(facet, cell):
    assert facet_cell_A(facet, A) == pytest.approx(cell)


def test_other_lattice_parameter_scales_everything():
    one, two = silicon_slab("110", 12.0, 15.0, 5.0), silicon_slab("110", 12.0 * 1.1, 15.0 * 1.1, 5.5)
    np.testing.assert_allclose(two.positions, 1.1 * one.positions, atol=1e-6)
    np.testing.assert_allclose(two.cell.array, 1.1 * one.cell.array, atol=1e-6)


@pytest.mark.parametrize("facet", FACETS)
def test_interface_gap_vacuum_order_and_bottom(facet):
    slab = silicon_slab(facet, 12.0, 20.0)
    lithium = lithium_on(slab)
    atoms = interface(slab, lithium, gap_A=2.7, vacuum_A=17.0)
    n, z = len(slab), atoms.positions[:, 2]
    assert atoms.get_chemical_symbols() == ["Si"] * n + ["Li"] * 40
    assert z[:n].min() == pytest.approx(0)
    assert z[n:].min() - z[:n].max() == pytest.approx(2.7)
    assert atoms.cell[2, 2] - z.max() == pytest.approx(17.0)
    assert atoms.pbc.tolist() == [True, True, False]
    # Rigid placement: nothing moved within either side.
    np.testing.assert_allclose(np.diff(z[:n]), np.diff(slab.positions[:, 2]), atol=1e-9)
    np.testing.assert_allclose(np.diff(z[n:]), np.diff(lithium.positions[:, 2]), atol=1e-9)
    tagged = atoms.get_tags() == BOTTOM_TAG
    two_lowest = np.unique(slab.positions[:, 2].round(2))[:2]
    np.testing.assert_array_equal(tagged[:n], slab.positions[:, 2] < two_lowest[1] + 0.05)
    assert not tagged[n:].any()


def test_no_vacuum_makes_a_second_interface():
    slab = silicon_slab("100", 12.0, 12.0)
    atoms = interface(slab, lithium_on(slab), gap_A=2.5, vacuum_A=0.0)
    assert atoms.pbc.all()
    assert atoms.cell[2, 2] - atoms.positions[:, 2].max() == pytest.approx(2.5)


def test_amorphous_bottom_is_three_angstrom():
    slab = random_packing(["Si"] * 60, (10.9, 10.9, 11.0), 1)
    atoms = interface(slab, lithium_on(slab), vacuum_A=10.0)
    expected = (atoms.positions[:, 2] <= 3.0) & (atoms.numbers == 14)
    np.testing.assert_array_equal(atoms.get_tags() == BOTTOM_TAG, expected)
    assert 0 < expected.sum() < 30


@pytest.mark.parametrize("strain", [-3.0, 0.0, 2.0])
def test_strain_stretches_x_and_y_only(strain):
    slab = silicon_slab("110", 12.0, 12.0)
    lithium = lithium_on(slab)
    relaxed, strained = (interface(slab, lithium, strain_percent=s) for s in (0.0, strain))
    scale = np.array([1 + strain / 100] * 2 + [1.0])
    np.testing.assert_allclose(strained.cell.lengths(), relaxed.cell.lengths() * scale)
    np.testing.assert_allclose(strained.positions, relaxed.positions * scale)


def test_report_against_direct_computation():
    slab = silicon_slab("100", 12.0, 12.0)
    atoms = interface(slab, lithium_on(slab), vacuum_A=15.0, strain_percent=1.0)
    report = construction_report(atoms, strain_percent=1.0, vacuum_A=15.0)
    x, y, height = atoms.cell.lengths()
    assert (report.n_si, report.n_li, report.n_bottom) == (len(slab), 40, (atoms.get_tags() == BOTTOM_TAG).sum())
    assert report.cell_A == pytest.approx((x, y, height))
    # Closest pair: every pair and every in-plane image, one by one.
    best = min(
        (np.linalg.norm(a.position - b.position + [i * x, j * y, 0]), "-".join(sorted((a.symbol, b.symbol))))
        for a in atoms
        for b in atoms
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
        if a.index != b.index or i or j
    )
    assert (report.closest_A, report.closest_pair) == pytest.approx(best)
    # The slab's own density: that of the crystal, 8 * 28.085 u / a^3, thinned by the strain. How much height belongs
    # to the outermost layers is a convention: here 0.7 A + half the gap (1.95 A) for one layer spacing (1.37 A).
    crystal = 8 * 28.085 / A**3 * 1.66053907 / 1.01**2
    assert report.si_density_g_cm3 == pytest.approx(crystal, rel=0.6 / 12.0)
    assert all(word in str(report) for word in (f"{len(slab)} Si + 40 Li", "vacuum 15.0 Å", "+1.00 %"))


def test_closest_pair_sees_through_periodic_faces_only():
    atoms = Atoms("LiSi", positions=[(0.2, 5, 1), (9.7, 5, 9)], cell=[10, 10, 10], pbc=(True, True, False))
    assert closest_pair(atoms) == ("Li-Si", pytest.approx(np.hypot(0.5, 8)))
    atoms.pbc = True
    assert closest_pair(atoms) == ("Li-Si", pytest.approx(np.hypot(0.5, 2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("11", 12.0, 12.0), r"facet='11' is not known\. Allowed: 100, 110, 111\. Did you mean '11[01]'"),
        (("100", -12.0, 12.0), r"lateral_A=-12\.0 Å is outside 7 to 500 Å"),
        (("100", 12.0, 0.0), r"thickness_A=0\.0 Å is outside"),
        (("100", float("nan"), 12.0), "lateral_A=nan Å is outside"),
    ],
)
def test_bad_slab(arguments, message):
    with pytest.raises(ValueError, match=message):
        silicon_slab(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(gap_A=0.5), r"gap_A=0\.5 Å is outside 1\.5 to 10 Å"),
        (dict(vacuum_A=-1.0), "vacuum_A=-1.0 Å is outside"),
        (dict(strain_percent=50.0), "strain_percent=50.0 % is outside"),
    ],
)
def test_bad_interface(options, message):
    slab = silicon_slab("100", 12.0, 12.0)
    with pytest.raises(ValueError, match=message):
        interface(slab, lithium_on(slab), **options)


def test_mismatch_is_refused_with_both_cells():
    slab = silicon_slab("100", 12.0, 12.0)
    lithium = lithium_on(slab)
    lithium.set_cell(lithium.cell.lengths() * [1.002, 1, 1], scale_atoms=True)
    with pytest.raises(ValueError, match=r"differ by 0\.20 %: silicon \[10\.937.*lithium \[10\.959"):
        interface(slab, lithium)


def test_full_size_cells_with_the_shipped_potentials_lattice():
    """The potential's own lattice parameter must not change the paper's atom counts."""
    lattice_A = potentials.get("lisi").card["properties"]["si_lattice_A"]
    for facet, (_, n_si, _, _) in PAPER.items():
        params = scaled("paper", facet)
        assert len(silicon_slab(facet, params.lateral_A, params.si_thickness_A, lattice_A)) == n_si
