"""Runs under a real Slurm: followed, cancelled, cut by the time limit, lost with their node, and never run twice."""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import faults
import numpy as np
import psutil
import pytest
import sshd

from lisi_nb import cli, paths
from lisi_nb.engine import cluster, comparison, launch, record
from lisi_nb.engine import run as runs
from lisi_nb.engine import sweep as sweeps
from lisi_nb.engine.run import ENDED, Run
from lisi_nb.errors import RunFailed
from lisi_nb.studies import interdiffusion

pytestmark = pytest.mark.slow
SMOKE = interdiffusion.scaled("smoke", "100")
TINY = SMOKE.replace(duration_ps=0.02, frame_ps=0.002, window_ps=0.01)


@pytest.fixture(autouse=True)
def _place(profiles, empty_data, monkeypatch):
    monkeypatch.setattr(cluster, "ASK_EVERY_S", 0.5)
    monkeypatch.setattr(cluster, "HEARTBEAT_S", 2.0)


@pytest.fixture
def often_restartable(monkeypatch):
    module = importlib.import_module("lisi_nb.studies.interdiffusion.build")
    monkeypatch.setattr(module, "RESTART_EVERY", 50)


def prepared(params=SMOKE, label: str = "test") -> Run:
    return launch.prepare(interdiffusion, params, label, "cpu")


def until(run: Run, condition, seconds: float = 120.0) -> dict:
    """The first status that fulfils `condition`."""
    deadline = time.monotonic() + seconds
    while not condition(status := run.status()):
        assert time.monotonic() < deadline, status
        time.sleep(0.1)
    return status


def at_step(step: int):
    return lambda status: status["step"] >= step or status["state"] in ENDED


def ended(status: dict) -> bool:
    return status["state"] in ENDED


def processes(run: Run) -> list[psutil.Process]:
    """LAMMPS and its launcher: whatever stands in the run folder."""
    found = []
    for process in psutil.process_iter(["cwd"]):
        with contextlib.suppress(psutil.Error):
            if process.info["cwd"] == str(run.folder.resolve()):
                found.append(process)
    return found


def jobs_of(slurm, run: Run) -> list[str]:
    """Ids of all jobs this run was ever given."""
    return list(slurm.jobs(run.folder.resolve()))


def on_one_axis(run: Run, n_steps: int, every: int) -> None:
    assert [frame.step for frame in run.frames()] == list(range(0, n_steps + 1, every))
    np.testing.assert_array_equal(run.thermo()["Step"], np.arange(0, n_steps + 1, every))


def python(code: str, **options) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code], cwd=paths.PROJECT, **options)


def test_a_run_is_followed_from_the_queue_to_its_results(slurm):
    slurm.set_node("DRAIN")
    run = cluster.submit(prepared(), "all")
    waiting = until(run, lambda status: "waits" in status["message"])
    assert waiting["state"] == "queued"
    (job_id,) = jobs_of(slurm, run)
    assert waiting["message"].startswith(f"Slurm job {job_id} waits (")
    assert json.loads((run.folder / "status.json").read_text())["scheduler"]["job_id"] == job_id
    slurm.set_node("RESUME")
    seen = []
    launch.wait(run, lambda status: seen.append((status["state"], status["step"])), every_s=0.05)
    states = list(dict.fromkeys(state for state, _ in seen))
    assert states == ["queued", "running", "finished"]
    assert len({step for state, step in seen if state == "running"}) > 3
    assert run.status()["host"] == os.uname().nodename
    assert run.results()["quantities"]
    on_one_axis(run, 300, 10)
    # The same inputs open the same run: nothing is submitted again.
    cluster.submit(prepared(), "all", again=True, resume=True)
    assert jobs_of(slurm, run) == [job_id]
    slurm.wait_for(lambda: slurm.jobs()[job_id] == "COMPLETED", "end of the job")


def test_cancelled_while_running_keeps_what_was_written(slurm):
    run = cluster.submit(prepared(SMOKE.replace(duration_ps=20.0)), "all")
    until(run, at_step(50))
    cluster.cancel(run)
    status = run.status()
    assert status["state"] == "stopped"
    assert 50 <= status["step"] < 10000
    assert run.n_frames > 5
    assert run.restart_file() is not None
    slurm.wait_for(lambda: set(slurm.jobs(run.folder.resolve()).values()) == {"COMPLETED"}, "end of the job")
    with pytest.raises(ValueError, match="is stopped on a cluster; only one queued or running on a cluster"):
        cluster.cancel(run)


def test_a_run_that_does_not_listen_is_ended_by_slurm():
    """LAMMPS hangs: the stop request is not seen, so the job is cancelled in Slurm."""
    run = cluster.submit(prepared(SMOKE.replace(duration_ps=20.0)), "all")
    until(run, at_step(20))
    for process in processes(run):
        process.suspend()
    cluster.cancel(run, timeout_s=20.0)
    assert run.status()["state"] in ("interrupted", "stopped")
    assert run.n_frames > 1
    assert not any(process.status() == psutil.STATUS_STOPPED for process in processes(run))


def test_cancelled_before_it_starts(slurm):
    slurm.set_node("DRAIN")
    run = cluster.submit(prepared(TINY), "one")
    cluster.cancel(run)
    assert run.status()["state"] == "stopped"
    assert run.status()["message"] == "Cancelled before it started."
    slurm.set_node("RESUME")
    launch.wait(cluster.submit(run, "one", again=True))
    assert run.status()["state"] == "finished"
    assert len(jobs_of(slurm, run)) == 2


def test_a_resumed_run_is_cancelled_before_it_goes_on(slurm):
    run = cluster.submit(prepared(SMOKE.replace(duration_ps=20.0)), "one")
    until(run, at_step(40))
    cluster.cancel(run)
    n_frames = run.n_frames
    slurm.set_node("DRAIN")
    cluster.cancel(cluster.start(run, resume=True))
    assert (run.status()["state"], run.status()["message"]) == ("stopped", "Cancelled before it started.")
    assert run.n_frames == n_frames > 0
    slurm.set_node("RESUME")


def test_time_limit_reads_as_resumable_and_resumes_to_the_target(slurm, often_restartable):
    run = cluster.submit(prepared(SMOKE.replace(duration_ps=1.0)), "all")
    until(run, at_step(120))
    for process in processes(run):
        process.suspend()  # Slurm looks at time limits twice a minute; until then the run shall not finish
    (job_id,) = jobs_of(slurm, run)
    slurm.call("scontrol", "update", f"JobId={job_id}", "EndTime=now")
    status = until(run, lambda status: ended(status) and "TIMEOUT" in status["message"])
    assert status["state"] == "interrupted"
    assert "its time limit was reached (TIMEOUT, TimeLimit)" in status["message"]
    assert "lisi-nb resume" in status["message"]
    # Slurm forgets; the folder does not.
    cluster._asked.clear()
    assert Run(run.folder).status()["message"] == status["message"]
    launch.wait(cluster.submit(run, "all", resume=True))
    assert run.status()["state"] == "finished"
    assert run.n_parts == 2
    on_one_axis(run, 500, 10)
    assert len(jobs_of(slurm, run)) == 2


def test_the_submitting_process_dies_and_another_goes_on(slurm):
    run = prepared(SMOKE.replace(duration_ps=0.4))
    code = f"""
from pathlib import Path
from lisi_nb.engine import cluster, launch
from lisi_nb.engine.run import Run
launch.wait(cluster.submit(Run(Path({str(run.folder)!r})), "all"))
"""
    submitting = python(code)
    until(run, lambda status: status["state"] == "running", 60)
    submitting.kill()
    submitting.wait()
    again = python(code)  # the same notebook, started again
    assert again.wait(180) == 0
    assert run.status()["state"] == "finished"
    assert len(jobs_of(slurm, run)) == 1


def test_killed_between_submission_and_writing_down_the_job(slurm):
    """The worst moment: Slurm has the job, nobody knows its number. The name leads back to it."""
    slurm.set_node("DRAIN")
    run = prepared(TINY)
    code = f"""
import os, signal
from pathlib import Path
from lisi_nb.engine import cluster, cluster_profiles
from lisi_nb.engine.run import Run
cluster_profiles.dispatcher()
from dpdispatcher.contexts.lazy_local_context import LazyLocalContext
write = LazyLocalContext.write_file
def killed(self, fname, write_str):
    if fname.endswith("_job_id"):
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, fname, write_str)
LazyLocalContext.write_file = killed
cluster.submit(Run(Path({str(run.folder)!r})), "one")
"""
    assert python(code).wait(60) == -signal.SIGKILL
    recorded = run.recorded()
    assert (recorded["state"], recorded["scheduler"]["job_id"]) == ("queued", None)
    (job_id,) = jobs_of(slurm, run)
    found = until(run, lambda status: "waits" in status["message"])
    assert found["scheduler"]["job_id"] == job_id
    cluster.submit(run, "one", again=True, resume=True)
    slurm.set_node("RESUME")
    launch.wait(run)
    assert jobs_of(slurm, run) == [job_id]
    assert run.status()["scheduler"]["job_id"] == job_id


def test_killed_before_submission_is_told_from_waiting(slurm, monkeypatch):
    run = prepared(TINY)
    code = f"""
import os
from pathlib import Path
from lisi_nb.engine import cluster
from lisi_nb.engine.run import Run
from lisi_nb.engine.scheduler import Scheduled
Scheduled.submit = lambda self: os._exit(9)
cluster.submit(Run(Path({str(run.folder)!r})), "one")
"""
    assert python(code).wait(60) == 9
    assert run.status()["state"] == "queued"
    monkeypatch.setattr(cluster, "SUBMIT_PATIENCE_S", 0.0)
    status = cluster.refresh(run)
    assert status["state"] == "interrupted"
    assert "It never reached Slurm" in status["message"]
    launch.wait(cluster.submit(run, "one", resume=True))
    assert len(jobs_of(slurm, run)) == 1


def test_a_node_taken_down_is_no_failure_of_physics(slurm):
    run = cluster.submit(prepared(SMOKE.replace(duration_ps=20.0)), "all")
    until(run, at_step(20))
    slurm.set_node("DOWN")
    status = until(run, lambda status: ended(status) and "NODE_FAIL" in status["message"])
    assert status["state"] == "interrupted"
    assert "its node was lost (NODE_FAIL, NodeDown)" in status["message"]
    (job_id,) = jobs_of(slurm, run)
    slurm.set_node("RESUME")
    time.sleep(3)
    assert slurm.jobs()[job_id] == "NODE_FAIL"  # not put back into the queue by Slurm
    assert jobs_of(slurm, run) == [job_id]


def test_power_failure_of_a_node(slurm, often_restartable):
    """slurmd, the job's shell, worker and LAMMPS vanish at once; Slurm notices, the run goes on afterwards."""
    run = cluster.submit(prepared(SMOKE.replace(duration_ps=0.6)), "all")
    until(run, at_step(110))
    daemon = psutil.Process(slurm.running["slurmd"].pid)
    steps = [p for p in psutil.process_iter(["name"]) if p.info["name"] == "slurmstepd"]
    for process in [daemon, *steps, psutil.Process(run.recorded()["pid"]), *processes(run)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    slurm.stop("slurmd")
    status = until(run, ended, 180)
    assert status["state"] == "interrupted"
    assert "its node was lost (NODE_FAIL" in status["message"]
    slurm.start("slurmd")
    launch.wait(cluster.submit(run, "all", resume=True))
    on_one_axis(run, 300, 10)


def test_a_scheduler_that_does_not_answer_decides_nothing(slurm):
    slurm.set_node("DRAIN")
    run = cluster.submit(prepared(TINY), "one")
    slurm.stop("slurmctld")
    try:
        started = time.monotonic()
        status = cluster.refresh(run)
        assert time.monotonic() - started < 30
        assert status["state"] == "queued"
        assert "Not known at this moment: " in status["message"]
        with pytest.raises(RunFailed, match="was not cancelled"):
            cluster.cancel(run, timeout_s=5)
    finally:
        slurm.start("slurmctld")
    slurm.set_node("RESUME")
    launch.wait(run)
    assert len(jobs_of(slurm, run)) == 1


def test_failed_physics_reads_failed_in_lammps_words(slurm):
    run = prepared(TINY)
    script = run.folder / "in.lmp"
    script.write_text(script.read_text().replace("pair_style", "pair_stile", 1))
    cluster.submit(run, "one")
    status = until(run, ended)
    assert status["state"] == "failed"
    assert "Unknown command: pair_stile" in status["message"]
    (job_id,) = jobs_of(slurm, run)
    slurm.wait_for(lambda: slurm.jobs()[job_id] == "FAILED", "end of the job")
    assert cluster.refresh(run)["state"] == "failed"


def test_a_worker_that_does_not_come_up_is_infrastructure():
    run = cluster.submit(prepared(TINY), "no-such-python")
    status = until(run, ended)
    assert status["state"] == "interrupted"
    assert "its script failed (FAILED, NonZeroExitCode)" in status["message"]
    assert "/no/such/python: No such file or directory" in status["message"]


def test_a_refused_job_leaves_the_run_as_it_was(slurm):
    run = prepared(TINY)
    before = json.loads((run.folder / "status.json").read_text())
    with pytest.raises(
        RunFailed, match=r"(?s)Slurm did not take .*invalid partition.*Change profile 'no-such-partition'"
    ):
        cluster.submit(run, "no-such-partition")
    assert json.loads((run.folder / "status.json").read_text()) == before
    assert jobs_of(slurm, run) == []
    launch.wait(cluster.submit(run, "one"))
    assert run.status()["state"] == "finished"


def test_a_job_that_slurm_starts_again_does_nothing(slurm, often_restartable):
    """An operator requeues the job of a lost node although it asked not to be: the worker sees that it is too late."""
    run = cluster.submit(prepared(SMOKE.replace(duration_ps=20.0)), "all")
    until(run, at_step(60))
    (job_id,) = jobs_of(slurm, run)
    slurm.call("scontrol", "update", f"JobId={job_id}", "Requeue=1")
    slurm.call("scontrol", "requeue", job_id)
    until(run, ended)
    step, frames = run.recorded()["step"], run.n_frames
    log = run.folder / "worker.log"
    slurm.wait_for(lambda: slurm.jobs()[job_id] == "PENDING" and slurm.node() == "idle", "job back in the queue")
    # By itself Slurm waits two minutes; the node refuses a start dated no later than the job's end.
    slurm.call("scontrol", "update", f"JobId={job_id}", "StartTime=now+5seconds")
    slurm.wait_for(lambda: "started its job a second time" in log.read_text(), "second start of the job", 200)
    assert (run.recorded()["step"], run.n_frames) == (step, frames)
    assert run.status()["state"] == "interrupted"


def test_a_local_resume_of_a_cluster_run_is_a_local_run(slurm, often_restartable):
    run = cluster.submit(prepared(SMOKE.replace(duration_ps=0.4)), "all")
    until(run, at_step(60))
    cluster.cancel(run)
    launch.wait(launch.start(run, resume=True))
    assert run.status()["state"] == "finished"
    assert runs.scheduled(run.recorded()) is None
    assert len(jobs_of(slurm, run)) == 1
    on_one_axis(run, 200, 10)


def test_hostile_folder_names_stay_words(slurm, tmp_path, monkeypatch):
    folder = tmp_path / 'it\'s $(touch stolen) `touch stolen`; touch stolen & "x" ü'
    folder.mkdir()
    (folder / "cache").symlink_to((Path(os.environ["LISI_NB_DATA"]) / "cache").resolve())
    monkeypatch.setenv("LISI_NB_DATA", str(folder))
    run = cluster.submit(prepared(TINY), "one")
    launch.wait(run)
    assert run.status()["state"] == "finished"
    assert not list(tmp_path.rglob("stolen"))
    assert not (paths.PROJECT / "stolen").exists()


def test_a_rerun_goes_back_to_its_scheduler(slurm):
    run = launch.wait(cluster.start(prepared(TINY), "one"))
    launch.wait(record.rerun(run))
    assert run.status()["state"] == "finished"
    assert runs.scheduled(run.recorded())["profile"] == "one"
    assert len(jobs_of(slurm, run)) == 2
    assert (run.folder / "previous-1" / "results.json").exists()


def points(n: int) -> dict[str, list[float]]:
    return {"temperature_K": [900.0 + 5 * k for k in range(n)]}


def jobs_of_points(slurm, sweep) -> list[int]:
    return [len(jobs_of(slurm, run)) for run in sweep.runs()]


def test_a_sweep_of_forty(slurm):
    """Forty runs under one label: all finish, each as one job, and stand side by side in one table."""
    sweep = sweeps.define(interdiffusion, TINY, points(40), label="forty", device="cpu")
    sweeps.start(sweep, "one")
    with pytest.raises(ValueError, match="forty is running on cluster 'one'"):
        sweeps.start(sweep, "")
    sweeps.wait(sweep)
    sweeps.wait(sweeps.start(sweep))  # asked twice
    status, jobs = sweep.status(), jobs_of_points(slurm, sweep)
    faults.write("sweep on Slurm", runs=len(sweep.points), finished=status["runs"].get("finished", 0), jobs=sum(jobs))
    assert (status["state"], status["runs"], status["problems"]) == ("finished", {"finished": 40}, {})
    assert jobs == [1] * 40
    assert len({run.status()["scheduler"]["job_id"] for run in sweep.runs()}) == 40
    assert {run.manifest["parent"] for run in sweep.runs()} == {"forty"}
    rows = comparison.rows(sweep)
    assert [row["temperature_K"] for row in rows] == points(40)["temperature_K"]
    assert all("lithiation_length" in row["quantities"] for row in rows)


def test_a_sweep_is_paused_and_goes_on(slurm):
    """Running runs stop and keep what they wrote, waiting jobs are cancelled; the sweep goes back to its cluster."""
    long = SMOKE.replace(duration_ps=20.0)
    sweep = sweeps.start(sweeps.define(interdiffusion, long, points(3), label="long", device="cpu"), "all")
    slurm.wait_for(lambda: sorted(sweep.states()) == ["queued", "queued", "running"], "running run", 180)
    slurm.wait_for(lambda: max(run.status()["step"] for run in sweep.runs()) > 20, "step", 180)
    sweeps.pause(sweep)
    assert (sweep.status()["state"], sweep.status()["runs"]) == ("paused", {"stopped": 3})
    assert sorted(run.n_frames > 1 for run in sweep.runs()) == [False, False, True]
    slurm.wait_for(lambda: not {"PENDING", "RUNNING", "COMPLETING"} & set(slurm.jobs().values()), "empty queue")
    sweeps.start(sweep)
    slurm.wait_for(lambda: jobs_of_points(slurm, sweep) == [2, 2, 2], "second jobs", 180)
    sweeps.pause(sweep)
    assert sweep.status()["runs"] == {"stopped": 3}


def test_the_submitting_process_of_a_sweep_dies(slurm):
    """kill -9 amid the submissions: what has a job keeps it, the next start submits what has none."""
    sweep = sweeps.start(sweeps.define(interdiffusion, TINY, points(6), label="six", device="cpu"), "one")
    slurm.wait_for(lambda: {"queued", "running", "finished"} & set(sweep.states()), "first submission", 180)
    os.killpg(sweep.status()["pid"], signal.SIGKILL)
    slurm.wait_for(lambda: sweep.status()["state"] == "interrupted", "end of the process")
    for _ in range(3):  # a submission cut in the middle counts as never made after a minute
        if sweeps.wait(sweeps.start(sweep)).status()["state"] == "finished":
            break
    assert sweep.status()["runs"] == {"finished": 6}
    assert jobs_of_points(slurm, sweep) == [1] * 6


def test_a_sweep_from_the_command_line(slurm, capsys):
    brief = ("--scale", "smoke", "--set", "duration_ps=0.04", "--set", "window_ps=0.04", "--over", "vacuum_A=10,12")
    for cluster_name, code, state in (("no-such-partition", 1, "interrupted"), ("one", 0, "finished")):
        with pytest.raises(SystemExit) as ended:
            cli.main(["sweep", "interdiffusion", *brief, "--label", "v", "--cluster", cluster_name, "--json"])
        out, err = capsys.readouterr()
        answer = json.loads(out)
        assert (ended.value.code, answer["status"], answer["cluster"]) == (code, state, cluster_name), err
        if state == "interrupted":
            assert answer["runs"] == {"prepared": 2}
            assert "Slurm did not take interdiffusion/v-" in answer["problems"]["0"]
            assert "sweep --resume v" in err
    assert all("lithiation_length" in row["quantities"] for row in answer["table"])
    assert jobs_of_points(slurm, sweeps.open_sweep("v")) == [1, 1]


def test_slurm_asked_over_ssh(slurm, profiles):
    """The scheduler's commands run on another machine; the run folder is one that both see."""
    server = sshd.Server()
    profiles.write_text(
        '[far.machine]\nbatch_type = "Slurm"\ncontext_type = "SSHContext"\n[far.machine.remote_profile]\n'
        f'hostname = "127.0.0.1"\nport = {server.port}\nusername = "{sshd.USER}"\npassword = "{sshd.PASSWORD}"\n'
    )
    try:
        slurm.set_node("DRAIN")
        run = cluster.submit(prepared(TINY), "far")
        assert until(run, lambda status: "waits" in status["message"])["state"] == "queued"
        assert server.logins >= 2
        slurm.set_node("RESUME")
        launch.wait(run)
        assert len(jobs_of(slurm, run)) == 1
        second = cluster.submit(prepared(SMOKE.replace(duration_ps=20.0)), "far")
        until(second, at_step(10))
        cluster.cancel(second)
        assert second.status()["state"] == "stopped"
    finally:
        server.close()
    # The connection is gone: nothing is decided, and a further submission leaves no trace of a job.
    third = prepared(TINY.replace(temperature_K=950.0))
    with pytest.raises(RunFailed, match=r"Slurm was asked to take .* and did not answer"):
        cluster.submit(third, "far")
    assert third.status()["state"] == "queued"
    assert jobs_of(slurm, third) == []
