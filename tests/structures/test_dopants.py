"""Li13Si12X: the icosahedron, its equivalent vertices, distances that can be relaxed."""

import numpy as np
import pytest

from lisi_nb.structures.dopants import doped_cluster


def test_the_cluster_is_an_icosahedron_with_thirteen_lithium():
    atoms = doped_cluster("Si", "core", rattle_A=0.0)
    assert atoms.get_chemical_formula() == "Li13Si13"
    shell, core = atoms.positions[14:], atoms.positions[13]
    np.testing.assert_allclose(np.linalg.norm(shell - core, axis=1), 2.45)
    between = np.linalg.norm(shell[:, None] - shell[None], axis=2)
    np.testing.assert_allclose(np.sort(between, axis=1)[:, 1:6], 2.45 * 1.0514622, rtol=1e-6)  # 5 neighbours each
    d = np.sort((atoms * (2, 2, 2)).get_all_distances(mic=True), axis=1)
    assert d[:, 1].min() == pytest.approx(2.45)
    assert 15 < atoms.get_volume() / len(atoms) < 18


def test_vertices_are_one_kind_and_the_core_is_another():
    """Each atom sees the same distances as every other of its kind, in the packing as in the cluster."""
    atoms = doped_cluster("Si", "core", rattle_A=0.0)
    big = atoms * (3, 3, 3)
    middle = 26 * 13

    def sees(k):
        return np.sort(big.get_distances(middle + k, range(len(big)), mic=True)).round(5)[:60]

    for k in range(15, 26):
        np.testing.assert_allclose(sees(k), sees(14), atol=1e-4)
    for k in range(1, 12):
        np.testing.assert_allclose(sees(k), sees(0), atol=1e-4)
    assert not np.allclose(sees(13), sees(14), atol=0.1)
    assert not np.allclose(sees(12), sees(0), atol=0.1)


def test_the_two_sites_differ_only_in_who_is_where():
    core, shell = (doped_cluster("Nb", site, seed=4) for site in ("core", "shell"))
    np.testing.assert_array_equal(core.positions, shell.positions)
    for atoms, k in ((core, 13), (shell, 14)):
        assert atoms.get_chemical_formula(mode="hill") == "Li13NbSi12"
        assert np.flatnonzero(atoms.symbols == "Nb").tolist() == [k]
    assert core.info == {"dopant": "Nb", "site": "core", "start": 4}
    assert not np.allclose(core.positions, doped_cluster("Nb", "core", seed=5).positions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Xx", "core"), r"element='Xx' is not known. Allowed: H, He"),
        (("Nb", "middle"), r"site='middle' is not known. Allowed: core, shell"),
        (("Nb", "core", 0, 2.0), r"rattle_A=2.0 Å is outside 0 to 0.5"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        doped_cluster(*arguments)
