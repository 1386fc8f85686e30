"""One call views a structure, a series or a run; what a viewer would draw wrongly is refused."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from lisi_nb.engine.run import Run
from lisi_nb.widgets import view, viewer


@pytest.fixture
def silicon():
    return bulk("Si", cubic=True).repeat((1, 1, 3))


def test_a_structure_and_a_series_use_nglview(silicon):
    assert view(silicon).said.startswith("nglview")
    assert len(view([silicon, silicon]).children) == 3


def test_z_lies_to_the_right_and_the_turn_is_no_mirror(silicon):
    silicon.positions += np.random.default_rng(0).normal(0, 0.1, silicon.positions.shape)
    turned = viewer._turned(silicon)
    assert turned.cell.lengths() == pytest.approx(silicon.cell.lengths()[[2, 0, 1]])
    assert turned.positions[:, 0] == pytest.approx(silicon.cell.lengths()[2] - silicon.positions[:, 2])
    before, after = (np.linalg.det(a.positions[1:4] - a.positions[0]) for a in (silicon, turned))
    assert after == pytest.approx(before)


def test_a_run_uses_ovito_and_its_slider_changes_the_frame(smoke_run):
    shown = view(smoke_run)
    assert shown.said.startswith("OVITO")
    scene, player = shown.children[1:]
    before = scene._scene
    player.children[1].value = player.children[1].max
    assert scene._scene is not before


@pytest.mark.parametrize("what", [None, 3, "run", [], [1, 2]])
def test_other_things_are_refused(what):
    with pytest.raises(TypeError, match=r"view\(\) takes"):
        view(what)


def test_what_would_be_drawn_wrongly_is_refused(silicon, tmp_path):
    other = silicon.copy()
    other.set_cell(1.1 * other.cell.array)
    for bad, words in (
        (Atoms(), "no atoms"),
        (bulk("Si"), "not rectangular"),
        (Atoms("Au"), "No colour is known for Au"),
        ([silicon, other], "another cell"),
        ([silicon, silicon[:-1]], "other atoms"),
        ([silicon] * 51, "at most 50"),
        (Run(tmp_path), "no frame yet"),
    ):
        with pytest.raises(ValueError, match=words):
            view(bad)
