"""Labels kept without their frames come back to the frames they belong to, to the last digit."""

import numpy as np
import pytest

from lisi_nb.training import recipe, tuned_labels


def test_shipped_labels_come_back_and_frames_without_one_are_left_out(tmp_path):
    given = recipe.lifted()[::50]
    tuned_labels.save(tmp_path / "labels.npz", given)
    moved = given[0].copy()
    moved.positions[0] += 0.5
    bare = [a.copy() for a in given]
    found = tuned_labels.load(tmp_path / "labels.npz", [moved, *bare[::-1]])
    assert len(found) == len(given)
    for mine, theirs in zip(found, given[::-1], strict=True):
        assert mine.get_potential_energy() == theirs.get_potential_energy()
        np.testing.assert_array_equal(mine.get_forces(), theirs.get_forces())
        np.testing.assert_array_equal(mine.get_stress(), theirs.get_stress())
        assert mine.info == theirs.info


def test_labels_of_two_settings_are_not_kept_together(tmp_path):
    frames = recipe.lifted()[:2]
    frames[1].info["settings"] = "other"
    with pytest.raises(ValueError, match="mix reference settings"):
        tuned_labels.save(tmp_path / "labels.npz", frames)
    assert not (tmp_path / "labels.npz").exists()
