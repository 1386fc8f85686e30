"""What outlives a killed worker ends before a run goes on; nothing else that stands in its folder does."""

import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from lisi_nb.engine import launch
from lisi_nb.engine.leftovers import end_leftovers
from lisi_nb.engine.run import Run
from lisi_nb.studies import nanoparticle


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def stand_in(tmp_path):
    """Processes that sleep, under any name and anywhere; ended afterwards."""
    started = []

    def start(name: str, folder, *arguments: str) -> subprocess.Popen:
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.exists() or program.symlink_to(sys.executable)
        words = [program, "-c", "import time; time.sleep(60)", *arguments]
        started.append(subprocess.Popen(words, cwd=folder))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_only_programs_of_ours_at_work_in_the_folder_are_ended(tmp_path, stand_in):
    run = Run(tmp_path / "run")
    segment = run.folder / "segments" / "000-sample"
    segment.mkdir(parents=True)
    ours = [stand_in("lmp", run.folder), stand_in("lmp", segment), stand_in("mpiexec", segment)]
    others = [stand_in("bash", run.folder), stand_in("vim", segment), stand_in("lmp", tmp_path)]
    task = subprocess.Popen(
        [sys.executable, "-m", "lisi_nb.engine.worker", segment], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )  # waits for the end of its input
    deadline = time.monotonic() + 20
    while [psutil.Process(process.pid).name() for process in ours] != ["lmp", "lmp", "mpiexec"]:
        assert time.monotonic() < deadline
    end_leftovers(run)
    assert all(process.poll() is not None for process in [*ours, task])
    assert [process.poll() for process in others] == [None] * 3


def test_who_asks_lives_and_so_does_the_shell_it_was_asked_from(tmp_path):
    """Even under the name of a program of ours."""
    shutil.copy(shutil.which("sh"), tmp_path / "lmp")
    code = (
        "from pathlib import Path; from lisi_nb.engine import leftovers, run;"
        f"leftovers.end_leftovers(run.Run(Path({str(tmp_path)!r})))"
    )
    done = subprocess.run(
        [tmp_path / "lmp", "-c", f'"{sys.executable}" -c "{code}"; echo alive'],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")


@pytest.mark.slow
def test_lammps_of_a_chain_whose_worker_alone_was_killed_ends_before_it_goes_on(empty_data, stand_in):
    run = launch.launch(nanoparticle, nanoparticle.scaled("smoke", step_ps=60.0), "orphan", "cpu")
    deadline = time.monotonic() + 120
    while run.status()["step"] < 50:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    worker = psutil.Process(run.recorded()["pid"])
    orphans = worker.children(recursive=True)
    assert {process.cwd() for process in orphans} == {str(run.segments[0].folder.resolve())}
    bystander = stand_in("bash", run.folder)
    os.kill(worker.pid, signal.SIGKILL)
    while run.status()["state"] != "interrupted":
        assert time.monotonic() < deadline
    assert not any(map(ended, orphans))
    assert launch.claim(run, again=False, resume=True) == "segments"
    assert all(map(ended, orphans))
    assert bystander.poll() is None
