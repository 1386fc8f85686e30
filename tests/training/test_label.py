"""The label queue: faults of the machine, frames that come twice or are empty, labels that do not mix, shards."""

import errno
import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.io import write

from lisi_nb import references
from lisi_nb.errors import RunFailed
from lisi_nb.structures.packing import random_packing
from lisi_nb.training import label as labelling

LJ = dict(epsilon=0.05, sigma=2.4, rc=5.0)


class Failing(LennardJones):
    """Lennard-Jones that counts its frames and raises `error` at the frame of that number."""

    calls, at, error = 0, 0, None

    def calculate(self, atoms=None, properties=None, system_changes=()):
        Failing.calls += 1
        if Failing.calls == Failing.at:
            raise Failing.error
        super().calculate(atoms, ["energy", "forces", "stress"], system_changes or ["positions"])


def engine(monkeypatch, **settings) -> references.Reference:
    made = references.Reference(
        "failing", "Lennard-Jones", "", lambda: Failing(**LJ), ("ase",), settings=settings, cost_s=(1.0, 1.0)
    )
    monkeypatch.setitem(references._REFERENCES, "failing", made)
    return made


@pytest.fixture
def files(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """Four frames, and where their labels go."""
    Failing.calls = Failing.at = 0
    engine(monkeypatch, cutoff=1)
    write(tmp_path / "f.extxyz", frames(), format="extxyz")
    return tmp_path / "f.extxyz", tmp_path / "l.extxyz"


def frames(n: int = 4) -> list[Atoms]:
    made = [random_packing(["Li"] * 5 + ["Si"] * 3, (6.0, 6.5, 7.0), seed) for seed in range(n)]
    for k, atoms in enumerate(made):
        atoms.info = {"number": k}
    return made


def numbers(*labels: Path) -> list[int]:
    return [int(a.info["number"]) for file in labels for a in labelling.read_frames(file)]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError("8 GB"), FileNotFoundError("no pw.x")]
)
def test_what_the_machine_lacks_ends_the_queue_and_blames_no_frame(files, error):
    Failing.at, Failing.error = 3, error
    with pytest.raises(RunFailed, match=r"stopped at frame 3 of 4 \(Li5Si3, .*kept in .*l.extxyz. Free disk") as ended:
        labelling.label(*files, "failing")
    assert str(error) in str(ended.value)
    assert numbers(files[1]) == [0, 1]
    assert not labelling.failed_file(files[1]).exists()
    assert labelling.label(*files, "failing") == 4
    assert numbers(files[1]) == [0, 1, 2, 3]


def test_a_fault_of_the_frame_sets_it_apart(files):
    Failing.at, Failing.error = 3, RuntimeError("no convergence")
    assert labelling.label(*files, "failing") == 3
    (failed,) = labelling.read_frames(labelling.failed_file(files[1]))
    assert (failed.info["number"], failed.info["failure"]) == (2, "RuntimeError: no convergence")
    # Given as frames again, a frame set apart can be labelled.
    assert labelling.label(labelling.failed_file(files[1]), files[1].with_name("again.extxyz"), "failing") == 1


def test_a_full_disk_while_a_label_is_written_loses_none(files, monkeypatch):
    """The half label is cut off without writing anything anew, for which the disk has no room."""

    def full(path, atoms, **options):
        write(path, atoms, **options)
        if len(labelling.read_frames(path, mend=False)) == 3:
            path.write_text(path.read_text()[:-50])
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(labelling, "write", full)
    with pytest.raises(RunFailed, match="No space left"):
        labelling.label(*files, "failing")
    monkeypatch.setattr(Path, "write_text", lambda *_: pytest.fail("all labels could be lost"))
    assert numbers(files[1]) == [0, 1]
    monkeypatch.setattr(labelling, "write", write)
    assert labelling.label(*files, "failing") == 4


def test_a_frame_that_comes_twice_is_labelled_once(files):
    """Also when its twins fall to different shards; the first one's origin is kept."""
    a, b, c, _ = frames()
    twin = a.copy()
    twin.info["number"] = 9
    write(files[0], [a, twin, b, a, c], format="extxyz")
    parts = [files[1].with_suffix(f".{k}.extxyz") for k in range(2)]
    assert [labelling.label(files[0], part, "failing", k, 2) for k, part in enumerate(parts)] == [2, 1]
    assert numbers(*parts) == [0, 2, 1]
    assert Failing.calls == 3


def test_an_empty_frame_is_set_apart_with_its_reason(files):
    """Alone or before others: it costs nothing, from which no time left can be told."""
    for queue, n_labels in (([Atoms(cell=[5] * 3)], 0), ([Atoms(cell=[6] * 3), *frames(2)], 2)):
        write(files[0], queue, format="extxyz")
        assert labelling.label(*files, "failing") == n_labels
    failed = labelling.read_frames(labelling.failed_file(files[1]))
    assert [a.info["failure"] for a in failed] == ["ValueError: it has no atoms"] * 2
    assert labelling.label(*files, "failing") == 2
    assert len(labelling.read_frames(labelling.failed_file(files[1]))) == 2, "not tried again"


@pytest.mark.parametrize("kept", ["labels", "failures"])
def test_labels_of_other_settings_are_refused_before_anything_is_computed(files, monkeypatch, kept):
    write(files[0], frames(2), format="extxyz")
    if kept == "failures":
        Failing.at, Failing.error = 1, RuntimeError("no convergence")
        write(files[0], frames(1), format="extxyz")
    labelling.label(*files, "failing")
    write(files[0], frames(), format="extxyz")
    calls = Failing.calls
    engine(monkeypatch, cutoff=2)
    for call in (labelling.label, lambda f, part, name: labelling.label_in_parts(f, [part], name)):
        with pytest.raises(
            ValueError, match=r"l.extxyz holds labels of failing cutoff=1; those of failing cutoff=2 .* another file"
        ):
            call(*files, "failing")
    assert Failing.calls == calls
    assert labelling.label(files[0], files[1].with_name("m.extxyz"), "failing") == 4


def test_frames_are_no_label_file(files):
    """Exchanged by mistake, or the same file twice: refused, and the frames are left as they are."""
    text = files[0].read_text()
    with pytest.raises(ValueError, match="holds labels of unknown settings"):
        labelling.label(files[0], files[0], "failing")
    assert files[0].read_text() == text
    files[1].write_text("Li Si\n1.0\n")
    with pytest.raises(ValueError, match=r"l.extxyz, line 1: 'Li Si' is no number of atoms. Give an extxyz file"):
        labelling.label(files[1], files[0].with_name("n.extxyz"), "failing")


@pytest.mark.parametrize(("shard", "shards"), [(2, 2), (-1, 2), (0, 0)])
def test_a_shard_that_is_none_is_refused(files, shard, shards):
    with pytest.raises(ValueError, match=f"shard={shard} is outside 0 to {shards - 1}. Give --shards N"):
        labelling.label(*files, "failing", shard, shards)


def test_shards_are_joined_in_the_order_of_the_frames_each_label_once(files, monkeypatch):
    Failing.at, Failing.error = 2, RuntimeError("no convergence")
    parts = [files[1].with_suffix(f".{k}.extxyz") for k in range(3)]
    for k, part in enumerate(parts):
        labelling.label(files[0], part, "failing", k, 3)
    again = files[1].with_name("again.extxyz")
    labelling.label(files[0], again, "failing", 1, 4)
    found = labelling.joined(files[0], [parts[2], again, *parts, labelling.failed_file(parts[0])])
    assert [a.info["number"] for a in found] == [0, 1, 2], "the last frame is set apart"
    assert all(np.isfinite(a.get_potential_energy()) for a in found)
    engine(monkeypatch, cutoff=2)
    other = files[1].with_name("other.extxyz")
    labelling.label(files[0], other, "failing")
    for wrong, said in ((other, "labels of failing cutoff=1 | failing cutoff=2. Join"), (files[0], "unknown settings")):
        with pytest.raises(ValueError, match=re.escape(said)):
            labelling.joined(files[0], [*parts, wrong])
