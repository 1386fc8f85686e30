"""The parts of one row of a form: entry, slider, the paper's value as a button, and a line of help."""

from __future__ import annotations

import html
import math
from dataclasses import Field
from typing import Any

import ipywidgets as w

from lisi_nb.units import pretty
from lisi_nb.widgets.names import DECADES, named

_WIDTH = w.Layout(flex="0 0 110px", width="110px")


def name(f: Field[Any]) -> str:
    """Label and unit of field `f`, by which screen readers call its controls."""
    label, unit = f.metadata["label"], pretty(f.metadata["unit"])
    return f"{label} ({unit})" if unit else label


def entry(f: Field[Any]) -> Any:
    """The control that takes a value of field `f`."""
    look = dict(value=f.default, tooltip=name(f), layout=_WIDTH)
    if f.metadata["choices"] is not None:
        return w.Dropdown(options=f.metadata["choices"], **look)
    # Unbounded texts: a bad number must reach the check and its words, not be clipped without a word.
    kind = {bool: w.Checkbox, int: w.IntText, float: w.FloatText}.get(type(f.default), w.Text)
    return kind(**look, **({"indent": False} if kind is w.Checkbox else {}))


def slider(f: Field[Any]) -> Any:
    """A slider over the range of a number (logarithmic where it spans decades), or ``None``."""
    low, high = f.metadata["low"], f.metadata["high"]
    if low is None or isinstance(f.default, bool) or not isinstance(f.default, (int, float)):
        return None
    look = dict(value=f.default, readout=False, tooltip=name(f), layout=w.Layout(width="150px"))
    if low > 0 and high / low > 100:
        decades = w.FloatLogSlider(min=math.log10(low), max=math.log10(high), step=0.01, **look)
        decades.add_class(DECADES)
        return decades
    return w.FloatSlider(min=low, max=high, step=(high - low) / 150, **look)


def moved(slider: Any, value: float) -> bool:
    """Whether the slider stands farther than half a step from `value`."""
    if isinstance(slider, w.FloatLogSlider):
        return value <= 0 or abs(math.log10(slider.value / value)) > 0.501 * slider.step
    return abs(slider.value - value) > 0.501 * slider.step


def preset(f: Field[Any]) -> w.Button | None:
    """A button that sets the paper's value, or ``None`` where the paper gives none."""
    if f.metadata["paper"] is None:
        return None
    tip = f"Set {name(f)} to the value of the paper."
    button = named(w.Button(tooltip=tip, layout=w.Layout(flex="0 0 130px", width="130px")))
    mark(button, f, f.default)
    return button


def mark(button: w.Button, f: Field[Any], value: Any) -> None:
    """Write the paper's value on its button, with a tick where it is the chosen one."""
    paper = f.metadata["paper"]
    tick = "✓ " if value == paper else ""
    button.description = f"{tick}paper: {_written(paper)} {pretty(f.metadata['unit'])}".rstrip()


def _written(value: Any) -> str:
    """A value in words that fit a button: whole numbers whole, but for 16 million."""
    whole = not isinstance(value, float) and not (isinstance(value, int) and value >= 10_000_000)
    return str(value) if whole else f"{value:g}"


def help_line(f: Field[Any]) -> str:
    """One line of help and the range, as HTML."""
    meta, unit = f.metadata, f" {pretty(f.metadata['unit'])}".rstrip()
    words = [html.escape(meta["help"])]
    if meta["low"] is not None:
        words.append(f"Range {_written(meta['low'])} to {_written(meta['high'])}{unit}.")
    return " ".join(words)
