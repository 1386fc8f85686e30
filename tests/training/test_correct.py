"""Learning the difference between two engines: exact for engines whose difference is known."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from lisi_nb.training.correct import corrected, differences, element_offsets_eV, on_teachers_scale, paired
from lisi_nb.training.delta import Delta, Shape, features

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


def test_what_is_left_is_the_difference_of_the_physics():
    none = dict.fromkeys(ZERO, 0.0)
    pairs = [(labelled(a, 0.12, ZERO), labelled(a, 0.10, none)) for a in frames()]
    for atoms, left in zip(frames(), differences(pairs, ZERO), strict=True):
        expected = labelled(atoms, 0.02, none)
        assert left.get_potential_energy() == pytest.approx(expected.get_potential_energy())
        np.testing.assert_allclose(left.get_forces(), expected.get_forces(), atol=1e-12)
        np.testing.assert_allclose(left.get_stress(), expected.get_stress(), atol=1e-12)
        assert left.info["system"] == "test"


def test_ab_initio_labels_move_to_the_teachers_zero(pairs):
    moved = on_teachers_scale([a for a, _ in pairs], ZERO)
    for (_, teacher), atoms in zip(pairs, moved, strict=True):
        assert atoms.get_potential_energy() == pytest.approx(teacher.get_potential_energy())
        np.testing.assert_array_equal(atoms.get_forces(), teacher.get_forces())


def test_correction_adds_the_model(pairs):
    """Energies, forces and stress of the model are added, each in its own place; what was there is left alone."""
    teacher = [t for _, t in pairs]
    shape = Shape(cutoff_A=4.0, n_radial=2)
    model = Delta(shape, np.random.default_rng(1).normal(size=len(features(teacher[0], shape)[0])))
    before = [t.get_forces().copy() for t in teacher]
    for old, forces, new in zip(teacher, before, corrected(teacher, model), strict=True):
        added = model.predict(old)
        assert new.get_potential_energy() - old.get_potential_energy() == pytest.approx(added[0])
        np.testing.assert_allclose(new.get_forces() - forces, added[1], atol=1e-12)
        np.testing.assert_allclose(new.get_stress() - old.get_stress(), added[2], atol=1e-12)
        np.testing.assert_array_equal(old.get_forces(), forces)


def test_frames_are_matched_by_name(pairs):
    first, second = [a for a, _ in pairs], [t for _, t in pairs][::-1]
    assert [(a.info["frame_id"], t.info["frame_id"]) for a, t in paired(first[1:3], second)] == [
        ("f1",) * 2,
        ("f2",) * 2,
    ]
    with pytest.raises(ValueError, match="None of the 1 ab initio frames is among the teacher's 4"):
        paired(first[:1], second[:4])


def test_one_composition_does_not_fix_two_zeros(pairs):
    with pytest.raises(ValueError, match="All frames have one composition"):
        element_offsets_eV([pairs[2], pairs[2]])
