"""A worker that is no longer wanted: its run was started anew, or its job was started a second time."""

import json
import subprocess
import sys
import time

import psutil
import pytest

from lisi_nb import paths
from lisi_nb.engine import launch
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
