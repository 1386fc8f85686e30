"""Bring your own model: the shipped members as a stranger's, converted, fetched by hash, and what is refused."""

import hashlib
import http.server
import json
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from lisi_nb import paths, potentials
from lisi_nb.errors import RunFailed
from lisi_nb.structures.crystals import crystal
from lisi_nb.training import adopt as adopting
from lisi_nb.training import convert, dp, train
from lisi_nb.training import publish as publishing
from lisi_nb.training.adopt import adopt, fetch
from lisi_nb.training.dataset import write_deepmd
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
    convert.carry_training_input(
        tmp_path / "model.pb", train.training_input(train.Data(["."], ["."]), 10, 1, train.WITH_ANGLES)
    )
    dp.dp(Path(sys.executable), "convert-backend", "model.pb", "model.dp", folder=tmp_path)
    mine = adopt("portable", [tmp_path / "model.dp"])
    frame = crystal("Li15Si4")
    frame.rattle(0.1, seed=1)
    forces = []
    for potential in (mine, potentials.get("lisi")):
        frame.calc = potential.calculator()
        forces.append(frame.get_forces())
    np.testing.assert_allclose(*forces, atol=1e-4)
    assert "one member has no deviation" in mine.card["validity"]["trust_how"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A PyTorch model whose types are Si, Li, after a few steps of a real training."""
    folder = tmp_path_factory.mktemp("trained")
    labelled = [a for a in read_frames(paths.DATA / "training" / "lisi" / "round0.extxyz") if len(a) < 40][:12]
    data = train.Data(write_deepmd(labelled[:8], folder / "train"), write_deepmd(labelled[8:], folder / "test"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "ELEMENTS", ("Si", "Li"))
        (folder / "input.json").write_text(json.dumps(train.training_input(data, 10, 1)))
    python = dp.reference_python()
    dp.dp(python, "--pt", "train", "input.json", folder=folder, threads=1)
    dp.dp(python, "--pt", "freeze", "-o", "frozen.pth", folder=folder, threads=1)
    return folder / "frozen.pth"


def by_pytorch(model, atoms, types):
    """Energy and forces of a PyTorch model, from the environment that trained it."""
    code = (
        "import json, sys; import numpy as np; from deepmd.infer import DeepPot; x, c, t = json.load(sys.stdin);"
        "e, f = DeepPot(sys.argv[1]).eval(np.array(x), np.array(c), t)[:2]; print(json.dumps([e.item(), f.tolist()]))"
    )
    given = [atoms.positions.reshape(1, -1).tolist(), atoms.cell.array.reshape(1, 9).tolist(), types]
    command = [str(dp.reference_python()), "-c", code, str(model)]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True)
    energy, forces = json.loads(done.stdout.splitlines()[-1])
    return energy, np.array(forces[0])


@pytest.mark.slow
def test_a_pytorch_model_predicts_the_same_and_its_elements_are_not_swapped(own, monkeypatch, trained):
    """-3.68 eV/atom of LiSi became -7.18 when its atomic energies were left where TensorFlow scales the rest."""
    monkeypatch.setattr(adopting, "_measure", lambda *_: None)
    mine = adopt("mine", [trained])
    assert mine.elements == ("Si", "Li")
    atoms = crystal("Li15Si4")
    atoms.rattle(0.1, seed=1)
    energy, forces = by_pytorch(trained, atoms, [("Si", "Li").index(s) for s in atoms.symbols])
    atoms.calc = mine.calculator()
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-3)
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-4)
    label = atoms.copy()
    label.info["system"] = "crystal/Li15Si4"
    label.calc = SinglePointCalculator(label, energy=energy + 0.01 * len(label), forces=forces + 0.02)
    errors = publishing.test_errors(mine, [label])["all"]
    assert errors["energy_rmse_meV_atom"] == pytest.approx(10, abs=0.1)
    assert [errors[f"force_rmse_{e}eV_A"] for e in ("", "Li_", "Si_")] == pytest.approx([0.02] * 3, abs=2e-4)


def test_a_model_of_another_kind_is_not_converted(tmp_path, monkeypatch):
    from deepmd.dpmodel.utils import serialization

    model = {"model": {"type": "zbl", "@variables": {}}}
    monkeypatch.setattr(serialization, "load_dp_model", lambda path: model)
    with pytest.raises(ValueError, match=r"of type 'zbl', which cannot be converted.*Give a frozen TensorFlow model"):
        convert.to_tensorflow(tmp_path / "model.dp", tmp_path / "model.pb")


def test_trust_limits_are_the_deviations_at_which_an_error_is_expected(monkeypatch):
    """Frames whose largest errors are 5 times their largest deviations, in root mean square: 1 eV/A at 0.2."""
    found = {"max_devi_f_eV_A": np.array([0.03, 0.04, 0.12]), "max_force_error_eV_A": np.array([0.0, 0.39, 0.52])}
    monkeypatch.setattr(publishing, "predictions", lambda *_: found)
    frames = [crystal("Si") for _ in range(3)]
    for atoms in frames:
        atoms.info["reference"] = "dft-pbe"
    limits, how = publishing.thresholds(None, frames)
    assert limits == [0.2, 0.6]
    assert "3 frames (dft-pbe labels) that were not trained on" in how
    assert "5.0 times" in how
    found["max_devi_f_eV_A"] = np.zeros(3)
    with pytest.raises(ValueError, match="no deviation"):
        publishing.thresholds(None, frames)


@pytest.mark.slow
def test_a_publication_that_fails_leaves_the_potential_as_it_was(tmp_path, monkeypatch):
    """Then it succeeds: the members are replaced, and a report on the old ones is gone."""
    folder = tmp_path / "potentials" / "lisi"
    shutil.copytree(SHIPPED, folder)
    (folder / publishing.REPORT).mkdir(exist_ok=True)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    labelled = read_frames(paths.DATA / "training" / "lisi" / "round2.extxyz")[:2]
    for atoms in labelled:
        atoms.info["round"] = 2
    members = [SHIPPED / "member1.pb", SHIPPED / "member0.pb"]
    arguments = ("lisi", members, labelled, labelled, labelled, {"validity": {}}, labelled[0])
    monkeypatch.setattr(publishing, "DATA", tmp_path)
    monkeypatch.setattr(paths, "DATA", tmp_path)
    for name in ("properties", "amorphous_silicon", "speed"):
        monkeypatch.setattr(publishing, name, lambda *_: {})

    def lost(potential):
        raise RunFailed("atoms were lost")

    monkeypatch.setattr(publishing, "stability", lost)
    with pytest.raises(RunFailed, match="atoms were lost"):
        publishing.publish(*arguments)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert (folder / publishing.REPORT).exists()
    monkeypatch.setattr(publishing, "stability", lambda potential: {})
    new = publishing.publish(*arguments)
    assert [path.read_bytes() for path in new.members()] == [before["member1.pb"], before["member0.pb"]]
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "member0.pb", "member1.pb"]
    assert [path.name for path in folder.parent.iterdir()] == ["lisi"], "no draft is left"


def test_refusals_leave_nothing_behind(own, tmp_path):
    (tmp_path / "broken.pb").write_bytes(b"no model")
    (tmp_path / "notes.txt").write_text("no model")
    for name, models, error, words in (
        ("Mine!", [SHIPPED / "member0.pb"], ValueError, "name='Mine!' is not allowed"),
        ("lisi", [SHIPPED / "member0.pb"], ValueError, "exists already"),
        ("mine", [], ValueError, "No model was given"),
        ("mine", [tmp_path / "none.pb"], FileNotFoundError, "does not exist"),
        ("mine", [tmp_path / "notes.txt"], ValueError, r"is no frozen DeePMD model. Allowed: \.pb, \.pth, \.dp"),
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
