"""Two stages: on one scale of energy, without held-out frames, and the second begins as the first one ended."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from lisi_nb.training import corrected, dataset, train
from lisi_nb.training.ab_initio import Labels
from lisi_nb.training.curve import learning_curve
from lisi_nb.training.frames import random_melt
from lisi_nb.training.held_out import HELD_OUT
from lisi_nb.training.label import frame_id

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


def finer(atoms):
    """The label of an engine whose forces are 1.2 times the teacher's, and whose elements have other zeros."""
    out = atoms.copy()
    out.calc = SinglePointCalculator(
        out,
        energy=1.2 * atoms.get_potential_energy() + sum(ZERO[s] for s in atoms.symbols),
        forces=1.2 * atoms.get_forces(),
        stress=1.2 * atoms.get_stress(),
    )
    return out


@pytest.fixture
def world():
    """Teacher's frames of four systems, and labels of the finer engine for some, one held-out system among them."""
    labelled = [teachers(x, 7 * k, f"melt/x={x:g}") for x in (0.5, 1.0, 2.0) for k in range(1, 11)]
    labelled += [teachers(3.0, 90 + k, HELD_OUT[6]) for k in range(4)]
    pairs = [(finer(a), a) for a in labelled]
    tested = [p for p in pairs if p[0].info["system"] in HELD_OUT]
    return labelled, Labels(pairs[:25:2], tested, [], "fine")


def test_ab_initio_labels_stand_on_the_teachers_scale_of_energy(world):
    """What is left between the two are the engines' physics: forces as they were, energies less the elements' zeros."""
    labelled, dft = world
    given = corrected.sets(labelled, dft)
    found = {a.info["frame_id"]: a for a in given.ab_initio}
    assert len(found) == len(dft.trained)
    for fine, teacher in dft.trained:
        atoms = found[fine.info["frame_id"]]
        np.testing.assert_array_equal(atoms.get_forces(), fine.get_forces())
        zero = sum(given.offsets_eV[s] for s in fine.symbols)
        assert atoms.get_potential_energy() == pytest.approx(fine.get_potential_energy() - zero)
        assert abs(atoms.get_potential_energy() - teacher.get_potential_energy()) / len(atoms) < 0.05


def test_both_stages_are_without_held_out_frames(world):
    labelled, dft = world
    given = corrected.sets(labelled, dft)
    tested = {frame_id(a) for a, _ in dft.held_out}
    assert not tested & {frame_id(a) for a in [*given.teacher, *given.ab_initio]}
    wrong = Labels([*dft.trained, dft.held_out[0]], dft.held_out, [], "fine")
    with pytest.raises(ValueError, match="is held out"):
        corrected.sets(labelled, wrong)


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
def test_the_second_stage_begins_as_the_first_ended_and_is_done_again_only_for_other_frames(
    tmp_path, data, monkeypatch
):
    first = train.train_member(tmp_path / "one", data, 150, 1, 1)
    gentle = replace(train.CORRECTION, start_lr=1e-6, stop_lr=1e-7)  # the curve's first point lies behind one step
    arguments = (tmp_path / "two", data, 20, 1, 1, train.SMALL, gentle, tmp_path / "one")
    second = train.train_member(*arguments)
    one, two = (learning_curve(tmp_path / name / "lcurve.out") for name in ("one", "two"))
    assert two.force_held_out_eV_A[0] == pytest.approx(one.force_held_out_eV_A[-1], rel=0.02)
    assert one.force_held_out_eV_A[-1] < 0.9 * one.force_held_out_eV_A[0]
    stamp = second.stat().st_mtime_ns
    assert train.train_member(*arguments).stat().st_mtime_ns == stamp
    assert train.train_member(tmp_path / "one", data, 150, 1, 1) == first
    more = [teachers(1.0, s, "melt/x=1") for s in range(20, 23)]
    dataset.write_deepmd(more, tmp_path / "a")

    def called(*_, **__):
        raise InterruptedError("dp is called again")

    monkeypatch.setattr(train, "dp", called)
    with pytest.raises(InterruptedError, match="again"):
        train.train_member(*arguments)
    assert not second.exists(), "what was trained on other frames is not kept"
