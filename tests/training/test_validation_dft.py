"""Held-out DFT report: known errors come out, zeros of the elements do not count, each system has its own row."""

from types import SimpleNamespace

import numpy as np
import pytest
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator

from lisi_nb.training.ab_initio import Labels
from lisi_nb.training.frames import random_melt
from lisi_nb.training.held_out import HELD_OUT
from lisi_nb.training.validation import ab_initio, report, trusted

ZERO = {"Li": 1.3, "Si": -0.7}
WRONG = {HELD_OUT[0]: (0.010, 0.1), HELD_OUT[1]: (-0.030, 0.2)}  # eV/atom and eV/A by which the model errs


class Model(Calculator):
    """Energies 0.1 eV per atom plus what `WRONG` says of the frame's system; the DFT's forces are all zero."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=None, system_changes=()):
        energy, force = WRONG.get(atoms.info["system"], (0.0, 0.0))
        self.results = {"energy": len(atoms) * (0.1 + energy), "forces": np.full((len(atoms), 3), force)}


def frame(x, seed, system):
    atoms = random_melt(x, 12, 1.0, seed, shrink=1.0)
    atoms.info = {"system": system}
    energy = 0.1 * len(atoms) + sum(ZERO[s] for s in atoms.symbols)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((len(atoms), 3)), stress=np.zeros(6))
    return atoms


@pytest.fixture
def labels():
    trained = [frame(x, s, "melt/x=1") for s, x in enumerate((0.5, 1.0, 2.0))]
    tested = [frame(x, 5 + s, system) for system in WRONG for s, x in enumerate((0.5, 2.0))]

    def teacher(atoms):
        twin = atoms.copy()
        twin.calc = SinglePointCalculator(twin, energy=0.1 * len(atoms), forces=np.full((len(atoms), 3), 0.4))
        return twin

    return Labels(*([(a, teacher(a)) for a in part] for part in (trained, tested)), [], "engine cutoff=1")


def test_errors_of_a_model_that_errs_by_known_amounts(labels):
    found = ab_initio.of_calculator(Model(), labels)
    assert found.offsets_eV == pytest.approx(ZERO)
    errors = found.errors()
    for system, (energy, force) in WRONG.items():
        assert errors[system]["n_frames"] == 2
        assert errors[system]["energy_rmse_meV_atom"] == pytest.approx(1e3 * abs(energy), abs=0.01)
        assert errors[system]["energy_bias_meV_atom"] == pytest.approx(1e3 * energy, abs=0.01)
        assert errors[system]["force_rmse_eV_A"] == pytest.approx(force)
    assert errors["all"]["n_frames"] == 4
    assert errors["all"]["energy_rmse_meV_atom"] == pytest.approx(1e3 * np.sqrt((0.01**2 + 0.03**2) / 2), abs=0.01)
    assert errors["all"]["force_rmse_eV_A"] == pytest.approx(np.sqrt((0.1**2 + 0.2**2) / 2), abs=1e-3)
    assert ab_initio.of_teacher(labels).errors()["all"]["force_rmse_eV_A"] == pytest.approx(0.4)


def test_zeros_come_from_the_frames_that_are_not_held_out(labels):
    """A model wrong by a constant on the held-out systems alone is not excused by it."""
    moved = [(a, t) for a, t in labels.held_out]
    for _, twin in moved:
        twin.calc.results["energy"] += 0.05 * len(twin)
    assert ab_initio.compare(labels.trained, moved).errors()["all"]["energy_rmse_meV_atom"] == pytest.approx(50)


def test_table_and_charts_have_every_system(labels):
    columns = {"teacher": ab_initio.of_teacher(labels), "mine": ab_initio.of_calculator(Model(), labels)}
    shown = ab_initio.table(columns)
    assert [row[0] for row in shown.rows] == [*WRONG, "all"]
    assert shown.rows[0] == (HELD_OUT[0], "2", "0.0", "0.400", "10.0", "0.100")
    energy, force = ab_initio.charts(columns["mine"])
    assert [c.label for c in force.curves] == [*WRONG, "equal"]
    assert len({c.colour for c in force.curves}) == 3, "each system has its own colour"
    assert [c.colour for c in force.curves] == [c.colour for c in energy.curves], "one legend serves both"
    for curve, (error, _) in zip(energy.curves, WRONG.values(), strict=False):
        assert len(curve.x) == 2
        np.testing.assert_allclose(curve.y - curve.x, 1e3 * error)
    assert [len(c.x) for c in force.curves[:2]] == [2 * 3 * 12] * 2
    kept = ab_initio.summary(labels, columns)
    assert kept["n_held_out"] == 4
    assert kept["errors"]["mine"]["all"]["n_frames"] == 4


def test_the_report_holds_the_table_its_parity_and_what_was_compared(tmp_path, labels, monkeypatch):
    monkeypatch.setattr(report, "SECTIONS", {})
    members = [Model(), Model()]
    potential = SimpleNamespace(
        name="mine", sha256="x", card={"level_of_theory": "none"}, calculators=lambda: members, folder=tmp_path
    )
    found = report.validate(potential, [], tmp_path, lambda _: None, labels)
    rows = found["held-out systems against DFT"]
    whole = next(r for r in rows if r.system == "all" and r.unit == "eV/A")
    assert whole.value == pytest.approx(np.sqrt((0.1**2 + 0.2**2) / 2), abs=1e-3)
    assert whole.error == 0.0
    assert whole.verdict == "off"
    assert "teacher 0.4" in whole.note
    assert "its training may have seen it" in rows[0].note
    text = (tmp_path / "validation.md").read_text()
    assert "engine cutoff=1" in text
    assert "Li +1300.0, Si -700.0" in text
    lines = (tmp_path / "parity_dft_force.csv").read_text().splitlines()
    assert len(lines) == 1 + 4 * 36 + 2
    assert "No calibration on the held-out systems, DFT: 48 atoms are too few" in text
    assert not (tmp_path / "calibration.png").exists()


class Pushed(Model):
    """As `Model`, but atom k of a frame is pushed by k times `step` eV/A along x."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def calculate(self, atoms=None, properties=None, system_changes=()):
        super().calculate(atoms, properties, system_changes)
        forces = np.zeros((len(atoms), 3))
        forces[:, 0] = self.step * np.arange(len(atoms))
        self.results["forces"] = forces


def test_trust_limits_are_told_by_the_true_error_of_the_atoms(labels):
    """Members with forces 0.12 k and 0.22 k on atom k = 0..11 deviate by 0.05 k; DFT's forces are zero."""
    members = [ab_initio.of_calculator(Pushed(step), labels) for step in (0.12, 0.22)]
    np.testing.assert_allclose(ab_initio.parity(members).deviation_eV_A[0], 0.05 * np.arange(12), atol=1e-12)
    rows = {(r.quantity, r.system): r for r in trusted.findings(members, (0.22, 0.42))}
    share, error = rows[trusted.SHARE, "accurate"], rows[trusted.TYPICAL, "accurate"]
    # Atoms 0 to 4 are accurate: errors 0, 0.12, ... 0.48 of the first member.
    assert share.value == pytest.approx(60)
    assert error.value == pytest.approx(0.12 * np.sqrt(6))
    assert error.error == pytest.approx(0.1 * np.sqrt(6) / np.sqrt(2))
    assert "20 of 48 atoms, deviation below 0.22 eV/Å; 0 frames" in share.note
    # 5 to 8 are candidates, 9 to 11 failed, and every frame's largest is that of atom 11.
    assert rows[trusted.SHARE, "candidate"].value == 0
    assert rows[trusted.TYPICAL, "candidate"].value == pytest.approx(0.12 * np.sqrt((25 + 36 + 49 + 64) / 4))
    assert "12 of 48 atoms, deviation above 0.42 eV/Å; 4 frames" in rows[trusted.SHARE, "failed"].note
    (_, _, _, _, empty) = trusted.findings(members, (0.22, 9.0))
    assert np.isnan(empty.value)
    assert empty.note.startswith("0 of 48 atoms")
