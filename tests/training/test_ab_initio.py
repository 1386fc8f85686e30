"""Ab initio labels as they come in: counted, refused when mixed, set apart with reasons, never written to."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from lisi_nb.training.ab_initio import gather
from lisi_nb.training.held_out import HELD_OUT
from lisi_nb.training.label import frame_id

SETTINGS = "gpaw xc=PBE cutoff_eV=350"


def frame(number, system="melt/x=1", force=1.0, settings=SETTINGS):
    atoms = Atoms("LiSi", positions=[(0.1 * number, 0, 0), (2.5, 0, 0)], cell=[6] * 3, pbc=True)
    atoms.info = {"system": system, "frame_id": frame_id(atoms), "reference": settings.split()[0], "settings": settings}
    forces = np.array([(force, 0, 0), (-force, 0, 0)])
    atoms.calc = SinglePointCalculator(atoms, energy=-7.0 - 0.01 * number, forces=forces, stress=np.zeros(6))
    return atoms


def teachers(frames):
    out = []
    for atoms in frames:
        twin = atoms.copy()
        twin.info |= {"reference": "7net", "settings": "7net"}
        twin.calc = SinglePointCalculator(twin, energy=-7.1, forces=np.zeros((2, 3)), stress=np.zeros(6))
        out.append(twin)
    return out


def folder_with(tmp_path, first, second=()):
    write(tmp_path / "gpaw.0.extxyz", first, format="extxyz")
    if second:
        write(tmp_path / "gpaw.1.extxyz", second, format="extxyz")
    write(tmp_path / "gpaw.teacher.extxyz", teachers([*first, *second]), format="extxyz")
    return tmp_path


def test_labels_are_divided_by_system_and_paired_with_the_teachers(tmp_path):
    found = gather(folder_with(tmp_path, [frame(0), frame(1, HELD_OUT[2])], [frame(2)]), "gpaw")
    assert [a.get_potential_energy() for a, _ in found.trained] == [-7.0, -7.02]
    assert [t.get_potential_energy() for _, t in found.trained] == [-7.1, -7.1]
    assert [a.info["system"] for a, _ in found.held_out] == [HELD_OUT[2]]
    assert found.settings == SETTINGS
    assert str(found).startswith("2 ab initio frames to train on, 1 held out, 0 set apart")


def test_it_grows_with_the_labels_and_leaves_a_file_that_is_being_written_alone(tmp_path):
    frames = [frame(k) for k in range(3)]
    folder_with(tmp_path, frames)
    whole = (tmp_path / "gpaw.0.extxyz").read_text()
    for cut, n in ((whole[: len(whole) // 2], 1), (whole[:-3], 2), (whole, 3)):
        (tmp_path / "gpaw.0.extxyz").write_text(cut)
        assert len(gather(tmp_path, "gpaw").trained) == n
        assert (tmp_path / "gpaw.0.extxyz").read_text() == cut


def test_mixed_and_unknown_settings_are_refused(tmp_path):
    other = frame(1, settings="gpaw xc=PBE cutoff_eV=500")
    with pytest.raises(ValueError, match=r"mix reference settings: .*=350 \(1 frames\) \| .*=500 \(1 frames\)"):
        gather(folder_with(tmp_path, [frame(0)], [other]), "gpaw")
    bare = frame(1)
    del bare.info["settings"]
    with pytest.raises(ValueError, match="1 ab initio labels do not say their reference settings"):
        gather(folder_with(tmp_path, [frame(0)], [bare]), "gpaw")


def test_strong_forces_failures_and_twins_are_set_apart_with_reasons(tmp_path):
    folder_with(tmp_path, [frame(0), frame(1, force=30.0), frame(0)])
    failed = frame(5, system="crystal/Si")
    failed.calc = None
    failed.info["failure"] = "KohnShamConvergenceError: not converged"
    write(tmp_path / "gpaw.0.failed.extxyz", [failed], format="extxyz")
    found = gather(tmp_path, "gpaw")
    assert len(found.trained) == 1
    assert found.apart[0] == ("melt/x=1", "a force of 30.0 eV/Å, above 12")
    assert found.apart[1][1].startswith("the same geometry as frame 0")
    assert found.apart[2] == ("crystal/Si", "KohnShamConvergenceError: not converged")
    assert "crystal/Si: KohnShamConvergenceError" in str(found)


def test_missing_labels_say_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="recipe correct"):
        gather(tmp_path, "gpaw")
    write(tmp_path / "gpaw.0.extxyz", [frame(0)], format="extxyz")
    with pytest.raises(ValueError, match=r"not labelled 1 of the 1 .*recipe teach"):
        gather(tmp_path, "gpaw")
