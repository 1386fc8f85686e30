"""A one-node Slurm of its own for this session: munged, slurmctld and slurmd in a temporary folder, ended with it."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdTimeout=10
MessageTimeout=5
KillWait=5
MinJobAge=3600
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/completed.txt
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus}
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Slurm:
    """Daemons of one node; tests may end and start each of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.host, self.running = folder, socket.gethostname().partition(".")[0], {}
        munge = folder / "munge"
        for path in (munge, folder / "state", folder / "spool"):
            path.mkdir(mode=0o700)
        (munge / "key").write_bytes(os.urandom(1024))
        (munge / "key").chmod(0o400)
        self.configuration = folder / "slurm.conf"
        text = CONFIGURATION.format(
            host=self.host, user=getpass.getuser(), folder=folder, cpus=len(os.sched_getaffinity(0)),
            controller_port=free_port(), node_port=free_port(),
        )  # fmt: skip
        self.configuration.write_text(text)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={munge / name}" for option, name in files.items()]
        self.commands = {
            "munged": ["munged", "--foreground", "--force", *options],
            "slurmctld": ["slurmctld", "-D", "-f", str(self.configuration)],
            "slurmd": ["slurmd", "-D", "-f", str(self.configuration)],
        }

    def start(self, *names: str) -> None:
        for name in names:
            with (self.folder / f"{name}.log").open("a") as log:
                self.running[name] = subprocess.Popen(
                    self.commands[name], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                )
            if name == "munged":
                self.wait_for((self.folder / "munge" / "socket").exists, "munged's socket")
        if "slurmctld" in self.running and "slurmd" in self.running:
            self.wait_for(lambda: self.node() in ("idle", "mixed", "allocated", "drained"), "node")

    def stop(self, name: str) -> None:
        """End a daemon in order, so that it saves its state."""
        process = self.running.pop(name)
        process.terminate()
        process.wait(30)

    def wait_for(self, condition, what: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(f"{f.name}:\n{f.read_text()[-1500:]}" for f in self.folder.glob("slurm*.log"))
                pytest.fail(f"no {what} within {seconds:g} s\n{logs}")
            time.sleep(0.2)

    def call(self, *words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout.strip() if done.returncode == 0 else ""

    def node(self) -> str:
        return self.call("sinfo", "--noheader", "--format=%T").rstrip("*")

    def set_node(self, state: str) -> None:
        self.call("scontrol", "update", f"NodeName={self.host}", f"State={state}", "Reason=test")

    def jobs(self, below: Path = Path("/")) -> dict[str, str]:
        """Every job this Slurm was ever given from a folder below `below`: id -> state."""
        found = {}
        for line in self.call("scontrol", "--oneliner", "show", "job").splitlines():
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if Path(words["WorkDir"]).is_relative_to(below):
                found[words["JobId"]] = words["JobState"]
        return found

    def end(self) -> None:
        """End the daemons and every job step, wherever their process groups are."""
        self.call("scancel", "--user", getpass.getuser())
        own = [p for p in psutil.process_iter(["name"]) if str(self.configuration) in environment(p)]
        for process in [*self.running.values(), *own]:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for daemon in self.running.values():
            daemon.wait()


def environment(process: psutil.Process) -> str:
    """Slurm configuration a job's process was started with; '' when it cannot be read."""
    try:
        return process.environ().get("SLURM_CONF", "") if process.pid != os.getpid() else ""
    except psutil.Error:
        return ""


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """A running one-node Slurm; without its programs the test fails and says why."""
    search = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=search) is None]
    if missing:
        pytest.fail(f"Slurm is not installed here: {', '.join(missing)} missing. Debian/Ubuntu: make system")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", search)
        node = Slurm(tmp_path_factory.mktemp("slurm"))
        patch.setenv("SLURM_CONF", str(node.configuration))
        try:
            node.start("munged", "slurmctld", "slurmd")
            yield node
        finally:
            node.end()


PROFILES = """
[all.machine]
batch_type = "Slurm"
[all.resources]
cpu_per_node = {cpus}

[one.machine]
batch_type = "Slurm"

[no-such-partition.machine]
batch_type = "Slurm"
[no-such-partition.resources]
queue_name = "nowhere"

[no-such-python]
python = "/no/such/python"
machine = {{ batch_type = "Slurm" }}
"""


@pytest.fixture
def profiles(slurm, tmp_path, monkeypatch):
    """The user's file of profiles: the whole node, one CPU of it, and two that cannot work."""
    file = tmp_path / "clusters.toml"
    file.write_text(PROFILES.format(cpus=len(os.sched_getaffinity(0))))
    monkeypatch.setenv("LISI_NB_CLUSTERS", str(file))
    slurm.set_node("RESUME")
    return file
