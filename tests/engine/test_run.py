"""Run folders: labels, identity, states of dead and reused processes, finding and opening, starting over."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid

import psutil
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lisi_nb import paths, potentials
from lisi_nb.engine import cluster, launch, processes
from lisi_nb.engine import run as runs
from lisi_nb.engine.processes import start_of
from lisi_nb.engine.run import FORMAT, Run
from lisi_nb.studies import interdiffusion


def new_run(study: str = "interdiffusion", name: str = "test-0123abcd", **manifest) -> Run:
    folder = paths.runs() / study / name
    folder.mkdir(parents=True)
    described = interdiffusion.Params().described()
    return runs.create(folder, {"format": FORMAT, "study": study, "params": described} | manifest, target=100)


@given(st.text(max_size=70))
def test_a_label_is_refused_or_is_one_plain_folder_name(label):
    """Whatever is typed: accepted labels make exactly one folder below the study, and no hidden one."""
    refusal = ""
    try:
        runs.check_label(label)
    except ValueError as error:
        refusal = str(error)
    if refusal:
        assert repr(label) in refusal
    else:
        name = f"{label}-0123abcd"
        assert os.path.normpath(name) == name == os.path.basename(name)
        assert label.isascii()
        assert not name.startswith((".", "-"))
        assert len(name) < 100


@pytest.mark.parametrize(
    "label",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/etc",
        "a\\b",
        "a b",
        "a\n",
        "a\0",
        "-rf",
        "~",
        "$HOME",
        "a;b",
        "*",
        "ü",
        "x" * 61,
        "x" * 100_000,
        "锂",
        "\u202etxt.exe",
        "e\u0301",
        "\ufeffa",
        "run\u200b",
        "\ud800",
        "a\r\nprint x",
        "a\tb",
        "%2e%2e",
        "`id`",
        "$(id)",
        "a|b",
        "a&b",
        "a'b",
        'a"b',
        "a#b",
        "${from}",
        "--json",
        "~root",
        "con:",
        "<x>",
        "a\x1b[2J",
    ],
)
def test_hostile_labels(label):
    with pytest.raises(ValueError, match=r"is not allowed. Use 1 to 60 letters") as refused:
        runs.check_label(label)
    assert len(str(refused.value)) < 500
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("label", ["a", "5nm", "hot_run-2.b", "x" * 60])
def test_good_labels(label):
    assert runs.check_label(label) == label


@given(st.data())
def test_identity_changes_with_every_parameter(data):
    """Each parameter of the study decides the outcome, so each changes the hash; the same values never do."""
    params = interdiffusion.Params()
    described = {f: params.__dataclass_fields__[f].metadata for f in params.to_dict()}
    name = data.draw(st.sampled_from(sorted(described)))
    meta, value = described[name], getattr(params, name)
    if meta["choices"]:
        other = data.draw(st.sampled_from(meta["choices"]))
    elif isinstance(value, str):
        other = data.draw(st.text(max_size=9))
    else:
        kind = st.integers if isinstance(value, int) else st.floats
        other = data.draw(kind(meta["low"], meta["high"]))
    assume(other != value)
    sha = potentials.get("lisi").sha256
    first = runs.identity("s", params.to_dict(), sha)
    assert runs.identity("s", params.replace(**{name: other}).to_dict(), sha) != first
    assert runs.identity("s", dict(reversed(params.to_dict().items())), sha) == first
    assert runs.identity("s", params.to_dict(), sha + "x") != first
    assert runs.identity("t", params.to_dict(), sha) != first


def test_status_of_a_living_process_is_running(empty_data):
    run = new_run()
    me = psutil.Process()
    run.update(state="running", pid=me.pid, process_start=start_of(me.pid))
    assert run.status()["state"] == "running"


def test_status_of_a_dead_a_reused_and_an_unnamed_process_is_interrupted(empty_data):
    run = new_run()
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    started = start_of(process.pid)
    process.wait()
    for pid, process_start in (
        (process.pid, started),  # dead
        (os.getpid(), started),  # another process has this number now
        (os.getpid(), f"{uuid.uuid4()} {start_of().split()[-1]}"),  # the same ticks after another boot
        (None, None),
    ):
        run.update(state="running", pid=pid, process_start=process_start)
        status = run.status()
        assert status["state"] == "interrupted"
        assert "lisi-nb resume" in status["message"]
    # Reading changes nothing on disk.
    assert json.loads((run.folder / "status.json").read_text())["state"] == "running"


def test_a_clock_that_is_set_changes_no_process(empty_data, monkeypatch):
    """An hour forward or back, between the start of a run and a look at it: psutil's start times jump, ours do not."""
    run = new_run()
    run.update(state="running", pid=os.getpid(), process_start=start_of())
    now, boot, started = time.time, psutil.boot_time(), psutil.Process().create_time()
    for jump_s in (3600.0, -3600.0):
        monkeypatch.setattr(time, "time", lambda jump_s=jump_s: now() + jump_s)
        monkeypatch.setattr(psutil._pslinux, "boot_time", lambda jump_s=jump_s: boot + jump_s)
        assert psutil.Process().create_time() == pytest.approx(started + jump_s, abs=2)
        assert run.status()["state"] == "running"


def test_without_proc_a_process_is_known_by_its_time(monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "PROC", tmp_path)
    mine = start_of()
    assert processes.alive(os.getpid(), mine)
    assert not processes.alive(os.getpid(), "12.00")
    with pytest.raises(psutil.NoSuchProcess):
        start_of(2**22 + 1)


def test_status_of_a_zombie_is_interrupted(empty_data):
    run = new_run()
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    child = psutil.Process(process.pid)
    run.update(state="running", pid=child.pid, process_start=start_of(child.pid))
    deadline = time.monotonic() + 20
    while child.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert run.status()["state"] == "interrupted"
    process.wait()


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_of_another_machine_is_judged_by_its_silence(empty_data, state):
    """On a shared home its process numbers say nothing here: neither that it is dead nor, by chance, that it lives."""
    run = new_run()
    run.update(state=state, queued=0.0, pid=2**22 + 1, process_start="of another boot", host="node7")
    assert run.status()["state"] == state
    with pytest.raises(ValueError, match=rf"is {state} on node7, .* 0 s ago.*lisi-nb stop.*after 600 s of silence"):
        launch.start(run, again=True)
    for choice in ({"resume": True}, {}):  # a notebook that is run again follows it
        assert launch.start(run, **choice).recorded()["host"] == "node7"
    then = time.time() - runs.SILENCE_S - 1
    os.utime(run.folder / "status.json", (then, then))
    assert run.status()["state"] == "interrupted"
    run.update(host=socket.gethostname())
    assert run.status()["state"] == "interrupted"


def test_a_start_here_is_no_longer_of_another_machine(empty_data, monkeypatch):
    run = new_run(potential={"name": "lisi", "members": []})
    (run.folder / "potential").mkdir()
    run.update(host="node7")
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    launch.start(run)
    assert run.recorded()["host"] == socket.gethostname()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"state": "running"}', "\0" * 300, None])
def test_a_status_that_cannot_be_read_says_what_to_do(empty_data, text):
    run = new_run()
    (run.folder / "status.json").unlink() if text is None else (run.folder / "status.json").write_text(text)
    with pytest.raises(ValueError, match=r"test-0123abcd/status\.json cannot be read: .*lisi-nb clean"):
        run.status()


def test_a_file_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
    """The power fails after the renaming: without this order the file is there and empty."""
    done = []
    monkeypatch.setattr(os, "fsync", lambda number: done.append(os.fstat(number).st_size))
    runs.write_json(tmp_path / "x.json", {"a": 1})
    assert done == [(tmp_path / "x.json").stat().st_size]


def test_a_worker_that_never_came_up_is_interrupted(empty_data):
    """`queued` is written before the worker starts; when it dies at once, nobody else would change it."""
    run = new_run()
    run.update(state="queued", queued=time.time())
    assert run.status()["state"] == "queued"
    run.update(queued=time.time() - 2 * runs.QUEUE_PATIENCE_S)
    status = run.status()
    assert status["state"] == "interrupted"
    assert "worker.log" in status["message"]


def test_a_worker_that_died_before_it_could_say_running_is_interrupted_at_once(empty_data):
    run = new_run()
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    started = start_of(process.pid)
    process.wait()
    run.update(state="queued", queued=time.time(), pid=process.pid, process_start=started)
    status = run.status()
    assert status["state"] == "interrupted"
    assert "worker.log" in status["message"]
    # One that lives is waited for, however long its machine takes to bring it up.
    run.update(queued=time.time() - 2 * runs.QUEUE_PATIENCE_S, pid=os.getpid(), process_start=start_of())
    assert run.status()["state"] == "queued"


def test_a_run_that_waits_in_a_cluster_is_judged_by_its_scheduler_alone(empty_data, monkeypatch):
    run = new_run()
    queued = time.time() - 2 * runs.QUEUE_PATIENCE_S
    run.update(state="queued", queued=queued, pid=2**22 + 1, process_start="gone", scheduler={"queued": queued})
    monkeypatch.setattr(cluster, "look", lambda run, status: status | {"message": "asked"})
    assert (run.status()["state"], run.status()["message"]) == ("queued", "asked")


def test_limits_of_trust_are_those_the_run_was_made_with(empty_data):
    run = new_run(potential={"name": "lisi", "members": [], "trust_eV_A": [0.01, 0.02]})
    assert run.trust_eV_A == (0.01, 0.02)
    before = new_run(name="test-aaaaaaaa", potential={"name": "lisi", "members": []})  # manifests had none
    assert list(before.trust_eV_A) == potentials.get("lisi").card["validity"]["trust_eV_A"]


def test_other_format_is_refused_with_the_version_that_reads_it(empty_data):
    run = new_run(versions={"lisi_nb": "9.9"})
    manifest = json.loads((run.folder / "manifest.json").read_text())
    runs.write_json(run.folder / "manifest.json", manifest | {"format": 99})
    with pytest.raises(ValueError, match=r"run format 99, this lisi_nb reads format 1.*lisi_nb 9\.9, or run it again"):
        _ = Run(run.folder).manifest


def test_open_run_by_id_name_and_hash(empty_data):
    run = new_run()
    other = new_run(name="test-aaaaaaaa")
    for name in (run.id, run.folder.name, "0123abcd"):
        assert runs.open_run(name).folder == run.folder
    assert runs.open_run("aaaaaaaa").folder == other.folder
    with pytest.raises(ValueError, match=r"'test' is no run\. Runs: .*interdiffusion/test-0123abcd"):
        runs.open_run("test")
    with pytest.raises(ValueError, match="is no run"):
        runs.open_run("../interdiffusion/test-0123abcd")


def test_open_run_ambiguity(empty_data):
    new_run()
    new_run(study="dendrite")
    with pytest.raises(ValueError, match=r"'test-0123abcd' matches more than one run.*lisi-nb runs"):
        runs.open_run("test-0123abcd")
    assert runs.open_run("dendrite/test-0123abcd").folder.parent.name == "dendrite"


def test_find_newest_first_by_study_and_label(empty_data):
    folders = []
    for age, (study, name) in enumerate([("a", "x-00000001"), ("b", "x-y-00000002"), ("a", "x-00000003")]):
        run = new_run(study, name)
        os.utime(run.folder / "manifest.json", (age, age))
        folders.append(run.folder)
    assert [r.folder for r in runs.find()] == folders[::-1]
    assert [r.folder for r in runs.find("a")] == [folders[2], folders[0]]
    assert [r.folder for r in runs.find(label="x-y")] == [folders[1]]
    assert runs.find("nothing") == []


def test_a_draft_left_by_a_killed_preparation_is_no_run(empty_data):
    new_run(name=".test-0123abcd.4711")
    assert runs.find() == []
    assert runs.by_hash("interdiffusion", "0123abcd" + 56 * "0") is None


def test_by_hash_ignores_the_label(empty_data):
    run = new_run()
    assert runs.by_hash("interdiffusion", "0123abcd" + 56 * "0").folder == run.folder
    assert runs.by_hash("dendrite", "0123abcd" + 56 * "0") is None


def test_a_reader_never_sees_half_a_status(empty_data):
    """One thread rewrites the status as fast as it can; every read in between is a whole JSON object."""
    run = new_run()
    done = threading.Event()

    def write() -> None:
        for step in range(300):
            run.update(step=step, message="x" * 5000)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(run.status()["step"])
    writer.join()
    assert run.status()["step"] == 299
    assert len(seen) > 1


def test_set_aside_keeps_inputs_in_place_and_outputs_in_previous(empty_data):
    run = new_run()
    for name in ("in.lmp", "data.lmp", "log.lammps", "traj.0.bin", "stop.request", "worker.log"):
        (run.folder / name).write_text(name)
    (run.folder / "potential").mkdir()
    for n in (1, 2):
        run.update(state="stopped", step=40 * n)
        (run.folder / "log.lammps").write_text(f"try {n}")
        runs.set_aside(run)
        status = run.status()
        assert (status["state"], status["step"], status["target"]) == ("prepared", 0, 100)
        assert (run.folder / f"previous-{n}" / "log.lammps").read_text() == f"try {n}"
        kept = json.loads((run.folder / f"previous-{n}" / "status.json").read_text())
        assert (kept["state"], kept["step"]) == ("stopped", 40 * n)
    here = {p.name for p in run.folder.iterdir()}
    assert here == {
        "manifest.json",
        ".manifest.json",
        "status.json",
        "in.lmp",
        "data.lmp",
        "potential",
        "previous-1",
        "previous-2",
    }
