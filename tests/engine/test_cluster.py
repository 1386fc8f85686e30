"""Where a run and a sweep go on: to the scheduler that had them or to this machine; `tests/slurm` has a real Slurm."""

import psutil
import pytest

from lisi_nb.engine import cluster, launch, record, schedule
from lisi_nb.engine import run as runs
from lisi_nb.engine import sweep as sweeps
from lisi_nb.engine.processes import start_of
from lisi_nb.engine.run import Run
from lisi_nb.errors import RunFailed
from lisi_nb.studies import interdiffusion

SMOKE = interdiffusion.scaled("smoke", "100")


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """A stand-in for sbatch: writes its answer; profiles `one` and `two` of a Slurm that knows nothing else."""
    folder, file = tmp_path / "bin", tmp_path / "clusters.toml"
    folder.mkdir()
    file.write_text('[one.machine]\nbatch_type = "Slurm"\n[two.machine]\nbatch_type = "Slurm"\n')
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("LISI_NB_CLUSTERS", str(file))

    def answers(body: str) -> None:
        (folder / "sbatch").write_text(f"#!/bin/bash\n{body}\n")
        (folder / "sbatch").chmod(0o755)

    answers("echo 7")
    return answers


@pytest.fixture
def local(monkeypatch):
    """Runs that were started on this machine."""
    started = []
    monkeypatch.setattr(launch, "start", lambda run, again=False, resume=False: started.append(run) or run)
    return started


@pytest.fixture
def finished(empty_data) -> Run:
    """A run that a cluster is said to have finished."""
    run = launch.prepare(interdiffusion, SMOKE, "finished", "cpu:1")
    scheduler = {"profile": "one", "system": "Slurm", "name": "r1", "job_id": "1", "queued": 5.0}
    run.update(state="finished", scheduler=scheduler, queued=5.0)
    (run.folder / "worker.log").touch()
    runs.write_json(run.folder / "results.json", {"quantities": {}})
    return run


def belongs_to(run: Run) -> str:
    return (runs.scheduled(run.recorded()) or {}).get("profile", "")


def test_a_stopped_run_goes_on_where_it_was(finished, sbatch, local):
    finished.update(state="stopped")
    cluster.start(finished, resume=True)
    assert (finished.recorded()["state"], belongs_to(finished), local) == ("queued", "one", [])
    finished.update(state="stopped")
    cluster.start(finished, "two", again=True)
    assert (finished.recorded()["scheduler"]["job_id"], belongs_to(finished)) == ("7", "two")
    finished.update(state="stopped")
    cluster.start(finished, "", resume=True)
    assert local == [finished]
    finished.update(queued=99.0)  # as a start on this machine notes
    cluster.start(finished, resume=True)
    assert local == [finished, finished]


def test_a_rerun_goes_back_to_its_scheduler(finished, sbatch, local):
    record.rerun(finished)
    assert (finished.recorded()["state"], belongs_to(finished), local) == ("queued", "one", [])
    assert (finished.folder / "previous-1" / "results.json").exists()


def test_a_refused_start_over_still_belongs_to_its_cluster(finished, sbatch, local):
    sbatch("echo 'sbatch: error: invalid partition' >&2; exit 1")
    with pytest.raises(RunFailed, match="Slurm did not take"):
        record.rerun(finished)
    assert (finished.status()["state"], belongs_to(finished)) == ("prepared", "one")
    finished.update(state="failed")
    with pytest.raises(RunFailed, match="Slurm did not take"):
        cluster.start(finished, again=True)
    assert (finished.status()["state"], belongs_to(finished), local) == ("prepared", "one", [])
    sbatch("echo 8")
    cluster.start(finished)
    assert finished.recorded()["scheduler"]["job_id"] == "8"


def test_a_rerun_without_its_profile_changes_nothing(finished, sbatch, monkeypatch, tmp_path):
    monkeypatch.setenv("LISI_NB_CLUSTERS", str(tmp_path / "none.toml"))
    before = finished.recorded()
    with pytest.raises(FileNotFoundError, match=r"There is no .*none\.toml"):
        record.rerun(finished)
    assert finished.recorded() == before
    assert not list(finished.folder.glob("previous-*"))


@pytest.fixture
def sweep(empty_data, sbatch):
    return sweeps.define(interdiffusion, SMOKE, {"vacuum_A": [11.0, 12.0, 13.0]}, 1, "s", "cpu:1")


def test_the_state_of_a_submitted_sweep_is_that_of_its_runs(sweep, monkeypatch):
    sweep.update(state="submitted", profile="one")
    for states, state in (
        (["queued", "finished", "failed"], "running"),
        (["running", "interrupted", "waiting"], "running"),
        (["finished", "failed", "finished"], "finished"),
        (["finished", "stopped", "finished"], "interrupted"),
        (["prepared", "finished", "waiting"], "interrupted"),
    ):
        monkeypatch.setattr(sweeps.Sweep, "states", lambda _, states=states: states)
        status = sweep.status()
        assert (status["state"], "--resume s" in status["message"]) == (state, state == "interrupted"), states


def test_a_running_sweep_stays_where_it_is(sweep):
    me = psutil.Process()
    sweep.update(state="running", pid=me.pid, process_start=start_of(me.pid))
    with pytest.raises(ValueError, match=r"s is running on this machine\. Wait, or first `lisi-nb sweep --pause s`"):
        sweeps.start(sweep, "one")
    sweep.update(profile="one")
    with pytest.raises(ValueError, match="s is running on cluster 'one'"):
        sweeps.start(sweep, "")
    assert sweeps.start(sweep) == sweeps.start(sweep, "one") == sweep
    with pytest.raises(ValueError, match="cluster='three' is not known"):
        sweeps.start(sweep, "three")


def test_submissions_of_a_sweep_take_no_slot_and_are_made_once(sweep, finished, monkeypatch):
    sweep.update(state="running", profile="one")
    scheduler = schedule.Scheduler(sweep)
    everything = [{"kind": "cpu", "ranks": 99}]
    assert scheduler.slot(0, everything) == "cpu:1"
    monkeypatch.setattr(scheduler, "children", dict.fromkeys(range(99)))
    assert scheduler.slot(0, []) is None
    monkeypatch.setattr(scheduler, "children", {})
    assert scheduler.open_points() == [0, 1, 2]
    scheduler.tries = {1: 1}
    assert scheduler.open_points() == [0, 2]
    finished.update(state="running")
    assert schedule.taken() == []  # it runs on the cluster
    finished.update(queued=9.0, pid=psutil.Process().pid, process_start=start_of())
    assert len(schedule.taken()) == 1


def test_a_member_of_a_sweep_is_handed_to_its_cluster(sweep, sbatch):
    sweep.update(profile="two")
    schedule.member(sweep, 0, "cpu:1")
    (run,) = [run for run in sweep.runs() if run]
    assert (run.manifest["parent"], belongs_to(run)) == ("s", "two")


def test_a_list_of_waiting_runs_asks_their_scheduler_once(empty_data, sbatch, tmp_path, monkeypatch, capsys):
    """Nine of ten jobs wait; the tenth has left the queue and is asked for by itself. Then nobody answers."""
    calls = tmp_path / "calls"
    waiting = "\n".join(f"{k}|PENDING|Priority" for k in range(1, 10))
    for name, body in (
        ("squeue", f"case $* in *PENDING*) echo '{waiting}';; esac"),
        ("scontrol", "echo 'JobId=10 JobState=FAILED Reason=NonZeroExitCode'"),
        ("sacct", "exit 1"),
    ):
        (tmp_path / "bin" / name).write_text(f'#!/bin/bash\necho "{name} $*" >> {calls}\n{body}\n')
        (tmp_path / "bin" / name).chmod(0o755)
    for k in range(1, 11):
        folder = empty_data / "runs" / "interdiffusion" / f"many-{k:08x}"
        folder.mkdir(parents=True)
        described = interdiffusion.Params().described()
        run = runs.create(folder, {"format": runs.FORMAT, "study": "interdiffusion", "params": described}, target=9)
        scheduler = {"profile": "one", "system": "Slurm", "name": f"r{k}", "job_id": str(k), "queued": 5.0}
        run.update(state="queued", queued=5.0, scheduler=scheduler)
        (run.folder / "scheduler" / f"r{k}").mkdir(parents=True)
        (run.folder / "worker.log").touch()
    cluster.ask_together(runs.find())
    assert calls.read_text().count("squeue") == 1
    states = {run.folder.name[-8:]: run.status() for run in runs.find()}
    assert [status["state"] for status in states.values()].count("queued") == 9
    assert states["00000003"]["message"] == "Slurm job 3 waits (Priority)."
    assert states["0000000a"]["state"] == "interrupted"
    asked = [line for line in calls.read_text().splitlines() if "PENDING" not in line]
    assert asked
    assert all("10" in line.split()[-1] for line in asked), asked
    cluster._asked.clear()
    for program in ("squeue", "scontrol"):
        (tmp_path / "bin" / program).write_text("#!/bin/bash\necho 'Unable to contact slurm controller' >&2; exit 1\n")
    cluster.ask_together(runs.find())
    assert cluster._asked == {}  # nothing was learnt; each run says so when it is looked at
