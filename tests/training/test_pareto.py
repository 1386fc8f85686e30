"""Accuracy against speed: who is beaten by whom, and a measurement that goes on where it stopped."""

import json

import pytest

from lisi_nb import cli
from lisi_nb.training import pareto, train


def row(name, us, teacher, **more):
    return {
        "network": name, "n_steps": 10, "sha256": "a", "n_dft": 3, "us_per_atom_step": us,
        "teacher_force_rmse_eV_A": teacher, "dft_force_rmse_eV_A": 0.2, "dft_energy_rmse_meV_atom": 10.0,
        "device": "here", **more,
    }  # fmt: skip


def test_frontier_holds_whom_nobody_beats_in_both():
    rows = [row("a", 10, 0.30), row("b", 20, 0.20), row("c", 25, 0.25), row("d", 20, 0.20), row("e", 30, 0.10)]
    assert pareto.frontier(rows) == [True, True, False, True, True]
    shown = pareto.table(rows)
    assert [r[0] for r in shown.rows] == ["*", "*", "*", "", "*"]
    assert [r[1] for r in shown.rows] == ["a", "b", "d", "c", "e"]
    assert shown.rows[-1][2] == "30.0 (slow)"


@pytest.fixture
def cheap(monkeypatch, tmp_path):
    """Trainings and measurements that cost nothing and are counted."""
    done = []

    def train_points(folder, given, names, n_steps, say):
        for name in names:
            place = folder / name.replace(" ", "_")
            place.mkdir(parents=True, exist_ok=True)
            (place / "frozen.pb").write_text(f"{name} {n_steps}")

    def point(name, member, given, dft, probe, n_steps):
        done.append(name)
        digest = pareto.sha256(member)
        return row(name, 10.0 + len(done), 0.2, sha256=digest, n_dft=len(dft.held_out), n_steps=n_steps)

    monkeypatch.setattr(pareto, "train_points", train_points)
    monkeypatch.setattr(pareto, "point", point)
    return done


class Held:
    def __init__(self, n):
        self.held_out = [None] * n


def test_only_what_is_missing_or_changed_is_measured(tmp_path, cheap, monkeypatch):
    def measure(names, n_dft=3, n_steps=10):
        return pareto.measure(tmp_path / "w", tmp_path, None, Held(n_dft), None, lambda _: None, names, n_steps)

    measure(["smaller"])
    measure(["smaller", "larger"])
    assert cheap == ["smaller", "larger"]
    assert [r["network"] for r in pareto.saved(tmp_path)] == ["smaller", "larger"]
    measure(["larger"], n_dft=4)
    assert cheap[2:] == ["larger"]
    shown = measure(["smaller"], n_steps=20)
    assert cheap[3:] == ["smaller"]
    assert len(shown.rows) == 2
    (tmp_path / pareto.TUNED).write_text("new labels")
    assert pareto.saved(tmp_path) == [], "what was trained on other labels cannot be compared"
    assert len(measure(["smaller"]).rows) == 1
    monkeypatch.setattr(pareto, "FROM_SCRATCH", train.CORRECTION)
    assert pareto.saved(tmp_path) == [], "nor what was trained in another way"


def test_every_network_is_one_deepmd_accepts():
    from deepmd.utils.argcheck import normalize

    for name, network in pareto.NETWORKS.items():
        given = train.training_input(train.Data(["a"], ["b"]), 10, 1, network)
        assert normalize(given)["model"]["type_map"] == ["Li", "Si"], name


def test_the_card_shows_the_table(tmp_path, monkeypatch, capsys):
    from lisi_nb import potentials

    shipped = potentials.get("lisi")
    with_rows = potentials.Potential("lisi", shipped.folder, shipped.card | {"pareto": [row("smaller", 12.5, 0.21)]})
    monkeypatch.setattr(potentials, "get", lambda _: with_rows)
    with pytest.raises(SystemExit, match="0"):
        cli.main(["potentials", "card", "lisi"])
    shown = capsys.readouterr()
    assert "smaller  12.5" in shown.out + shown.err
    assert json.dumps(with_rows.card["pareto"][0]["us_per_atom_step"]) == "12.5"
