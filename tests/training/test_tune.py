"""The teacher is tuned by the real `sevenn train`: it learns, goes on after a kill, begins anew for other frames."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from lisi_nb import references
from lisi_nb.errors import RunFailed
from lisi_nb.training import tune
from lisi_nb.training.dp import reference_python
from lisi_nb.training.label import label_side_by_side

SCALE = 1.3  # the engine's forces are those of the teacher, as stiff as this


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Rattled crystals with labels that are the teacher's, but stiffer."""
    folder = tmp_path_factory.mktemp("labels")
    plain = []
    for k in range(10):
        atoms = bulk("Si") if k % 2 else bulk("Li", cubic=True)
        atoms.rattle(0.12, seed=k)
        atoms.info = {"system": "test"}
        plain.append(atoms)
    write(folder / "frames.extxyz", plain, format="extxyz")
    labelled = label_side_by_side(folder / "frames.extxyz", folder / "teacher.extxyz", tune.TEACHER)
    for atoms in labelled:
        given = {"energy": atoms.get_potential_energy(), "forces": SCALE * atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **given, stress=SCALE * atoms.get_stress())
    return labelled


@pytest.mark.slow
def test_a_tuned_teacher_learns_goes_on_after_a_kill_and_labels(tmp_path, frames):
    folder, n_epochs = tmp_path / "tuned", 4
    write(tmp_path / "frames.extxyz", frames, format="extxyz")
    code = (
        "from pathlib import Path; from lisi_nb.training import tune; from lisi_nb.training.label import read_frames;"
        f"tune.tune(Path('tuned'), read_frames(Path('frames.extxyz')), {n_epochs})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, start_new_session=True)
    deadline = time.monotonic() + 300
    while not zipfile.is_zipfile(folder / "checkpoint_1.pth"):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    said = []
    weights = tune.tune(folder, frames, n_epochs, said.append)
    assert weights.exists()
    rows = {int(row["epoch"]): row for file in folder.glob("lc*.csv") for row in csv.DictReader(file.open())}
    assert list(rows) == [1, 2, 3, 4]
    assert float(rows[4]["lr"]) < 0.5 * float(rows[1]["lr"]), "steps as small as those of a last epoch"
    assert said[-1].startswith(f"tuning: epoch {n_epochs}, ")
    stamp = weights.stat().st_mtime_ns
    assert tune.tune(folder, frames, n_epochs) == weights
    assert weights.stat().st_mtime_ns == stamp, "nothing is done twice"

    labelled = label_side_by_side(tmp_path / "frames.extxyz", tmp_path / "new.extxyz", tune.TEACHER, weights)
    assert {a.info["settings"] for a in labelled} == {references.tuned(tune.TEACHER, weights).signature()}
    forces = [np.concatenate([a.get_forces().ravel() for a in some]) for some in (frames, labelled)]
    stiff = forces[0] @ forces[1] / (forces[0] @ forces[0])
    assert 1.03 / SCALE < stiff < 1.1, f"{stiff}: 1 when all is learned, {1 / SCALE:.2f} when nothing is"


@pytest.fixture
def sevenn(monkeypatch, tmp_path):
    """A `sevenn` that makes the checkpoints it is asked for, or fails."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    script = python.with_name("sevenn")

    def does(text):
        script.write_text(f"#!{sys.executable}\nimport json, sys\ngiven = json.load(open('input.yaml'))\n{text}\n")
        script.chmod(0o755)

    monkeypatch.setattr(tune, "reference_python", lambda: python)
    does("open(f\"checkpoint_{given['train']['epoch']}.pth\", 'w').write(given['train']['continue']['checkpoint'])")
    return does


def test_other_frames_or_settings_begin_anew(tmp_path, sevenn, frames):
    folder = tmp_path / "tuned"
    first = tune.tune(folder, frames, 2)
    assert first.read_text() == tune.TEACHER
    (folder / "lc.csv").write_text("of another tuning")
    tune.tune(folder, frames, 3)
    assert json.loads((folder / "input.yaml").read_text())["train"]["epoch"] == 3
    assert not (folder / "lc.csv").exists()
    tune.tune(folder, frames[:-1], 3)
    kept = {name: read(folder / f"{name}.extxyz", index=":") for name in ("train", "watched")}
    assert len(kept["watched"]) == math.ceil(tune.WATCHED * 9)
    assert len(kept["train"]) + len(kept["watched"]) == 9
    np.testing.assert_array_equal(
        sorted(a.get_potential_energy() for some in kept.values() for a in some),
        sorted(a.get_potential_energy() for a in frames[:-1]),
    )


def test_it_goes_on_from_the_last_checkpoint_that_is_whole(tmp_path, sevenn, frames):
    weights = tune.tune(tmp_path / "tuned", frames, 12)
    weights.unlink()
    for k in (8, 9, 10):
        with zipfile.ZipFile(weights.with_name(f"checkpoint_{k}.pth"), "w") as file:
            file.writestr("weights", "0" * 100)
    cut = weights.with_name("checkpoint_10.pth")
    cut.write_bytes(cut.read_bytes()[:-30])
    assert tune.tune(tmp_path / "tuned", frames, 12).read_text() == "checkpoint_9.pth"
    given = json.loads((tmp_path / "tuned" / "input.yaml").read_text())["train"]["continue"]
    assert not any(given[f"reset_{what}"] for what in ("optimizer", "scheduler", "epoch"))


def test_a_tuning_that_diverged_is_not_used(tmp_path, sevenn, frames):
    sevenn(
        "open('lc.csv', 'w').write('epoch,validset_Energy_RMSE,validset_Force_RMSE\\n2,nan,nan\\n');"
        "open('checkpoint_2.pth', 'w').write('')"
    )
    with pytest.raises(RunFailed, match="diverged"):
        tune.tune(tmp_path / "tuned", frames, 2)
    assert not (tmp_path / "tuned").exists()


def test_a_tuning_that_fails_says_its_last_words(tmp_path, sevenn, frames):
    sevenn("sys.exit('out of memory')")
    with pytest.raises(RunFailed, match=r"ended \(code 1\):\nout of memory"):
        tune.tune(tmp_path / "tuned", frames, 2)


def test_the_python_that_tunes_has_sevenn():
    assert reference_python().with_name("sevenn").exists()
