"""Checks whose message says what came, what is allowed and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from lisi_nb.units import pretty


class RunFailed(RuntimeError):
    """A simulation ended without reaching its target; the message holds the engine's words and advice."""


def check_choice(label: str, value: object, allowed: Iterable[object]) -> None:
    """Raise ``ValueError`` with the closest allowed name when `value` is not one of `allowed`."""
    choices = list(allowed)
    if value in choices:
        return
    close = difflib.get_close_matches(str(value), [str(c) for c in choices], n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"{label}={value!r} is not known. Allowed: {', '.join(map(str, choices))}.{hint}")


def check_range(label: str, value: float, low: float, high: float, unit: str = "", advice: str = "") -> None:
    """Raise ``ValueError`` when `value` (in `unit`) is not a number within ``[low, high]``."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high:
        return
    unit = f" {pretty(unit)}" if unit else ""
    raise ValueError(
        f"{label}={value!r}{unit} is outside {low:g} to {high:g}{unit}. {advice or 'Choose a value in this range.'}"
    )
