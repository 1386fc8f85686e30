"""Two stages: labels are lifted by exactly the difference, and a second stage begins as the first one ended."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from lisi_nb.training import corrected, dataset, left_out, train
from lisi_nb.training.ab_initio import Labels
from lisi_nb.training.curve import learning_curve
from lisi_nb.training.delta import Delta, Shape, features
from lisi_nb.training.frames import random_melt
from lisi_nb.training.held_out import HELD_OUT
from lisi_nb.training.label import frame_id

SHAPE = Shape(cutoff_A=4.0, n_radial=2, ridge=0.0)
ZERO = {"Li": 0.2, "Si": -0.4}


def teachers(x, seed, system):
    atoms = random_melt(x, 16, 1.0, seed, shrink=1.0)
    atoms.pbc = True
    atoms.info = {"system": system, "round": 0, "frame_id": frame_id(atoms)}
    work = atoms.copy()
    work.calc = LennardJones(sigma=2.4, epsilon=0.05, rc=5.0)
    label = {"energy": work.get_potential_energy(), "forces": work.get_forces(), "stress": work.get_stress()}
    atoms.calc = SinglePointCalculator(atoms, **label)
    return atoms


def finer(atoms, difference):
    """The label of an engine that differs from the teacher by `difference` and by its zeros of the elements."""
    out = atoms.copy()
    energy, forces, stress = difference.predict(atoms)
    out.calc = SinglePointCalculator(
        out,
        energy=atoms.get_potential_energy() + energy + sum(ZERO[s] for s in atoms.symbols),
        forces=atoms.get_forces() + forces,
        stress=atoms.get_stress() + stress,
    )
    return out


def known(atoms, compositions=()):
    coefficients = np.random.default_rng(1).normal(0, 0.5, len(features(atoms, SHAPE)[0]))
    return Delta(SHAPE, coefficients)


@pytest.fixture
def world():
    """Teacher's frames of four systems, and labels of the finer engine for some, one held-out system among them."""
    labelled = [teachers(x, 7 * k, f"melt/x={x:g}") for x in (0.5, 1.0, 2.0) for k in range(1, 11)]
    labelled += [teachers(3.0, 90 + k, HELD_OUT[6]) for k in range(4)]
    difference = known(labelled[0])
    pairs = [(finer(a, difference), a) for a in labelled]
    tested = [p for p in pairs if p[0].info["system"] in HELD_OUT]
    return labelled, Labels(pairs[:25:2], tested, [], "fine"), difference


def test_labels_the_finer_engine_never_saw_are_lifted_by_the_difference(world):
    """What is lifted and what the finer engine says differ by the elements' zeros alone."""
    labelled, dft, difference = world
    given = corrected.sets(labelled, dft, SHAPE)
    offsets, trained = given.offsets_eV, {a.info["frame_id"] for a, _ in dft.trained}
    unseen = [a for a in given.lifted if a.info["frame_id"] not in trained]
    assert len(unseen) >= 10
    for atoms in unseen:
        truth = finer(next(a for a in labelled if a.info["frame_id"] == atoms.info["frame_id"]), difference)
        np.testing.assert_allclose(atoms.get_forces(), truth.get_forces(), atol=1e-3)
        zero = sum(offsets[s] for s in atoms.symbols)
        energy = (truth.get_potential_energy() - zero - atoms.get_potential_energy()) / len(atoms)
        assert abs(energy) < 1e-4
    assert offsets == pytest.approx(ZERO, abs=1e-3)
    plain = corrected.sets(labelled, dft, None)
    off = [np.abs(a.get_forces() - b.get_forces()).max() for a, b in zip(plain.lifted, given.lifted, strict=True)]
    assert min(off) > 0.1, "without a shape the teacher's own labels stay"


def test_a_frame_unlike_all_others_keeps_the_teachers_forces(world):
    """Its energy moves by what the zeros moved, so that it stays on one scale with the others."""
    labelled, _, difference = world
    model = Delta(SHAPE, difference.coefficients, {"Li": 0.1, "Si": -0.2})
    change = [np.abs(difference.predict(a)[1]).max() for a in labelled]
    limit = float(np.median(change))
    for atoms, after, largest in zip(labelled, corrected.lift(labelled, model, limit), change, strict=True):
        energy = after.get_potential_energy() - atoms.get_potential_energy()
        if largest > limit:
            np.testing.assert_array_equal(after.get_forces(), atoms.get_forces())
            assert energy == pytest.approx(-sum(model.zeros_eV[s] for s in atoms.symbols))
        else:
            np.testing.assert_allclose(after.get_forces() - atoms.get_forces(), model.predict(atoms)[1], atol=1e-10)
            assert energy == pytest.approx(model.predict(atoms)[0])


def test_a_system_left_out_is_predicted_from_the_others_if_there_is_something_to_learn(world):
    """A difference of this shape is found without the system; a difference that is noise is not, and that is said."""
    _, dft, _ = world
    every = left_out.left_out(dft, SHAPE)
    assert left_out.pays(every)
    for found in every:
        assert found.n_frames == sum(a.info["system"] == found.system for a, _ in dft.trained)
        assert found.before[1] > 0.05
        assert found.after[1] < 0.05 * found.before[1]
        assert found.after[0] < 0.05 * found.before[0]
    rng = np.random.default_rng(0)
    for a, t in dft.trained:
        a.calc.results["forces"] = t.get_forces() + rng.normal(0, 0.3, (len(a), 3))
    noise = left_out.left_out(dft, SHAPE)
    assert all(f.after[1] >= f.before[1] for f in noise)
    assert not left_out.pays(noise)
    shown = left_out.table(noise)
    assert shown.rows[-1][:2] == ("all", str(len(dft.trained)))


def test_both_stages_are_without_held_out_frames(world):
    labelled, dft, _ = world
    given = corrected.sets(labelled, dft, None)
    tested = {frame_id(a) for a, _ in dft.held_out}
    assert not tested & {frame_id(a) for a in [*given.teacher, *given.lifted, *given.ab_initio]}
    wrong = Labels([*dft.trained, dft.held_out[0]], dft.held_out, [], "fine")
    with pytest.raises(ValueError, match="is held out"):
        corrected.sets(labelled, wrong, None)


def test_emphasised_systems_get_their_share_of_the_batches():
    data = train.Data(["a", "b"], ["t"], ("c",), 0.3)
    assert data.training_data() == {
        "systems": ["a", "b", "c"],
        "batch_size": train.BATCH,
        "auto_prob": "prob_sys_size;0:2:0.7;2:3:0.3",
    }
    assert train.Data(["a"], ["t"]).training_data()["auto_prob"] == "prob_sys_size"
    text = train.training_input(data, 100, 1, schedule=train.CORRECTION)
    assert text["loss"]["limit_pref_e"] == train.CORRECTION.energy[1]
    assert text["learning_rate"]["start_lr"] < train.training_input(data, 100, 1)["learning_rate"]["start_lr"]


@pytest.fixture
def data(tmp_path):
    frames = [teachers(1.0, s, "melt/x=1") for s in range(8)]
    return train.Data(
        dataset.write_deepmd(frames[:6], tmp_path / "a"), dataset.write_deepmd(frames[6:], tmp_path / "b")
    )


@pytest.mark.slow
def test_a_killed_training_ends_at_its_last_step_with_one_learning_curve(tmp_path, data):
    """Killed after its first checkpoint: it goes on from there, and no step is missing or there twice."""
    code = (
        "import json, sys; from pathlib import Path; from lisi_nb.training.train import *;"
        "where, data = json.loads(sys.argv[1]); train_member(Path(where), Data(*data), 220, 1, 1)"
    )
    given = json.dumps([str(tmp_path / "member"), [data.train, data.test]])
    process = subprocess.Popen([sys.executable, "-c", code, given], start_new_session=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "member" / "checkpoint").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    curve = tmp_path / "member" / "lcurve.out"
    before = learning_curve(curve)
    assert 100 <= before.step[-1] < 220
    frozen = train.train_member(tmp_path / "member", data, 220, 1, 1)
    assert frozen.exists()
    found = learning_curve(curve)
    assert found.step[0] == before.step[0]
    assert found.step[-1] == 220
    assert set(np.diff(found.step)) <= {9.0, 10.0}
    assert found.force_held_out_eV_A[0] == before.force_held_out_eV_A[0], "the first run's part is still there"
    assert found.learning_rate[-1] < 0.1 * found.learning_rate[0]


@pytest.mark.slow
def test_the_second_stage_begins_as_the_first_ended_and_is_done_again_only_for_other_frames(tmp_path, data):
    first = train.train_member(tmp_path / "one", data, 150, 1, 1)
    arguments = (tmp_path / "two", data, 20, 1, 1, train.SMALL, train.CORRECTION, tmp_path / "one")
    second = train.train_member(*arguments)
    one, two = (learning_curve(tmp_path / name / "lcurve.out") for name in ("one", "two"))
    assert two.force_held_out_eV_A[0] == pytest.approx(one.force_held_out_eV_A[-1], rel=0.02)
    assert two.force_held_out_eV_A[0] < 0.9 * one.force_held_out_eV_A[0]
    stamp = second.stat().st_mtime_ns
    assert train.train_member(*arguments).stat().st_mtime_ns == stamp
    assert train.train_member(tmp_path / "one", data, 150, 1, 1) == first
    more = [teachers(1.0, s, "melt/x=1") for s in range(20, 23)]
    dataset.write_deepmd(more, tmp_path / "a")
    assert train.train_member(*arguments).stat().st_mtime_ns != stamp
