"""The list of runs, its filters, the way back to a run, and two runs side by side."""

import csv
import json
import math
import shutil
import time

import psutil
import pytest

from lisi_nb import paths
from lisi_nb.engine import seal
from lisi_nb.engine.processes import start_of
from lisi_nb.engine.run import Run
from lisi_nb.studies import interdiffusion
from lisi_nb.units import Measured
from lisi_nb.widgets import Monitor, catalogue, runs_browser


@pytest.fixture
def three(smoke_run, tmp_path, monkeypatch):
    """The smoke run, a hotter relative that was stopped, and a folder that is no run."""
    monkeypatch.setenv("LISI_NB_DATA", str(tmp_path))
    where = paths.runs() / "interdiffusion"
    first = Run(shutil.copytree(smoke_run.folder, where / smoke_run.folder.name))
    second = shutil.copytree(smoke_run.folder, where / "hot-00000001")
    manifest = json.loads((second / "manifest.json").read_text())
    manifest["params"]["temperature_K"]["value"] = 1200.0
    manifest["identity"] = seal.identity_of(manifest)
    for name in ("manifest.json", seal.COPY):
        (second / name).write_text(json.dumps(manifest))
    results = json.loads((second / "results.json").read_text())
    results["quantities"]["left_front_displacement"]["value"] += 50.0
    (second / "results.json").write_text(json.dumps(results))
    hot = Run(second)
    hot.update(state="stopped", step=150, message="Stopped on request.")
    (where / "broken-00000002").mkdir()
    (where / "broken-00000002" / "manifest.json").write_text("{half")
    return first, hot, Run(where / "broken-00000002")


def lines(browser):
    return browser.table.children[1:]


def button(browser, run):
    return next(line.children[2] for line, row in zip(lines(browser), browser.shown, strict=True) if row.run == run)


def tick(browser, run):
    for line, row in zip(lines(browser), browser.shown, strict=True):
        if row.run == run:
            line.children[0].value = True


def test_the_list_says_the_new_state_of_the_run_that_is_followed(three):
    """Without a click on Refresh: else the list says running above a monitor that says finished."""
    _, hot, _ = three
    process = psutil.Process()
    hot.update(state="running", pid=process.pid, process_start=start_of(process.pid))
    browser = runs_browser(interdiffusion)
    button(browser, hot).click()
    monitor = browser.below.children[0]
    wait_until(lambda: "step 150" in monitor.text.value)
    assert {row.run: row.state for row in browser.shown}[hot] == "running"
    hot.update(state="finished", step=300)
    wait_until(lambda: {row.run: row.state for row in browser.shown}[hot] == "finished")
    monitor.thread.join(20)
    assert not monitor.thread.is_alive()


def wait_until(true, seconds=20):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_run_is_listed_also_one_that_cannot_be_read(three):
    found = {row.run: row for row in catalogue.rows()}
    assert set(found) == set(three)
    first, hot, broken = (found[run] for run in three)
    assert (first.study, first.label, first.state, first.share) == ("interdiffusion", "smoke", "finished", 1.0)
    assert first.device.startswith("CPU")
    assert first.ns_per_day > 0
    assert (hot.state, hot.share) == ("stopped", 0.5)
    assert broken.state == "unreadable"


def test_the_device_is_that_of_the_worker_not_of_the_machine_that_submitted(three):
    first, hot, _ = three
    hot.update(device=hot.manifest["device"] | {"kind": "gpu", "ranks": 1, "name": "NVIDIA H200"})
    found = {row.run: row for row in catalogue.rows()}
    assert found[hot].device == "GPU, 1 ranks"
    assert found[first].device.startswith("CPU")
    assert [row.run for row in catalogue.rows(text="h200")] == [hot]
    assert ("device", first.manifest["device"]["name"], "NVIDIA H200") in catalogue.differing_inputs([first, hot]).rows


@pytest.mark.parametrize(
    ("text", "state", "expected"),
    [
        ("", "", 3), ("hot", "", 1), ("HOT Lisi", "", 1), ("temperature_K=1200", "", 1), ("lisi", "finished", 1),
        ("", "stopped", 1), ("", "unreadable", 1), ("hot", "finished", 0), ("no-such-word", "", 0),
    ],
)  # fmt: skip
def test_filters(three, text, state, expected):
    assert len(catalogue.rows(text=text, state=state)) == expected
    browser = runs_browser()
    browser.text.value, browser.state.value = text, state
    assert len(lines(browser)) == len(browser.shown) == expected


def test_refresh_sees_new_and_removed_runs_and_keeps_the_selection(three):
    first, hot, _ = three
    browser = runs_browser(interdiffusion)
    tick(browser, hot)
    shutil.rmtree(first.folder)
    browser.refresh.click()
    assert {row.run for row in browser.shown} == set(three[1:])
    assert [line.children[0].value for line in lines(browser)] == [row.run == hot for row in browser.shown]


def test_a_tick_made_while_the_table_is_read_again_counts(three):
    """The browser may send it for the box it still shows, after the kernel has rebuilt the table."""
    browser = runs_browser(interdiffusion)
    boxes = [line.children[0] for line in lines(browser)]
    browser.refresh.click()
    boxes[0].value = True
    assert list(browser.selected) == [browser.shown[0].run.id]
    browser.state.value = "stopped"
    browser.state.value = ""
    assert [line.children[0].value for line in lines(browser)] == [True, False, False]


def test_one_click_shows_the_monitor_of_a_run(three):
    first, hot, broken = three
    browser = runs_browser(interdiffusion)
    for run, words in ((first, "finished"), (hot, "Stopped on request."), (broken, "cannot be read")):
        button(browser, run).click()
        (monitor,) = browser.below.children
        assert isinstance(monitor, Monitor)
        monitor.thread.join(30)
        assert words in monitor.text.value
    assert browser.below.children == (monitor,)  # the ones before are closed


def test_a_comparison_shows_what_differs_and_nothing_else(three):
    first, hot, _ = three
    table = catalogue.differing_inputs([first, hot])
    assert table.columns == ("input", "smoke", "hot")
    assert [row[0] for row in table.rows] == ["Temperature (K)", "progress"]
    assert table.rows[0][1:] == ("900.0", "1200.0")
    assert catalogue.differing_inputs([first, first]).rows[0][0] == "(no input differs)"


def test_a_comparison_gives_each_quantity_with_its_error(three):
    first, hot, _ = three
    rows = {row[0]: row[1:] for row in catalogue.quantities([first, hot]).rows}
    for name, entry in first.results()["quantities"].items():
        assert rows[name][0] == str(catalogue._measured(entry))
    assert rows["left_front_displacement"][2].startswith(("yes", "no error"))
    assert rows["right_front_displacement"][2].startswith(("no (0.0", "no error"))
    (hot.folder / "results.json").unlink()
    assert dict((r[0], r[2]) for r in catalogue.quantities([first, hot]).rows)["si_flux"] == "not yet"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([(1.0, 0.3), (2.0, 0.4)], "no (2.0 errors apart)"),  # 1 / sqrt(0.09 + 0.16)
        ([(1.0, 0.3), (2.1, 0.4)], "yes (2.2 errors apart)"),
        ([(1.0, 0.1), (1.0, 0.1), (3.0, 0.1)], "yes (14.1 errors apart)"),
        ([(1.0, 0.0), (1.0, 0.0)], "no (0.0 errors apart)"),
        ([(1.0, math.nan), (2.0, 0.1)], "no error estimate"),
        ([(math.nan, math.nan), (2.0, 0.1)], "not measured in all"),
        ([(2.0, 0.1)], "not measured in all"),
    ],
)
def test_runs_differ_beyond_two_standard_errors_of_the_difference(values, words):
    assert catalogue.verdict([Measured(value, error, "A") for value, error in values]) == words


def test_comparing_draws_the_charts_of_the_study_over_each_other(three, tmp_path):
    first, hot, _ = three
    browser = runs_browser(interdiffusion)
    browser.compare.click()
    assert "Select two or more runs first; 0 selected" in browser.below.children[0].value
    tick(browser, first)
    tick(browser, hot)
    browser.compare.click()
    inputs, picture, measured = browser.below.children
    assert all(words in inputs.value for words in ("Temperature (K)", "1200.0"))
    assert all(words in measured.value for words in ("lithiation_length", "several seeds"))
    assert bytes(picture.value).startswith(b"\x89PNG")
    with browser.charts[1].to_csv(tmp_path / "fronts.csv").open(newline="") as stream:
        assert {line[0].partition(",")[0] for line in list(csv.reader(stream))[1:]} == {"smoke", "hot"}


def test_comparing_a_run_that_is_gone_is_a_sentence(three):
    first, hot, _ = three
    browser = runs_browser()
    tick(browser, first)
    tick(browser, hot)
    shutil.rmtree(hot.folder)
    browser.compare.click()
    assert "cannot be compared" in browser.below.children[0].value


def test_no_runs_yet(empty_data):
    browser = runs_browser()
    assert repr(browser) == "no runs yet"
    assert "No run here fits" in browser.note.value


def test_runs_of_one_label_are_told_apart(tmp_path):
    a, b, c = (Run(tmp_path / "study" / name) for name in ("run-1", "run-2", "other-3"))
    assert catalogue.names([a, b, c]) == ["run-1", "run-2", "other"]
