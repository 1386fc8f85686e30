"""Delithiated cells: the paper's counts, nested orders, volume of amorphous LixSi."""

import numpy as np
import pytest

from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.delithiated import amorphous_volume_A3, delithiated

# x: volume per Si at 300 K, A^3 (DFTB, alexispaz/DFTB_LiSi_amorphous)
VOLUMES = {0.20: 23.6, 0.56: 27.7, 0.89: 31.4, 1.50: 41.1, 2.00: 48.9, 2.50: 57.0, 3.28: 70.1, 3.75: 78.5}


def sites(atoms) -> set[tuple[float, ...]]:
    return {(*p, z) for p, z in zip(atoms.get_scaled_positions().round(6) % 1.0, atoms.numbers, strict=True)}


@pytest.mark.parametrize(("x", "n_li"), [(3.75, 480), (3.5, 448), (2.25, 288), (1.0, 128), (0.75, 96)])
def test_the_papers_cell(x, n_li):
    atoms = delithiated(x)
    assert [(atoms.numbers == z).sum() for z in (3, 14)] == [n_li, 128]
    assert atoms.get_volume() / 128 == pytest.approx(amorphous_volume_A3(x))
    assert sites(atoms) <= sites(crystal("Li15Si4") * (2, 2, 2))
    assert atoms.pbc.all()


def test_the_order_is_the_seeds_and_nested():
    few, more = delithiated(1.0, seed=3), delithiated(2.0, seed=3)
    assert sites(few) < sites(more)
    assert sites(delithiated(2.0, seed=3)) == sites(more)
    assert sites(delithiated(2.0, seed=4)) != sites(more)


@pytest.mark.parametrize(("x", "volume_A3"), VOLUMES.items())
def test_volume(x, volume_A3):
    assert amorphous_volume_A3(x) == pytest.approx(volume_A3, rel=0.03)


def test_random_in_space():
    """What is left at x = 1.875 (half) is spread over the octants: binomial, four standard deviations."""
    atoms = delithiated(1.875, (4, 4, 4), 1)
    octant = (atoms[atoms.numbers == 3].get_scaled_positions() // 0.5).astype(int) @ [4, 2, 1]
    counts = np.bincount(octant, minlength=8)
    assert counts.sum() == 1920
    assert (np.abs(counts - 240) < 4 * (240 * 0.5) ** 0.5).all()


def test_bad_input():
    with pytest.raises(ValueError, match=r"x=5\.0 Li per Si is outside 0 to 4\.4"):
        delithiated(5.0)
    with pytest.raises(ValueError, match=r"x=-0\.1"):
        delithiated(-0.1)
    with pytest.raises(
        ValueError, match=r"x=4\.2 is more lithium than Li15Si4 has \(x = 3\.75\).*crystal\('Li17Si4'\)"
    ):
        delithiated(4.2)
    with pytest.raises(ValueError, match="x=0 leaves no Li beside 128 Si: for pure silicon use melt_quench"):
        delithiated(0)
    with pytest.raises(ValueError, match="repeats=0"):
        delithiated(1.0, (0, 1, 1))
