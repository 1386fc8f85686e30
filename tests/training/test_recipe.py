"""The recipe's last steps with the shipped labels: what is trained on, what the card is told, what is printed."""

import json

import pytest

from lisi_nb import potentials
from lisi_nb.training import recipe
from lisi_nb.training.held_out import HELD_OUT, refuse_overlap


@pytest.fixture
def stages(monkeypatch):
    """Training costs nothing: the shipped members stand for both stages."""
    given = {}
    some = recipe.lifted()[::12]

    def train(folder, plan, sets, say):
        given["sets"] = sets
        members = potentials.get("lisi").members()
        return members[:1], members[1:2]

    def publish(name, members, training, test, judges, description, probe):
        given.update(members=members, training=training, test=test, judges=judges, description=description)
        return potentials.get("lisi")

    def into_card(potential, test, say, dft):
        given.update(validated=(potential.name, test, dft))

    monkeypatch.setattr(recipe, "lifted", lambda: some)
    monkeypatch.setattr(recipe, "train", train)
    monkeypatch.setattr(recipe, "publish", publish)
    monkeypatch.setattr(recipe, "into_card", into_card)
    return given


def test_make_tells_the_card_what_was_held_out_and_what_it_changed(tmp_path, stages):
    said = []
    recipe.make(tmp_path, recipe.plan(10, 5, 1), said.append)
    assert stages["members"] == potentials.get("lisi").members()[1:2]
    card = json.loads(json.dumps(stages["description"]))
    assert card["training"]["held_out"] == list(HELD_OUT)
    assert (card["training"]["n_steps"], card["training"]["n_correction_steps"]) == (10, 5)
    errors = card["ab_initio"]["errors"]
    assert set(errors) == {"teacher", "tuned teacher", "pretrained", "corrected"}
    assert errors["tuned teacher"]["all"]["force_rmse_eV_A"] < 0.8 * errors["teacher"]["all"]["force_rmse_eV_A"]
    assert errors["teacher"]["all"]["n_frames"] == card["ab_initio"]["n_held_out"] == len(recipe.ab_initio().held_out)
    assert errors["pretrained"]["all"] != errors["corrected"]["all"]
    assert len(card["ab_initio"]["set_apart"]) >= 1
    tested = [a for a, _ in recipe.ab_initio().held_out]
    refuse_overlap(stages["training"], tested)
    assert len(stages["training"]) == len(stages["sets"].teacher) + len(stages["sets"].ab_initio)
    assert "pretrained, meV/atom" in said[-1]
    assert {a.info["reference"] for a in stages["judges"]} == {"gpaw"}
    assert {a.info["system"] for a in stages["judges"]} == set(HELD_OUT), "nothing was trained on them"
    assert stages["validated"][:2] == ("lisi", stages["test"])
    assert stages["validated"][2].held_out


def test_an_attempt_publishes_nothing_and_keeps_its_numbers(tmp_path, stages):
    said = []
    recipe.attempt(tmp_path, recipe.plan(10, 5, 1), said.append)
    assert "members" not in stages
    kept = json.loads((tmp_path / "held_out.json").read_text())
    assert set(kept["errors"]) == {"teacher", "tuned teacher", "shipped lisi", "pretrained", "corrected"}
    assert kept["errors"]["shipped lisi"] == kept["errors"]["pretrained"], "the same file"
    assert said[0].startswith(f"{kept['n_trained']} ab initio frames to train on")
