"""The form shows any Params, refuses in the exception's words, and hands over valid parameters without a click."""

from dataclasses import dataclass, fields

import pytest

from lisi_nb.params import Params, parameter
from lisi_nb.studies import interdiffusion
from lisi_nb.widgets import form
from lisi_nb.widgets.choice import Choice


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
    assert all(words in note for words in ("How hot.", "10 to 900 K", "Paper: 500.0 K"))


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


def test_the_code_shown_makes_the_same_parameters():
    choice = Choice(interdiffusion.scaled("lesson", "111"), interdiffusion)
    choice.set("temperature_K", 700.0)
    scope = {"interdiffusion": interdiffusion}
    exec(choice.code(), scope)
    assert scope["params"] == choice.params
    plain = Choice(Oven(trays=3))
    exec(plain.code(), scope | {"Oven": Oven}, scope)
    assert scope["params"] == plain.params
