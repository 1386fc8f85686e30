"""Words of schedulers: PBS by stand-ins that print what OpenPBS prints, Slurm's accounting; `tests/slurm` is real."""

import pytest

from lisi_nb.engine import cluster_profiles
from lisi_nb.engine.scheduler import Answer, Refused, Scheduled, Unreachable

QSTAT = """Job id            Name             User              Time Use S Queue
----------------  ---------------- ----------------  -------- - -----
12.server         r0123abcd-9f3e   me                00:00:00 {state} workq
"""
FULL = """Job Id: 12.server
    Job_Name = r0123abcd-9f3e
    job_state = {state}
    queue = workq
    comment = {comment}
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Writes stand-ins for a scheduler's programs; what they were called with lands in `calls`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def write(name: str, body: str) -> None:
        file = folder / name
        file.write_text(f'#!/bin/bash\necho "{name} $*" >> {tmp_path}/calls\n{body}\n')
        file.chmod(0o755)

    return write


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A job of a profile of this scheduler."""

    def make(system: str) -> Scheduled:
        file = tmp_path / "clusters.toml"
        file.write_text(f'[x.machine]\nbatch_type = "{system}"\n')
        monkeypatch.setenv("LISI_NB_CLUSTERS", str(file))
        notes = tmp_path / "notes"
        notes.mkdir(exist_ok=True)
        return Scheduled(cluster_profiles.get("x"), notes, "r0123abcd-9f3e", [["true"]], str(tmp_path / "worker.log"))

    return make


def show(state: str, comment: str) -> str:
    return f"case $* in *-f*) cat <<'E'\n{FULL.format(state=state, comment=comment)}E\n;; *) cat <<'E'\n" + (
        f"{QSTAT.format(state=state)}E\n;; esac"
    )


def test_pbs_submit_find_ask_kill(programs, job, tmp_path):
    programs("qsub", "echo 12.server")
    programs("qdel", "")
    programs("qselect", "echo 12.server")
    pbs = job("PBS")
    assert pbs.find() == "12.server"
    assert pbs.submit() == "12.server"
    programs("qselect", "exit 1")
    assert pbs.find() == "12.server"  # as noted when it was submitted
    programs("qstat", show("Q", "Not Running: Insufficient amount of resource"))
    assert pbs.ask("12.server") == Answer("waiting", "Q", "Not Running: Insufficient amount of resource")
    programs("qstat", show("R", "Job run at Fri"))
    assert pbs.ask("12.server").phase == "active"
    programs("qstat", show("F", "Job run at Fri and exceeded resource walltime"))
    ended = pbs.ask("12.server")
    assert ended.phase == "gone"
    assert ended.words == "it is gone without having finished (F, Job run at Fri and exceeded resource walltime)"
    pbs.kill("12.server")
    calls = (tmp_path / "calls").read_text().splitlines()
    assert "qselect -N r0123abcd-9f3e" in calls
    assert calls[-1] == "qdel 12.server"
    assert sum(call.startswith("qsub") for call in calls) == 1


def test_pbs_refuses_in_its_own_words(programs, job):
    programs("qsub", "echo 'qsub: Unknown queue' >&2; exit 1")
    with pytest.raises(Refused, match=r"^qsub: Unknown queue$"):
        job("PBS").submit()
    programs("qsub", "echo 'cannot connect to server pbs (errno=15010)' >&2; exit 1")
    with pytest.raises(Unreachable, match="cannot connect to server"):
        job("PBS").submit()


@pytest.mark.parametrize(
    ("sacct", "words"),
    [
        ("TIMEOUT|None", "its time limit was reached (TIMEOUT)"),
        ("CANCELLED by 1000|None", "it was cancelled (CANCELLED)"),
        ("OUT_OF_MEMORY|None", "it used more memory than it had asked for (OUT_OF_MEMORY)"),
        ("", "it is gone without having finished"),
    ],
)
def test_slurm_has_forgotten_the_job_and_accounting_has_not(programs, job, sacct, words):
    programs("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    programs("scontrol", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    programs("sacct", f"echo '{sacct}'")
    answer = job("Slurm").ask("7")
    assert answer.phase == "gone"
    assert answer.words == words


def test_a_job_limit_is_a_refusal(programs, job):
    programs("sbatch", "echo 'sbatch: error: Job violates accounting/QOS policy' >&2; exit 1")
    with pytest.raises(Refused, match="a limit on the number of jobs is reached"):
        job("Slurm").submit()


def test_a_socket_timeout_is_not_tried_again(programs, job, tmp_path):
    """The job may have been taken: submitting again could run it twice."""
    programs("sbatch", "echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1")
    with pytest.raises(Unreachable, match="Socket timed out"):
        job("Slurm").submit()
    assert (tmp_path / "calls").read_text().count("sbatch") == 1
