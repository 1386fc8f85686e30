"""One job of one scheduler, through dpdispatcher: submit, find, ask, cancel; what it says, in its words.

dpdispatcher writes the job script and speaks to the scheduler. Its `Submission` loop is not used: it submits again what
it finds gone, and a run that was cancelled or failed must not come back by itself.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lisi_nb.engine import cluster_profiles
from lisi_nb.engine.cluster_profiles import Profile

# What schedulers answer when they cannot be reached; dpdispatcher would try again for minutes, and submit twice.
UNREACHABLE = ("Socket timed out", "Unable to contact", "Connection refused", "cannot connect to server")
BY_NAME = {"Slurm": "squeue --noheader --format=%i --name={}", "PBS": "qselect -N {}", "Torque": "qselect -N {}"}
# (command, pattern with state and, where there is one, reason), asked in turn until one knows the job.
WORDS = {
    "Slurm": [
        ("scontrol --oneliner show job {}", r"JobState=(\w+) Reason=(\S*)"),
        ("sacct --noheader --allocations --parsable2 --format=State,Reason --jobs={}", r"^([A-Z_]+)[^|\n]*\|(\S*)"),
    ],
    "PBS": [("qstat -x -f {}", r"job_state = (\w)[\s\S]*?comment = (.*)")],
    "Torque": [("qstat -f {}", r"job_state = (\w)[\s\S]*?exit_status = (.*)")],
}
MEANING = {
    "TIMEOUT": "its time limit was reached",
    "DEADLINE": "its deadline was reached",
    "NODE_FAIL": "its node was lost",
    "BOOT_FAIL": "its node did not start",
    "PREEMPTED": "it had to give way to another job",
    "OUT_OF_MEMORY": "it used more memory than it had asked for",
    "CANCELLED": "it was cancelled",
    "FAILED": "its script failed",
}


class Unreachable(RuntimeError):
    """The scheduler did not answer; this says nothing about the job."""


class Refused(RuntimeError):
    """The scheduler answered and did not take the job."""


@dataclass(frozen=True)
class Answer:
    """What a scheduler says about a job.

    Attributes
    ----------
    phase : str
        ``waiting``, ``active`` or ``gone``.
    state, reason : str
        The scheduler's own words, empty when it has forgotten the job.
    """

    phase: str
    state: str = ""
    reason: str = ""

    @property
    def words(self) -> str:
        """The end of a job in a sentence, with the scheduler's words in brackets."""
        said = ", ".join(word for word in (self.state, self.reason) if word not in ("", "None"))
        return MEANING.get(self.state, "it is gone without having finished") + (f" ({said})" if said else "")


def shell_line(commands: list[list[str]], log: str) -> str:
    """Commands for a shell, one after the other while they succeed; what they print is appended to `log`."""
    return " && ".join(shlex.join(words) for words in commands) + f" >> {shlex.quote(log)} 2>&1"


@contextlib.contextmanager
def answering(system: str) -> Iterator[None]:
    """Turn whatever goes wrong between here and the scheduler into `Unreachable`."""
    try:
        yield
    except (Unreachable, Refused):
        raise
    except Exception as error:  # SSH, files and dpdispatcher raise classes of their own; none is about the job
        raise Unreachable(f"{system} could not be asked: {error}") from error


class Scheduled:
    """A job of `profile` named `name`, whose script and output lie in `folder`.

    Parameters
    ----------
    commands : list of list of str
        Words of each command, run one after the other while they succeed; needed to submit only.
    log : str
        File that receives what they print.
    """

    def __init__(
        self, profile: Profile, folder: Path, name: str, commands: list[list[str]] | None = None, log: str = ""
    ) -> None:
        dp = cluster_profiles.dispatcher()
        self.profile, self.folder, self.name = profile, folder, name
        task = dp.Task(shell_line(commands or [], log), ".", outlog=None, errlog=None, task_name=name)
        with answering(profile.system):
            self.machine = dp.Machine.load_from_dict(profile.machine | {"remote_root": str(folder)})
            resources = dp.Resources.load_from_dict(profile.resources)
            submission = dp.Submission(str(folder), self.machine, resources, task_list=[task])
            submission.generate_jobs()
            if profile.over_ssh:  # dpdispatcher made a folder for copies, but both sides see this one
                self.machine.context.sftp.rmdir(self.machine.context.remote_root)
                self.machine.context.remote_root = str(folder)
        self.job = submission.belonging_jobs[0]
        self._call = self.machine.context.block_call
        self.machine.context.block_call = self._prompt

    def _prompt(self, command: str) -> tuple[int, Any, Any, Any]:
        """Run a command of the scheduler; raise `Unreachable` at once where dpdispatcher would wait and repeat."""
        code, stdin, out, err = self._call(command)
        if code == 0:
            return code, stdin, out, err
        said = err.read()
        if any(words in said.decode(errors="replace") for words in UNREACHABLE):
            raise Unreachable(said.decode(errors="replace").strip())
        return code, stdin, out, io.BytesIO(said)

    def _ask(self, command: str) -> str:
        code, _, out, _ = self._prompt(command)
        return out.read().decode(errors="replace") if code == 0 else ""

    def submit(self) -> str:
        """Hand the job over and return its id; raise `Refused` or `Unreachable`."""
        with answering(self.profile.system):
            try:
                job_id = str(self.machine.do_submit(self.job))
            except Unreachable:
                raise
            except (RuntimeError, ValueError, TypeError) as error:
                said = re.sub(r"(?s).*message:|return code.*", "", str(error)).strip()
                raise Refused(said or str(error)) from error
        if not job_id:
            raise Refused("a limit on the number of jobs is reached; try again when some have ended")
        return job_id

    def find(self) -> str:
        """Id of the job: as noted when it was submitted, else of the waiting or running job of this name, else ''."""
        noted = [file.read_text().strip() for file in self.folder.glob("*_job_id")]
        with answering(self.profile.system):
            found = noted or self._ask(BY_NAME[self.profile.system].format(shlex.quote(self.name))).split()
        return found[0] if found else ""

    def ask(self, job_id: str) -> Answer:
        """What the scheduler says about the job now; raise `Unreachable` when it says nothing."""
        from dpdispatcher.utils.job_status import JobStatus

        self.job.job_id = job_id
        with answering(self.profile.system):
            status = self.machine.check_status(self.job)
            state, reason = self._words(job_id)
        if status == JobStatus.waiting:
            return Answer("waiting", state, reason)
        if status in (JobStatus.terminated, JobStatus.finished) or state in MEANING:
            return Answer("gone", state, reason)
        return Answer("active", state, reason)

    def waiting(self, job_ids: Sequence[str]) -> dict[str, Answer]:
        """What Slurm says of those of these jobs that wait, asked once for all; nothing of others, or by others."""
        if self.profile.system != "Slurm":
            return {}
        jobs = shlex.quote(",".join(job_ids))
        with answering(self.profile.system):
            said = self._ask(f"squeue --noheader --states=PENDING --format='%i|%T|%r' --jobs={jobs}")
        found = (line.strip().split("|") for line in said.splitlines() if line.count("|") == 2)
        return {job_id: Answer("waiting", state, reason) for job_id, state, reason in found}

    def _words(self, job_id: str) -> tuple[str, str]:
        for command, pattern in WORDS[self.profile.system]:
            if found := re.search(pattern, self._ask(command.format(shlex.quote(job_id)))):
                return found[1], found[2]
        return "", ""

    def close(self) -> None:
        """End the connection, where there is one."""
        if self.profile.over_ssh:
            self.machine.context.close()

    def kill(self, job_id: str) -> None:
        """Ask the scheduler to end the job."""
        self.job.job_id = job_id
        with answering(self.profile.system):
            self.machine.kill(self.job)
