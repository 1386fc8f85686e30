"""The search over Li and vacancies: an optimum known by enumeration is found, stops and goes on, refuses nonsense."""

from itertools import combinations

import numpy as np
import pytest
from ase import Atoms

from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.orderings import search_orderings

LATTICE = crystal("Li15Si4")


class Pairs:
    """Each vacancy on the Li sites of a lattice has an energy of its own, and they repel each other."""

    def __init__(self, lattice):
        sites = lattice[lattice.numbers == 3]
        self.n_sites, self.at = len(sites), {tuple(p): k for k, p in enumerate(sites.positions.round(4))}
        self.own_eV = np.random.default_rng(0).normal(scale=0.3, size=len(sites))
        self.pair_eV = np.exp(-sites.get_all_distances(mic=True) / 2.0) - np.eye(len(sites))

    def energy_eV(self, vacant):
        vacant = np.asarray(vacant)
        return float(self.own_eV[vacant].sum() + 0.5 * self.pair_eV[np.ix_(vacant, vacant)].sum())

    def __call__(self, atoms):
        """The energy from the Li that are there; nothing is relaxed."""
        held = {self.at[tuple(p)] for p in atoms.positions[atoms.numbers == 3].round(4)}
        return atoms, self.energy_eV([k for k in range(self.n_sites) if k not in held])


cheap = Pairs(LATTICE)


def search(folder, **changes):
    options = {"lattice": LATTICE, "n_li": 57, "relax": cheap, "folder": folder, "label": "pairs", "seed": 1}
    return search_orderings(**options | changes)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_optimum_known_by_enumeration_is_found(tmp_path, seed):
    """8 of the 16 Li of LiSi taken out: 12 870 orderings, of which the search looks at 192."""
    lattice = crystal("LiSi")
    pairs = Pairs(lattice)
    exact = min(pairs.energy_eV(each) for each in combinations(range(16), 8))
    found = search(tmp_path, lattice=lattice, n_li=8, relax=pairs, seed=seed, n_generations=12)
    assert found.best[0].energy_eV == pytest.approx(exact, abs=1e-12)
    assert len(found.energies_eV) == 192
    assert found.random_eV.value - found.best[0].energy_eV > 5 * found.random_eV.error


def test_half_the_lithium_gone_beats_as_many_random_orderings(tmp_path):
    found = search(tmp_path, n_li=36)
    rng = np.random.default_rng(5)
    random = [cheap.energy_eV(rng.permutation(60)[:24]) for _ in range(len(found.energies_eV))]
    assert found.best[0].energy_eV < min(random)
    assert found.random_eV.value == pytest.approx(np.mean(random), abs=4 * found.random_eV.error)


def test_the_record_hangs_together(tmp_path):
    found = search(tmp_path, n_li=36, n_generations=4, keep=5)
    energies = [each.energy_eV for each in found.best]
    assert len(energies) == 5
    assert energies == sorted(energies)
    assert found.history_eV[-1] == energies[0] == found.energies_eV.min()
    assert (np.diff(found.history_eV) <= 0).all()
    assert np.bincount(found.generations).tolist() == [16] * 4
    for each in found.best:
        assert each.occupied.sum() == 36
        assert each.atoms.get_chemical_formula() == "Li36Si16"
        assert cheap(each.atoms)[1] == pytest.approx(each.energy_eV)
    rest = found.remaining()
    assert cheap.energy_eV(np.flatnonzero(~found.best[0].occupied)) == pytest.approx(energies[0])
    np.testing.assert_allclose(rest.cell, LATTICE.cell)
    assert rest.get_chemical_formula() == "Li36Si16"


def test_no_ordering_is_evaluated_twice_and_a_small_space_is_searched_to_its_end(tmp_path):
    seen = []

    def note(atoms):
        seen.append(atoms.positions[atoms.numbers == 3].round(3).tobytes())
        return cheap(atoms)

    found = search(tmp_path, n_li=59, relax=note, population=30, n_generations=5)
    assert len(seen) == len(set(seen)) == len(found.energies_eV) == 60
    assert found.best[0].energy_eV == pytest.approx(cheap.own_eV.min())


def test_the_same_seed_gives_the_same_search_and_another_another(tmp_path):
    one, two, other = (search(tmp_path / str(k), n_generations=3, seed=s) for k, s in enumerate((4, 4, 5)))
    np.testing.assert_array_equal(one.energies_eV, two.energies_eV)
    assert not np.array_equal(one.energies_eV, other.energies_eV)


@pytest.mark.parametrize("after", [3, 16, 37])
def test_a_search_that_was_stopped_goes_on_with_the_same_outcome(tmp_path, after):
    whole = search(tmp_path / "whole", n_generations=4)
    calls = []

    def dies(atoms):
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return cheap(atoms)

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "cut", relax=dies, n_generations=4)
    again, shown = [], []

    def counted(atoms):
        again.append(1)
        return cheap(atoms)

    found = search(tmp_path / "cut", relax=counted, n_generations=4, progress=lambda *what: shown.append(what))
    np.testing.assert_allclose(found.energies_eV, whole.energies_eV)
    assert len(again) == 64 - after
    assert [n for n, *_ in shown] == list(range(after + 1, 65))
    assert shown[-1] == (64, 64, found.best[0].energy_eV)


def test_more_generations_go_on_from_a_finished_search(tmp_path):
    few = search(tmp_path, n_generations=2)
    more = search(tmp_path, n_generations=4)
    np.testing.assert_array_equal(more.energies_eV[:32], few.energies_eV)
    np.testing.assert_array_equal(more.energies_eV, search(tmp_path / "at once", n_generations=4).energies_eV)


def test_other_inputs_in_the_same_folder_are_refused(tmp_path):
    search(tmp_path, n_generations=1)
    with pytest.raises(ValueError, match=r"holds a search of other inputs \(seed=1 there, 2 here\). Choose another"):
        search(tmp_path, n_generations=1, seed=2)
    with pytest.raises(ValueError, match=r"label='pairs' there, 'other' here"):
        search(tmp_path, n_generations=1, label="other")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_li": 60}, r"n_li=60 Li is outside 1 to 59 Li. The lattice has 60 Li sites"),
        ({"n_li": 0}, "n_li=0 Li is outside 1 to 59"),
        ({"n_li": 59, "population": 100}, "population=100 is more than the 60 orderings of 59 Li on 60 sites"),
        ({"population": 2}, "population=2 is outside 4 to 1000"),
        ({"n_generations": 0}, "n_generations=0 is outside"),
        ({"relax": lambda atoms: (atoms, float("nan"))}, r"has the energy nan. Look at what relaxes it"),
    ],
)
def test_bad_input(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        search(tmp_path, **changes)


def test_a_lattice_that_is_not_periodic_is_refused(tmp_path):
    with pytest.raises(ValueError, match="periodic in all directions"):
        search_orderings(Atoms("Li2", cell=[5, 5, 5]), 1, cheap, tmp_path, label="")
