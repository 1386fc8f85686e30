"""Declared parameters: types, ranges, unknown keys, texts from a command line, hostile texts."""

import dataclasses
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lisi_nb.engine.run import identity
from lisi_nb.params import Params, from_text, parameter
from lisi_nb.studies import interdiffusion


@dataclass(frozen=True)
class Example(Params):
    """One parameter of each kind."""

    heat_K: float = parameter(300.0, label="Heat", help="h", unit="K", low=1.0, high=1000.0)
    count: int = parameter(3, label="Count", help="h", low=1, high=99)
    face: str = parameter("100", label="Face", help="h", choices=("100", "110"))
    note: str = parameter("", label="Note", help="h")
    walls: bool = parameter(True, label="Walls", help="h")


BAD = [
    (dict(heat_K=0.5), "heat_K=0.5 K is outside 1 to 1000 K"),
    (dict(heat_K=float("nan")), "outside"),
    (dict(heat_K=float("inf")), "outside"),
    (dict(heat_K="300"), "not a number"),
    (dict(heat_K=True), "not a number"),
    (dict(heat_K=None), "not a number"),
    (dict(count=2.0), "not a whole number"),
    (dict(count=True), "not a whole number"),
    (dict(count=100), "outside 1 to 99"),
    (dict(face="11"), r"face='11' is not known\. Allowed: 100, 110"),
    (dict(face=100), "not text"),
    (dict(note=5), "not text"),
    (dict(walls=1), "true or false"),
    (dict(heat=5), "Did you mean 'heat_K'"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_bad_values(changes, message):
    with pytest.raises(ValueError, match=message):
        Example().replace(**changes)


def test_frozen_and_unchanged_by_replace():
    first = Example()
    second = first.replace(heat_K=5.0, walls=False)
    assert (first.heat_K, second.heat_K, second.walls, second.count) == (300.0, 5.0, False, 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.heat_K = 1.0


def test_a_whole_number_for_a_float_is_the_same_value():
    """900 and 900.0 are the same input, so they must name the same run."""
    whole, real = Example(heat_K=900), Example(heat_K=900.0)
    assert type(whole.heat_K) is float
    assert identity("s", whole.to_dict(), "p") == identity("s", real.to_dict(), "p")


def test_described_has_value_unit_label_of_each():
    described = Example(heat_K=5.0).described()
    assert list(described) == ["heat_K", "count", "face", "note", "walls"]
    assert described["heat_K"] == {"value": 5.0, "unit": "K", "label": "Heat"}


def test_from_text():
    params = from_text(Example(), ["heat_K=4e2", "count=7", "face=110", "note=a=b", "walls=False", "count=8"])
    assert params == Example(heat_K=400.0, count=8, face="110", note="a=b", walls=False)
    assert from_text(Example(), ["count=5.0"]).count == 5  # a whole number, however it is written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("heat_K", "not of the form key=value"),
        ("=5", "parameter='' is not known"),
        ("het_K=5", "Did you mean 'heat_K'"),
        ("heat_K=warm", "heat_K='warm' is not a number"),
        ("heat_K=", "heat_K='' is not a number"),
        ("count=+-5", r"count='\+-5' is not a number"),
        ("count=²", "count='²' is not a number"),
        ("count=" + "9" * 5000, "count=inf is not a whole number"),
        ("count=2.5", "count=2.5 is not a whole number"),
        ("count=nan", "count=nan is not a whole number"),
        ("walls=yes", "Allowed: true, false"),
    ],
)
def test_from_text_bad(text, message):
    with pytest.raises(ValueError, match=message):
        from_text(Example(), [text])


@given(
    st.lists(st.one_of(st.text(), st.builds("{}={}".format, st.sampled_from([*Example().to_dict(), "x"]), st.text())))
)
def test_hostile_texts_give_params_or_value_error(texts):
    """Whatever is typed: valid parameters, or a ValueError that names the setting; never another exception."""
    refusal = ""
    try:
        params = from_text(Example(), texts)
    except ValueError as error:
        refusal = str(error)
    if refusal:
        named = [t.partition("=")[0] for t in texts]
        assert any(repr(n) in refusal or refusal.startswith((n, repr(t))) for n, t in zip(named, texts, strict=True))
    else:
        assert params == Example(**params.to_dict())


@given(st.data())
def test_every_study_parameter_accepts_its_range_and_nothing_beyond(data):
    """Both ends of each declared range are allowed; a step outside is refused with the parameter's name."""
    numeric = [f for f in dataclasses.fields(interdiffusion.Params) if f.metadata["low"] is not None]
    f = data.draw(st.sampled_from(numeric))
    low, high = f.metadata["low"], f.metadata["high"]
    for value in (low, high):
        assert getattr(interdiffusion.Params().replace(**{f.name: value}), f.name) == value
    step = 1 if isinstance(f.default, int) else 1e-6 * max(1.0, abs(high))
    for value in (low - step, high + step):
        with pytest.raises(ValueError, match=f"{f.name}=.*outside"):
            interdiffusion.Params().replace(**{f.name: value})


def test_every_study_parameter_is_described():
    for f in dataclasses.fields(interdiffusion.Params):
        assert f.metadata["label"], f.name
        assert f.metadata["help"].endswith("."), f.name
        assert f.metadata["low"] is None or f.metadata["low"] <= f.default <= f.metadata["high"], f.name
        # A name with a unit says the same unit as the metadata: temperature_K in K, frame_ps in ps.
        unit = f.name.rpartition("_")[2]
        if unit in ("K", "A", "ps", "fs"):
            assert f.metadata["unit"].startswith(unit) or unit == "ps", f.name
