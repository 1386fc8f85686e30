"""The registry and its refusals: unknown names, missing or changed members, foreign elements, temperatures."""

import json
import shutil

import numpy as np
import pytest

from lisi_nb import paths, potentials
from lisi_nb.errors import RunFailed
from lisi_nb.potentials.compressed import compressed, sha256


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The shipped potential in a folder that may be broken."""
    folder = tmp_path / "potentials" / "lisi"
    shutil.copytree(paths.DATA / "potentials" / "lisi", folder)
    monkeypatch.setattr(paths, "DATA", tmp_path)
    return folder


def test_names_and_card():
    assert "lisi" in potentials.names()
    potential = potentials.get("lisi")
    assert potential.elements == ("Li", "Si")
    assert len(potential.members()) == len(potential.card["members"]) >= 2
    for key in ("kind", "level_of_theory", "training_set", "test_errors", "properties", "speed", "licence", "rebuild"):
        assert potential.card[key], key
    low, high = potential.card["validity"]["trust_eV_A"]
    assert 0 < low < high


def test_unknown_name():
    with pytest.raises(ValueError, match=r"potential='lisy' is not known. Allowed: .*lisi.*Did you mean 'lisi'"):
        potentials.get("lisy")
    for hostile in ("", "../lisi", "lisi/", "."):
        with pytest.raises(ValueError, match="is not known"):
            potentials.get(hostile)


def test_missing_member(copied):
    (copied / "member1.pb").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks member1\.pb.*git checkout.*rebuild"):
        potentials.get("lisi").models()


@pytest.mark.parametrize(
    "name",
    [
        "member0.pb\nshell id", "member0.p\nb", "member0.pb\n", "../lisi/member0.pb", "/etc/passwd", "a b.pb",
        "$(id).pb", "member0.tersoff", "member0", "", ".pb", "-i.pb",
        "member0.pb/..", "a/../member0.pb", ".a/member0.pb", "a//member0.pb", "ü.pb", "a;b.pb", 'a".pb', "a&.pb",
    ],
)  # fmt: skip
def test_a_member_whose_name_is_not_plain_is_refused(copied, name):
    """LAMMPS reads the name as part of a command."""
    card = json.loads((copied / "card.json").read_text())
    card["members"][0]["file"] = name
    (copied / "card.json").write_text(json.dumps(card))
    for refuse in (potentials.get("lisi").members, potentials.get("lisi").models):
        with pytest.raises(ValueError, match=r"names the file .*Allowed: letters, .*ending in \.pb, \.pth") as refused:
            refuse()
        assert repr(name) in str(refused.value)


@pytest.mark.parametrize("suffix", potentials.SUFFIXES)
def test_plain_names_of_members_are_taken(copied, suffix):
    card = json.loads((copied / "card.json").read_text())
    (copied / "member0.pb").rename(copied / f"Set-2_a.1{suffix}")
    card["members"][0]["file"] = f"Set-2_a.1{suffix}"
    (copied / "card.json").write_text(json.dumps(card))
    assert potentials.get("lisi").members()[0].name == f"Set-2_a.1{suffix}"


def test_members_may_lie_in_folders(copied):
    """As those of a training do."""
    card = json.loads((copied / "card.json").read_text())
    (copied / "member-0").mkdir()
    (copied / "member0.pb").rename(copied / "member-0" / "frozen.pb")
    card["members"][0]["file"] = "member-0/frozen.pb"
    (copied / "card.json").write_text(json.dumps(card))
    assert potentials.get("lisi").members()[0] == copied / "member-0" / "frozen.pb"


def test_one_changed_byte(copied):
    data = bytearray((copied / "member0.pb").read_bytes())
    data[len(data) // 2] ^= 1
    (copied / "member0.pb").write_bytes(data)
    with pytest.raises(ValueError, match=r"member0\.pb.*has sha256 .*but the card says .*restore it from git"):
        potentials.get("lisi").members()


def test_ensemble_hash_follows_every_member(copied):
    before = potentials.get("lisi").sha256
    card = json.loads((copied / "card.json").read_text())
    card["members"][-1]["sha256"] = "0" * 64
    (copied / "card.json").write_text(json.dumps(card))
    assert potentials.get("lisi").sha256 != before


def test_elements_and_temperature():
    potential = potentials.get("lisi")
    low, high = potential.card["validity"]["temperature_K"]
    for temperature in (low, high):
        potential.check({"Li", "Si"}, temperature)
        potential.check({"Si"}, temperature)
    with pytest.raises(ValueError, match=r"contains H, O, but potential 'lisi' knows only Li, Si\. Choose one of"):
        potential.check({"Li", "O", "H"}, 300.0)
    for temperature in (low - 1, high + 1):
        with pytest.raises(ValueError, match=r"temperature_K=.* K is outside .*'lisi' was trained for this range only"):
            potential.check({"Li"}, temperature)


def test_sha256_against_the_standard_vector(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_compression_is_made_once_and_again_when_damaged_and_a_damaged_model_is_said(data_folder, tmp_path):
    member = potentials.get("lisi").members()[0]
    made = compressed(member)
    stamp = made.stat().st_mtime_ns
    assert compressed(member) == made
    assert made.stat().st_mtime_ns == stamp
    assert made.parent == data_folder / "cache" / "compressed"
    digest = made.with_suffix(".sha256").read_text()
    assert digest == sha256(made)
    made.write_bytes(made.read_bytes()[:1000])  # a damaged copy is made again
    assert compressed(member) == made
    assert made.stat().st_size > 1000
    assert made.with_suffix(".sha256").read_text() == sha256(made)
    made.with_suffix(".sha256").unlink()  # one from before hashes were kept is taken as it is
    stamp = made.stat().st_mtime_ns
    assert compressed(member) == made
    assert made.stat().st_mtime_ns == stamp
    broken = tmp_path / "broken.pb"
    broken.write_bytes(np.random.default_rng(0).bytes(1000))
    before = set(made.parent.iterdir())
    with pytest.raises(RunFailed, match=r"dp compress could not compress .*broken\.pb"):
        compressed(broken)
    assert set(made.parent.iterdir()) == before
