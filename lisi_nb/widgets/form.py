"""A form for any `Params`: one control per parameter with unit, range, help and the paper's value."""

from __future__ import annotations

import dataclasses
import html
import math
from types import ModuleType
from typing import Any

import ipywidgets as w

from lisi_nb.params import Params
from lisi_nb.widgets.choice import Choice

_ERROR = '<span style="color:#d03030;line-height:1.3;display:inline-block">{}</span>'
_QUIET = '<span style="opacity:.7;line-height:1.3;display:inline-block">{}</span>'
_LABEL = w.Layout(width="135px")


class Form(w.VBox):
    """View of a `Choice`: shows it, and hands every edit to it."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.fields = dataclasses.fields(choice.params)
        self.controls: dict[str, Any] = {}
        self.sliders: dict[str, Any] = {}
        self._notes: dict[str, w.HTML] = {}
        self._summary, self._code = w.HTML(), w.HTML()
        self._showing = False
        groups: dict[str, list[w.Widget]] = {}
        for f in self.fields:
            groups.setdefault(f.metadata["group"], []).append(self._row(f))
        tabs = w.Tab([w.VBox(rows) for rows in groups.values()], titles=tuple(groups), selected_index=0)
        code = w.Accordion([self._code], titles=("Show the code",))
        super().__init__([*self._scales(), tabs, self._summary, code], layout=w.Layout(max_width="960px"))
        self._show()

    def __repr__(self) -> str:
        return self.choice.code()

    @property
    def params(self) -> Params:
        """The parameters chosen so far; raises ``ValueError`` in the form's words when something is wrong."""
        return self.choice.params

    def _scales(self) -> list[w.Widget]:
        if self.choice.study is None:
            return []
        buttons = [w.Button(description=scale, layout=w.Layout(width="90px")) for scale in self.choice.study.SCALES]
        for button in buttons:
            button.on_click(lambda clicked: self._rescale(clicked.description))
        return [w.HBox([w.Label("All values of scale", layout=_LABEL), *buttons])]

    def _row(self, f: dataclasses.Field[Any]) -> w.Widget:
        control = self.controls[f.name] = _control(f)
        control.observe(lambda change: self._entered(f.name, change["new"]), "value")
        slider = _slider(f)
        if slider is not None:
            self.sliders[f.name] = slider
            slider.observe(lambda change: self._slid(f.name, change["new"]), "value")
        note = self._notes[f.name] = w.HTML(layout=w.Layout(flex="1 1 0%", min_width="200px", margin="2px 0 2px 12px"))
        label = w.Label(f.metadata["label"], layout=_LABEL, tooltip=f.metadata["help"])
        unit = w.Label(f.metadata["unit"], layout=w.Layout(width="38px"))
        beside = slider or w.Box(layout=w.Layout(width="154px"))
        return w.HBox([label, control, unit, beside, note], layout=w.Layout(align_items="center"))

    def _entered(self, name: str, value: Any) -> None:
        if not self._showing:
            self.choice.set(name, value)
            self._show()

    def _slid(self, name: str, value: float) -> None:
        control, slider = self.controls[name], self.sliders[name]
        # The browser rounds a slider to its steps and says so, unasked; only a move by the user may change the value.
        distance = (
            abs(math.log10(value / control.value))
            if isinstance(slider, w.FloatLogSlider)
            else abs(value - control.value)
        )
        if not self._showing and distance > 0.501 * slider.step:
            control.value = round(value) if isinstance(control, w.IntText) else float(f"{value:.3g}")

    def _rescale(self, scale: str) -> None:
        self.choice.rescale(scale)
        self._show()

    def _show(self) -> None:
        self._showing = True
        for f in self.fields:
            value, error = self.choice.values[f.name], self.choice.errors.get(f.name)
            self.controls[f.name].value = value
            if f.name in self.sliders and error is None:
                self.sliders[f.name].value = value
            self._notes[f.name].value = _ERROR.format(html.escape(error)) if error else _QUIET.format(_help(f))
        self._showing = False
        errors = [_ERROR.format(html.escape(text)) for text in self.choice.errors.values()]
        self._summary.value = "<br>".join(errors) or _QUIET.format("Every value is allowed.")
        self._code.value = f'<pre style="white-space:pre-wrap">{html.escape(self.choice.code())}</pre>'


def _control(f: dataclasses.Field[Any]) -> Any:
    if f.metadata["choices"] is not None:
        return w.Dropdown(options=f.metadata["choices"], value=f.default, layout=w.Layout(width="110px"))
    # Unbounded texts: a bad number must reach the check and its words, not be clipped without a word.
    kind = {bool: w.Checkbox, int: w.IntText, float: w.FloatText}.get(type(f.default), w.Text)
    return kind(value=f.default, layout=w.Layout(width="110px"), **({"indent": False} if kind is w.Checkbox else {}))


def _slider(f: dataclasses.Field[Any]) -> Any:
    low, high = f.metadata["low"], f.metadata["high"]
    if low is None or isinstance(f.default, bool) or not isinstance(f.default, (int, float)):
        return None
    look = dict(value=f.default, readout=False, layout=w.Layout(width="150px"))
    if low > 0 and high / low > 100:
        return w.FloatLogSlider(min=math.log10(low), max=math.log10(high), step=0.01, **look)
    return w.FloatSlider(min=low, max=high, step=(high - low) / 150, **look)


def _help(f: dataclasses.Field[Any]) -> str:
    meta, unit = f.metadata, f" {f.metadata['unit']}".rstrip()
    words = [html.escape(meta["help"])]
    if meta["low"] is not None:
        words.append(f"Range {meta['low']:g} to {meta['high']:g}{unit}.")
    if meta["paper"] is not None:
        words.append(f"<b>Paper: {meta['paper']}{unit}.</b>")
    return " ".join(words)


def form(params: Params, study: ModuleType | None = None) -> Form:
    """Show controls for `params`; ``form(...).params`` is valid at once and follows every edit.

    Parameters
    ----------
    params : Params
        Any study's parameters, the values shown first.
    study : module, optional
        Its ``SCALES``, ``scaled`` and ``check`` add a scale switch and the check of combinations.
    """
    return Form(Choice(params, study))
