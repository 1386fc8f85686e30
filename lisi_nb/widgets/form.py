"""A form for any `Params`: one control per parameter with unit, range, help and the paper's value."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable
from types import ModuleType
from typing import Any

import ipywidgets as w

from lisi_nb import palette
from lisi_nb.params import Params
from lisi_nb.units import pretty
from lisi_nb.widgets import controls
from lisi_nb.widgets.choice import Choice
from lisi_nb.widgets.cost import Cost
from lisi_nb.widgets.kept import Kept
from lisi_nb.widgets.names import Names, named

_ERROR = f'<span style="color:{palette.ERROR};line-height:1.3;display:inline-block"><b>✗</b> {{}}</span>'
_QUIET = '<span style="opacity:.75;line-height:1.3;display:inline-block">{}</span>'
_PRE = '<pre style="white-space:pre-wrap;margin:0;line-height:1.35">{}</pre>'
_LABEL = w.Layout(flex="0 0 135px", width="135px")
_WRONG = "Correct what is marked ✗ first."


class Form(Kept):
    """View of a `Choice`: shows it, and hands every edit to it."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.fields = dataclasses.fields(choice.params)
        self.controls: dict[str, Any] = {}
        self.sliders: dict[str, Any] = {}
        self.presets: dict[str, w.Button] = {}
        self.scales: dict[str, w.Button] = {}
        self._notes: dict[str, w.HTML] = {}
        self._scale_note, self._summary = w.HTML(), w.HTML()
        # A study that cannot count its atoms would have to build them at every edit.
        self.cost = Cost(choice.study) if choice.study is not None and hasattr(choice.study, "n_atoms") else None
        self._texts: dict[str, tuple[w.HTML, Callable[[], str]]] = {"Show the code": (w.HTML(), self._code)}
        if hasattr(choice.study, "plan"):
            self._texts["Show the LAMMPS input"] = (w.HTML(), choice.lammps_input)
        self._showing = False
        self._groups: dict[str, list[str]] = {}
        for f in self.fields:
            self._groups.setdefault(f.metadata["group"], []).append(f.name)
        rows = {f.name: self._row(f) for f in self.fields}
        self._tabs = w.Tab([w.VBox([rows[name] for name in names]) for names in self._groups.values()])
        self._tabs.selected_index = 0
        texts = [text for text, _ in self._texts.values()]
        # Buttons, because the headings of an Accordion cannot be reached by keyboard.
        reveal = w.HBox([_reveal(name, text) for name, text in zip(self._texts, texts, strict=True)])
        cost = [self.cost] if self.cost else []
        parts = [*self._scale_switch(), self._tabs, self._summary, *cost, reveal, *texts, Names()]
        super().__init__(parts, self._kept_html, layout=w.Layout(max_width="1020px"))
        if self.cost:
            self.cost.device.observe(lambda _: self._show(), "value")
        self._show()

    def __repr__(self) -> str:
        return self._code()

    def _kept_html(self) -> str:
        """The values, as code."""
        return f"This form needs its kernel: run the cell. Its values:{_PRE.format(html.escape(self._code()))}"

    @property
    def params(self) -> Params:
        """The parameters chosen so far; raises ``ValueError`` in the form's words when something is wrong.

        Setting it shows other parameters: code and controls are two views of one choice.
        """
        return self.choice.params

    @params.setter
    def params(self, params: Params) -> None:
        self.choice.load(params)
        self._show()

    @property
    def device(self) -> str:
        """Where to run, for `lisi_nb.engine.launch.launch`; the same inputs give the same run on every device."""
        return self.cost.device.value if self.cost else "auto"

    def _code(self) -> str:
        where = f'\ndevice = "{self.device}"' if self.device != "auto" else ""
        return self.choice.code() + where

    def _scale_switch(self) -> list[w.Widget]:
        if self.choice.study is None:
            return []
        for scale in self.choice.study.SCALES:
            tip = f"Set every value to scale {scale}."
            button = self.scales[scale] = named(w.Button(description=scale, tooltip=tip, layout=w.Layout(width="90px")))
            button.on_click(lambda clicked: self._rescale(clicked.description))
        return [w.HBox([w.Label("All values of scale", layout=_LABEL), *self.scales.values(), self._scale_note])]

    def _row(self, f: dataclasses.Field[Any]) -> w.Widget:
        control = self.controls[f.name] = controls.entry(f)
        control.observe(lambda change: self._entered(f.name, change["new"]), "value")
        slider = controls.slider(f)
        if slider is not None:
            self.sliders[f.name] = slider
            slider.observe(lambda change: self._slid(f.name, change["new"]), "value")
        preset = controls.preset(f)
        if preset is not None:
            self.presets[f.name] = preset
            preset.on_click(lambda _: self._entered(f.name, f.metadata["paper"]))
        note = self._notes[f.name] = w.HTML(layout=w.Layout(flex="1 1 0%", min_width="200px", margin="2px 0 2px 12px"))
        label = w.Label(f.metadata["label"], layout=_LABEL, tooltip=f.metadata["help"])
        unit = w.Label(pretty(f.metadata["unit"]), layout=w.Layout(flex="0 0 38px", width="38px"))
        beside = slider or w.Box(layout=w.Layout(width="154px"))
        marked = preset or w.Box(layout=w.Layout(width="134px"))
        entered = w.Box(
            [label, control, unit, beside, marked], layout=w.Layout(align_items="center", overflow="hidden")
        )
        return w.HBox([entered, note], layout=w.Layout(align_items="center", flex_flow="row wrap"))

    def _entered(self, name: str, value: Any) -> None:
        if not self._showing:
            self.choice.set(name, value)
            self._show()

    def _slid(self, name: str, value: float) -> None:
        control, slider = self.controls[name], self.sliders[name]
        # The browser rounds a slider to its steps and says so, unasked; only a move by the user may change the value.
        if not self._showing and controls.moved(slider, control.value):
            control.value = round(value) if isinstance(control, w.IntText) else float(f"{value:.3g}")

    def _rescale(self, scale: str) -> None:
        self.choice.rescale(scale)
        self._show()

    def _show(self) -> None:
        self._showing = True
        errors = self.choice.errors
        for f in self.fields:
            value, error = self.choice.values[f.name], errors.get(f.name)
            self.controls[f.name].value = value
            if f.name in self.sliders and error is None:
                self.sliders[f.name].value = value
            if f.name in self.presets:
                controls.mark(self.presets[f.name], f, value)
            note = _ERROR.format(html.escape(error)) if error else _QUIET.format(controls.help_line(f))
            self._notes[f.name].value = note
        self._showing = False
        bad = {group: sum(name in errors for name in names) for group, names in self._groups.items()}
        self._tabs.titles = tuple(f"{group} ✗ {n}" if n else group for group, n in bad.items())
        words = [_ERROR.format(html.escape(text)) for text in errors.values()]
        self._summary.value = "<br>".join(words) or _QUIET.format("✓ Every value is allowed.")
        self._show_scale()
        self._show_derived(bool(errors))

    def _show_scale(self) -> None:
        n = len(self.choice.changed) if self.scales else 0
        for scale, button in self.scales.items():
            button.button_style = "primary" if scale == self.choice.scale else ""
        changed = f", {n} value{'s' if n > 1 else ''} changed" if n else ""
        self._scale_note.value = _QUIET.format(f"now: {self.choice.scale}{changed}")

    def _show_derived(self, wrong: bool) -> None:
        for text, make in self._texts.values():
            text.value = _PRE.format(html.escape(_WRONG if wrong else make()))
        self.keep()
        if self.cost is None:
            return
        if wrong:
            self.cost.say(_WRONG)
        else:
            self.cost.show(self.choice.params)


def _reveal(name: str, text: w.HTML) -> w.ToggleButton:
    """A button that shows and hides `text`, which is hidden first."""

    def show(shown: bool) -> None:
        text.layout.display = None if shown else "none"

    button = w.ToggleButton(description=name, icon="code", tooltip=f"{name} of these values, or hide it.")
    button.layout.width = "210px"
    button.observe(lambda change: show(change["new"]), "value")
    show(False)
    return button


def form(params: Params, study: ModuleType | None = None) -> Form:
    """Show controls for `params`; ``form(...).params`` is valid at once and follows every edit.

    Parameters
    ----------
    params : Params
        Any study's parameters, the values shown first.
    study : module, optional
        Its ``SCALES`` and ``scaled`` add a scale switch. Where it has them, ``check`` adds the check of combinations,
        ``plan`` the LAMMPS input, and ``n_atoms`` an estimate of atoms, time, disk and memory, kept current.
    """
    return Form(Choice(params, study))
