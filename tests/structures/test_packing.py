"""Random packings: counts, closest approach by a second code, reproducibility, refusal of what cannot fit."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from lisi_nb.structures.packing import CLOSEST_A, random_packing

VOLUME_A3 = 24.0  # per atom: a dilute liquid (molten Li has 22.4), so that every draw can be packed


@settings(max_examples=30, deadline=None)
@given(
    n_li=st.integers(0, 40),
    n_si=st.integers(0, 40),
    aspect=st.floats(0.7, 1.5),
    shrink=st.floats(0.5, 1.0),
    seed=st.integers(0, 2**31),
)
def test_counts_distances_and_seed(n_li, n_si, aspect, shrink, seed):
    n = n_li + n_si
    if n < 4:
        return
    edge = (n * VOLUME_A3) ** (1 / 3)
    cell = (edge * aspect, edge, edge / aspect)
    symbols = ["Li"] * n_li + ["Si"] * n_si
    atoms = random_packing(symbols, cell, seed, shrink=shrink)
    assert atoms.get_chemical_symbols() == symbols
    np.testing.assert_allclose(atoms.cell.lengths(), cell)
    assert atoms.pbc.all()
    assert ((atoms.positions >= 0) & (atoms.positions < cell)).all()
    i, j, d = neighbor_list("ijd", atoms, 3.0)  # ASE's own search, images of an atom with itself included
    kinds = np.array(symbols)
    for (a, b), closest in CLOSEST_A.items():
        pair = (kinds[i] == a) & (kinds[j] == b)
        if pair.any():
            assert d[pair].min() >= 0.98 * shrink * closest - 1e-5  # limits are float32
    again = random_packing(symbols, cell, seed, shrink=shrink)
    np.testing.assert_array_equal(atoms.positions, again.positions)


def test_another_seed_gives_other_atoms():
    a, b = (random_packing(["Li"] * 20, (9.0, 9.0, 9.0), seed).positions for seed in (1, 2))
    assert np.abs(a - b).max() > 1


def test_too_dense():
    # 100 spheres of 2.55 A in 8.0^3 A3 would fill 170 % of the volume.
    with pytest.raises(ValueError, match=r"100 atoms do not fit.*Lower the density"):
        random_packing(["Li"] * 100, (8.0, 8.0, 8.0), 1, max_sweeps=50)


def test_box_narrower_than_an_atom_and_its_image():
    with pytest.raises(ValueError, match="do not fit"):
        random_packing(["Li"], (2.0, 9.0, 9.0), 1, max_sweeps=50)


def test_no_atoms_is_an_empty_box():
    assert len(random_packing([], (5.0, 5.0, 5.0), 1)) == 0
