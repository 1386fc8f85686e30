"""Cluster profiles: the shipped examples are valid, a mistake is named with file, table and key."""

import re
import shlex
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lisi_nb.engine import cluster_profiles as profiles
from lisi_nb.engine.scheduler import Scheduled, shell_line


@pytest.fixture
def write(tmp_path, monkeypatch):
    file = tmp_path / "clusters.toml"
    monkeypatch.setenv("LISI_NB_CLUSTERS", str(file))
    return file.write_text


def uncommented() -> str:
    """The shipped examples with the # of their TOML lines removed, as a user would."""
    return "\n".join(
        re.sub(r"^# ", "", line) if re.match(r"# (\[[a-z._]+\]|[a-z_]+ = )", line) else ""
        for line in profiles.EXAMPLE.read_text().splitlines()
    )


def test_shipped_examples_are_comments_until_a_user_wants_them(write):
    write(profiles.EXAMPLE.read_text())
    assert profiles.names() == []


def test_shipped_examples_are_valid_profiles(write):
    write(uncommented())
    assert profiles.names() == ["gpu", "cpu", "far", "pbs"]
    found = {name: profiles.get(name) for name in profiles.names()}
    assert {name: p.system for name, p in found.items()} == dict(gpu="Slurm", cpu="Slurm", far="Slurm", pbs="PBS")
    assert [name for name, p in found.items() if p.over_ssh] == ["far"]
    assert found["gpu"].device().kind == "gpu"
    assert found["gpu"].device().ranks == 1
    assert (found["cpu"].device().kind, found["cpu"].device().ranks) == ("cpu", 16)
    assert found["far"].python == "FOLDER-OF-LISI_NB/.venv/bin/python"
    assert found["cpu"].python == sys.executable


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("gpu", ["#SBATCH --gres=gpu:1", "#SBATCH --partition gpu", "#SBATCH --time=24:00:00", "#SBATCH --no-requeue"]),
        ("cpu", ["#SBATCH --ntasks-per-node 16", "#SBATCH --no-requeue", "export HYDRA_LAUNCHER=fork"]),
        ("pbs", ["#PBS -l select=1:ncpus=8:ngpus=1", "#PBS -q workq", "#PBS -l walltime=24:00:00", "#PBS -r n"]),
    ],
)
def test_job_scripts_ask_for_what_the_profile_says(write, tmp_path, name, lines):
    write(uncommented())
    profile = profiles.get(name)
    commands = profiles.worker_command(profile, "/runs/it's $HOME; x", "restart.a")
    job = Scheduled(profile, tmp_path, "r0123abcd-9f3e", commands, str(tmp_path / "worker.log"))
    header = job.machine.gen_script(job.job).splitlines()
    for line in lines:
        assert line in header
    body = tmp_path / "script"
    body.write_text(job.machine.gen_script_command(job.job))
    # The shell reads the same words back that were put in.
    stand_in = "cd() { :; }\n" + body.read_text().replace(profile.python, "printf '%s\\n'")
    subprocess.run(["bash", "-c", stand_in], cwd=tmp_path, check=True)
    words = (tmp_path / "worker.log").read_text().splitlines()
    assert words == ["-m", "lisi_nb.engine.worker", "/runs/it's $HOME; x", "restart.a"]


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=40)


@settings(deadline=None, max_examples=60)
@given(folder=NAMES, restart=NAMES, python=NAMES)
def test_a_shell_reads_the_words_of_a_worker_back_whatever_they_are(tmp_path_factory, folder, restart, python):
    profile = profiles.Profile("x", {}, {}, f"/bin/{python}")
    change, worker = profiles.worker_command(profile, f"/runs/{folder}", restart)
    assert worker == [f"/bin/{python}", "-m", "lisi_nb.engine.worker", f"/runs/{folder}", restart]
    log = tmp_path_factory.mktemp("log") / "it's $HOME; worker.log"
    line = shell_line([change, ["printf", r"%s\0", *worker]], str(log))
    assert subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout == b""
    assert log.read_bytes().decode().split("\0")[:-1] == worker
    assert shlex.split(shlex.join(worker)) == worker


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[a.machine]\nbatch_type='Slurm'\n[a.resources]\ncpu_pernode=4",
            r"'a' in .*toml: in table 'resources'",
        ),
        ("[a.machine]\nbatch_type='Slurm'\n[a.resources]\ncpu_pernode=4", r"Did you mean: cpu_per_node\?"),
        ("[a.machine]\nbatch_type='Slurm'\nqueue='x'", r"in table 'machine'.*undefined key `queue`"),
        ("[a.machine]\nbatch_type='Slurm'\n[a.resources]\ncpu_per_node='4'", "cpu_per_node"),
        ("[a.machine]\nbatch_type='slrum'", r"machine\.batch_type='slrum' is not known. Allowed: Slurm, PBS, Torque"),
        ("[a.resources]\ncpu_per_node=4", r"machine\.batch_type=None is not known"),
        ("[a.machine]\nbatch_type='Slurm'\ncontext_type='LocalContext'", r"Allowed: LazyLocalContext, SSHContext"),
        (
            "[a.machine]\nbatch_type='Slurm'\ncontext_type='SSHContext'",
            r"'machine'.*`remote_profile` is required",
        ),
        (
            "[a.machine]\nbatch_type='Slurm'\n[a.resources]\nnumber_node=2",
            r"number_node=2 .*job on one node; use 1",
        ),
        ("[a]\nmachine=3", "machine=3 is not a table"),
        ("[a]\nressources={}", r"key='ressources' is not known.*Did you mean 'resources'"),
        ("[a.machine", r"clusters\.toml is not TOML: Expected"),
        ("[b.machine]\nbatch_type='Slurm'", r"cluster='a' is not known. Allowed: b"),
    ],
)
def test_mistakes_are_named(write, text, message):
    write(text)
    with pytest.raises(ValueError, match=message):
        profiles.get("a")


def test_without_a_file_the_example_is_named(write):
    assert profiles.names() == []
    with pytest.raises(FileNotFoundError, match=r"There is no .*clusters\.toml\. Copy .*clusters\.example\.toml there"):
        profiles.get("a")


def test_dpdispatcher_leaves_no_log_and_no_words_on_stdout(tmp_path):
    """It would write dpdispatcher.log wherever one stands, and log to stdout, which belongs to --json."""
    code = (
        "from lisi_nb.engine import cluster_profiles as c; c.dispatcher();"
        "from dpdispatcher.dlog import dlog; dlog.error('noise')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(profiles.paths.PROJECT), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout == ""
    assert not list(tmp_path.glob("*.log"))
