"""Relaxations on disk: the known minimum, nothing done twice, failures named, the teacher in its own Python."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read

from lisi_nb import references
from lisi_nb.analysis.elasticity import relaxed
from lisi_nb.errors import RunFailed
from lisi_nb.references.relaxing import relaxed_by


class Counted(EMT):
    """EMT that counts its evaluations, and dies when told to."""

    n, dies_at = 0, None

    def calculate(self, *args, **kwargs):
        Counted.n += 1
        if Counted.n == Counted.dies_at:
            raise KeyboardInterrupt
        super().calculate(*args, **kwargs)


@pytest.fixture
def emt(monkeypatch):
    Counted.n, Counted.dies_at = 0, None
    engine = references.Reference("emt", "effective medium theory", "comes with ASE", Counted, packages=("ase",))
    monkeypatch.setitem(references._REFERENCES, "emt", engine)
    return Counted


def metal(symbol, scale=1.03, **info):
    atoms = bulk(symbol, cubic=True)
    atoms.set_cell(atoms.cell * scale, scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    atoms.info = info
    return atoms


def test_the_known_minimum_is_reached(emt, tmp_path):
    told = []
    frames = [metal("Cu", dopant="F", number=7), metal("Au")]
    before = [a.positions.copy() for a in frames]
    cu, au = relaxed_by("emt", frames, tmp_path, fmax_eV_A=1e-3, progress=lambda *n: told.append(n))
    for found, symbol in ((cu, "Cu"), (au, "Au")):
        exact = relaxed(bulk(symbol, cubic=True), EMT(), fmax_eV_A=1e-4)
        assert found.get_volume() == pytest.approx(exact.get_volume(), rel=1e-3)
        assert found.get_potential_energy() == pytest.approx(exact.get_potential_energy(), abs=1e-4)
        assert np.abs(found.get_forces()).max() < 1e-3
        assert found.info["converged"]
        assert found.info["settings"] == "emt fmax_eV_A=0.001 steps=500"
    assert (cu.info["dopant"], cu.info["number"]) == ("F", 7)
    assert told[-1] == (2, 2)
    for atoms, old in zip(frames, before, strict=True):
        np.testing.assert_array_equal(atoms.positions, old)


def test_what_is_done_is_not_done_again(emt, tmp_path):
    first = relaxed_by("emt", [metal("Cu")], tmp_path)
    n = emt.n
    again, other, same = relaxed_by("emt", [metal("Cu"), metal("Au"), metal("Cu", site="core")], tmp_path)
    assert again.get_potential_energy() == first[0].get_potential_energy() == same.get_potential_energy()
    assert same.info["site"] == "core"
    assert "site" not in again.info
    assert other.symbols[0] == "Au"
    assert n < emt.n < 3 * n
    assert len(read(tmp_path / "relaxed.extxyz", ":")) == 2


def test_a_queue_that_was_killed_goes_on(emt, tmp_path):
    frames = [metal("Cu"), metal("Au"), metal("Ag")]
    emt.dies_at = 30
    with pytest.raises(KeyboardInterrupt):
        relaxed_by("emt", frames, tmp_path)
    kept = len(read(tmp_path / "relaxed.extxyz", ":"))
    assert 0 < kept < 3
    assert [a.symbols[0] for a in relaxed_by("emt", frames, tmp_path)] == ["Cu", "Au", "Ag"]


def test_too_few_steps_are_said(emt, tmp_path):
    assert not relaxed_by("emt", [metal("Cu")], tmp_path, fmax_eV_A=1e-4, steps=2)[0].info["converged"]


def test_a_frame_that_cannot_be_relaxed_is_named_and_the_others_are_kept(emt, tmp_path):
    with pytest.raises(RunFailed, match=r"emt could not relax 1 of 2 frames: Li2: NotImplementedError"):
        relaxed_by("emt", [metal("Li"), metal("Cu")], tmp_path)
    assert relaxed_by("emt", [metal("Cu")], tmp_path)[0].info["converged"]


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([], {}, "0 frames came; at least one is needed"),
        ([Atoms("Cu")], {}, "1 frames came; .* all periodic"),
        ([metal("Cu")], {"fmax_eV_A": 0}, "fmax_eV_A=0 eV/Å is outside"),
        ([metal("Cu")], {"steps": 0}, "steps=0 is outside"),
    ],
)
def test_bad_input(emt, tmp_path, frames, options, message):
    with pytest.raises(ValueError, match=message):
        relaxed_by("emt", frames, tmp_path, **options)


def test_another_engine_or_goal_needs_another_folder(emt, tmp_path):
    relaxed_by("emt", [metal("Cu")], tmp_path)
    with pytest.raises(ValueError, match=r"holds relaxations by 'emt fmax_eV_A=0.02 .*Choose another folder"):
        relaxed_by("emt", [metal("Cu")], tmp_path, fmax_eV_A=0.05)


@pytest.mark.slow
def test_the_teacher_relaxes_in_its_own_python(tmp_path):
    """Silicon: the PBE lattice, from a process of the reference environment."""
    told = []
    (found,) = relaxed_by("7net-0", [metal("Si", 1.02)], tmp_path, progress=lambda *n: told.append(n))
    assert found.info["converged"]
    assert found.get_volume() ** (1 / 3) == pytest.approx(5.469, rel=0.01)
    assert told[-1] == (1, 1)


@pytest.mark.slow
def test_an_engine_that_ends_says_its_last_words(tmp_path, monkeypatch):
    monkeypatch.setattr(references.Reference, "available", lambda self: False)
    monkeypatch.delenv("ESPRESSO_PSEUDO", raising=False)
    with pytest.raises(RunFailed, match=r"(?s)espresso ended with code 1 in .*espresso|ESPRESSO_PSEUDO"):
        relaxed_by("espresso", [metal("Si")], tmp_path)
