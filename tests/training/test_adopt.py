"""Bring your own model: the shipped members as a stranger's, converted, fetched by hash, and what is refused."""

import hashlib
import http.server
import shutil
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lisi_nb import paths, potentials
from lisi_nb.structures.crystals import crystal
from lisi_nb.training import adopt as adopting
from lisi_nb.training import train
from lisi_nb.training.adopt import adopt, fetch
from lisi_nb.training.label import read_frames

SHIPPED = paths.DATA / "potentials" / "lisi"


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("LISI_NB_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_an_adopted_ensemble_is_used_like_the_shipped_one(own):
    labelled = read_frames(paths.DATA / "training" / "lisi" / "round2.extxyz")[::40]
    models = [SHIPPED / f"member{k}.pb" for k in (1, 0)]
    mine = adopt("mine", models, "PBE of mine", "CC-BY-4.0", (100.0, 900.0), labelled)
    assert potentials.names() == ["lisi", "mine"]
    assert mine.elements == ("Li", "Si")
    atoms = crystal("LiSi")
    atoms.calc = mine.calculator()
    other = crystal("LiSi")
    other.calc = potentials.get("lisi").calculators()[1]
    assert atoms.get_potential_energy() == pytest.approx(other.get_potential_energy(), abs=1e-9)
    card = mine.card
    assert card["level_of_theory"] == "PBE of mine"
    assert card["properties"]["si_lattice_A"] == pytest.approx(5.46, abs=0.05)
    assert card["speed"]["us_per_atom_step"] > 0
    assert card["test_errors"]["all"]["n_frames"] == len(labelled)
    assert 0 < card["validity"]["trust_eV_A"][0] < card["validity"]["trust_eV_A"][1]
    assert len(mine.models()) == 2
    with pytest.raises(ValueError, match="temperature_K=1000"):
        mine.check({"Li"}, 1000.0)
    with pytest.raises(ValueError, match="'mine' exists already"):
        adopt("mine", models)


@pytest.mark.slow
def test_a_portable_model_is_converted_and_predicts_the_same(own, tmp_path, monkeypatch):
    monkeypatch.setattr(adopting, "_measure", lambda *_: None)
    shutil.copyfile(SHIPPED / "member0.pb", tmp_path / "model.pb")
    # The shipped members carry their training input without defaults, which only newer ones have.
    train._carry_training_input(tmp_path / "model.pb", train.training_input(train.Data(["."], ["."]), 10, 1))
    train.dp(Path(sys.executable), "convert-backend", "model.pb", "model.dp", folder=tmp_path)
    mine = adopt("portable", [tmp_path / "model.dp"])
    frame = crystal("Li15Si4")
    frame.rattle(0.1, seed=1)
    forces = []
    for potential in (mine, potentials.get("lisi")):
        frame.calc = potential.calculator()
        forces.append(frame.get_forces())
    np.testing.assert_allclose(*forces, atol=1e-4)
    assert "one member has no deviation" in mine.card["validity"]["trust_how"]


def test_refusals_leave_nothing_behind(own, tmp_path):
    (tmp_path / "broken.pb").write_bytes(b"no model")
    (tmp_path / "notes.txt").write_text("no model")
    for name, models, error, words in (
        ("Mine!", [SHIPPED / "member0.pb"], ValueError, "name='Mine!' is not allowed"),
        ("lisi", [SHIPPED / "member0.pb"], ValueError, "exists already"),
        ("mine", [], ValueError, "No model was given"),
        ("mine", [tmp_path / "none.pb"], FileNotFoundError, "does not exist"),
        ("mine", [tmp_path / "notes.txt"], ValueError, r"is no frozen DeePMD model. Allowed: \.pb, \.dp, \.pth"),
        ("mine", [tmp_path / "broken.pb"], ValueError, "cannot be read as a DeePMD model"),
    ):
        with pytest.raises(error, match=words):
            adopt(name, models)
    assert potentials.names() == ["lisi"]
    assert not list((own / "potentials").glob("*"))


@pytest.fixture
def server(tmp_path):
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_fetch_checks_the_hash(own, tmp_path, server):
    (tmp_path / "model.pb").write_bytes(b"a model")
    digest = hashlib.sha256(b"a model").hexdigest()
    path = fetch(f"{server}/model.pb", digest)
    assert path.read_bytes() == b"a model"
    (tmp_path / "model.pb").unlink()
    assert fetch(f"{server}/model.pb", digest) == path, "the second time it comes from the cache"
    (tmp_path / "model.pb").write_bytes(b"another")
    with pytest.raises(ValueError, match="hash"):
        fetch(f"{server}/model.pb", "0" * 64)
    with pytest.raises(ValueError, match="is not a SHA-256"):
        fetch(f"{server}/model.pb", "abc")
