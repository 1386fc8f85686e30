"""A potential from labels of one's own: trained, registered with its card, or refused before any training."""

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from lisi_nb import paths, potentials
from lisi_nb.training import adopt as adopting
from lisi_nb.training import own
from lisi_nb.training.label import read_frames

LABELS = paths.DATA / "training" / "lisi" / "round0.extxyz"


@pytest.fixture
def labelled(tmp_path, monkeypatch):
    """Small frames of two systems, some of them without stress, and an empty data folder."""
    monkeypatch.setenv("LISI_NB_DATA", str(tmp_path))
    found = [a for a in read_frames(LABELS) if len(a) < 40][:14]
    for k, atoms in enumerate(found):
        atoms.info |= {"system": f"mine/{k % 2}", "reference": "vasp"}
    for atoms in found[::3]:
        label = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **label)
    return found


@pytest.mark.slow
def test_labels_become_a_potential_with_a_card(labelled, monkeypatch):
    monkeypatch.setattr(adopting, "properties", lambda *_: {})  # a potential of a few steps keeps no crystal together
    monkeypatch.setattr(adopting, "speed", lambda *_: {})
    said = []
    mine = own.train_own("mine", labelled, "labels.extxyz", said.append, n_steps=20, n_members=2)
    assert said[0] == "training 2 members on 12 frames, 2 held out"
    assert potentials.names() == ["lisi", "mine"]
    card = mine.card
    assert card["training"]["references"] == ["vasp"]
    assert "zeros" not in card, "the labels are its own"
    assert card["training_set"] == {"n_train": 12, "n_test": 2, "n_atoms": sum(map(len, labelled))}
    assert card["test_errors"]["all"]["n_frames"] == 2
    assert "2 frames (vasp labels)" in card["validity"]["trust_how"]
    assert card["rebuild"] == "lisi-nb potentials train mine --labels labels.extxyz --steps 20"
    atoms = labelled[0].copy()
    atoms.calc = mine.calculator()
    assert np.isfinite(atoms.get_forces()).all()
    with pytest.raises(ValueError, match="'mine' exists already"):
        own.train_own("mine", labelled, "labels.extxyz", said.append)


def test_what_cannot_be_trained_is_refused_first(labelled):
    with pytest.raises(ValueError, match="name='My own' is not allowed"):
        own.train_own("My own", labelled, "", print)
    with pytest.raises(ValueError, match="'lisi' exists already"):
        own.train_own("lisi", labelled, "", print)
    with pytest.raises(ValueError, match="5 frames are too few: at least six of one kind"):
        own.train_own("mine", labelled[:5], "", print)
