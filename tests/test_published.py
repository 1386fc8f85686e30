"""The stored published values: form of every row, agreement with the paper, error messages."""

import pathlib
import re
from collections import Counter

import pytest

from lisi_nb import published

UNITS = {
    "1",
    "%",
    "A",
    "A^2",
    "A^3",
    "nm",
    "1/A",
    "1/bohr^2",
    "m^-3",
    "deg",
    "K",
    "degC",
    "V",
    "V/A",
    "mAh/g",
    "fs",
    "ps",
    "ns",
    "ns/day",
    "ps/day",
    "cm/s",
    "cm^2/s",
    "m^2/s",
    "nm^-2 ns^-1",
    "S/m",
    "mS/cm",
    "eV",
    "Ry",
    "eV/atom",
    "meV/atom",
    "kJ/mol",
    "eV/A",
    "meV/A",
    "meV/A^2",
    "bar",
    "kbar",
    "GPa",
    "g/cm^3",
    "J/m^2",
    "dyn/cm",
}
DOIS = {
    "interdiffusion": "10.1038/s41524-024-01327-1",
    "nanoparticle": "10.48550/arXiv.1901.09272",
    "dendrite": "10.1002/aenm.202202892",
    "haml": "10.1038/s41524-025-01747-7",
    "sei": "10.1039/d5mh01343g",
}
FACETS = ("aSi", "100", "110", "111")
# As printed in npj Comput. Mater. 10 (2024), in the order aSi, (100), (110), (111).
INTERDIFFUSION = {
    "lithiation_length": ("A", 55.6, 43.2, 48.5, 42.0),
    "left_front_displacement": ("A", 19.6, 13.3, 18.2, 12.9),
    "right_front_displacement": ("A", 36.0, 29.9, 30.3, 29.1),
    "left_front_speed": ("cm/s", 39.2, 26.6, 36.4, 25.8),
    "right_front_speed": ("cm/s", 72.0, 59.8, 60.6, 58.2),
    "si_flux": ("nm^-2 ns^-1", 18.1, 12.0, 14.0, 10.9),
    "onsite_energy_bulk": ("eV", -7.78, -8.91, -8.91, -8.91),
    "onsite_energy_interface": ("eV", -6.98, -6.64, -6.80, -6.51),
    "onsite_energy_alloy": ("eV", -7.10, -7.10, -7.10, -7.10),
    "onsite_energy_difference": ("eV", 0.80, 2.28, 2.11, 2.39),
    "transition_composition": ("1", 1.3, 2.8, 2.8, 2.8),
    "max_force_deviation": ("eV/A", 0.54, 0.40, 0.40, 0.40),
}
HEADER = "study,quantity,system,value,error,unit,place,doi,note\n"
GOOD = "sei,diffusivity,X,1e-3,,m^2/s,Table 1,10.1039/d5mh01343g,\n"


def facet(quantity: str, system: str) -> float:
    return published.value("interdiffusion", quantity, system).value


def test_row_form():
    for row in published.load():
        assert row.unit in UNITS, row
        for part in (row.system, row.place, row.note):
            assert part == part.strip(), row
            assert part.isascii(), row
        assert len(row.note) <= 90, row
        if row.study == "reference":
            assert row.note, f"a reference value says where it comes from: {row}"
        else:
            assert row.doi == DOIS[row.study], row
        # The unit has its own column, so a name must not repeat it.
        assert not re.search(r"_(ev|gpa|ps|ns|fs|kelvin|angstrom)$", row.quantity), row


def test_key_is_unique():
    """`value` returns one row, so variants are told apart by `system` or `quantity`."""
    keys = Counter((row.study, row.quantity, row.system) for row in published.load())
    assert [key for key, count in keys.items() if count > 1] == []


def test_one_unit_per_quantity_and_study():
    """Rows of one name can be plotted together; the two printed speeds differ too much for that."""
    units: dict[tuple[str, str], set[str]] = {}
    for row in published.load():
        units.setdefault((row.study, row.quantity), set()).add(row.unit)
    assert {key for key, found in units.items() if len(found) > 1} <= {("sei", "md_speed")}


def test_every_study_with_numbers_is_present():
    assert {row.study for row in published.load()} == set(published.STUDIES) - {"haml"}


def test_ranges_are_ordered():
    for low in published.load():
        if low.quantity.endswith("_min"):
            name = low.quantity[:-4] + "_max"
            for high in published.find(low.study, name, low.system):
                assert low.value < high.value
                assert low.unit == high.unit


@pytest.mark.parametrize("quantity", INTERDIFFUSION)
def test_interdiffusion_as_printed(quantity):
    unit, *numbers = INTERDIFFUSION[quantity]
    rows = [published.value("interdiffusion", quantity, system) for system in FACETS]
    assert [row.value for row in rows] == numbers
    assert {row.unit for row in rows} == {unit}


@pytest.mark.parametrize("system", FACETS)
def test_interdiffusion_is_consistent(system):
    left, right = (facet(f"{side}_front_displacement", system) for side in ("left", "right"))
    assert facet("lithiation_length", system) == pytest.approx(left + right, abs=0.11)
    for side, shift in (("left", left), ("right", right)):
        # 1 A/ns = 10 cm/s; a displacement is rounded to 0.05 A.
        assert facet(f"{side}_front_speed", system) == pytest.approx(10 * shift / 5, abs=0.15)
    barrier = facet("onsite_energy_interface", system) - facet("onsite_energy_bulk", system)
    assert facet("onsite_energy_difference", system) == pytest.approx(barrier, abs=0.011)


def test_other_printed_values():
    assert facet("lithiation_length", "110_strained") == 47.1
    row = published.value("nanoparticle", "diffusivity", "Li0.75Si")
    assert (row.value, row.error, row.unit) == (1.154e-14, 1.084e-14, "cm^2/s")
    assert published.value("sei", "activation_energy", "Li2CO3_vacancy").value == 0.24
    assert published.value("dendrite", "coordination_cutoff", "all").value == 3.45


def test_reference_formation_energies_are_consistent():
    for formula, x in (("LiSi", 1), ("Li12Si7", 12 / 7), ("Li7Si3", 7 / 3), ("Li15Si4", 15 / 4)):
        atom = published.value("reference", "formation_energy", f"{formula}_dft").value
        silicon = published.value("reference", "formation_energy_per_si", f"{formula}_dft").value
        assert silicon == pytest.approx(atom * (1 + x), abs=0.0005 * (1 + x) + 0.0005)


def test_find():
    assert len(published.find()) == len(published.load())
    assert {r.system for r in published.find("interdiffusion", "si_flux")} == set(FACETS)
    assert published.find(study="haml") == ()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("interdifusion", "si_flux", "110"), ("interdifusion", "Closest: interdiffusion")),
        (("interdiffusion", "lithiation_lenght", "110"), ("Closest: lithiation_length",)),
        (("interdiffusion", "si_flux", "111_strained"), ("system '111_strained'", "111")),
        (("interdiffusion", "si_flux", 110), ("system 110", "110")),
        (("haml", "si_flux", "110"), ("study 'haml'", "published.find()")),
    ],
)
def test_value_names_what_came_and_what_is_close(names, words):
    with pytest.raises(KeyError) as caught:
        published.value(*names)
    assert all(word in caught.value.args[0] for word in (*words, "published.find()"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("sei,", "sie,", ("study='sie'", "interdiffusion, nanoparticle")),
        ("diffusivity", "Diffusivity", ("quantity='Diffusivity'", "snake_case")),
        ("1e-3,,", "about 5,,", ("value='about 5'", "plain number")),
        ("1e-3,,", "nan,,", ("value='nan'", "plain number")),
        ("1e-3,,", "1e-3,-2,", ("error='-2'", ">= 0")),
        ("m^2/s", "", ("unit=''", "dimensionless")),
        ("10.1039/", "doi:10.1039/", ("doi='doi:10.1039/", "a DOI such as")),
        ("Table 1,", "", ("8 columns", "9")),
    ],
)
def test_bad_row_names_file_line_and_allowed(tmp_path: pathlib.Path, old, new, words):
    path = tmp_path / "mine.csv"
    path.write_text(HEADER + GOOD + GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=r"mine\.csv, line 3") as caught:
        published.load(path)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("text", ["", "study,value\n"])
def test_bad_header(tmp_path: pathlib.Path, text):
    path = tmp_path / "mine.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"mine\.csv, line 1: header"):
        published.load(path)
