"""Sweeps: which runs, on which slots, across the death of the scheduler, paused and resumed, side by side."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from lisi_nb import paths
from lisi_nb.commands import sweeping
from lisi_nb.engine import comparison, devices, launch, schedule
from lisi_nb.engine import run as runs
from lisi_nb.engine import sweep as sweeps
from lisi_nb.engine.files import locked
from lisi_nb.engine.processes import start_of
from lisi_nb.studies import interdiffusion

SMOKE = interdiffusion.scaled("smoke", "100")
BRIEF = SMOKE.replace(duration_ps=0.04, window_ps=0.04)
CORES = devices.cpu_cores()


def test_values_of_a_list_and_a_range():
    assert sweeping.values(SMOKE, "temperature_K=700,800, 900") == ("temperature_K", [700.0, 800.0, 900.0])
    assert sweeping.values(SMOKE, "temperature_K=700:1100:100") == (
        "temperature_K",
        [700.0, 800.0, 900.0, 1000.0, 1100.0],
    )
    assert sweeping.values(SMOKE, "timestep_fs=0.1:0.7:0.2") == ("timestep_fs", [0.1, 0.3, 0.5, 0.7])
    assert sweeping.values(SMOKE, "timestep_fs=2:0.5:-0.5") == ("timestep_fs", [2.0, 1.5, 1.0, 0.5])
    assert sweeping.values(SMOKE, "interface=100,aSi") == ("interface", ["100", "aSi"])
    assert sweeping.values(SMOKE, "seed=3:5:1") == ("seed", [3, 4, 5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("temperature_K", "gives no value, or one twice"),
        ("temperature_K=", "gives no value, or one twice"),
        ("temperature_K=800,800.0", "gives no value, or one twice"),
        ("temperature=800", "Did you mean 'temperature_K'"),
        ("temperature_K=800,hot", "temperature_K='hot' is not a number"),
        ("temperature_K=800,5000", "temperature_K=5000.* is outside 100 to 1600 K"),
        ("temperature_K=700:900", "not of the form name=FROM:TO:STEP"),
        ("temperature_K=700:900:0", "not of the form name=FROM:TO:STEP"),
        ("temperature_K=700:900:nan", "not of the form name=FROM:TO:STEP"),
        ("temperature_K=700:900:-100", r"number of values .*=0 is outside 1 to 2000"),
        ("temperature_K=700:900:1e-9", r"number of values .* is outside 1 to 2000"),
        ("interface=100,112", "interface='112' is not known"),
    ],
)
def test_bad_values(text, message):
    with pytest.raises(ValueError, match=message):
        sweeping.values(SMOKE, text)


def test_combinations_times_seeds(empty_data):
    over = {"temperature_K": [800.0, 900.0], "bottom": ["fixed", "free"]}
    sweep = sweeps.define(interdiffusion, SMOKE, over, 3, "grid", "cpu")
    chosen = [(p["params"]["temperature_K"], p["params"]["bottom"], p["params"]["seed"]) for p in sweep.points]
    assert chosen == [(T, b, s) for T in (800.0, 900.0) for b in ("fixed", "free") for s in (1, 2, 3)]
    assert len({p["identity"] for p in sweep.points}) == 12
    assert sweep.status()["runs"] == {"waiting": 12}
    assert sweeps.open_sweep("grid") == sweeps.open_sweep("interdiffusion/grid") == sweep == sweeps.find()[0]
    assert runs.find() == []  # a sweep's folder is no run
    # The same again opens it; another one gets a number; without a label the name follows from the runs.
    assert sweeps.define(interdiffusion, SMOKE, over, 3, "grid", "cpu") == sweep
    for n_seeds, name in ((2, "grid-2"), (1, "grid-3"), (2, "grid-2"), (3, "grid")):
        assert sweeps.define(interdiffusion, SMOKE, over, n_seeds, "grid", "cpu").label == name
    unnamed = [sweeps.define(interdiffusion, SMOKE, over, n, "", "cpu").label for n in (1, 1, 2)]
    assert unnamed[0] == unnamed[1] != unnamed[2]


def test_ranks_follow_from_cores_and_runs(empty_data, monkeypatch):
    monkeypatch.setattr(devices, "cpu_cores", lambda: 8)
    for n, device, ranks in ((2, "cpu", 4), (3, "cpu", 2), (5, "cpu", 1), (40, "cpu", 1), (40, "cpu:4", 4)):
        sweep = sweeps.define(
            interdiffusion,
            SMOKE,
            {"vacuum_A": [10.0 + k for k in range(n)]},
            1,
            f"n{n}{device[3:4]}x".replace(":", "r"),
            device,
        )
        assert sweep.definition["ranks"] == ranks, n


@pytest.mark.parametrize(
    ("over", "seeds", "label", "message"),
    [
        ({}, 1, "x", "Nothing is varied"),
        ({"seed": [1, 2]}, 2, "x", "Both --over seed"),
        ({"vacuum_A": [9.0]}, 0, "x", "seeds=0 is outside 1 to 2000"),
        ({"vacuum_A": [9.0, 10.0]}, 1500, "x", "number of runs=3000 is outside"),
        ({"vacuum_A": [9.0, 10.0]}, 1, "../x", "label='../x' is not allowed"),
        ({"window_ps": [0.1, 9.0]}, 1, "x", "window_ps=9.0 must lie between"),
    ],
)
def test_bad_sweeps_write_nothing(empty_data, over, seeds, label, message):
    with pytest.raises(ValueError, match=message):
        sweeps.define(interdiffusion, SMOKE, over, seeds, label, "cpu")
    assert not (empty_data / "runs").exists()


def fake_run(sweep, index, state="running", ranks=1, kind="cpu", gpu="", quantities=None):
    """A run folder as `launch.prepare` would make it for a point, in a given state."""
    point = sweep.points[index]
    folder = paths.runs() / "interdiffusion" / f"{sweep.label}-{point['identity'][:8]}"
    folder.mkdir()
    device = {"kind": kind, "name": "X", "ranks": ranks, "cuda_visible": gpu}
    described = SMOKE.replace(**point["params"]).described()
    run = runs.create(folder, {"format": runs.FORMAT, "params": described, "device": device}, target=10)
    me = psutil.Process()
    run.update(state=state, pid=me.pid, process_start=start_of(me.pid))
    if quantities:
        runs.write_json(folder / "results.json", {"quantities": quantities})
    return run


def test_a_point_claimed_by_a_process_that_died_starts_when_the_claim_lapses(empty_data, monkeypatch):
    monkeypatch.setattr(schedule.signal, "signal", lambda *_: None)
    sweep = sweeps.define(interdiffusion, BRIEF, {"vacuum_A": [10.0, 11.0]}, 1, "claimed", "cpu")
    run = launch.prepare(interdiffusion, BRIEF.replace(vacuum_A=10.0), sweep.label, "cpu")
    (run.folder / "worker.log").touch()  # killed before it could say "queued"
    age_s = runs.QUEUE_PATIENCE_S - 3
    os.utime(run.folder / "worker.log", (time.time() - age_s,) * 2)
    schedule.member(sweep, 0, "cpu:1")
    assert run.recorded()["state"] != "prepared"
    assert launch.wait(run).status()["state"] == "finished"


def test_slots_are_what_others_leave(empty_data, monkeypatch):
    """Cores of running runs are taken, whoever started them; ended ones and broken folders take none."""
    monkeypatch.setattr(devices, "cpu_cores", lambda: 4)
    sweep = sweeps.define(interdiffusion, SMOKE, {"vacuum_A": [10.0 + k for k in range(6)]}, 1, "s", "cpu:2")
    scheduler = schedule.Scheduler(sweep)
    assert scheduler.slot(0, schedule.taken()) == "cpu:2"
    other = sweeps.define(interdiffusion, SMOKE, {"timestep_fs": [1.0, 1.5]}, 1, "other", "cpu:1")
    for index, state in ((0, "running"), (1, "finished")):
        fake_run(other, index, state, ranks=3)
    assert [device["ranks"] for device in schedule.taken()] == [3]
    assert scheduler.slot(0, schedule.taken()) is None
    me = psutil.Process()
    other.update(preparing=[{"pid": me.pid, "process_start": start_of(me.pid), "device": {"kind": "cpu", "ranks": 9}}])
    assert sorted(device["ranks"] for device in schedule.taken()) == [3, 9]
    other.update(preparing=[{"pid": me.pid, "process_start": "gone", "device": {"kind": "cpu", "ranks": 9}}])  # dead
    assert [device["ranks"] for device in schedule.taken()] == [3]
    # A run prepared for more ranks keeps them, but never more than there are.
    fake_run(sweep, 0, "stopped", ranks=64)
    assert scheduler.slot(0, []) == "cpu:4"
    assert scheduler.slot(0, [{"kind": "cpu", "ranks": 1}]) is None


def test_gpu_slots(empty_data, monkeypatch):
    monkeypatch.setattr(devices, "gpus", lambda: [("0", "G"), ("1", "G")])
    over = {"vacuum_A": [10.0, 11.0, 12.0]}
    sweep, one = (sweeps.define(interdiffusion, SMOKE, over, 1, n, d) for n, d in (("all", "gpu"), ("one", "gpu:1")))
    scheduler, busy = schedule.Scheduler(sweep), {"kind": "gpu", "ranks": 1, "cuda_visible": "0"}
    assert scheduler.slot(0, []) == "gpu:0"
    assert scheduler.slot(0, [busy]) == "gpu:1"
    assert scheduler.slot(0, [busy, busy | {"cuda_visible": "1"}]) is None
    assert schedule.Scheduler(one).slot(0, []) == "gpu:1"
    fake_run(sweep, 0, "stopped", kind="gpu", gpu="1")
    assert scheduler.slot(0, []) == "gpu:1"


def test_what_is_still_to_do(empty_data):
    over = {"vacuum_A": [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]}
    sweep = sweeps.define(interdiffusion, SMOKE, over, 1, "s", "cpu:1")
    for index, state in enumerate(("finished", "failed", "stopped", "interrupted", "running")):
        fake_run(sweep, index, state)
    scheduler = schedule.Scheduler(sweep)
    assert scheduler.open_points() == [2, 3, 5]
    scheduler.tries = {
        2: 1,
        3: 1,
        5: 3,
    }  # stopped by hand meanwhile: leave it; interrupted: try again; hopeless: leave it
    assert scheduler.open_points() == [3]
    assert sweep.status()["runs"] == {
        "finished": 1, "failed": 1, "stopped": 1, "interrupted": 1, "running": 1, "waiting": 1,
    }  # fmt: skip


def test_table_and_charts_hold_every_run(empty_data):
    over = {"temperature_K": [800.0, 900.0], "bottom": ["fixed", "free"]}
    sweep = sweeps.define(interdiffusion, SMOKE, over, 2, "grid", "cpu:1")
    for index in range(7):  # the last one has no run yet
        entry = {"value": float(index), "error": 0.5 if index else None, "unit": "A"}
        fake_run(
            sweep, index, "finished", quantities={"length": entry, "ratio": {"value": 1.0, "error": 0.1, "unit": "1"}}
        )
    table = comparison.table(sweep, ["length"])
    assert table.columns == ("quantity", "temperature_K", "bottom", "seed", "value ± error", "run")
    assert len(table.rows) == 8
    assert table.rows[0][:5] == ("length", "800.0", "fixed", "1", "0 Å (no error estimate)")
    assert table.rows[6][:5] == ("length", "900.0", "free", "1", "6.00 ± 0.50 Å")
    assert table.rows[7][4:] == ("waiting", "")
    assert len(comparison.table(sweep).rows) == 16
    length, ratio = comparison.charts(sweep)
    assert (length.x_label, length.y_label, ratio.y_label) == ("temperature_K", "length (A)", "ratio")
    assert [curve.label for curve in length.curves] == ["bottom=fixed", "bottom=free"]
    np.testing.assert_array_equal(length.curves[0].x, [800, 800, 900, 900])
    np.testing.assert_array_equal(length.curves[0].y, [0, 1, 4, 5])
    np.testing.assert_array_equal(length.curves[1].error, [0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match=r"quantity='lenth' is not known. .*Did you mean 'length'"):
        comparison.table(sweep, ["lenth"])
    named = sweeps.define(interdiffusion, BRIEF, {"bottom": ["fixed", "free"]}, 1, "names", "cpu:1")
    assert comparison.charts(named) == ()
    for index in range(2):
        fake_run(named, index, "finished", quantities={"length": {"value": 1.0, "error": None, "unit": "A"}})
    assert comparison.charts(named)[0].categories == ("fixed", "free")
    np.testing.assert_array_equal(comparison.charts(named)[0].curves[0].x, [0, 1])


def until(condition, seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.2)


def lammps_ranks(folder) -> int:
    """LAMMPS processes at work in the data folder: in run folders and in melts."""
    count = 0
    for process in psutil.process_iter(["cwd", "cmdline"]):
        words = process.info["cmdline"] or [""]
        count += str(process.info["cwd"]).startswith(str(folder)) and os.path.basename(words[0]) == "lmp"
    return count


@pytest.fixture
def ended(empty_data):
    """Whatever a test leaves running is ended."""
    yield
    for sweep in sweeps.find():
        sweeps.pause(sweep)


@pytest.mark.slow
def test_a_sweep_survives_its_scheduler_and_never_takes_more_cores_than_there_are(empty_data, ended):
    """kill -9 of the scheduler's session after the first run started; a second life finishes, repeating nothing."""
    over = {"vacuum_A": [10.0, 11.0, 12.0, 13.0]}
    sweep = sweeps.start(sweeps.define(interdiffusion, BRIEF, over, 1, "sweep", "cpu"))
    most = [0]

    def look(states=("queued", "running", "finished")) -> bool:
        active = [run for run in sweeps.active(sweep) if run.manifest["device"]["kind"] == "cpu"]
        most[0] = max(most[0], sum(run.manifest["device"]["ranks"] for run in active), lammps_ranks(empty_data))
        return any(state in states for state in sweep.states())

    until(look)
    first = sweep.status()["pid"]
    assert os.getpgid(first) == first != os.getpgid(0)
    assert sweeps.start(sweep).status()["pid"] == first  # a second start finds the first
    os.killpg(first, signal.SIGKILL)
    until(lambda: sweep.status()["state"] == "interrupted", 10)
    assert "scheduler is gone" in sweep.status()["message"]
    sweeps.start(sweep)
    until(lambda: look() and sweep.status()["state"] != "running", 500)
    assert (sweep.status()["state"], sweep.status()["runs"]) == ("finished", {"finished": 4})
    assert 1 <= most[0] <= CORES
    for run, point in zip(sweep.runs(), sweep.points, strict=True):
        assert run.manifest["parent"] == "sweep"
        assert run.manifest["identity"] == point["identity"]
        assert run.params["vacuum_A"] == point["params"]["vacuum_A"]
        assert (run.n_parts, list(run.folder.glob("previous-*"))) == (1, [])
    assert [r.folder for r in runs.find(label="sweep")] == sorted(
        (r.folder for r in sweep.runs()), key=lambda f: -(f / "manifest.json").stat().st_mtime
    )
    assert len(comparison.overlay(sweep)[0].curves) == 4
    # Once more: all is done, nothing is started.
    before = [run.status() for run in sweep.runs()]
    sweeps.wait(sweeps.start(sweep))
    assert [run.status() for run in sweep.runs()] == before


@pytest.mark.slow
def test_pause_and_resume_of_the_whole(empty_data, ended):
    long = SMOKE.replace(duration_ps=500.0, window_ps=1.0, frame_ps=0.2)
    sweep = sweeps.define(interdiffusion, long, {"vacuum_A": [10.0, 11.0, 12.0]}, 1, "long", "cpu:1")
    sweeps.start(sweep)
    until(lambda: sum(run.status()["step"] > 0 for run in sweeps.active(sweep)) == min(CORES, 3))
    sweeps.pause(sweep)
    assert sweep.status()["state"] == "paused"
    assert sweep.status()["runs"] == {"stopped": min(CORES, 3)} | ({"waiting": 3 - CORES} if CORES < 3 else {})
    reached = [run.status()["step"] for run in sweep.runs() if run]
    sweeps.start(sweep)
    until(lambda: sum(run.n_parts == 2 for run in sweeps.active(sweep)) == min(CORES, 3))
    until(lambda: all(run.status()["step"] >= step for run, step in zip(sweeps.active(sweep), reached, strict=True)))


@pytest.mark.slow
def test_a_structure_that_cannot_be_built_fails_alone(empty_data, ended):
    """li_per_si=2.001 gives no whole number of atoms: that run fails with its words, the other one is finished."""
    sweep = sweeps.start(sweeps.define(interdiffusion, BRIEF, {"li_per_si": [2.0, 2.001]}, 1, "some", "cpu:1"))
    sweeps.wait(sweep)
    assert sweep.status()["runs"] == {"finished": 1, "failed": 1}
    assert "gives 128.06 Li" in sweep.status()["problems"]["1"]
    assert "Traceback" not in sweep.status()["problems"]["1"]


def test_a_second_scheduler_of_one_sweep_leaves_at_once(empty_data):
    sweep = sweeps.define(interdiffusion, BRIEF, {"vacuum_A": [10.0, 11.0]}, 1, "twice", "cpu:1")
    before = json.loads((sweep.folder / "status.json").read_text())
    with locked(sweep.folder / "scheduler.lock") as mine:
        assert mine
        done = subprocess.run(
            [sys.executable, "-m", "lisi_nb.engine.schedule", str(sweep.folder)],
            check=False,
            timeout=120,
            cwd=paths.PROJECT,
        )
    assert done.returncode == 0
    assert json.loads((sweep.folder / "status.json").read_text()) == before
