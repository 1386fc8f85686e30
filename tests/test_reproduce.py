"""The main job at smoke scale: all four interfaces really run, the report is written, a second call reopens."""

import json

from lisi_nb import reproduce
from lisi_nb.studies import interdiffusion
from lisi_nb.units import duration


def test_time_left_is_proportional_to_atom_steps():
    estimate = reproduce.TimeLeft([100.0, 300.0, 600.0])
    assert estimate.of_others(0) is None
    estimate.finished(0, 10.0)
    assert estimate.of_others(1) == 60.0  # 600 atom-steps at 10 per second


def test_reopened_runs_do_not_teach_a_speed():
    estimate = reproduce.TimeLeft([100.0, 300.0])
    estimate.finished(0, 0.1)
    assert estimate.of_others(0) is None


def test_smoke_study_from_runs_to_report(data_folder, smoke_run):
    said: list[str] = []
    found = reproduce.run_all(interdiffusion, "smoke", 1, "cpu", said.append, duration)
    assert set(found) == set(interdiffusion.INTERFACES)
    assert found["100"][0].folder == smoke_run.folder, "the same inputs must reopen the same run"
    assert all(each[0].status()["state"] == "finished" for each in found.values())
    assert any("time left" in line for line in said)

    folder = reproduce.report(interdiffusion, "smoke", found, said.append)
    text = (folder / "report.md").read_text()
    for name in interdiffusion.INTERFACES:
        assert f"| {name} " in text
    assert "other conditions" in text, "a smoke run must not be judged against 5 ns at 500 K"
    results = json.loads((folder / "results.json").read_text())["results"]
    for result in results.values():
        length = result["quantities"]["lithiation_length"]
        assert length["unit"] == "A"
        assert 0 < length["value"] < 40
    pictures = sorted(p.name for p in folder.glob("*.png"))
    assert "fronts.png" in pictures
    assert len(pictures) == 1 + 2 * len(interdiffusion.INTERFACES)
    header = (folder / "fronts-1.csv").read_text().splitlines()[0]
    assert "time (ps)" in header
    assert "displacement (Å)" in header

    said.clear()
    again = reproduce.run_all(interdiffusion, "smoke", 1, "cpu", said.append, duration)
    assert [r.folder for each in again.values() for r in each] == [r.folder for each in found.values() for r in each]
