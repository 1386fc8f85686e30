"""Two engines on one scale: exact for engines whose zeros are known."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from lisi_nb.training.zeros import element_offsets_eV, on_teachers_scale, paired

ZERO = {"Li": 0.25, "Si": -1.5}  # eV by which the finer engine's atoms lie above the coarser one's


def frames():
    rng = np.random.default_rng(3)
    found = []
    for k, symbols in enumerate(("Li8", "Si8", "Li4Si4", "Li6Si2", "Li2Si6")):
        atoms = bulk("Si", "diamond", a=5.6, cubic=True)
        atoms.symbols = Atoms(symbols).symbols
        atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
        atoms.info = {"frame_id": f"f{k}", "system": "test"}
        found.append(atoms)
    return found


def labelled(atoms, epsilon, zero):
    """Lennard-Jones with a shift of each element: `epsilon` and `zero` are all that two engines differ by."""
    work = atoms.copy()
    work.calc = LennardJones(sigma=2.2, epsilon=epsilon, rc=5.0)
    out = atoms.copy()
    shift = sum(zero[s] for s in atoms.symbols)
    out.calc = SinglePointCalculator(
        out, energy=work.get_potential_energy() + shift, forces=work.get_forces(), stress=work.get_stress()
    )
    return out


@pytest.fixture
def pairs():
    none = dict.fromkeys(ZERO, 0.0)
    return [(labelled(a, 0.10, ZERO), labelled(a, 0.10, none)) for a in frames()]


def test_zeros_of_the_elements_are_found(pairs):
    assert element_offsets_eV(pairs) == pytest.approx(ZERO)


def test_ab_initio_labels_move_to_the_teachers_zero(pairs):
    moved = on_teachers_scale([a for a, _ in pairs], ZERO)
    for (_, teacher), atoms in zip(pairs, moved, strict=True):
        assert atoms.get_potential_energy() == pytest.approx(teacher.get_potential_energy())
        np.testing.assert_array_equal(atoms.get_forces(), teacher.get_forces())


def test_frames_are_matched_by_name(pairs):
    first, second = [a for a, _ in pairs], [t for _, t in pairs][::-1]
    assert [(a.info["frame_id"], t.info["frame_id"]) for a, t in paired(first[1:3], second)] == [
        ("f1",) * 2,
        ("f2",) * 2,
    ]
    with pytest.raises(ValueError, match="None of 1 labelled frames is among 4 others"):
        paired(first[:1], second[:4])


def test_one_composition_does_not_fix_two_zeros(pairs):
    with pytest.raises(ValueError, match="All frames have one composition"):
        element_offsets_eV([pairs[2], pairs[2]])
