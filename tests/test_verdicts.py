"""Verdicts: beyond two standard errors of the difference, and what the tables say of numbers without error."""

import math

import pytest

from lisi_nb.units import Measured
from lisi_nb.verdicts import Claim, claims_table, greater


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ((3.0, 0.3), (2.0, 0.4), "undecided"),  # two standard errors of the difference are 1.0
        ((3.01, 0.3), (2.0, 0.4), "true"),
        ((2.0, 0.4), (3.01, 0.3), "false"),
        ((3.0, 1.0), (1.0, 1.0), "undecided"),
        ((9.0, math.nan), (1.0, 0.1), "undecided"),
        ((math.nan, 0.1), (1.0, 0.1), "undecided"),
    ],
)
def test_greater(a, b, verdict):
    assert greater(Measured(*a, "A"), Measured(*b, "A")) == verdict


def test_a_missing_error_is_said_once():
    numbers = [str(Measured(value, math.nan, "eV")) for value in (1.0, 2.0)]
    one, two = (Claim("c", "undecided", "; ".join(numbers[:n])) for n in (1, 2))
    table = claims_table([one, two])
    assert [row[2] for row in table.rows] == [
        "1 eV (no error estimate)",
        "1 eV; 2 eV (no error estimates)",
    ]
