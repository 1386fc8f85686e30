"""The linear model of a difference: exact derivatives, the symmetries of physics, and a known difference found."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from scipy.spatial.transform import Rotation

from lisi_nb.training import delta
from lisi_nb.training.delta import Delta, Shape, features, fit

SHAPE = Shape(cutoff_A=4.2, n_radial=3, ridge=0.0)


def frame(seed, symbols="Li4Si4"):
    rng = np.random.default_rng(seed)
    cell = np.diag([5.0, 5.5, 6.0]) + rng.normal(0, 0.2, (3, 3))
    grid = np.array([(i, j, k) for i in (0, 0.5) for j in (0, 0.5) for k in (0, 0.5)])
    return Atoms(symbols, positions=(grid + rng.normal(0, 0.04, (8, 3))) @ cell, cell=cell, pbc=True)


@pytest.fixture
def known():
    rng = np.random.default_rng(5)
    return Delta(SHAPE, rng.normal(0, 0.1, len(features(frame(0), SHAPE)[0])))


def labelled(atoms, model):
    out = atoms.copy()
    energy, forces, stress = model.predict(atoms)
    out.calc = SinglePointCalculator(out, energy=energy, forces=forces, stress=stress)
    return out


def test_forces_and_stress_are_the_energys_derivatives(known):
    atoms, h = frame(1), 1e-5
    _, forces, stress = known.predict(atoms)
    for atom, axis in ((0, 0), (3, 1), (6, 2)):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * h
            ends.append(known.predict(moved)[0])
        assert forces[atom, axis] == pytest.approx(-(ends[0] - ends[1]) / (2 * h), rel=1e-6, abs=1e-7)
    for voigt, (p, q) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[p, q] += sign * h / 2
            strain[q, p] += sign * h / 2
            moved = atoms.copy()
            moved.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            ends.append(known.predict(moved)[0])
        slope = (ends[0] - ends[1]) / (2 * h) / atoms.get_volume()
        assert stress[voigt] == pytest.approx(slope, rel=1e-5, abs=1e-8), (p, q)


def test_radial_functions_have_their_slopes_and_end_smoothly():
    r, h = np.array([0.5, 1.9, 2.1, 4.19]), 1e-6
    up, down = delta.radial(r + h, SHAPE)[0], delta.radial(r - h, SHAPE)[0]
    np.testing.assert_allclose(delta.radial(r, SHAPE)[1], (up - down) / (2 * h), atol=1e-7)
    value, slope = delta.radial(np.array([SHAPE.cutoff_A - 1e-4]), SHAPE)
    assert np.abs(value).max() < 1e-12
    assert np.abs(slope).max() < 1e-7


def test_energy_does_not_know_place_orientation_or_numbering_but_knows_elements(known):
    atoms = frame(2)
    energy, forces, _ = known.predict(atoms)
    turned = atoms.copy()
    matrix = Rotation.random(random_state=1).as_matrix()
    turned.set_cell(atoms.cell.array @ matrix.T, scale_atoms=True)
    turned.positions += (0.3, -1.0, 2.0)
    assert known.predict(turned)[0] == pytest.approx(energy)
    np.testing.assert_allclose(known.predict(turned)[1], forces @ matrix.T, atol=1e-10)
    order = np.random.default_rng(0).permutation(len(atoms))
    np.testing.assert_allclose(known.predict(atoms[order])[1], forces[order], atol=1e-10)
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-10)
    assert known.predict(atoms * (2, 1, 1))[0] == pytest.approx(2 * energy)
    swapped = atoms.copy()
    swapped.numbers[[0, 4]] = swapped.numbers[[4, 0]]
    assert known.predict(swapped)[0] != pytest.approx(energy)
    assert known.predict(Atoms("LiSi", positions=[(1, 1, 1), (6, 6, 6)], cell=[12] * 3, pbc=True))[0] == 0


def test_a_known_difference_is_found_from_a_few_frames(known):
    """Labels made by the model itself: a fit without penalty gives energy, forces and stress of frames it never saw."""
    symbols = ("Li8", "Si8", "Li4Si4", "Li6Si2", "Li2Si6")
    training = [labelled(frame(10 + k, symbols[k % 5]), known) for k in range(30)]
    found = fit(training, SHAPE)
    for k, chemical in enumerate(symbols):
        unseen = labelled(frame(100 + k, chemical), known)
        energy, forces, stress = found.predict(unseen)
        assert energy == pytest.approx(unseen.get_potential_energy(), abs=1e-4)
        np.testing.assert_allclose(forces, unseen.get_forces(), atol=1e-4)
        np.testing.assert_allclose(stress, unseen.get_stress(), atol=1e-5)


def test_the_ridge_holds_the_difference_back(known):
    training = [labelled(frame(k), known) for k in range(4)]
    size = [np.abs(fit(training, Shape(4.2, 3, ridge)).predict(frame(9))[1]).max() for ridge in (1e-6, 1.0, 1e6)]
    assert min(size[:2]) > 1000 * size[2]
    with pytest.raises(ValueError, match="No frames to learn the difference from"):
        fit([], SHAPE)
