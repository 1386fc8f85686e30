"""A run read on at each look says what the same run read whole says; what has ended is measured once."""

import json
import shutil
import time
from types import SimpleNamespace

import numpy as np
import pytest

from lisi_nb.engine.run import Run, Segment
from lisi_nb.studies.nanoparticle import charts
from lisi_nb.widgets.following import Followed


def segment(folder, name, first_step):
    """An empty segment of a chain."""
    place = folder / "segments" / name
    place.mkdir(parents=True)
    (place / "step.json").write_text(json.dumps({"name": name[4:], "first_step": first_step}))
    return place


def agree(folder, followed):
    whole = Run(folder)
    thermo, deviation = whole.thermo(), whole.model_deviation()
    found = followed.thermo()
    assert found.keys() == thermo.keys()
    for name in thermo:
        np.testing.assert_array_equal(found[name], thermo[name])
    for name, column in followed.model_deviation().items():
        np.testing.assert_array_equal(column, deviation[name])
    return len(thermo.get("Step", ()))


@pytest.mark.parametrize("places", [["."], ["segments/000-heat", "segments/001-sample"]])
def test_it_agrees_with_the_run_read_whole_at_every_length(smoke_run, tmp_path, places):
    """Cut anywhere, also within a line; with a resumed part that goes back over what was lost, in a chain and alone."""
    logs = [(smoke_run.folder / name).read_bytes() for name in ("log.lammps", "model_devi.out")]
    n_steps = int(smoke_run.thermo()["Step"][-1])
    followed, lengths = Followed(tmp_path), []
    for k, place in enumerate(places):
        if place != ".":
            segment(tmp_path, place[9:], n_steps * k)
        for names in (("log.lammps", "model_devi.out"), ("log.1.lammps", "model_devi.1.out")):
            for share in (0.02, 0.3, 0.5, 0.513, 0.71, 0.95 if names[0] == "log.lammps" else 1.0):
                for name, log in zip(names, logs, strict=True):
                    (tmp_path / place / name).write_bytes(log[: int(share * len(log))])
                lengths.append(agree(tmp_path, followed))
    assert min(lengths) == 0
    assert lengths[-1] == len(places) * (len(smoke_run.thermo()["Step"]) - 1) + 1


def test_a_look_at_a_long_log_costs_what_is_new(tmp_path):
    log = tmp_path / "log.lammps"
    log.write_text("Step Temp\n" + "".join(f"{k} 900.0\n" for k in range(100_000)))
    followed, costs = Followed(tmp_path), []
    for k in range(5):
        with log.open("a") as stream:
            stream.write(f"{100_000 + k} {k}\n")
        before = time.thread_time()
        assert followed.thermo()["Temp"][-1] == k
        costs.append(time.thread_time() - before)
    assert max(costs[1:]) < 0.2 * costs[0]


def test_a_finished_composition_is_measured_once(tmp_path, monkeypatch):
    measured = []

    def measure(which, number, frame_ps, element_eV_atom):
        measured.append(number)
        return SimpleNamespace(x=number, formation_eV_si=0.1, si_si=SimpleNamespace(value=1.0))

    monkeypatch.setattr(charts, "measure_segment", measure)
    places = [segment(tmp_path, f"{k:03d}-sample", 100 * k) for k in range(3)]
    run = SimpleNamespace(params={"frame_ps": 0.1, "potential": "lisi"}, segments=[Segment(place) for place in places])
    assert charts.live(run) == ()
    for place in places[:2]:
        (place / "ended.json").write_text("{}")
    for _ in range(3):
        assert len(charts.live(run)[0].curves[0].x) == 2
    assert measured == [0, 1]
    (places[2] / "ended.json").write_text("{}")
    assert [len(chart.curves[0].x) for chart in charts.live(run)] == [3, 3]
    assert measured == [0, 1, 2]
    shutil.rmtree(places[0])  # started over
    (segment(tmp_path, "000-sample", 0) / "ended.json").write_text("{}")
    charts.live(run)
    assert measured == [0, 1, 2, 0]
