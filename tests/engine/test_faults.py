"""What goes wrong around a run: full and read-only disks, a LAMMPS that does not answer, two launches at once."""

import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from lisi_nb import cli
from lisi_nb.engine import launch, parse, supervise, worker
from lisi_nb.engine import run as runs
from lisi_nb.engine.devices import Device
from lisi_nb.errors import RunFailed
from lisi_nb.studies import interdiffusion

SMOKE = interdiffusion.scaled("smoke", "100")


@pytest.fixture
def small_disk(empty_data):
    """The run folders lie on a disk of 3 MB."""
    folder = empty_data / "runs"
    folder.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=False).returncode
    ):
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_the_run_and_it_goes_on_when_there_is_space(small_disk, monkeypatch):
    """LAMMPS itself does not notice; the frames on disk stay whole, and after freeing space nothing is missing."""
    monkeypatch.setattr(importlib.import_module("lisi_nb.studies.interdiffusion.build"), "RESTART_EVERY", 50)
    params = SMOKE.replace(duration_ps=3.0)
    run = launch.prepare(interdiffusion, params, "full", "cpu:1")
    (small_disk / "ballast").write_bytes(b"0" * (2_400_000))
    launch.start(run)
    with pytest.raises(RunFailed, match=r"interrupted: (The disk is full.*lisi-nb resume|The process is gone)"):
        launch.wait(run)
    assert 0 < run.status()["step"] < 1500
    frames = [frame.step for frame in run.frames()]
    assert frames == list(range(0, 10 * len(frames), 10))
    (small_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    launch.wait(launch.start(run, resume=True))
    assert run.status()["state"] == "finished"
    assert run.n_parts == 2
    assert [frame.step for frame in run.frames()] == list(range(0, 1501, 10))
    np.testing.assert_array_equal(run.thermo()["Step"], np.arange(0, 1501, 10))


def test_a_read_only_data_folder_is_refused_and_still_readable(small_disk, smoke_run, capsys):
    """Nothing can be launched, in words; what is there can be listed and shown."""
    folder = small_disk / "interdiffusion" / smoke_run.folder.name
    shutil.copytree(smoke_run.folder, folder, symlinks=True)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(ValueError, match=r"cannot be written \(Read-only file system\).*LISI_NB_DATA"):
        launch.prepare(interdiffusion, SMOKE.replace(duration_ps=0.1), "x", "cpu:1")
    run = runs.open_run(folder.name)
    assert run.status()["state"] == "finished"
    for command, code in (
        (["runs"], 0),
        (["show", run.id], 0),
        (["rerun", run.id], 1),
        (["clean", run.id, "--yes"], 1),
    ):
        with pytest.raises(SystemExit) as ended:
            cli.main(command)
        said = capsys.readouterr().err
        assert ended.value.code == code, said
        assert "Traceback" not in said
        assert code == 0 or "Read-only file system" in said


@pytest.mark.slow
def test_two_launches_at_once_are_one_run(empty_data):
    """Two processes launch the same inputs at the same moment: one worker runs them, both follow it to its end."""
    code = (
        "from lisi_nb.engine import launch; from lisi_nb.studies import interdiffusion as s;"
        "run = launch.launch(s, s.scaled('smoke', '100', duration_ps=0.04, window_ps=0.04), 'both', 'cpu:1');\n"
        "import time\nwhile run.status()['state'] == 'prepared': time.sleep(0.1)\n"
        "print(launch.wait(run).folder, run.status()['pid'])"
    )
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate(timeout=400)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(said) == 1, said
    (run,) = runs.find()
    assert (run.n_parts, run.status()["state"]) == (1, "finished")
    assert (run.folder / "log.lammps").read_text().count("Loop time of") == 1
    assert list(run.folder.glob("previous-*")) == []


@pytest.mark.slow
def test_a_lammps_that_does_not_answer_is_killed(empty_data, monkeypatch):
    """Frozen (SIGSTOP), it reads no stop request and takes no TERM; the run ends as stopped, with whole frames."""
    monkeypatch.setattr(supervise, "PATIENCE_S", 2.0)
    monkeypatch.setattr(supervise, "TERM_PATIENCE_S", 2.0)
    run = launch.prepare(interdiffusion, SMOKE.replace(duration_ps=500.0, window_ps=1.0), "frozen", "cpu:1")
    frozen = []

    def freeze() -> None:
        while run.status()["step"] < 20:
            time.sleep(0.2)
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):  # other tests' processes may be ending
                if process.cwd() == str(run.folder.resolve()):
                    process.send_signal(signal.SIGSTOP)
                    frozen.append(process)
        run.request_stop()

    helper = threading.Thread(target=freeze)
    helper.start()
    state = worker.simulate(run, run, Device(**run.manifest["device"]), worker.Goal(*2 * (run.status()["target"],)))
    helper.join()
    assert state == "stopped"
    assert "LAMMPS did not answer and was killed" in run.status()["message"]
    assert frozen
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in frozen)
    assert len(list(parse.frames(run.trajectories[0], strict=True))) >= 2
