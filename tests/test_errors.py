"""The two checkers: what passes, and that the message says what came, what is allowed, and what to do."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lisi_nb.errors import check_choice, check_range


@given(st.floats(allow_nan=True), st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_range_is_closed_interval(value, low, span):
    high = low + span
    if not math.isnan(value) and low <= value <= high:
        check_range("x", value, low, high)
    else:
        with pytest.raises(ValueError, match="outside"):
            check_range("x", value, low, high)


@pytest.mark.parametrize("value", [True, "5", None, [5], 1j])
def test_range_refuses_what_is_no_number(value):
    with pytest.raises(ValueError, match="outside 0 to 10 K"):
        check_range("temperature_K", value, 0, 10, "K")


def test_range_message():
    with pytest.raises(ValueError, match=r"^temperature_K=12000 K is outside 50 to 3000 K\. Cool it\.$"):
        check_range("temperature_K", 12000, 50, 3000, "K", "Cool it.")


@given(st.text(), st.lists(st.text(), min_size=1))
def test_choice_is_membership(value, allowed):
    if value in allowed:
        check_choice("word", value, allowed)
    else:
        with pytest.raises(ValueError, match="is not known"):
            check_choice("word", value, allowed)


def test_choice_names_the_closest():
    with pytest.raises(ValueError, match=r"Allowed: temperature_K, seed. Did you mean 'temperature_K'?"):
        check_choice("parameter", "temprature", ["temperature_K", "seed"])
    with pytest.raises(ValueError, match=r"Allowed: a, b\.$"):
        check_choice("parameter", "zzzz", iter(["a", "b"]))
