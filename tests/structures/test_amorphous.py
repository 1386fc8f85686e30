"""The check of a quenched cell on crystals, the cut at the widest gap, and the cache."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from lisi_nb import paths, potentials
from lisi_nb.structures import amorphous
from lisi_nb.structures.amorphous import Recipe, check, melt_quench
from lisi_nb.structures.crystals import crystal

# A short, coarse melt: 30 + 30 + 30 steps of 40 Li atoms.
QUICK = Recipe("Li", 40, (9.5, 9.5), 0.515, 1000.0, 0.06, 10000.0, 900.0, 0.06, 2.0, 3)


def test_check_on_perfect_silicon():
    atoms = crystal("Si") * (2, 2, 2)
    found = check(atoms, "Si")
    assert found.coordination == 4
    assert found.density_g_cm3 == pytest.approx(8 * 28.085 * 1.66053907 / 5.4687**3, rel=1e-6)
    # 2.368 A lies in one 0.05 A bin; the running mean over three bins may place the peak one bin aside.
    assert found.first_peak_A == pytest.approx(5.4687 * 3**0.5 / 4, abs=0.075)
    for name, (low, high) in amorphous._ALLOWED["Si"].items():
        assert low <= getattr(found, name) <= high


def test_check_on_bcc_lithium():
    found = check(crystal("Li") * (4, 4, 4), "Li")
    assert found.coordination == 14  # 8 at 2.97 A and 6 at 3.43 A, all within 4.2 A
    assert found.first_peak_A == pytest.approx(3.4268 * 3**0.5 / 2, abs=0.075)


def test_check_tells_a_gas_from_silicon():
    found = check(Atoms("Si8", scaled_positions=np.random.default_rng(1).random((8, 3)), cell=[20] * 3, pbc=True), "Si")
    low, high = amorphous._ALLOWED["Si"]["density_g_cm3"]
    assert not low <= found.density_g_cm3 <= high


def test_opened_at_the_widest_gap():
    rng = np.random.default_rng(0)
    z = np.sort(np.concatenate([rng.uniform(0, 4, 30), rng.uniform(6.5, 10, 30)]))
    atoms = Atoms("Li60", positions=np.column_stack([np.zeros((60, 2)), z]), cell=[10, 10, 10], pbc=True)
    gap = z[30] - z[29]
    amorphous._open_at_widest_gap(atoms)
    new = np.sort(atoms.positions[:, 2])
    assert new[0] == pytest.approx(gap / 2)
    assert 10 - new[-1] == pytest.approx(gap / 2)
    # The same atoms, moved together: all periodic distances are as before.
    np.testing.assert_allclose(np.sort(np.diff(new)), np.sort(np.append(np.delete(np.diff(z), 29), z[0] + 10 - z[-1])))


def test_segment_of_a_recipe():
    recipe = Recipe("Si", 64, (10.9, 10.9), 2.28, 3000.0, 1.0, 100.0, 500.0, 2.0, 1.0, 7)
    stages = recipe.segment().stages
    # 1 ps; 1500 K at 1000 K/ps, 800 K at 100 K/ps, 200 K at 1000 K/ps; 2 ps. 1 fs each.
    assert [s.n_steps for s in stages] == [1000, 1500, 8000, 200, 2000]
    temperatures = [(s.start_K, s.stop_K) for s in stages]
    assert temperatures == [(3000, 3000), (3000, 1500), (1500, 700), (700, 500), (500, 500)]
    assert [s.pressure_bar for s in stages] == [None, None, None, None, 0.0]
    assert recipe.segment().seed == 7
    # Lithium does not freeze here: one ramp. A glass that ends hot leaves out what it does not pass.
    assert [s.n_steps for s in QUICK.segment().stages] == [30, 5, 30]
    warm = Recipe("Si", 64, (10.9, 10.9), 2.28, 1400.0, 1.0, 100.0, 900.0, 2.0, 1.0, 7).segment().stages
    assert [(s.start_K, s.stop_K) for s in warm] == [(1400, 1400), (1400, 900), (900, 900)]


def test_made_once_and_then_read_from_the_cache(empty_data, monkeypatch):
    """The second call starts no MD: it would fail without an executable. Both calls return the same atoms."""
    seen = []
    first, _ = melt_quench(QUICK, potentials.get("lisi"), lambda *told: seen.append(told))
    assert seen
    assert seen[-1][0] == "melting and quenching 40 Li"
    assert len(first) == 40
    assert first.pbc.all()
    monkeypatch.setattr(amorphous, "run_blocking", lambda *_: pytest.fail("the quench ran again"))
    second, _ = melt_quench(QUICK, potentials.get("lisi"))
    np.testing.assert_allclose(second.positions, first.positions, atol=1e-7)  # extxyz keeps eight decimals
    np.testing.assert_allclose(second.cell.array, first.cell.array, atol=1e-7)
    names = {p.name for p in (paths.cache() / "structures").glob("*.extxyz")}
    with pytest.raises(BaseException, match="the quench ran again"):
        melt_quench(Recipe(**{**QUICK.__dict__, "seed": 4}), potentials.get("lisi"))
    assert {p.name for p in (paths.cache() / "structures").glob("*.extxyz")} == names


def test_problems_are_named_with_what_came_and_what_is_expected():
    """Diamond passes as silicon-like; close-packed silicon (12 neighbours) does not, and is told in words."""
    assert check(bulk("Si", "diamond", a=5.43, cubic=True) * (2, 2, 2), "Si").problems() == ()
    problems = check(bulk("Si", "fcc", a=3.6, cubic=True) * (3, 3, 3), "Si").problems()  # neighbours at 2.55 A
    assert any(problem == "coordination = 12, expected 3.4 to 5.0" for problem in problems)
    assert any(problem.startswith("density_g_cm3 = 4") for problem in problems)


def test_bad_recipe():
    with pytest.raises(ValueError, match="element='Na' is not known"):
        Recipe(**{**QUICK.__dict__, "element": "Na"}).segment()
    with pytest.raises(ValueError, match="quench_K_per_ps=0 K/ps is outside"):
        Recipe(**{**QUICK.__dict__, "quench_K_per_ps": 0}).segment()
