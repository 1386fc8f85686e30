"""Validation of a potential: records, verdicts, calibration on made-up ensembles, sections on known models."""

import json
import shutil
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from lisi_nb import potentials
from lisi_nb.structures.crystals import crystal
from lisi_nb.training.frames import random_melt
from lisi_nb.training.validation import Finding, abuse, compounds, elements, findings, labels, report


def test_verdict_follows_reference_and_tolerance():
    assert Finding("a", "Li", 3.44, 0.0, "A", 3.43, None, 0.02).verdict == "good"
    assert Finding("a", "Li", 3.48, 0.0, "A", 3.43, 3.48, 0.02).verdict == "off", "DFT comes before experiment"
    assert Finding("a", "Li", 3.48, 0.0, "A", None, 3.48, 0.02).verdict == "good"
    assert Finding("a", "Li", 3.48, 0.0, "A", 3.43).verdict == ""
    assert Finding("a", "Li", 3.48, 0.0, "A").verdict == ""
    row = Finding("a", "Li", 3.44, 0.01, "A", 3.43, None, 0.02).row()
    assert row == ("a", "Li", "3.440 ± 0.010 Å", "3.43", "", "good", "")


def test_reference_values_are_read_and_ranges_give_their_middle():
    assert findings.reference_value("lattice_a", "Si_dft") == 5.4687
    assert findings.reference_value("vacancy_formation_energy", "Si_dft") == pytest.approx(3.65)
    with pytest.raises(ValueError, match="no reference value of 'colour' for 'Si_dft'"):
        findings.reference_value("colour", "Si_dft")


def ensemble(*calculators):
    return SimpleNamespace(calculator=lambda: calculators[0], calculators=lambda: list(calculators))


def test_spread_over_members_is_the_sample_standard_deviation():
    value, spread = findings.over_members(ensemble(1.0, 2.0, 4.0), lambda c: 10 * c)
    assert (value, spread) == (10.0, pytest.approx(np.std([10, 20, 40], ddof=1)))
    assert np.isnan(findings.over_members(ensemble(1.0), float)[1])


def test_a_hole_in_the_repulsion_is_found_and_a_wall_is_not():
    """Lennard-Jones rises all the way; with a well cut into its wall the depth of the well is reported."""

    class Holed(LennardJones):
        def calculate(self, atoms=None, properties=None, system_changes=()):
            super().calculate(atoms, properties, system_changes or ["positions"])
            d = atoms.get_all_distances(mic=True)
            close = d[np.triu_indices(len(atoms), 1)].min()
            self.results["energy"] -= 1e6 * np.exp(-(((close - 1.3) / 0.05) ** 2))

    crystal_Li = crystal("Li") * (3, 3, 3)
    settings = dict(sigma=2.7, epsilon=0.1, rc=4.5)
    rise, fall = abuse.pushed(ensemble(LennardJones(**settings)), crystal_Li, 0, 1)
    assert rise > 100
    assert fall == 0
    _, fall = abuse.pushed(ensemble(Holed(**settings)), crystal_Li, 0, 1)
    assert fall > 1000


def labelled(seed, factor=1.0):
    atoms = random_melt(1.0, 40, 1.0, seed, shrink=1.0)
    atoms.info["system"] = "melt/x=1"
    atoms.calc = EMTLike()
    result = {"energy": factor * atoms.get_potential_energy(), "forces": factor * atoms.get_forces()}
    atoms.calc = SinglePointCalculator(atoms, **result)
    return atoms


class EMTLike(LennardJones):
    def __init__(self, scale=1.0):
        super().__init__(sigma=2.4, epsilon=0.1 * scale, rc=6.0, smooth=True)


def test_parity_of_a_perfect_and_of_a_soft_model():
    frames = [labelled(s) for s in range(2)]
    found = labels.parity(ensemble(EMTLike(), EMTLike(0.9)), frames)
    np.testing.assert_allclose(found.energy_eV_atom, found.label_energy_eV_atom)
    np.testing.assert_allclose(found.force_eV_A[0], found.label_force_eV_A[0])
    # Two members F and 0.9 F: mean 0.95 F, deviation 0.05 |F| on each atom.
    norm = np.linalg.norm(found.force_eV_A[0], axis=1)
    np.testing.assert_allclose(found.deviation_eV_A[0], 0.05 * norm, rtol=1e-6)
    energy, force = labels.parity_charts(found)
    assert len(force.curves[0].x) == 2 * 40 * 3
    assert energy.curves[-1].style == "level"


def test_calibration_of_a_gaussian_ensemble():
    """Errors drawn with the deviation as their standard deviation (three components): known ratio sqrt(3)."""
    rng = np.random.default_rng(1)
    deviation = rng.uniform(0.05, 0.5, 60_000)
    error = np.linalg.norm(deviation[:, None] * rng.normal(size=(60_000, 3)), axis=1)
    found = labels.calibrate(deviation, error)
    assert found.ratio == pytest.approx(3**0.5, rel=0.01)
    np.testing.assert_allclose(found.error_eV_A / found.deviation_eV_A, 3**0.5, rtol=0.05)
    assert np.all(np.diff(found.deviation_eV_A) > 0)
    # chi distribution with three degrees of freedom: 90th percentile 2.5003 sigma
    np.testing.assert_allclose(found.error_p90_eV_A / found.deviation_eV_A, 2.5003, rtol=0.07)
    assert found.correlation > 0.6
    blind = labels.calibrate(rng.permutation(deviation), error)
    assert abs(blind.correlation) < 0.02
    with pytest.raises(ValueError, match="too few"):
        labels.calibrate(deviation[:50], error[:50])
    with pytest.raises(ValueError, match="Train at least two members"):
        labels.calibrate(np.zeros(200), error[:200])
    rank, ratio = labels.calibration_findings(found, 7)
    assert (rank.value, ratio.value) == (found.correlation, found.ratio)
    assert "7 frames" in rank.note
    shown = labels.calibration_chart(found, "labels", 0.29)
    assert [c.label for c in shown.curves if c.style == "level"] == ["error = deviation", "accurate below 0.29 eV/Å"]
    assert list(shown.curves[-1].x) == [0.29, 0.29]


def test_slabs_have_the_facet_they_are_named_after():
    for facet, layers in (("100", 14), ("110", 10), ("111", 24)):
        slab = elements.lithium_slab(facet, 3.43)
        area = {"100": 1.0, "110": 2**0.5 / 2, "111": 3**0.5}[facet] * 3.43**2
        assert np.linalg.norm(np.cross(slab.cell[0], slab.cell[1])) == pytest.approx(area)
        assert len(slab) == layers
        assert slab.cell[2, 2] - np.ptp(slab.positions[:, 2]) == pytest.approx(12.0)
    for facet in ("110", "111"):
        slab = elements.silicon_slab(facet, 5.47)
        d = np.sort(slab.get_all_distances(mic=True) + 99 * np.eye(len(slab)), axis=1)[:, 0]
        assert d == pytest.approx(5.47 * 3**0.5 / 4, rel=1e-6)
    # Dimers give each atom of both (100) faces one of its two broken bonds back.
    slab = elements.silicon_slab("100", 5.47)
    assert np.linalg.norm(np.cross(slab.cell[0], slab.cell[1])) == pytest.approx(5.47**2)
    heights = np.round(slab.positions[:, 2], 3)
    assert sorted(_bonds(slab, 2.75)) == [3] * 4 + [4] * 28
    assert set(heights[_bonds(slab, 2.75) == 3]) == {*np.unique(heights)[:2], *np.unique(heights)[-2:]}
    # A (111) slab that ends between double layers leaves one dangling bond per surface atom.
    slab = elements.silicon_slab("111", 5.47)
    assert (_bonds(slab) == 3).sum() == (slab.positions[:, 2] > slab.positions[:, 2].max() - 0.1).sum() * 2
    assert (_bonds(slab) >= 3).all()
    assert sorted(set(_bonds(elements.silicon_slab("110", 5.47)))) == [3, 4]


def _bonds(slab, cutoff_A=2.6):
    from ase.neighborlist import neighbor_list

    return np.bincount(neighbor_list("i", slab, cutoff_A), minlength=len(slab))


@pytest.mark.slow
def test_report_of_the_shipped_potential_is_cached_and_written(tmp_path, monkeypatch):
    monkeypatch.setenv("LISI_NB_DATA", str(tmp_path))
    monkeypatch.setattr(report, "SECTIONS", {"abuse": abuse.compression})
    potential = potentials.get("lisi")
    said = []
    found = report.validate(potential, [], tmp_path / "report", said.append)
    assert len(found["abuse"]) == 6
    assert "No labelled frames were given" in (tmp_path / "report" / "validation.md").read_text()
    monkeypatch.setattr(report, "SECTIONS", {"abuse": lambda _: pytest.fail("computed twice")})
    again = report.validate(potential, [], tmp_path / "report", said.append)
    assert again["abuse"] == found["abuse"] or json.dumps([f.to_dict() for f in again["abuse"]]) == json.dumps(
        [f.to_dict() for f in found["abuse"]]
    )
    assert "minutes on two cores" in said[0]
    assert said[1].startswith("[1/2] abuse: 6 numbers")


def test_the_card_learns_what_the_report_beside_it_says(tmp_path, monkeypatch):
    monkeypatch.setenv("LISI_NB_DATA", str(tmp_path))
    shutil.copytree(potentials.get("lisi").folder, tmp_path / "potentials" / "mine")
    rows = [Finding("q", "s", value, 0.1, "A", 1.0, None, 0.5) for value in (1.1, 1.9)] + [
        Finding("q", "s", 1.0, 0.1, "A")
    ]
    monkeypatch.setattr(report, "SECTIONS", {"numbers": lambda _: rows})
    card = report.into_card(potentials.get("mine"), [], [].append).card
    assert card == potentials.get("mine").card
    assert card["validation"] == {
        "report": "validation/validation.md",
        "n_numbers_judged": 2,
        "n_good": 1,
        "calibration": {},
    }
    assert (
        "1 of 2 judged numbers agree" in (tmp_path / "potentials" / "mine" / card["validation"]["report"]).read_text()
    )


def test_the_card_learns_what_the_deviation_is_worth():
    rows = [Finding(findings.CORRELATION, "all", 0.6123, 0.1, "1"), Finding("volume", "Li", 20.0, 0.1, "A3/atom")]
    rows += [Finding(findings.SHARE, name, value, 1.0, "%") for name, value in (("accurate", 90.0), ("failed", np.nan))]
    assert report.calibration_facts({"compounds": rows[1:2], "against DFT": rows}) == {
        "against DFT": {"rank_correlation": {"all": 0.612}, "percent_below_0.3_eV_A": {"accurate": 90.0}}
    }


class Linear(EMT):
    """Energy linear in composition, but for what `extra` adds per atom of some formulas; no forces."""

    implemented_properties = ("energy", "forces", "stress")
    extra = MappingProxyType({})

    def calculate(self, atoms=None, properties=None, system_changes=()):
        n_li = int((atoms.numbers == 3).sum())
        energy = -1.9 * n_li - 5.4 * (len(atoms) - n_li)
        energy += len(atoms) * self.extra.get(atoms.get_chemical_formula(empirical=True), 0.0)
        self.results = {"energy": energy, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}


@pytest.fixture
def rows_of(monkeypatch):
    monkeypatch.setattr(compounds, "softest_mode_THz", lambda *_: 1.0)
    monkeypatch.setattr(compounds, "hop", lambda *_: Finding("hop", "Li15Si4", 0.0, 0.0, "eV"))

    def rows(*calculators):
        found = compounds.compounds(ensemble(*calculators))
        return {(row.quantity, row.system): row for row in found}

    return rows


def test_voltage_of_a_known_ladder(rows_of):
    """With a calculator whose energy is linear in composition all formation energies and voltages vanish."""
    rows = rows_of(Linear())
    for (quantity, _), row in rows.items():
        if quantity in ("formation energy", "energy above the hull") or "voltage" in quantity:
            assert row.value == pytest.approx(0, abs=1e-9)
    assert len([q for q, _ in rows if q == "volume"]) == len([q for q, _ in rows if q == "softest vibration"]) == 7
    assert rows["energy above the hull", "Li15Si4"].dft == 0, "PBE has all five of its phases on the hull"
    assert rows["energy above the hull", "Li17Si4"].verdict == "", "no PBE value is at hand"
    # 18.7259 A, Z = 20 formula units of 21 atoms
    assert rows["volume", "Li17Si4"].experiment == pytest.approx(18.7259**3 / 420)


def test_a_crystal_above_the_hull_is_found_for_each_member(rows_of):
    """One phase alone is pulled below the line of the elements; another is lifted above it, in one member more."""
    one, other = Linear(), Linear()
    one.extra, other.extra = ({"Li7Si3": -0.2, "Li13Si4": up} for up in (0.05, 0.07))
    rows = rows_of(one, other)
    f7, f13 = 7 / 10, 13 / 17
    above = 1000 * (0.05 + 0.2 * (1 - f13) / (1 - f7))
    found = rows["energy above the hull", "Li13Si4"]
    assert found.value == pytest.approx(above)
    assert found.error == pytest.approx(20 / 2**0.5)
    assert found.verdict == "off"
    assert rows["energy above the hull", "Li7Si3"].value == pytest.approx(0, abs=1e-9)
    hull = rows["crystals on the hull", "Li-Si"]
    assert hull.value == 1
    assert hull.note.startswith("ours: Li7Si3; PBE")
    assert rows["deepest formation energy is that of Li7Si3", "Li-Si"].verdict == "good"


def test_a_hop_without_a_path_gives_way_to_the_next(monkeypatch):
    cell = crystal("Li15Si4")
    tried = []

    def barriers(atoms, calculator, *, members, hops):
        tried.append(hops[0])
        path = SimpleNamespace(forward_eV=0.3) if len(tried) == 2 else None
        return (SimpleNamespace(barrier=path, scatter_eV=0.02, statement="said"),)

    monkeypatch.setattr(compounds, "vacancy_barriers", barriers)
    found = compounds.hop(ensemble(None, None), [SimpleNamespace(name="Li15Si4", atoms=cell)])
    assert (found.value, found.error, found.dft, found.verdict) == (0.3, 0.02, None, "")
    assert tried[0].distance_A <= tried[1].distance_A
    assert f"{tried[1].distance_A:.2f} Å" in found.note
