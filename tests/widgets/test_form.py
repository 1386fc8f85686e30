"""The form shows any Params, refuses in the exception's words, and hands over valid parameters without a click."""

import threading
import time
from dataclasses import dataclass, fields

import pytest

from lisi_nb import potentials
from lisi_nb.engine import devices, estimate, lammps, probe
from lisi_nb.errors import RunFailed
from lisi_nb.params import Params, parameter
from lisi_nb.studies import interdiffusion, lixsi, nanoparticle
from lisi_nb.training import lesson
from lisi_nb.widgets import cost, form
from lisi_nb.widgets.choice import HELD_UNKNOWN, Choice


@dataclass(frozen=True)
class Oven(Params):
    heat_K: float = parameter(300.0, label="Heat", unit="K", low=10.0, high=900.0, help="How hot.", paper=500.0)
    trays: int = parameter(2, label="Trays", low=1, high=5, help="How many.", group="Inside")
    fan: bool = parameter(True, label="Fan", help="Whether it turns.", group="Inside")
    name: str = parameter("big", label="Name", help="Any text.")


def test_defaults_are_valid_without_a_click():
    assert form(Oven()).params == Oven()
    for scale in interdiffusion.SCALES:
        assert form(interdiffusion.scaled(scale), interdiffusion).params == interdiffusion.scaled(scale)


def test_every_parameter_is_shown_with_unit_range_help_and_the_papers_value():
    shown = form(Oven())
    assert set(shown.controls) == {f.name for f in fields(Oven)}
    assert set(shown.sliders) == {"heat_K", "trays"}
    note = shown._notes["heat_K"].value
    assert all(words in note for words in ("How hot.", "10 to 900 K"))
    assert set(shown.presets) == {"heat_K"}
    assert shown.presets["heat_K"].description == "paper: 500 K"


def test_a_click_on_the_papers_value_sets_and_marks_it():
    shown = form(Oven())
    shown.presets["heat_K"].click()
    assert shown.params == Oven(heat_K=500.0)
    assert shown.controls["heat_K"].value == shown.sliders["heat_K"].value == 500.0
    assert shown.presets["heat_K"].description == "✓ paper: 500 K"
    shown.controls["heat_K"].value = 400.0
    assert shown.presets["heat_K"].description == "paper: 500 K"


def test_setting_params_moves_the_controls():
    shown = form(Oven())
    shown.controls["heat_K"].value = 1e6
    shown.params = Oven(trays=5, name="tiny")
    assert [shown.controls[f.name].value for f in fields(Oven)] == [300.0, 5, True, "tiny"]
    assert shown.params == Oven(trays=5, name="tiny")


def test_the_tab_of_a_bad_value_is_marked():
    shown = form(Oven())
    shown.controls["trays"].value = 9
    assert shown._tabs.titles == ("General", "Inside ✗ 1")
    shown.controls["trays"].value = 1
    assert shown._tabs.titles == ("General", "Inside")


@pytest.mark.parametrize(("name", "value"), [("heat_K", 450.0), ("trays", 4), ("fan", False), ("name", "small")])
def test_an_edit_changes_exactly_one_field(name, value):
    shown = form(Oven())
    shown.controls[name].value = value
    assert shown.params == Oven().replace(**{name: value})


def test_slider_and_number_follow_each_other():
    shown = form(Oven())
    shown.sliders["heat_K"].value = 400.0
    assert shown.params.heat_K == shown.controls["heat_K"].value == 400.0
    shown.controls["trays"].value = 5
    assert shown.sliders["trays"].value == 5


def test_the_browser_rounding_a_slider_to_its_steps_changes_nothing():
    shown = form(interdiffusion.scaled("smoke"), interdiffusion)
    for name, slider in shown.sliders.items():
        before = shown.controls[name].value
        log = hasattr(slider, "base")
        slider.value = before * 10 ** (0.4 * slider.step) if log else before + 0.4 * slider.step
    assert shown.params == interdiffusion.scaled("smoke")


def test_a_bad_value_is_refused_in_the_words_of_the_exception_until_it_is_corrected():
    shown = form(Oven())
    with pytest.raises(ValueError, match="outside") as expected:
        Oven(heat_K=5000.0)
    shown.controls["heat_K"].value = 5000.0
    assert str(expected.value) in shown._notes["heat_K"].value
    with pytest.raises(ValueError, match=r"heat_K=5000\.0 K is outside 10 to 900 K"):
        _ = shown.params
    shown.controls["trays"].value = 3
    shown.controls["heat_K"].value = 500.0
    assert shown.params == Oven(heat_K=500.0, trays=3)


def test_a_bad_combination_is_refused_in_the_words_of_the_study():
    choice = Choice(interdiffusion.scaled("smoke"), interdiffusion)
    choice.set("window_ps", 800.0)
    with pytest.raises(ValueError, match=r"window_ps=800\.0 must lie between"):
        _ = choice.params


def test_the_scale_switch_keeps_the_interface_and_clears_errors():
    choice = Choice(interdiffusion.scaled("smoke", "110"), interdiffusion)
    choice.set("temperature_K", 1e9)
    choice.rescale("paper")
    assert choice.params == interdiffusion.scaled("paper", "110")


def made_by(code):
    """`params` after running the code that the form shows, as in a fresh kernel."""
    scope = {}
    exec(code, scope)
    return scope["params"]


def test_the_code_shown_makes_the_same_parameters():
    choice = Choice(interdiffusion.scaled("lesson", "111"), interdiffusion)
    choice.set("temperature_K", 700.0)
    choice.set("seed", 4)
    assert made_by(choice.code()) == choice.params
    plain = Choice(Oven(trays=3))
    assert made_by(plain.code()) == plain.params


def test_the_code_names_the_scale_and_only_what_was_changed():
    choice = Choice(interdiffusion.scaled("lesson"), interdiffusion)
    assert choice.code().endswith('params = interdiffusion.scaled("lesson")')
    choice.set("temperature_K", 900.0)
    assert choice.code().splitlines() == [
        "from lisi_nb.studies import interdiffusion",
        "",
        'params = interdiffusion.scaled("lesson", temperature_K=900.0)',
    ]
    choice.set("interface", "110")
    assert made_by(choice.code()) == choice.params
    assert Choice(interdiffusion.scaled("smoke", duration_ps=0.4), interdiffusion).scale == "smoke"


@pytest.mark.parametrize("scale", interdiffusion.SCALES)
@pytest.mark.parametrize("interface", interdiffusion.INTERFACES)
def test_the_code_is_right_at_every_scale_and_interface(scale, interface):
    choice = Choice(interdiffusion.scaled(scale, interface, seed=7), interdiffusion)
    assert (choice.scale, choice.changed) == (scale, {"seed": 7})
    assert made_by(choice.code()) == choice.params


@pytest.mark.slow
def test_the_lammps_input_shown_is_the_one_the_run_gets(smoke_run):
    shown = Choice(interdiffusion.scaled("smoke", "100"), interdiffusion).lammps_input()
    given = (smoke_run.folder / "in.lmp").read_text()
    assert HELD_UNKNOWN in shown
    assert shown.replace(HELD_UNKNOWN, "").splitlines() == [
        line for line in given.splitlines() if not line.startswith("group bottom id")
    ]


def test_nothing_is_derived_from_a_bad_value():
    shown = form(interdiffusion.scaled("smoke"), interdiffusion)
    shown.controls["temperature_K"].value = -5.0
    texts = [text.value for text, _ in shown._texts.values()]
    assert len(texts) == 2
    assert all("Correct what is marked" in text for text in (*texts, shown.cost.text.value))
    shown.controls["temperature_K"].value = 950.0
    assert "temperature_K=950.0" in shown._texts["Show the code"][0].value
    assert "950" in shown._texts["Show the LAMMPS input"][0].value


@pytest.fixture
def unmeasured(monkeypatch, tmp_path):
    """No speed is known here, and none is measured without a click."""
    monkeypatch.setattr(probe, "cached_file", lambda *_: tmp_path / "speed.json")
    monkeypatch.setattr(probe, "measure", lambda *_: pytest.fail("measured without a click"))


def settled(shown):
    """The text of the estimate once nothing works on it any more."""
    deadline = time.monotonic() + 30
    while shown.cost.thread is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    return shown.cost.text.value


def test_the_estimate_follows_the_values_and_measures_nothing_unasked(unmeasured):
    shown = form(interdiffusion.scaled("smoke"), interdiffusion)
    assert f"{interdiffusion.n_atoms(shown.params)} atoms, 300 steps on " in settled(shown)
    shown.controls["duration_ps"].value = 0.8
    assert " 400 steps" in settled(shown)
    shown.scales["paper"].click()
    text = settled(shown)
    assert "4608 atoms, 10000000 steps" in text
    assert cost.UNMEASURED in text
    shown.controls["li_per_si"].value = 2.001
    assert "The nearest ratios that work" in settled(shown)


def test_only_the_last_values_are_estimated(unmeasured, monkeypatch):
    """An estimate that takes long is not shown when it is about older values, and edits do not wait for it."""
    go, asked = threading.Event(), []

    def slow(study, params, device):
        asked.append(params.duration_ps)
        go.wait(10)
        raise ValueError(f"for {params.duration_ps} ps")

    monkeypatch.setattr(estimate, "unmeasured", slow)
    start = time.monotonic()
    shown = form(interdiffusion.scaled("smoke"), interdiffusion)
    for duration_ps in (1.0, 2.0, 3.0):
        shown.controls["duration_ps"].value = duration_ps
    assert time.monotonic() - start < 5
    go.set()
    assert "for 3.0 ps" in settled(shown)
    assert asked[1:] == [3.0]


def test_a_click_measures_the_speed_here(unmeasured, monkeypatch):
    shown = form(interdiffusion.scaled("lesson"), interdiffusion)
    assert "at most" in settled(shown)
    assert shown.cost.measure.layout.display is None
    monkeypatch.setattr(probe, "measure", lambda p, d, n, steps: probe.Probe(n, 1e-5 * n, 2.0, 10**8))
    shown.cost._measure()
    n = interdiffusion.n_atoms(shown.params)
    text = settled(shown)
    assert "at most" not in text
    assert f"{n} atoms" in text
    assert shown.cost.measure.layout.display == "none"


def test_the_device_is_chosen_beside_the_estimate(unmeasured, monkeypatch):
    """Cores of this machine and its GPUs are offered; estimate, code and launch take the one that was chosen."""
    monkeypatch.setattr(devices, "cpu_cores", lambda: 6)
    monkeypatch.setattr(devices, "gpus", lambda: [("1", "NVIDIA H200 (139 GiB free)")])
    monkeypatch.setattr(devices, "gpu_backend_installed", lambda: True)
    monkeypatch.setattr(devices, "gpu_free_bytes", lambda _: 2**37)
    shown = form(interdiffusion.scaled("smoke"), interdiffusion)
    shown.cost.looking.join(30)
    assert shown.device == "auto"
    assert [name for _, name in shown.cost.device.options] == ["auto", "cpu:1", "cpu:2", "cpu:4", "cpu:6", "gpu:1"]
    assert "6 MPI ranks" not in settled(shown)
    shown.cost.device.value = "cpu:4"
    assert "4 MPI ranks" in settled(shown)
    assert 'device = "cpu:4"' in repr(shown)
    shown.cost.device.value = "gpu:1"
    assert "H200" in settled(shown)
    assert shown.device == "gpu:1"
    shown.scales["lesson"].click()
    assert "H200" in settled(shown)


def test_a_form_without_estimate_runs_anywhere():
    assert form(interdiffusion.scaled("smoke")).device == "auto"


def test_a_measurement_that_fails_is_said_and_can_be_repeated(unmeasured, monkeypatch):
    def fails(*_):
        raise RunFailed("LAMMPS does not start here.")

    shown = form(interdiffusion.scaled("smoke"), interdiffusion)
    settled(shown)
    monkeypatch.setattr(probe, "measure", fails)
    shown.cost._measure()
    assert "could not be measured: LAMMPS does not start here." in shown.cost.text.value
    assert not shown.cost.measure.disabled
    monkeypatch.setattr(probe, "measure", lambda p, d, n, steps: probe.Probe(n, 1e-5 * n, 2.0, 10**8))
    shown.cost._measure()
    assert "at most" not in settled(shown)


def test_a_bad_combination_is_shown_beside_the_field_it_names():
    shown = form(interdiffusion.scaled("smoke"), interdiffusion)
    shown.controls["window_ps"].value = 800.0
    assert "window_ps=800.0 must lie between" in shown._notes["window_ps"].value
    shown.controls["duration_ps"].value = 900.0
    assert shown.params == interdiffusion.scaled("smoke", window_ps=800.0, duration_ps=900.0)


def test_the_switch_shows_the_scale_and_how_many_values_differ():
    shown = form(interdiffusion.scaled("smoke"), interdiffusion)
    assert shown.scales["smoke"].button_style == "primary"
    shown.controls["seed"].value = 3
    assert "smoke, 1 value changed" in shown._scale_note.value
    shown.scales["paper"].click()
    assert shown.params == interdiffusion.scaled("paper")
    assert [b.button_style for b in shown.scales.values()] == ["", "", "primary"]


def test_what_has_scales_but_no_md_gets_the_switch_and_no_lammps_input():
    shown = form(lesson.scaled("lesson"), lesson)
    shown.scales["smoke"].click()
    assert shown.params == lesson.scaled("smoke")
    assert repr(shown) == 'from lisi_nb.training import lesson\n\nparams = lesson.scaled("smoke")'
    assert list(shown._texts) == ["Show the code"]
    assert shown.cost is None
    assert shown.presets["n_steps"].description == "paper: 1.6e+07"


def test_a_form_appears_within_a_second():
    start = time.process_time()
    form(interdiffusion.scaled("paper"), interdiffusion)
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize("study", [nanoparticle, lixsi], ids=lambda study: study.NAME)
def test_a_chain_shows_the_lammps_input_of_its_first_segment(study):
    params = study.scaled("smoke")
    shown = Choice(params, study).lammps_input()
    first = study.plan(params, ()).segment
    members = [f"potential/{path.name}" for path in potentials.get(params.potential).members()]
    assert shown == lammps.input_text(first, members)
    assert Choice(params, study).errors == {}
