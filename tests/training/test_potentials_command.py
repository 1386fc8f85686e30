"""``lisi-nb potentials`` with labels of others: sets are listed and cited, zeros are fitted, the card is summed up."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from lisi_nb import cli, potentials
from lisi_nb.potentials import Potential
from lisi_nb.training import adopt as adopting
from lisi_nb.training import own, validation
from lisi_nb.training.adopt import on_own_zeros
from lisi_nb.training.dataset import write_deepmd
from lisi_nb.training.published_sets import find, hash_of

ZERO = {"Li": 2.5, "Si": -104.0, "O": 7.0}  # eV by which another code's atoms lie above the potential's


def model():
    return LennardJones(sigma=2.2, epsilon=0.1, rc=5.0)


def labelled(*formulas, **info):
    """Labels of a code that differs from the potential in the elements' zeros, without stress."""
    rng = np.random.default_rng(3)
    found = []
    for formula in formulas:
        atoms = bulk("Si", "diamond", a=5.6, cubic=True)
        atoms.symbols = Atoms(formula).symbols
        atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
        work = atoms.copy()
        work.calc = model()
        label = {"energy": work.get_potential_energy() + sum(ZERO[s] for s in atoms.symbols)}
        atoms.calc = SinglePointCalculator(atoms, forces=work.get_forces(), **label)
        atoms.info = {"system": "mine/a", **info}
        found.append(atoms)
    return found


def potential(**training):
    return SimpleNamespace(card={"training": training} if training else {}, calculator=model)


def energies_left(frames):
    """Label minus prediction (eV)."""
    work = [atoms.copy() for atoms in frames]
    for atoms in work:
        atoms.calc = model()
    return [a.get_potential_energy() - w.get_potential_energy() for a, w in zip(frames, work, strict=True)]


@pytest.mark.parametrize(
    ("formulas", "words"),
    [
        (("Li8", "Si8", "Li4Si4", "Li6Si2"), "zeros fitted: Li 2.5000, Si -104.0000 eV, on these 4 frames"),
        (("Li8", "Si8", "Li4Si4", "Li4O4"), "zeros fitted: Li 2.5000, O 7.0000, Si -104.0000 eV"),
        (("Si8", "Si8"), "zeros fitted: Si -104.0000 eV"),
        (("Li4Si4", "Li4Si4"), "zeros fitted: Li -50.7500, Si -50.7500 eV"),
    ],
)
def test_zeros_of_another_reference_are_fitted_and_told(formulas, words):
    frames, said = on_own_zeros(potential(), labelled(*formulas, reference="vasp"))
    assert said.startswith(words)
    assert energies_left(frames) == pytest.approx([0] * len(formulas), abs=1e-6)


@pytest.mark.parametrize(
    ("training", "reference"),
    [
        ({"reference": "7net-l3i5"}, "7net-l3i5-tuned"),
        ({"reference": "7net-l3i5"}, "7net-l3i5"),
        ({"references": ["vasp", "gpaw"]}, "vasp"),
    ],
)
def test_labels_of_the_potentials_own_reference_are_compared_as_they_are(training, reference):
    given = labelled("Li8", "Si8", reference=reference)
    frames, said = on_own_zeros(potential(**training), given)
    assert frames is given
    assert said == ""
    assert on_own_zeros(potential(**training), labelled("Li8", "Si8", reference="qe"))[1] != ""


def test_the_card_of_an_adopted_potential_tells_its_fitted_zeros(monkeypatch, tmp_path):
    compared = []
    monkeypatch.setattr(adopting, "test_errors", lambda _, frames: compared.extend(frames) or {"all": {}})
    for name in ("properties", "speed"):
        monkeypatch.setattr(adopting, name, lambda *_: {})
    monkeypatch.setattr(adopting, "probe", lambda: None)
    monkeypatch.setattr(Potential, "calculator", lambda _: model())
    card = {"members": [{}], "validity": {}}
    adopting._measure(Potential("mine", tmp_path, card), card, labelled("Li8", "Si8", "Li4Si4"))
    assert card["zeros"].startswith("zeros fitted: Li 2.5000, Si -104.0000 eV")
    assert energies_left(compared) == pytest.approx([0, 0, 0], abs=1e-6)


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """Call the program in this process with a data folder of its own; return exit code, JSON, words."""
    monkeypatch.setenv("LISI_NB_DATA", str(tmp_path))

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main(["potentials", *map(str, arguments), "--json"])
        said = capsys.readouterr()
        return ended.value.code, json.loads(said.out), said.err

    return run


def test_sets_are_listed(call):
    code, listed, words = call("sets")
    assert code == 0
    assert {"li-si-pbe", "sei-mtp", "dendrite-pwmat"} <= {entry["name"] for entry in listed}
    assert listed[0]["doi"] == "10.1038/s41524-024-01327-1"
    assert listed[0]["title"].startswith("What drives the heterogeneous interdiffusion")
    assert words.splitlines()[0].split() == [
        "set", "holds", "elements", "format", "licence", "paper", "sha256", "where",
    ]  # fmt: skip
    assert len(words.splitlines()) == len(listed) + 1


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A registered potential without members, whose calculator is Lennard-Jones; nothing is computed of it."""
    folder = tmp_path / "potentials" / "mine"
    folder.mkdir(parents=True)
    card = {"name": "mine", "elements": ["Li", "Si"], "members": [], "test_errors": {"all": {}}, "speed": {"a": 1}}
    card |= {"validity": {"trust_how": "not calibrated: no labels"}, "properties": {"si_lattice_A": 5.47}}
    (folder / "card.json").write_text(json.dumps(card))
    monkeypatch.setattr(Potential, "calculator", lambda _: model())
    given = []

    def validate(_, labels, folder, *__):
        given.extend(labels)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "validation.md").write_text("# Validation\n")
        return {}

    monkeypatch.setattr(validation, "validate", validate)
    return given


def test_validation_fits_zeros_and_ends_with_what_the_card_holds(call, mine, tmp_path):
    write(tmp_path / "vasp.xyz", labelled("Li8", "Si8", "Li4Si4"), format="extxyz")
    code, found, words = call("validate", "mine", "--labels", tmp_path / "vasp.xyz")
    assert code == 0, words
    assert energies_left(mine) == pytest.approx([0, 0, 0], abs=1e-5)
    report = tmp_path / "potentials" / "mine" / "validation" / "validation.md"
    card = potentials.get("mine").card
    for told in (found["zeros"], card["validation"]["zeros"], report.read_text(), words):
        assert "zeros fitted: Li 2.5000, Si -104.0000 eV" in told
    assert words.splitlines()[-1] == (
        f"report: {report}; the card of mine now holds errors on labels, lattices and formation energies, speed, "
        "validation; not calibrated trust limits, amorphous Si, stability"
    )


def test_validation_elsewhere_leaves_the_card(call, mine, tmp_path):
    before = potentials.get("mine").card
    _, found, words = call("validate", "mine", "--to", tmp_path / "there", "--labels", _file(tmp_path, "Li8", "Si8"))
    assert potentials.get("mine").card == before
    assert found["zeros"] in (tmp_path / "there" / "validation.md").read_text()
    assert "the card of mine is unchanged and holds errors on labels" in words.splitlines()[-1]


def _file(folder, *formulas):
    write(folder / "labels.xyz", labelled(*formulas), format="extxyz")
    return folder / "labels.xyz"


def test_a_potential_trained_on_a_published_set_cites_it(call, tmp_path, monkeypatch):
    """All but the training: labels are read in the set's format, its hash is told, the card cites it."""
    write_deepmd(labelled(*["Li4Si4"] * 7), tmp_path / "set")
    given = {}
    monkeypatch.setattr(own, "side_by_side", lambda *_: [])
    monkeypatch.setattr(
        own, "adopt", lambda name, models, *card, **more: given.update(more) or Potential("a", None, {})
    )
    monkeypatch.setattr(own.train_own, "__kwdefaults__", own.train_own.__kwdefaults__ | {"n_members": 1})
    code, _, words = call("train", "cited", "--labels", tmp_path / "set", "--published", "li-si-pbe", "--steps", 10)
    assert code == 0, words
    facts, entry = given["facts"], find("li-si-pbe")
    assert facts["citation"] == entry.citation()
    for part in (entry.title, entry.doi, entry.licence):
        assert part in facts["citation"]
    assert facts["training"]["references"] == ["li-si-pbe"]
    assert facts["rebuild"].endswith("--steps 10 --published li-si-pbe")
    digest = hash_of(tmp_path / "set")
    assert f"is {digest}: write it into li-si-pbe's row" in words
    code, found, _ = call(
        "train", "cited", "--labels", tmp_path / "set", "--published", "li-si-pbe", "--sha256", "0" * 64
    )
    assert code == 2
    assert "was expected" in found["error"]


def test_an_added_model_cites_the_set_it_comes_from(call, monkeypatch):
    given = {}

    def adopt(name, models, theory, licence, **more):
        given.update(more, licence=licence)
        return potentials.get("lisi")

    monkeypatch.setattr(adopting, "adopt", adopt)
    assert call("add", "theirs", "graph.pb", "--published", "li-si-pbe-dp")[0] == 0
    assert given["facts"] == {"citation": find("li-si-pbe-dp").citation()}
    assert given["licence"] == "not stated there"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "new", "--published", "li-si-pbe"), "Get the set from AIS Square.* --labels FILE"),
        (("validate", "lisi", "--published", "li-si-pbe"), "Get the set from AIS Square.* --labels FILE"),
        (("add", "new", "graph.pb", "--published", "li-si-bpe"), "Did you mean 'li-si-pbe'"),
        (
            ("train", "new", "--labels", "none", "--published", "sei-mtp"),
            "does not exist. Get sei-mtp from GitHub",
        ),
    ],
)
def test_bad_input_is_refused(call, arguments, message):
    code, found, _ = call(*arguments)
    assert code == 2
    assert re.search(message, found["error"])
