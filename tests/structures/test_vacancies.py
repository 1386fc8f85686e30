"""Hops of Li in Li15Si4, whose sites are known, and the two ends of one."""

import numpy as np
import pytest

from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.vacancies import Hop, distinct, hop_ends, li_hops

CELL = crystal("Li15Si4")


def test_hops_are_all_pairs_within_reach_once():
    hops = li_hops(CELL, 3.0)
    li = np.flatnonzero(CELL.numbers == 3)
    distance = CELL.get_all_distances(mic=True)[np.ix_(li, li)]
    assert len(hops) == (np.triu(distance <= 3.0, 1)).sum()
    assert len({frozenset((h.mover, h.vacant)) for h in hops}) == len(hops)
    assert [round(h.distance_A, 4) for h in hops] == sorted(round(h.distance_A, 4) for h in hops)
    # 48 Li have 3 Si within 3.5 A, 12 have 4 (science of the paper: exactly 3 for 80 % of the Li)
    ends = {h.mover: h.si_from for h in hops} | {h.vacant: h.si_to for h in hops}
    assert sorted(np.bincount(list(ends.values()))[3:].tolist()) == [12, 48]


def test_kinds_of_hops_are_few_and_cover_all():
    hops = li_hops(CELL)
    kinds = distinct(hops)
    assert 3 < len(kinds) < 15
    assert kinds[0] == hops[0]
    for hop in hops:
        assert any(
            abs(k.distance_A - hop.distance_A) <= 0.01 and {k.si_from, k.si_to} == {hop.si_from, hop.si_to}
            for k in kinds
        )


def test_the_ends_of_a_hop_differ_in_one_atom():
    hop = max(li_hops(CELL, 3.0), key=lambda h: abs(CELL.positions[h.mover] - CELL.positions[h.vacant]).max())
    assert abs(CELL.positions[hop.mover] - CELL.positions[hop.vacant]).max() > 5  # across the boundary
    first, last = hop_ends(CELL, hop)
    assert first.get_chemical_formula() == last.get_chemical_formula() == "Li59Si16"
    moved = np.linalg.norm(last.positions - first.positions, axis=1)
    assert np.count_nonzero(moved) == 1
    assert moved.max() == pytest.approx(hop.distance_A)
    last.wrap()
    place = CELL[[hop.vacant]]
    place.wrap()
    assert np.linalg.norm(last.positions - place.positions, axis=1).min() < 1e-9


@pytest.mark.parametrize(
    ("hop", "message"),
    [
        (Hop(0, 0, 2.5, 3, 3), "mover and vacant are both atom 0"),
        (Hop(75, 0, 2.5, 3, 3), "mover=75 is Si, not Li. Take hops from li_hops"),
        (Hop(0, 99, 2.5, 3, 3), "vacant=99 is outside 0 to 75"),
    ],
)
def test_hops_of_another_cell_are_refused(hop, message):
    with pytest.raises(ValueError, match=message):
        hop_ends(CELL, hop)


def test_no_hop_so_short():
    with pytest.raises(ValueError, match=r"has no two Li within 2 Å. Allow a longer hop"):
        li_hops(CELL, 2.0)
