"""Published sets: complete entries, a download read in its own format, a wrong hash and an absent file refused."""

import re

import numpy as np
import pytest
from ase.io import read, write

from lisi_nb import paths
from lisi_nb.training.dataset import write_deepmd
from lisi_nb.training.intake import FORMATS
from lisi_nb.training.published_sets import hash_of, published_set, published_sets


def test_every_entry_names_format_elements_place_terms_and_paper():
    for name, entry in published_sets().items():
        assert entry.name == name
        assert {"Li"} <= set(entry.elements)
        for words in (entry.holds, entry.title, entry.authors, entry.licence, entry.format, entry.where):
            assert words
        assert re.fullmatch(r"10\.\d{4,9}/\S+", entry.doi)
        assert re.fullmatch(r"([0-9a-f]{64})?", entry.sha256)


def test_every_set_and_model_of_the_papers_is_listed():
    """What the papers and their sources name: labels that are read here, and models and structures that are not."""
    entries = published_sets()
    read_here = {name for name, entry in entries.items() if entry.format in FORMATS}
    assert read_here == {"li-si-pbe", "lisi-aenet", "dftb-lisi", "sei-mtp", "sei-mace", "dendrite-pwmat"}
    assert entries.keys() - read_here == {
        "li-si-pbe-dp", "dftb-lisi-skf", "dftb-lisi-amorphous", "sei-mtp-model", "sei-mace-model", "sei-test",
    }  # fmt: skip
    assert entries["sei-mtp"].elements == ("Li", "C", "O", "H", "P", "F"), "in the order of its type numbers"


@pytest.fixture
def download(tmp_path):
    """What a download of the interdiffusion set looks like, made of frames of ours."""
    frames = read(paths.DATA / "training" / "lisi" / "round1.extxyz", index=":3", format="extxyz")
    write_deepmd(frames, tmp_path / "set")
    return tmp_path / "set", frames


def test_a_download_is_read_in_its_own_format_and_carries_its_citation(download):
    folder, frames = download
    found = published_set("li-si-pbe", folder, hash_of(folder))
    energies = sorted(a.get_potential_energy() for a in found)
    assert energies == pytest.approx(sorted(a.get_potential_energy() for a in frames))
    assert all("10.1038/s41524-024-01327-1" in a.info["citation"] for a in found)
    assert all(a.info["settings"] == a.info["reference"] == "li-si-pbe" for a in found)


def test_a_download_whose_hash_nobody_knows_says_its_own(download):
    folder, _ = download
    with pytest.warns(UserWarning, match=rf"Nobody has recorded the sha256 of li-si-pbe.*{hash_of(folder)}: write it"):
        published_set("li-si-pbe", folder)
    said = []
    published_set("li-si-pbe", folder, hash_of(folder), said.append)
    assert said == []


def test_a_folder_of_xyz_files_is_read_as_one_set(download, tmp_path):
    _, frames = download
    (tmp_path / "crystal").mkdir()
    for k, atoms in enumerate(frames):
        write(tmp_path / "crystal" / f"{k}.xyz", atoms, format="extxyz")
    found = published_set("dftb-lisi", tmp_path / "crystal", hash_of(tmp_path / "crystal"))
    assert [a.get_potential_energy() for a in found] == [a.get_potential_energy() for a in frames]


def test_absent_changed_and_unknown(download, tmp_path):
    folder, _ = download
    with pytest.raises(FileNotFoundError, match=r"Get sei-mtp from GitHub gitliwq.*cite Li, Wu.*doi:10\.1039"):
        published_set("sei-mtp", tmp_path / "none")
    before = hash_of(folder)
    file = next(folder.rglob("energy.npy"))
    np.save(file, np.load(file) + 1e-3)
    with pytest.raises(ValueError, match=rf"but {before[:16]}\.\.\. was expected"):
        published_set("li-si-pbe", folder, before)
    with pytest.raises(ValueError, match="Did you mean 'sei-mtp'"):
        published_set("sei-mpt", folder)


def test_a_model_is_not_read_as_labels(download):
    with pytest.raises(ValueError, match=r"li-si-pbe-dp .* is not read here: its format is 'DeePMD model \(\.pb\)'"):
        published_set("li-si-pbe-dp", download[0])
