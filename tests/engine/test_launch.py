"""Launching, following, stopping, killing and failing real runs: real worker, real LAMMPS, real DeePMD."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from lisi_nb import paths, potentials
from lisi_nb.engine import afford, estimate, launch, parse, probe, seal
from lisi_nb.engine import run as runs
from lisi_nb.engine.probe import Probe, Speed
from lisi_nb.engine.run import Run
from lisi_nb.errors import RunFailed
from lisi_nb.potentials.compressed import untouched
from lisi_nb.studies import interdiffusion

SMOKE = interdiffusion.scaled("smoke", "100")
LONG = SMOKE.replace(duration_ps=500.0, window_ps=1.0, frame_ps=0.2)  # minutes if nobody ends it


def until(condition, seconds: float = 120.0) -> None:
    """Wait for a condition; on a busy machine starting LAMMPS takes tens of seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


@pytest.fixture
def long_run(empty_data):
    """A run that is producing frames; ended afterwards whatever the test did."""
    run = launch.launch(interdiffusion, LONG, "long", "cpu")
    until(lambda: run.status()["state"] == "running" and run.status()["step"] >= 200)
    yield run
    pid = run.status()["pid"]
    if pid and psutil.pid_exists(pid) and run.status()["state"] == "running":
        os.killpg(pid, signal.SIGKILL)


def test_finished_run_explains_itself(smoke_run):
    status, manifest = smoke_run.status(), smoke_run.manifest
    assert (status["state"], status["step"], status["target"], status["message"]) == ("finished", 300, 300, "")
    assert manifest["params"]["temperature_K"] == {"value": 900.0, "unit": "K", "label": "Temperature"}
    assert manifest["potential"]["members"] == potentials.get("lisi").card["members"]
    assert manifest["structure"]["n_atoms"] == 192
    assert manifest["identity"].startswith(smoke_run.folder.name[-8:])
    assert {"python", "lisi_nb", "lammps", "deepmd-kit", "ase", "numpy"} <= set(manifest["versions"])
    assert manifest["command"][-6:] == ["-in", "in.lmp", "-log", "log.lammps", "-screen", "none"]
    assert parse.count_frames(smoke_run.trajectories[0]) == 31
    assert manifest["potential"]["trust_eV_A"] == potentials.get("lisi").card["validity"]["trust_eV_A"]
    assert status["device"] == manifest["device"]
    results = smoke_run.results()
    assert results["model_deviation"] == status["model_deviation"]
    assert sum(status["model_deviation"][name] for name in ("accurate", "candidate", "failed")) == pytest.approx(1)
    assert results["interface"] == "100"
    assert all(set(entry) == {"value", "error", "unit"} for entry in results["quantities"].values())
    for name in ("in.lmp", "data.lmp", "log.lammps", "model_devi.out", "final.data", "final.restart"):
        assert (smoke_run.folder / name).stat().st_size > 0
    assert (smoke_run.folder / "worker.log").read_text() == ""
    # The models are linked relatively, so that the data folder can be moved as a whole.
    for link in (smoke_run.folder / "potential").iterdir():
        assert not os.path.isabs(os.readlink(link))
        assert link.resolve().exists()


def test_last_structure_keeps_the_order_of_atoms(smoke_run):
    from lisi_nb.engine.execute import read_final

    final, *_, last = read_final(smoke_run.folder), *smoke_run.frames()
    assert final.get_chemical_symbols() == last.atoms().get_chemical_symbols()
    shift = final.positions - (last.positions_A - last.box_A[:, 0])
    edges = np.ptp(last.box_A, axis=1)
    shift[:, :2] -= edges[:2] * np.round(shift[:, :2] / edges[:2])
    np.testing.assert_allclose(shift, 0, atol=1e-6)


def test_bottom_stays_fixed_and_nothing_leaves(smoke_run):
    first, *_, last = smoke_run.frames()
    held = (~first.is_li) & (first.positions_A[:, 2] < 1.5)
    assert held.sum() == 16
    np.testing.assert_array_equal(first.positions_A[held], last.positions_A[held])
    assert np.abs(first.positions_A[~held] - last.positions_A[~held]).max() > 0.5
    assert last.positions_A[:, 2].max() < last.box_A[2, 1]


def test_same_inputs_open_the_same_run(smoke_run):
    """No second folder, no second worker, under another label or with an int for a float."""
    before = smoke_run.status()
    for params, label in ((SMOKE, "smoke"), (SMOKE, "other"), (SMOKE.replace(temperature_K=900), "smoke")):
        again = launch.launch(interdiffusion, params, label, "cpu")
        assert again.folder == smoke_run.folder
    assert launch.start(smoke_run, again=True).status() == before
    assert len(runs.find("interdiffusion")) == len({r.folder.name[-8:] for r in runs.find("interdiffusion")})


def test_two_processes_prepare_one_run(empty_data):
    """Both see no run, both build; one folder remains and both get it."""
    code = (
        "from lisi_nb.engine import launch; from lisi_nb.studies import interdiffusion as s;"
        "print(launch.prepare(s, s.scaled('smoke', '100'), 'twin', 'cpu').folder)"
    )
    twins = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = {twin.communicate(timeout=300)[0].strip() for twin in twins}
    assert [twin.returncode for twin in twins] == [0, 0]
    assert folders == {str(runs.find()[0].folder)}
    assert [p.name for p in (empty_data / "runs" / "interdiffusion").iterdir()] == [runs.find()[0].folder.name]
    # And a run that somebody else is starting at this moment is not started twice.
    run = runs.find()[0]
    (run.folder / "worker.log").touch()
    assert launch.start(run).status()["state"] == "prepared"
    with pytest.raises(RunFailed, match="never started"):
        launch.wait(run)
    os.utime(run.folder / "worker.log", (0, 0))  # but who began long ago and never went on has died
    assert launch.claim(run, again=False, resume=False) == ""


def test_bad_inputs_write_nothing(empty_data):
    for changes, label, device, message in (
        (dict(potential="lisy"), "x", "cpu", "potential='lisy' is not known. Allowed: .*Did you mean 'lisi'"),
        ({}, "../x", "cpu", "label='../x' is not allowed"),
        ({}, "x", "tpu", "device='tpu' is not known. Allowed: auto, cpu, gpu"),
        (dict(li_per_si=2.001), "x", "cpu", r"li_per_si=2\.001 with 64 Si gives 128\.06 Li.*that work: 2 and 2\.01562"),
        (dict(window_ps=1.0), "x", "cpu", "window_ps=1.0 must lie between frame_ps=0.02 and duration_ps=0.6"),
        (dict(frame_ps=0.002, timestep_fs=3.0), "x", "cpu", "frame_ps=0.002 is shorter than one time step"),
    ):
        with pytest.raises(ValueError, match=message):
            launch.prepare(interdiffusion, SMOKE.replace(**changes), label, device)
    assert not (empty_data / "runs").exists() or not any((empty_data / "runs").rglob("*.*"))


def test_stop_keeps_everything(long_run):
    launch.stop(long_run)
    status = long_run.status()
    assert status["state"] == "stopped"
    assert 200 <= status["step"] < status["target"]
    assert f"step {status['step']} of {status['target']}" in status["message"]
    frames = list(parse.frames(long_run.trajectories[0], strict=True))  # strict: the last frame is whole
    assert len(frames) == 1 + status["step"] // 100
    assert (long_run.folder / "final.data").exists()
    assert (long_run.folder / "final.restart").exists()
    until(lambda: not psutil.pid_exists(status["pid"]) or psutil.Process(status["pid"]).status() == "zombie", 20)
    with pytest.raises(ValueError, match="is stopped; only a queued or running run can be stopped"):
        launch.stop(long_run)
    # Without `again` it stays; what was measured so far can be analysed.
    assert launch.start(long_run).status()["state"] == "stopped"
    assert len(interdiffusion.analyse([long_run]).series[0].bulk_si) >= 2
    # A scheduler that refuses to resume it takes nothing away: it can be asked again.
    for _ in range(2):
        assert launch.claim(long_run, again=False, resume=True) == long_run.restart_file().name
        (long_run.folder / "worker.log").unlink()


def test_kill_9_of_everything_reads_interrupted(long_run):
    pid = long_run.status()["pid"]
    assert os.getpgid(pid) == os.getsid(pid) == pid != os.getpgid(0), "the worker leads its own session and group"
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert any("lmp" in " ".join(p.cmdline()) for p in family)
    os.killpg(pid, signal.SIGKILL)
    until(lambda: long_run.status()["state"] == "interrupted", 10)
    until(lambda: all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in family), 20)
    assert "lisi-nb resume" in long_run.status()["message"]
    frames = list(long_run.frames())
    assert len(frames) >= 2
    assert np.isfinite(frames[-1].positions_A).all()
    with pytest.raises(RunFailed, match="interrupted: The process is gone"):
        launch.wait(long_run)


def test_term_of_the_worker_ends_lammps_too(long_run):
    pid = long_run.status()["pid"]
    children = psutil.Process(pid).children(recursive=True)
    os.kill(pid, signal.SIGTERM)
    until(lambda: long_run.status()["state"] == "interrupted", 10)
    assert "SIGTERM" in long_run.status()["message"]
    until(lambda: all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in children), 20)


def test_worker_survives_the_process_that_started_it(empty_data):
    """A script (a kernel, a terminal) starts a run and is gone; the run finishes, and `again` is not needed."""
    code = (
        "from lisi_nb.engine import launch; from lisi_nb.studies import interdiffusion as s;"
        "run = launch.launch(s, s.scaled('smoke', '100', duration_ps=0.2), 'orphan', 'cpu'); print(run.folder)"
    )
    script = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=empty_data
    )
    folder = script.communicate(timeout=300)[0].strip()
    psutil.wait_procs([psutil.Process(script.pid)] if psutil.pid_exists(script.pid) else [], timeout=5)
    run = Run(paths.runs() / "interdiffusion" / os.path.basename(folder))
    assert run.status()["state"] in ("queued", "running")
    launch.wait(run)
    assert run.status()["step"] == 100
    assert run.results()["quantities"]


@pytest.fixture
def prepared(empty_data):
    """A prepared, not yet started run of 20 steps."""
    return launch.prepare(interdiffusion, SMOKE.replace(duration_ps=0.04, window_ps=0.04), "break", "cpu")


def test_corrupt_input_fails_with_lammps_own_words_and_starts_over_with_again(prepared):
    text = (prepared.folder / "in.lmp").read_text()
    (prepared.folder / "in.lmp").write_text(text.replace("timestep 0.002", "timestepp 0.002"))
    launch.start(prepared)
    with pytest.raises(RunFailed, match="Unknown command: timestepp"):
        launch.wait(prepared)
    status = prepared.status()
    assert status["state"] == "failed"
    assert status["message"].startswith("ERROR: Unknown command: timestepp 0.002")
    assert "What to do:" in status["message"]
    assert "libcudart" not in status["message"]
    (prepared.folder / "in.lmp").write_text(text)
    assert launch.start(prepared).status()["state"] == "failed"
    launch.wait(launch.start(prepared, again=True))
    assert prepared.status()["state"] == "finished"
    assert "timestepp" in (prepared.folder / "previous-1" / "log.lammps").read_text()


def test_overlapping_atoms_fail_with_advice(prepared):
    """Two lithium atoms in one place: the potential returns no number, and the run must not count as finished."""
    lines = (prepared.folder / "data.lmp").read_text().splitlines()
    atoms = next(k for k, line in enumerate(lines) if line.startswith("Atoms")) + 2
    number, kind, *_ = lines[atoms + 70].split()
    lines[atoms + 70] = " ".join([number, kind, *lines[atoms + 80].split()[2:]])
    (prepared.folder / "data.lmp").write_text("\n".join(lines) + "\n")
    launch.start(prepared)
    with pytest.raises(RunFailed, match="What to do"):
        launch.wait(prepared)
    message = prepared.status()["message"]
    assert prepared.status()["state"] == "failed"
    assert message.startswith("The energy is not finite: the forces blew up.\nERROR")
    assert "Halve timestep_fs" in message
    assert not any(noise in message for noise in ("libcudart", "oneDNN", "absl::"))


def test_a_worker_that_dies_at_once_reads_interrupted_and_is_started_again(prepared, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", shutil.which("false"))
        launch.start(prepared)
    until(lambda: prepared.status()["state"] == "interrupted", 10)
    assert prepared.recorded()["state"] == "queued"
    with pytest.raises(RunFailed, match=r"Its worker did not start; see .*worker\.log"):
        launch.wait(prepared)
    assert launch.wait(launch.start(prepared, resume=True)).status()["state"] == "finished"


def test_a_slow_launch_overwrites_nothing_that_the_worker_has_noted(prepared, monkeypatch):
    """Both write ``status.json``: the worker waits until it has been noted, however long that takes."""
    write, slept = runs.write_json, []

    def slow(path, data):
        if data.get("pid") and data["state"] == "queued":
            slept.append(time.sleep(4))  # longer than a worker takes to come up
        write(path, data)

    monkeypatch.setattr(runs, "write_json", slow)
    launch.wait(launch.start(prepared))
    assert slept
    assert prepared.recorded()["started"] > prepared.recorded()["queued"] + 4


def test_a_launch_that_would_take_days_or_not_fit_asks_first(empty_data, monkeypatch):
    """A millisecond and 10 MB for each atom; the second time with nothing known, where 20 s of measuring are due."""
    slow = Speed(Probe(200, 0.2, 1.0, 2 * 10**9), Probe(800, 0.8, 1.0, 8 * 10**9))
    asked = []
    monkeypatch.setattr(probe, "speed", lambda *_: asked.append(1) or slow)
    for known in (slow, None):
        monkeypatch.setattr(probe, "known", lambda *_, known=known: known)
        with pytest.raises(ValueError, match=r"about \d\.\d d on .*\n.*confirm with --yes \(yes=True\)"):
            launch.launch(interdiffusion, SMOKE.replace(duration_ps=5000.0), "slow", "cpu:1")
    monkeypatch.setattr(estimate, "_free_memory", lambda _: 10**9)
    monkeypatch.setattr(probe, "known", lambda *_: slow)
    with pytest.raises(ValueError, match=r"about 1\.92 GB of memory, but only 1 GB are free"):
        launch.launch(interdiffusion, SMOKE, "large", "cpu:1")
    assert runs.find() == []
    afford.check(interdiffusion, [SMOKE], "cpu:1", yes=True)
    # A small model of unknown speed is not measured, though 2 GB for each rank, the upper bound, are not free.
    asked.clear()
    monkeypatch.setattr(probe, "known", lambda *_: None)
    afford.check(interdiffusion, [SMOKE], "cpu:1")
    assert not asked
    # Several runs add up.
    monkeypatch.setattr(estimate, "_free_memory", lambda _: 10**11)
    most_of_a_day = SMOKE.replace(duration_ps=700.0)
    with pytest.raises(ValueError, match=r"about 2\.\d d on"):
        afford.check(interdiffusion, [most_of_a_day.replace(seed=k) for k in (1, 2, 3)], "cpu:1")
    afford.check(interdiffusion, [most_of_a_day], "cpu:1")


def test_a_run_that_exists_is_opened_without_asking(prepared, monkeypatch):
    monkeypatch.setattr(estimate, "unmeasured", lambda *_: pytest.fail("estimated"))
    monkeypatch.setattr(launch, "start", lambda run, *_: run)
    params = SMOKE.replace(duration_ps=0.04, window_ps=0.04)
    assert launch.launch(interdiffusion, params, "again", "cpu").folder == prepared.folder


def test_a_manifest_changed_by_hand_is_refused_with_the_difference(prepared):
    file = prepared.folder / "manifest.json"
    manifest = json.loads(file.read_text())
    for change, words in (
        ({"format": 99}, "run format 99"),
        ({"seed": 7}, r"seed is 7, was 1\. Put it back, or make a new run"),
    ):
        runs.write_json(file, manifest | change)
        with pytest.raises(ValueError, match=words):
            launch.start(Run(prepared.folder))
    hotter = json.loads(file.read_text()) | {"seed": 1}
    hotter["params"]["temperature_K"]["value"] = 800.0
    runs.write_json(file, hotter)
    with pytest.raises(
        ValueError, match=r"after the run was made: params\.temperature_K\.value is 800\.0, was 900\.0\."
    ):
        launch.start(Run(prepared.folder))
    (prepared.folder / seal.COPY).unlink()  # as in runs that were made before there was a copy
    with pytest.raises(ValueError, match=rf"have the hash \w{{8}}, made with {manifest['identity'][:8]}"):
        launch.start(Run(prepared.folder))
    assert prepared.status()["state"] == "prepared"
    runs.write_json(file, manifest)
    assert Run(prepared.folder).manifest == manifest


@pytest.mark.parametrize("state", ["failed", "stopped", "interrupted"])
def test_a_changed_manifest_is_refused_before_anything_is_moved(prepared, state):
    prepared.update(state=state)
    (prepared.folder / "log.lammps").write_text("Step Temp\n0 900\n")
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    for change, words in (({"format": 99}, "run format 99"), ({"seed": 7}, "seed is 7, was 1")):
        runs.write_json(prepared.folder / "manifest.json", manifest | change)
        before = {path: path.read_bytes() for path in prepared.folder.iterdir() if path.is_file()}
        for choice in ({"again": True}, {"resume": True}):
            with pytest.raises(ValueError, match=words):
                launch.start(Run(prepared.folder), **choice)
        assert {path: path.read_bytes() for path in prepared.folder.iterdir() if path.is_file()} == before
        assert not list(prepared.folder.glob("previous-*"))


def test_cleared_or_damaged_cache_of_models_is_made_again(prepared, tmp_path):
    links = sorted((prepared.folder / "potential").iterdir())
    whole = [link.resolve() for link in links]
    for link in links:
        link.unlink()
        link.symlink_to("gone.pb")
    launch.restore_models(prepared)
    assert [link.resolve() for link in links] == whole
    shutil.copy(whole[0], kept := tmp_path / "kept.pb")
    whole[0].write_bytes(kept.read_bytes()[:1000])
    launch.restore_models(prepared)  # a damaged one, too
    assert links[0].resolve().stat().st_size > 1000
    assert untouched(whole[0], prepared.manifest["potential"]["members"][0]["sha256"])
    links[0].unlink()
    links[0].symlink_to("gone.pb")
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    manifest["potential"]["members"][0]["sha256"] = "0" * 64
    reseal(prepared, manifest)
    with pytest.raises(ValueError, match="made with another version of potential 'lisi'"):
        launch.start(Run(prepared.folder))


def reseal(run, manifest):
    """Change a run's manifest as if it had been made so."""
    manifest["identity"] = seal.identity_of(manifest)
    for name in ("manifest.json", seal.COPY):
        runs.write_json(run.folder / name, manifest)


def test_failing_analysis_is_said_and_keeps_the_run(prepared):
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    manifest["params"]["window_ps"]["value"] = "soon"
    reseal(prepared, manifest)
    run = launch.wait(launch.start(Run(prepared.folder)))
    assert run.status()["state"] == "finished"
    assert "analysis failed" in run.status()["message"]
    assert "Traceback" in (run.folder / "analysis-error.txt").read_text()
    assert run.results() is None
