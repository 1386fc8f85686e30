"""The doctor runs every engine for real; what it needs is there, and a missing part is one clear line."""

import re

import pytest

from lisi_nb import potentials, tables
from lisi_nb.engine import doctor
from lisi_nb.engine.doctor import Check


@pytest.fixture(scope="module")
def checks(data_folder):
    return doctor.examine()


def test_everything_needed_is_there(checks):
    assert [c for c in checks if c.needed and not c.ok] == []
    assert {c.name for c in checks if c.needed} >= {"potentials", "LAMMPS + DeePMD", "MPI ranks", "viewer OVITO"}


def test_the_lammps_check_is_a_real_step(checks):
    seen = next(c.seen for c in checks if c.name == "LAMMPS + DeePMD")
    n_members = len(potentials.get("lisi").members())
    assert f"2 steps of 128 Li atoms with {n_members} DeePMD models" in seen
    # The potential's energies lie on the PBE scale of Materials Project: bcc Li is -1.90 eV/atom there (mp-135).
    # A first potential is allowed 0.1 eV/atom; a broken type order gives silicon's -5.4.
    assert float(seen.split(",")[-1].split()[0]) == pytest.approx(-1.9, abs=0.1)


def test_what_is_optional_and_missing_says_how_to_get_it(checks):
    for check in checks:
        assert bool(check.remedy) != check.ok
        assert "\n" not in check.seen


def test_a_broken_check_is_reported_not_raised(monkeypatch):
    def broken() -> str:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(doctor, "_CHECKS", (("thing", broken, "Fix it.", True), ("other", lambda: "fine", "-", False)))
    assert doctor.examine() == [
        Check("thing", False, "first line", "Fix it.", True),
        Check("other", True, "fine", "", False),
    ]
    text = str(tables.health(doctor.examine()))
    assert re.search(r"^thing +MISSING +first line +Fix it\.$", text, re.M)
    assert re.search(r"^other +ok +fine$", text, re.M)
    assert re.search(r"^versions +python ", text, re.M)
