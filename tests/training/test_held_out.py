"""Held-out systems: no frame of theirs, under whatever name, is trained on; checked by hashing real frames."""

from collections import Counter

import numpy as np
import pytest
from ase import Atoms

from lisi_nb.training import ab_initio, corrected, recipe
from lisi_nb.training.dataset import write_deepmd
from lisi_nb.training.held_out import HELD_OUT, by_system, refuse_overlap
from lisi_nb.training.label import frame_id, read_frames


def atom(x, system):
    return Atoms("Li", positions=[(x, 0, 0)], cell=[5] * 3, pbc=True, info={"system": system})


def test_the_same_geometry_under_another_name_is_not_trained_on():
    frames = [atom(0, "melt/x=1"), atom(1, HELD_OUT[0]), atom(1, "melt/x=1"), atom(2, "melt/x=1")]
    training, tested = by_system(frames)
    assert training == [frames[0], frames[3]]
    assert tested == [frames[1]]
    refuse_overlap(training, tested)
    for wrong in (frames[1], frames[2]):
        with pytest.raises(ValueError, match="is held out for the ab initio test"):
            refuse_overlap([frames[0], wrong], tested)


def test_no_shipped_frame_of_a_held_out_system_reaches_a_training_file(tmp_path):
    """All frames of both stages, read back from the files that `dp train` reads, against all held-out geometries."""
    dft = recipe.ab_initio()
    given = corrected.sets(recipe.lifted(), dft)
    chosen = read_frames(recipe.LABELS / "gpaw.frames.extxyz")
    tested = [a for a in [*chosen, *recipe.labelled()] if a.info["system"] in HELD_OUT]
    assert {a.info["system"] for a in tested} == set(HELD_OUT)
    forbidden = {sorted_hash(a) for a in tested}
    written = Counter()
    for name, frames in (("teacher", given.teacher), ("ab_initio", given.ab_initio)):
        for system in write_deepmd(frames, tmp_path / name):
            for atoms in read_back(system):
                written[name] += 1
                assert sorted_hash(atoms) not in forbidden
    assert written["ab_initio"] == len(dft.trained)
    assert written["teacher"] > 500


def test_enough_frames_are_planned_for_the_test():
    chosen = read_frames(recipe.LABELS / "gpaw.frames.extxyz")
    assert sum(a.info["system"] in HELD_OUT for a in chosen) >= 60
    assert ab_initio.gather(recipe.LABELS, "gpaw").settings.startswith("gpaw xc=PBE cutoff_eV=350")


def sorted_hash(atoms):
    return frame_id(atoms[np.argsort(atoms.numbers, kind="stable")])


def read_back(system):
    from pathlib import Path

    folder = Path(system)
    symbols = ["LiSi"[2 * t : 2 * t + 2] for t in np.loadtxt(folder / "type.raw", dtype=int, ndmin=1)]
    for coord, box in zip(np.load(folder / "set.000/coord.npy"), np.load(folder / "set.000/box.npy"), strict=True):
        yield Atoms(symbols, positions=coord.reshape(-1, 3), cell=box.reshape(3, 3), pbc=True)
