"""A piece of work is found by its inputs, done once, and again only when its files are not what was written down."""

import os
import signal
import sys
import time

import pytest
from ase.build import bulk

from lisi_nb.errors import RunFailed
from lisi_nb.training import work

MODULE = """
import sys, time
from pathlib import Path
from lisi_nb.training import work

def count(job):
    with (job.folder / "times").open("a") as f:
        f.write("x")
    (job.folder / "out.txt").write_text("made")
    return ["out.txt"]

def fail(job):
    raise ValueError("no such thing")

def sleep(job):
    (job.folder / "begun").touch()
    time.sleep(60)
    return []

sys.exit(work.perform(Path(sys.argv[1]), {"count": count, "fail": fail, "sleep": sleep}))
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of three kinds of work, which the process that does it can import."""
    (tmp_path / "kinds_of_work.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    return "kinds_of_work"


def prepare(tmp_path, kind, seed=1):
    return work.prepare(tmp_path / "works", kind, {"seed": seed}, {"frames.extxyz": [bulk("Li")]})


def begin(tmp_path, module):
    job = work.start(prepare(tmp_path, "sleep"), module)
    deadline = time.monotonic() + 60
    while not (job.folder / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return job


def test_the_same_inputs_are_the_same_work_done_once(tmp_path, module):
    done = work.wait(work.start(prepare(tmp_path, "count"), module))
    assert work.wait(work.start(prepare(tmp_path, "count"), module)) == done
    assert (done.folder / "times").read_text() == "x"
    assert prepare(tmp_path, "count", seed=2) != done
    assert done.inputs["files"].keys() == {"frames.extxyz"}


@pytest.mark.parametrize("name", ["out.txt", "frames.extxyz"])
def test_changed_files_do_not_count_as_done(tmp_path, module, name):
    done = work.wait(work.start(prepare(tmp_path, "count"), module))
    (done.folder / name).write_text("something else")
    assert done.status()["state"] == "changed"
    assert name in done.status()["message"]
    again = work.wait(work.start(prepare(tmp_path, "count"), module))
    assert again == done
    assert (again.folder / "out.txt").read_text() == "made"


def test_a_file_alone_is_no_result(tmp_path, module):
    job = prepare(tmp_path, "count")
    (job.folder / "out.txt").write_text("left by somebody")
    assert job.status()["state"] == "prepared"
    work.wait(work.start(job, module))
    assert (job.folder / "out.txt").read_text() == "made"


def test_failure_is_told_in_words(tmp_path, module):
    with pytest.raises(RunFailed, match="failed: ValueError: no such thing"):
        work.wait(work.start(prepare(tmp_path, "fail"), module))


def test_it_can_be_stopped_or_killed_and_started_again(tmp_path, module):
    job = begin(tmp_path, module)
    work.start(job, module)  # going on: left alone
    job.stop()
    with pytest.raises(RunFailed, match="stopped"):
        work.wait(job)
    (job.folder / "begun").unlink()
    begin(tmp_path, module)
    assert job.status()["state"] == "running"
    os.kill(job.status()["pid"], signal.SIGKILL)
    with pytest.raises(RunFailed, match="interrupted"):
        work.wait(job)


def test_two_processes_do_not_do_the_same_work(tmp_path, module):
    job = begin(tmp_path, module)
    pid = job.status()["pid"]
    assert work.perform(job.folder, {"sleep": lambda _: pytest.fail("done twice")}) == 0
    assert job.status()["pid"] == pid
    job.stop()
