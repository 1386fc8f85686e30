"""Archives that plain LAMMPS runs again, reruns, sizes and deletion."""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lisi_nb import cli, paths
from lisi_nb.engine import execute, launch, parse, record, seal
from lisi_nb.engine import run as runs
from lisi_nb.engine.processes import start_of
from lisi_nb.engine.run import Run
from lisi_nb.studies import interdiffusion

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..")
)
BRIEF = interdiffusion.scaled("smoke", "100", duration_ps=0.04, window_ps=0.04)


def unpacked(archive, folder):
    with tarfile.open(archive) as tar:
        assert all(member.isfile() for member in tar), "no links, no devices"
        tar.extractall(folder, filter="data")
    (inside,) = folder.iterdir()
    return inside


@pytest.mark.slow
def test_an_unpacked_archive_runs_again_without_lisi_nb(smoke_run, tmp_path, monkeypatch):
    """With plain LAMMPS, elsewhere, without our data folder: the first thermo lines agree."""
    archive = record.export(smoke_run, tmp_path / "kept.tar.gz")
    here = unpacked(archive, tmp_path / "elsewhere")
    assert here.name == smoke_run.folder.name
    environment = {
        "PATH": os.environ["PATH"],
        "LMP": execute.executable("lmp"),
        "MPIEXEC": execute.executable("mpiexec"),
    }
    done = subprocess.run(
        ["sh", "elsewhere/" + here.name + "/rerun.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    first, again = parse.thermo(here / "log.lammps"), parse.thermo(here / "rerun" / "log.lammps")
    assert len(again["Step"]) == len(first["Step"]) == 31
    for column in ("PotEng", "TotEng", "Temp"):
        np.testing.assert_allclose(again[column][:5], first[column][:5], rtol=1e-5)
    # A damaged file is noticed before anything runs.
    shutil.rmtree(here / "rerun")
    (here / "data.lmp").write_text((here / "data.lmp").read_text().replace("192 atoms", "191 atoms"))
    done = subprocess.run(["sh", here / "rerun.sh"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "data.lmp" in done.stdout + done.stderr


def test_what_an_archive_holds(smoke_run, tmp_path):
    here = unpacked(record.export(smoke_run, tmp_path / "a.tar.gz"), tmp_path / "a")
    names = {str(p.relative_to(here)) for p in here.rglob("*") if p.is_file()}
    assert names == {
        "README.txt", "SHA256SUMS", "rerun.sh", "requirements.txt", "manifest.json", "status.json", "results.json",
        "in.lmp", "resume.lmp", "data.lmp", "final.data", "log.lammps", "model_devi.out",
        "potential/card.json", *(f"potential/{m['file']}" for m in smoke_run.manifest["potential"]["members"]),
    }  # fmt: skip
    for line in (here / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((here / name).read_bytes()).hexdigest() == digest
    assert json.loads((here / "manifest.json").read_text()) == smoke_run.manifest
    versions = smoke_run.manifest["versions"]
    assert f"lammps=={versions['lammps']}" in (here / "requirements.txt").read_text()
    assert "64" in (here / "README.txt").read_text()
    assert str(paths.PROJECT) not in "".join((here / n).read_text() for n in names if not n.endswith(".pb"))
    whole = unpacked(record.export(smoke_run, tmp_path / "b.tar.gz", trajectory=True), tmp_path / "b")
    assert (whole / "traj.0.bin").read_bytes() == smoke_run.trajectories[0].read_bytes()
    with pytest.raises(ValueError, match=r"a\.tar\.gz is there already"):
        record.export(smoke_run, tmp_path / "a.tar.gz")
    with pytest.raises(ValueError, match=r"is not a \.tar\.gz file"):
        record.export(smoke_run, tmp_path / "a.zip")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "a.tar.gz", "b", "b.tar.gz"]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NAMES, min_size=1, max_size=3, unique_by=str.casefold))
def test_rerun_sh_runs_each_segment_whatever_its_name(smoke_run, tmp_path_factory, names):
    here = tmp_path_factory.mktemp("it's; $HOME")
    for name in names:
        (here / "segments" / name).mkdir(parents=True)
        for file in ("in.lmp", "data.lmp", "step.json"):
            (here / "segments" / name / file).write_text("{}")
    shutil.copyfile(smoke_run.folder / "manifest.json", here / "manifest.json")
    (here / "potential").mkdir()
    (here / "SHA256SUMS").write_text(f"{hashlib.sha256(b'').hexdigest()}  empty\n")
    (here / "empty").touch()
    (here / "rerun.sh").write_text(record._texts(Run(here), smoke_run.status(), False)["rerun.sh"])
    (here / "lmp").write_text('#!/bin/sh\nprintf \'%s\\0\' "$PWD" "$@" >> ran\n')
    (here / "lmp").chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "LMP": str(here / "lmp"), "RANKS": "1"}
    subprocess.run(["sh", str(here / "rerun.sh")], env=environment, check=True, capture_output=True)
    for name in names:
        words = (here / "rerun" / "segments" / name / "ran").read_bytes().decode().split("\0")[:-1]
        place = str((here / "rerun" / "segments" / name).resolve())
        assert words == [place, "-in", "in.lmp", "-log", "log.lammps", "-screen", "none"]


def copied(run, empty_data) -> Run:
    folder = empty_data / "runs" / "interdiffusion" / run.folder.name
    shutil.copytree(run.folder, folder, symlinks=True)
    return Run(folder)


@pytest.mark.slow
def test_rerun_gives_the_same_first_energies_and_keeps_what_was(empty_data):
    run = launch.wait(launch.launch(interdiffusion, BRIEF, "twice", "cpu:1"))
    first = run.thermo()
    launch.wait(record.rerun(run))
    assert run.status()["state"] == "finished"
    np.testing.assert_allclose(run.thermo()["PotEng"], first["PotEng"], rtol=1e-5)
    kept = run.folder / "previous-1"
    assert json.loads((kept / "status.json").read_text())["state"] == "finished"
    np.testing.assert_array_equal(parse.thermo(kept / "log.lammps")["PotEng"], first["PotEng"])
    assert (kept / "results.json").exists()
    assert len(runs.find()) == 1


def test_what_cannot_be_exported_or_run_again(smoke_run, empty_data, tmp_path):
    run = copied(smoke_run, empty_data)
    me = psutil.Process()
    run.update(state="running", pid=me.pid, process_start=start_of(me.pid))
    with pytest.raises(ValueError, match="is running; only a run that has ended can be exported"):
        record.export(run, tmp_path / "x.tar.gz")
    with pytest.raises(ValueError, match="is running; wait for its end or stop it"):
        record.rerun(run)
    run.update(state="finished")
    data = run.folder / "data.lmp"
    data.write_text(data.read_text() + "\n")
    for refuse in (lambda: record.export(run, tmp_path / "x.tar.gz"), lambda: record.rerun(run)):
        with pytest.raises(ValueError, match=r"data\.lmp was changed after the run was made"):
            refuse()
    assert not (tmp_path / "x.tar.gz").exists()
    assert run.status()["state"] == "finished"


@pytest.mark.parametrize("name", ["in.lmp", "resume.lmp", "data.lmp"])
def test_inputs_edited_by_hand_are_neither_exported_nor_run_again(smoke_run, empty_data, tmp_path, name):
    """`shell` in an input is a command of whoever runs the archive."""
    run = copied(smoke_run, empty_data)
    with (run.folder / name).open("a") as stream:
        stream.write("shell touch /tmp/x\n")
    digest = hashlib.sha256((run.folder / name).read_bytes()).hexdigest()[:16]
    words = rf"{name} was changed after the run was made: its hash is {digest}, was {run.manifest['inputs'][name][:16]}"
    for refuse in (lambda: record.export(run, tmp_path / "x.tar.gz"), lambda: record.rerun(run)):
        with pytest.raises(ValueError, match=words):
            refuse()
    (run.folder / name).unlink()
    with pytest.raises(ValueError, match=r"its hash is \(nothing\), was"):
        record.check_inputs(run)
    assert run.status()["state"] == "finished"


def test_inputs_of_a_run_that_was_made_without_hashes_are_unknown(smoke_run, empty_data, tmp_path, capsys):
    run = copied(smoke_run, empty_data)
    for name in ("manifest.json", seal.COPY):
        manifest = {key: value for key, value in run.manifest.items() if key != "inputs"}
        runs.write_json(run.folder / name, manifest)
    run, unknown = Run(run.folder), "Whether in.lmp was changed since it was made is unknown."
    assert record.check_inputs(run) == unknown
    with pytest.raises(SystemExit, match="0"):
        cli.main(["export", run.id, "--to", str(tmp_path / "x.tar.gz")])
    assert unknown in capsys.readouterr().err
    assert unknown in (unpacked(tmp_path / "x.tar.gz", tmp_path / "x") / "README.txt").read_text()
    assert record.check_inputs(smoke_run) == ""
    (run.folder / "data.lmp").write_text("")
    with pytest.raises(ValueError, match=r"data\.lmp was changed after the run was made"):
        record.check_inputs(run)


def test_sizes_and_deletion(smoke_run, empty_data, monkeypatch):
    cache = empty_data / "own"
    (cache / "structures").mkdir(parents=True)
    (cache / "structures" / "x.extxyz").write_bytes(b"1" * 1000)
    monkeypatch.setattr(paths, "cache", lambda: cache)
    run = copied(smoke_run, empty_data)
    other = run.folder.with_name("busy-00000000")
    shutil.copytree(run.folder, other, symlinks=True)
    me = psutil.Process()
    found = {item.name: item for item in record.items()}
    assert set(found) == {run.id, "interdiffusion/busy-00000000", "cache/structures"}
    assert found["cache/structures"].n_bytes == 1000
    assert found[run.id].n_bytes == sum(
        p.lstat().st_size for p in run.folder.rglob("*") if not p.is_dir() or p.is_symlink()
    )
    torn = run.folder.with_name("torn-00000000")
    shutil.copytree(run.folder, torn, symlinks=True)
    (torn / "status.json").write_text("")
    Run(other).update(state="running", pid=me.pid, process_start=start_of(me.pid))
    found = record.items()
    (unreadable,) = record.select(found, ["interdiffusion/torn-*"])
    assert unreadable.state == "unreadable"
    record.delete(unreadable)
    assert not torn.exists()
    for pattern in ("interdiffusion/*", "cache/*", "*"):
        with pytest.raises(ValueError, match=r"Nothing was deleted: .* must stay"):
            record.select(found, [pattern])
    for pattern in ("nothing", "../*", "/etc/*", str(run.folder)):
        with pytest.raises(ValueError, match="fits nothing"):
            record.select(found, [pattern])
    stale = next(item for item in found if item.name.endswith("busy-00000000"))
    with pytest.raises(ValueError, match="is running; it was not deleted"):
        record.delete(stale)
    for item in record.select(found, ["interdiffusion/smoke-*"]):
        record.delete(item)
    assert [p.name for p in (empty_data / "runs" / "interdiffusion").iterdir()] == ["busy-00000000"]
    item = record.Item("sweeps/v.sweep", empty_data, 0, "sweep, paused")
    monkeypatch.setattr(record, "_state", lambda folder: "sweep, running")  # started while the user was asked
    with pytest.raises(ValueError, match=r"v\.sweep is running; it was not deleted"):
        record.delete(item)
    # What its links point at is not deleted with a run.
    assert all(Path(link).resolve().exists() for link in (smoke_run.folder / "potential").iterdir())
