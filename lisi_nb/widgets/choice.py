"""The model behind a form: values as entered -> a valid `Params`, or the words of what is wrong. No widgets here."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from types import ModuleType
from typing import Any

from lisi_nb import potentials
from lisi_nb.engine import lammps
from lisi_nb.engine.steps import Step
from lisi_nb.params import Params

HELD = "group bottom id 1\n"  # written for one stand-in atom; the true ids are known once the structure is built
HELD_UNKNOWN = "# the ids of the held atoms are known once the structure is built\ngroup bottom id ...\n"


class Choice:
    """Values being chosen, with one error text per bad field.

    Parameters
    ----------
    params : Params
        Where the choice starts.
    study : module, optional
        Has ``SCALES`` and ``scaled(scale, ...)``; its ``check(params)`` of combinations is optional.

    Attributes
    ----------
    values : dict
        What was entered, allowed or not.
    scale : str
        The scale that the choice started from, or the one with the fewest differences; empty without a study.
    """

    def __init__(self, params: Params, study: ModuleType | None = None) -> None:
        self.study = study
        # Arguments that `scaled` asks for by name (such as the interface) are kept when the scale changes.
        named = inspect.signature(study.scaled).parameters.values() if study else ()
        self._kept = {p.name: p.default for p in named if p.kind is not p.VAR_KEYWORD and p.name != "scale"}
        self.load(params)

    def load(self, params: Params) -> None:
        """Show `params`; what was entered before is forgotten."""
        self._valid = params
        self.values: dict[str, Any] = params.to_dict()
        self._bad: dict[str, str] = {}
        scales = self.study.SCALES if self.study else ()
        self.scale: str = min(scales, key=lambda s: len(_different(self._scaled(s), params)), default="")
        self._judge()

    def _scaled(self, scale: str) -> Params:
        return self.study.scaled(scale, **{name: getattr(self._valid, name) for name in self._kept})  # type: ignore[union-attr]

    def set(self, name: str, value: Any) -> None:
        """Enter `value` for a field; a bad one is kept, and `errors` says why."""
        self.values[name] = value
        self._bad.pop(name, None)
        try:
            self._valid = self._valid.replace(**{name: value})
        except ValueError as error:
            self._bad[name] = str(error)
        self._judge()

    def rescale(self, scale: str) -> None:
        """Take all values of a scale of the study."""
        self.load(self._scaled(scale))
        self.scale = scale

    def _judge(self) -> None:
        self._combination: dict[str, str] = {}
        check = getattr(self.study, "check", None)
        if check is not None and not self._bad:
            try:
                check(self._valid)
            except ValueError as error:
                said = re.match(r"\w+(?==)", str(error))  # messages begin with the name of what came
                name = said[0] if said and said[0] in self.values else ""
                self._combination = {name: str(error)}

    @property
    def errors(self) -> dict[str, str]:
        """Field name -> message of the exception; the key ``""`` holds that of a combination without one culprit."""
        return self._bad | self._combination

    @property
    def params(self) -> Params:
        """The choice as checked parameters.

        Raises
        ------
        ValueError
            Something entered is not allowed; the message is what the form shows.
        """
        if self.errors:
            raise ValueError("\n".join(self.errors.values()))
        return self._valid

    @property
    def changed(self) -> dict[str, Any]:
        """Values that differ from the scale's own (without a study: from the defaults)."""
        return _different(self._scaled(self.scale) if self.scale else type(self._valid)(), self._valid)

    def code(self) -> str:
        """Python that makes the same parameters without a form: the scale, and only what was changed."""
        kind, values = type(self._valid), self._valid.to_dict()
        module, name = kind.__module__, kind.__name__
        call, arguments = name, []
        if self.study is not None:
            module, _, name = self.study.__name__.rpartition(".")
            call, arguments = f"{name}.scaled", [_literal(self.scale)]
            arguments += [f"{n}={_literal(values[n])}" for n, usual in self._kept.items() if values[n] != usual]
        arguments += [f"{n}={_literal(v)}" for n, v in self.changed.items()]
        made = f"params = {call}({', '.join(arguments)})"
        return made if module == "__main__" else f"from {module} import {name}\n\n{made}"

    def lammps_input(self) -> str:
        """What LAMMPS would be given for the first stretch of MD; no structure is built for it.

        Raises
        ------
        ValueError
            Something entered is not allowed, or the choice was made without a study.
        """
        if self.study is None:
            raise ValueError("Only a study knows its LAMMPS input: form(params, study).")
        first = self.study.plan(self.params, ())
        segment = first.segment if isinstance(first, Step) else first
        if not isinstance(segment, lammps.Segment):
            raise ValueError(
                "This study does not begin with molecular dynamics, so it has no LAMMPS input to show yet."
            )
        members = potentials.get(self._valid.potential).card["members"]  # type: ignore[attr-defined]
        models = [f"potential/member{k}.{m['file'].rpartition('.')[2]}" for k, m in enumerate(members)]
        return lammps.input_text(segment, models, [1]).replace(HELD, HELD_UNKNOWN)


def _different(base: Params, params: Params) -> dict[str, Any]:
    names = (f.name for f in dataclasses.fields(params))
    return {n: getattr(params, n) for n in names if getattr(params, n) != getattr(base, n)}


def _literal(value: Any) -> str:
    """Python for `value`, with the quotes that the code of this project uses."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
