"""Chains with the real worker: decisions on record, one axis of time, stops, kills and failures at any place."""

import json
import os
import shutil
import signal
import time
import types
from dataclasses import replace

import faults
import numpy as np
import psutil
import pytest
from synthetic import write_dump

from lisi_nb import cli, potentials
from lisi_nb.engine import chain, launch, leftovers, record, supervise, worker
from lisi_nb.engine import run as runs
from lisi_nb.engine.devices import Device
from lisi_nb.engine.lammps import TRAJECTORY, Segment, Stage
from lisi_nb.engine.steps import Step, Stop, Task
from lisi_nb.errors import RunFailed
from lisi_nb.studies import nanoparticle

SMOKE = nanoparticle.scaled("smoke")
NAMES = ["equilibrate", "sample"] * 3 + ["end"]


def until(condition, seconds=180.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def steps_of(run):
    return [frame.step for frame in run.frames()]


@pytest.fixture(scope="module")
def finished(data_folder):
    return launch.wait(launch.launch(nanoparticle, SMOKE, "chain", "cpu:1"))


def test_every_decision_is_on_record(finished):
    found = chain.decisions(finished)
    assert [d["name"] for d in found] == NAMES
    assert [d["n_atoms"] for d in found[:-1]] == [69, 69, 57, 57, 45, 45]
    assert found[2]["why"] == "the 12 outermost Li were removed"
    assert found[2]["numbers"]["x_before"] == pytest.approx(3.6)
    assert found[2]["numbers"]["x"] == pytest.approx(2.8)
    assert found[-1]["numbers"]["x_next"] < SMOKE.x_end
    status = finished.status()
    assert (status["state"], status["step"], status["target"]) == ("finished", 600, nanoparticle.expected_steps(SMOKE))
    assert status["message"] == found[-1]["why"]
    assert [done.name for done in chain.history(finished)] == NAMES[:-1]


def test_one_axis_of_time_with_changing_numbers_of_atoms(finished):
    starts = {segment.first_step for segment in finished.segments}
    assert starts == {0, 50, 200, 250, 400, 450}
    assert steps_of(finished) == sorted(steps_of(finished))
    assert {len(frame.types) for frame in finished.frames()} == {69, 57, 45}
    assert steps_of(finished)[::2] == [frame.step for frame in finished.frames(every=2)]
    thermo = finished.thermo()
    assert (np.diff(thermo["Step"]) > 0).all()
    assert thermo["Step"][-1] == 600
    assert set(thermo["Atoms"]) == {69, 57, 45}
    assert (np.diff(finished.model_deviation()["step"]) > 0).all()


def test_sampling_goes_on_with_the_velocities_of_the_kept_state(finished):
    equilibrate, sample = finished.segments[:2]
    before, after = equilibrate.thermo(), sample.thermo()
    assert after["Temp"][0] == pytest.approx(before["Temp"][-1], rel=1e-5)
    # The next removal starts from the kept state, not from what sampling made of it.
    kept = chain.Done(equilibrate.folder).atoms
    next_start = next(finished.segments[2].frames())
    silicon = next_start.positions_A[~next_start.is_li]
    difference = silicon - kept.positions[kept.numbers == 14]
    assert np.ptp(difference, axis=0).max() < 1e-6


def test_relaxed_energies_lie_below_those_of_the_dynamics(finished):
    for composition in nanoparticle.analyse([finished]).compositions:
        n = composition.n_li + composition.n_si
        bulk = potentials.get("lisi").card["properties"]["element_eV_atom"]
        reference = (composition.n_li * bulk["Li"] + composition.n_si * bulk["Si"]) / n
        assert composition.formation_eV_atom < composition.energy_eV_atom.value - reference


def test_a_composition_whose_silicon_is_liquid_is_flagged(finished, tmp_path):
    """Of the second composition silicon is shaken; of the third only lithium, which melts nothing."""
    run = runs.Run(shutil.copytree(finished.folder, tmp_path / finished.folder.name, symlinks=True))
    assert not any("molten" in said for said in nanoparticle.analyse([run]).warnings)
    rng = np.random.default_rng(1)
    for segment, of_lithium in ((run.segments[3], False), (run.segments[5], True)):
        frames = list(segment.frames())
        for k, frame in enumerate(frames):
            shaken = rng.normal(0, 0.8, frame.positions_A.shape) * (frame.is_li == of_lithium)[:, None]
            frames[k] = replace(frame, positions_A=frames[0].positions_A + shaken)
        write_dump(segment.folder / TRAJECTORY, frames)
    (said,) = (said for said in nanoparticle.analyse([run]).warnings if "molten" in said)
    assert said.startswith("molten: at x = 2.80 distances")


def test_show_tells_the_decisions(finished, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["show", finished.id, "--json"])
    out, err = capsys.readouterr()
    assert [d["name"] for d in json.loads(out)["decisions"]] == NAMES
    assert "2 equilibrate: the 12 outermost Li were removed (x_before = 3.6, x = 2.8, n_removed = 12" in err


def test_an_exported_chain_names_each_segment(finished, tmp_path):
    import tarfile

    with tarfile.open(record.export(finished, tmp_path / "chain.tar.gz")) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
        script = archive.extractfile(f"{finished.folder.name}/rerun.sh").read().decode()
    for segment in finished.segments:
        name = f"segments/{segment.folder.name}"
        assert {f"{name}/in.lmp", f"{name}/data.lmp", f"{name}/step.json", f"{name}/log.lammps"} <= inside
        assert name in script


def test_the_input_of_a_segment_edited_by_hand_is_not_exported(finished, tmp_path):
    assert record.check_inputs(finished) == ""
    file = finished.segments[3].folder / "in.lmp"
    text = file.read_text()
    try:
        file.write_text(text + "shell id\n")
        with pytest.raises(ValueError, match=r"003-sample/in\.lmp was changed after the run was made"):
            record.export(finished, tmp_path / "chain.tar.gz")
    finally:
        file.write_text(text)


@pytest.mark.slow
def test_stopped_and_killed_chains_go_on_where_they_were(empty_data):
    """Stop inside a segment, kill -9 inside another: the same segments, no frame twice, none missing."""
    params = SMOKE.replace(step_ps=6.0, frame_ps=0.1)  # 750 and 2250 steps: restart files are written
    run = launch.launch(nanoparticle, params, "broken", "cpu:1")
    until(lambda: run.status()["step"] > 100)
    launch.stop(run)
    assert run.status()["state"] == "stopped"
    launch.start(run, resume=True)
    until(lambda: run.recorded().get("segment") == "001-sample" and run.status()["step"] > 750 + 1100)
    os.killpg(run.status()["pid"], signal.SIGKILL)
    until(lambda: run.status()["state"] == "interrupted", 10)
    leftovers.end_leftovers(run)
    launch.start(run, resume=True)
    until(lambda: run.recorded().get("segment") == "002-equilibrate" and run.status()["step"] > 3000)
    for process in psutil.Process(run.status()["pid"]).children(recursive=True):
        process.kill()  # LAMMPS alone
    until(lambda: run.status()["state"] == "interrupted", 10)
    launch.wait(launch.start(run, resume=True))
    assert [d["name"] for d in chain.decisions(run)] == NAMES
    each = [faults.frames([f.step for f in s.frames()], s.decision["n_steps"], 50) for s in run.segments]
    counts = {name: sum(counts[name] for counts in each) for name in each[0]}
    faults.write("chain stopped once and killed twice", segments=len(each), **counts)
    for segment in run.segments:
        inside = [frame.step for frame in segment.frames()]
        assert inside == list(range(0, segment.decision["n_steps"] + 1, 50))
    assert run.status()["step"] == 9000


class Plan(types.SimpleNamespace):
    """A made-up study: steps by number."""

    NAME, Params = "nanoparticle", nanoparticle.Params

    def plan(self, params, history):
        return self.steps[len(history)]


@pytest.fixture
def by_hand(empty_data, monkeypatch):
    """Execute a made-up plan in this process."""

    def execute(*steps):
        run = launch.prepare(nanoparticle, SMOKE, "by-hand", "cpu:1")
        monkeypatch.setattr(worker.importlib, "import_module", lambda name: Plan(steps=steps))
        return run, worker.follow_chain(run, Device("cpu", "test", 1), 100)

    return execute


MD = Segment((Stage(20, 300.0, 300.0),), dump_every=10, thermo_every=10, deviation_every=10)


def test_a_chain_has_segments_of_different_kinds(by_hand):
    run, state = by_hand(
        Step("warm", MD, "first"), Step("think", Task("lisi_nb.paths"), "not dynamics"), Step("go_on", MD, "again"),
        Stop("enough", {"n": 3.0}),
    )  # fmt: skip
    assert state == "finished"
    assert [d["kind"] for d in chain.decisions(run)[:3]] == [
        "molecular dynamics",
        "lisi_nb.paths",
        "molecular dynamics",
    ]
    assert [s.first_step for s in run.segments] == [0, 20, 20]
    assert run.status()["step"] == 40
    warm, think, _ = chain.history(run)
    np.testing.assert_allclose(think.atoms.positions, warm.atoms.positions)  # a task that changes nothing hands on


def test_a_task_that_fails_says_so_and_is_tried_again(by_hand):
    run, state = by_hand(Step("think", Task("lisi_nb.no_such_module"), "a mistake"))
    assert state == "failed"
    assert "No module named lisi_nb.no_such_module" in run.status()["message"]
    run, state = by_hand(Step("think", Task("lisi_nb.paths"), "mended"), Stop("done"))
    assert state == "finished"
    assert len(run.segments) == 1


def test_a_chain_asked_to_stop_between_segments_stops(by_hand):
    run = launch.prepare(nanoparticle, SMOKE, "by-hand", "cpu:1")
    run.request_stop()
    run, state = by_hand(Step("warm", MD, "first"))
    assert state == "stopped"
    assert "before segment 000-warm" in run.status()["message"]


def test_another_plan_than_the_one_that_began_a_segment_is_refused(by_hand):
    by_hand(Step("think", Task("lisi_nb.no_such_module"), "a mistake"))
    with pytest.raises(ValueError, match="begun as 'think'; the plan now says 'warm'"):
        by_hand(Step("warm", MD, "first"))
    with pytest.raises(ValueError, match="gave Segment; a chain takes Step or Stop"):
        by_hand(MD)


@pytest.mark.parametrize("name", ["", "Sample", "a/b", "../x", "a b", "x" * 31])
def test_names_of_steps_are_plain(name):
    with pytest.raises(ValueError, match="lower-case letters"):
        Step(name, MD, "why")


@pytest.mark.parametrize("module", ["os", "lisi_nb", "lisi_nb.x;rm", "lisi_nb..x", "lisi_nb.training -c"])
def test_only_modules_of_lisi_nb_are_tasks(module):
    with pytest.raises(ValueError, match="is not a module of lisi_nb"):
        Task(module)


def test_a_chain_that_starts_over_keeps_what_it_had(finished):
    record.rerun(finished)
    launch.wait(finished)
    assert [d["name"] for d in chain.decisions(finished)] == NAMES
    before = finished.folder / "previous-1" / runs.SEGMENTS
    assert len(list(before.glob("*/step.json"))) == 6
    assert json.loads((before / "stop.json").read_text())["name"] == "end"
    assert supervise.progress(finished.segments[0].thermo(), supervise.Goal(50, 600))["step"] == 50


def test_waiting_for_a_chain_that_failed_raises(empty_data):
    run = launch.prepare(nanoparticle, SMOKE, "bad", "cpu:1")
    (run.folder / "data.lmp").write_text("no atoms here\n")
    launch.start(run)
    with pytest.raises(RunFailed):
        launch.wait(run)
