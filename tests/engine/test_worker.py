"""Workers that are no longer wanted, what they note of device and model deviation, and what they leave at the end."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from ase.io import read
from synthetic import make_run, moving_fronts

from lisi_nb import paths, potentials
from lisi_nb.analysis.trust import trust
from lisi_nb.engine import devices, launch, parse, seal, supervise, worker
from lisi_nb.engine.devices import Device
from lisi_nb.engine.files import write_json
from lisi_nb.engine.run import Run, Segment
from lisi_nb.engine.steps import Task
from lisi_nb.studies import interdiffusion


@pytest.mark.slow
def test_a_worker_whose_run_was_started_anew_ends_itself_and_lammps(empty_data):
    """The network of a node comes back after its run was resumed elsewhere: two must not write into one folder."""
    run = launch.prepare(interdiffusion, interdiffusion.scaled("smoke").replace(duration_ps=20.0), "twice", "cpu")
    launch.start(run)
    deadline = time.monotonic() + 90
    while run.status()["step"] < 10:
        assert time.monotonic() < deadline, run.status()
        time.sleep(0.1)
    worker = psutil.Process(run.recorded()["pid"])
    children = worker.children(recursive=True)
    assert children
    run.update(state="queued", queued=time.time(), pid=None, process_start=None)  # what a new start writes first
    _, alive = psutil.wait_procs([worker, *children], timeout=15)
    # The worker is a child of this test: a zombie has ended.
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
    assert run.recorded()["state"] == "queued"


def test_a_look_at_a_run_reads_only_what_is_new(doubtful, monkeypatch):
    monkeypatch.undo()
    read, whole_lines = [], parse.whole_lines
    monkeypatch.setattr(parse, "whole_lines", lambda file, start=0: read.append(start) or whole_lines(file, start))
    monkeypatch.setattr(supervise, "LOOK_EVERY_S", 0.05)
    text = "Step Temp CPU\n" + "".join(f"{k} 900 {k}\n" for k in range(1000))
    (doubtful.folder / "log.lammps").write_text(text)
    supervise.watch(doubtful, doubtful.folder, ["sleep", "1"], {}, supervise.Goal(9999, 9999), 0)
    assert doubtful.recorded()["step"] == 999
    assert len(read) > 3
    assert read.count(0) == 1


@pytest.mark.parametrize(
    ("said", "state", "advice"),
    [
        (
            "ERROR on proc 0: DeePMD-kit C API Error: RESOURCE_EXHAUSTED: OOM when allocating",
            "interrupted",
            "free some",
        ),
        ("terminate called after throwing an instance of 'std::bad_alloc'", "interrupted", "free some"),
        ("ERROR: Failed to allocate 8000 bytes for array atom:x", "interrupted", "lisi-nb resume"),
        ("Fatal error in PMPI_Init: Other MPI error, error stack:", "interrupted", "fewer ranks"),
        ("=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\nBus error (signal 7)", "interrupted", "/dev/shm"),
        ("could not synchronize: CUDA_ERROR_LAUNCH_FAILED", "interrupted", "nvidia-smi"),
        ("ERROR: Lost atoms: original 10 current 9\nstd::bad_alloc", "failed", "Halve timestep_fs"),
        ("ERROR: Unknown command: fixx", "failed", "Read log.lammps"),
    ],
)
def test_a_machine_that_fails_is_told_from_physics_that_does(doubtful, monkeypatch, said, state, advice):
    """What an interrupted run has done is kept on resume; a failed one starts over."""
    monkeypatch.undo()

    def ends(run, folder, *_):
        (folder / "stdout.txt").write_text(said + "\n")
        return supervise.Outcome(code=1, full=False, asked=False, killed=False)

    monkeypatch.setattr(worker, "watch", ends)
    device, goal = Device("cpu", "test", 1), supervise.Goal(300, 300)
    assert worker.simulate(doubtful, doubtful, device, goal) == state
    message = doubtful.recorded()["message"]
    assert advice.lower() in message.lower()
    assert ("lisi-nb resume" in message) == (state == "interrupted")
    assert worker.perform(doubtful, Task("lisi_nb.paths"), Segment(doubtful.folder), goal) == state
    assert ("lisi-nb resume" in doubtful.recorded()["message"]) == (state == "interrupted")
    (doubtful.folder / "log.lammps").write_text("Step Temp CPU\n0 nan 0\n")
    assert worker.simulate(doubtful, doubtful, device, goal) == "failed"


@pytest.mark.parametrize("state", ["running", "interrupted", "stopped", "finished"])
def test_a_job_started_a_second_time_does_nothing(empty_data, state):
    folder = empty_data / "runs" / "interdiffusion" / "again-0123abcd"
    folder.mkdir(parents=True)
    device = {"kind": "cpu", "name": "cluster", "ranks": 1, "cuda_visible": ""}
    status = {
        "state": state, "step": 50, "target": 100, "pid": 1, "process_start": "gone", "queued": 5.0, "message": "",
        "scheduler": {"profile": "x", "system": "Slurm", "name": "r", "job_id": "7", "queued": 5.0, "device": device},
    }  # fmt: skip
    (folder / "status.json").write_text(json.dumps(status))
    done = subprocess.run(
        [sys.executable, "-m", "lisi_nb.engine.worker", str(folder)],
        cwd=paths.PROJECT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"again-0123abcd is {state}: a scheduler started its job a second time" in done.stdout
    assert json.loads((folder / "status.json").read_text()) == status
    assert [f.name for f in folder.iterdir()] == ["status.json"]


STEPS = range(0, 300, 50)


@pytest.fixture
def doubtful(tmp_path, monkeypatch):
    """A run whose ensemble disagreed at step 100 and failed at 250; what LAMMPS would do is left to the test."""
    params = interdiffusion.scaled("smoke")
    times = [step * params.timestep_fs / 1000 for step in STEPS]
    run = make_run(
        tmp_path, params, moving_fronts(times, params.timestep_fs, left_A_ps=1, right_A_ps=1, n_atoms=50), 50
    )
    low, high = run.trust_eV_A
    values = np.where(np.array(STEPS) == 100, 0.5 * (low + high), 0.5 * low)
    values[-1] = 2 * high
    rows = [f"{step} 0 0 0 {value} 0 0" for step, value in zip(STEPS, values, strict=True)]
    (run.folder / "model_devi.out").write_text("\n".join(["# step ... max_devi_f", *rows]) + "\n")
    run.update(state="queued", queued=time.time())
    monkeypatch.setattr(worker, "place", lambda *_: Device("cpu", "test", 1))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(interdiffusion, "analyse", lambda _: 1 / 0)
    return run


def breaks(*_):
    raise RuntimeError("no such thing")


@pytest.mark.parametrize(
    ("end", "state", "message"),
    [
        (lambda *_: "finished", "finished", "its analysis failed: division by zero"),
        (lambda *_: "stopped", "stopped", ""),
        (lambda *_: "failed", "failed", ""),
        (breaks, "failed", "RuntimeError: no such thing"),
    ],
)
def test_what_the_ensemble_disagreed_on_is_kept_however_a_run_ends(doubtful, monkeypatch, end, state, message):
    monkeypatch.setattr(worker, "simulate", end)
    assert worker.main(doubtful.folder) == (state == "failed")
    status = doubtful.recorded()
    assert status["state"] == state
    assert message in status["message"]
    found, (low, high) = status["model_deviation"], doubtful.trust_eV_A
    assert [found[name] for name in ("accurate", "candidate", "failed")] == pytest.approx([4 / 6, 1 / 6, 1 / 6])
    assert (found["low_eV_A"], found["high_eV_A"], found["largest_eV_A"]) == (low, high, 2 * high)
    assert [a.info["step"] for a in read(doubtful.folder / "candidates.extxyz", ":", format="extxyz")] == [100]


def test_frames_that_cannot_be_kept_do_not_hide_how_a_run_ended(doubtful, monkeypatch):
    monkeypatch.setattr(worker, "simulate", lambda run, *_: run.update(message="LAMMPS said why") or "failed")
    monkeypatch.setattr(worker, "save_candidates", breaks)
    assert worker.main(doubtful.folder) == 1
    assert (doubtful.recorded()["state"], doubtful.recorded()["message"]) == ("failed", "LAMMPS said why")
    assert "no such thing" in (doubtful.folder / "candidates-error.txt").read_text()


def test_a_deviation_that_is_no_number_has_failed_and_is_none_in_files():
    low, high = potentials.get("lisi").card["validity"]["trust_eV_A"]
    found = trust(np.array([0.0, np.nan]), low, high).to_dict()
    assert (found["accurate"], found["candidate"], found["failed"], found["largest_eV_A"]) == (0.5, 0.0, 0.5, None)
    assert trust(np.array([]), low, high).to_dict()["accurate"] is None


def test_the_gpu_that_was_used_is_noted_and_one_that_is_hidden_is_said(doubtful, monkeypatch):
    monkeypatch.undo()
    for name in ("manifest.json", seal.COPY):
        write_json(doubtful.folder / name, doubtful.manifest | {"device": vars(Device("gpu", "H200", 1, "1"))})
    doubtful = Run(doubtful.folder)
    monkeypatch.setattr(devices, "gpus", lambda: [("1", "H200 (139 GiB free)")])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-4f1c")
    assert worker.place(doubtful, doubtful.recorded()).cuda_visible == "MIG-4f1c"
    assert doubtful.recorded()["device"]["cuda_visible"] == "MIG-4f1c"
    monkeypatch.setattr(devices, "gpus", lambda: [("0", "H200 (139 GiB free)")])
    assert worker.main(doubtful.folder) == 1
    status = doubtful.recorded()
    assert status["state"] == "interrupted"
    assert "gpu:1 is not there. Allowed: gpu:0" in status["message"]


@pytest.mark.parametrize(
    ("kind", "visible", "expected"),
    [
        ("gpu", "1", Device("gpu", "H200, GPU of cluster big", 1, "1")),
        ("gpu", "GPU-3f", Device("gpu", "GPU of cluster big", 1, "GPU-3f")),  # nvidia-smi counts, Slurm may name
        ("cpu", "", Device("cpu", f"{devices.choose('cpu:1').name}, cluster big", 8)),
    ],
)
def test_the_device_that_a_scheduler_gave_is_noted(doubtful, monkeypatch, kind, visible, expected):
    monkeypatch.undo()
    monkeypatch.setattr(devices, "gpus", lambda: [("0", "A40 (40 GiB free)"), ("1", "H200 (139 GiB free)")])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    name, ranks = ("GPU of cluster big", 1) if kind == "gpu" else ("cluster big", 8)
    planned = {"kind": kind, "name": name, "ranks": ranks, "cuda_visible": ""}
    doubtful.update(scheduler={"job_id": None, "queued": doubtful.recorded()["queued"], "device": planned})
    assert worker.place(doubtful, doubtful.recorded()) == expected
    assert Device(**doubtful.recorded()["device"]) == expected
    assert doubtful.recorded()["scheduler"]["job_id"] == "77"
