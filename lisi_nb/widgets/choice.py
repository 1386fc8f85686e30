"""The model behind a form: values as entered -> a valid `Params`, or the words of what is wrong. No widgets here."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

from lisi_nb.params import Params


class Choice:
    """Values being chosen, with one error text per bad field.

    Parameters
    ----------
    params : Params
        Where the choice starts.
    study : module, optional
        Has ``SCALES``, ``scaled(scale, ...)`` and ``check(params)``; adds scales and checks of combinations.

    Attributes
    ----------
    values : dict
        What was entered, allowed or not.
    errors : dict
        Field name -> message of the exception; the key ``""`` holds that of a bad combination.
    """

    def __init__(self, params: Params, study: ModuleType | None = None) -> None:
        self.study = study
        # Arguments that `scaled` asks for by name (such as the interface) are kept when the scale changes.
        named = inspect.signature(study.scaled).parameters.values() if study else ()
        self._kept = [p.name for p in named if p.kind is not p.VAR_KEYWORD and p.name != "scale"]
        self._load(params)

    def _load(self, params: Params) -> None:
        self._valid = params
        self.values: dict[str, Any] = params.to_dict()
        self.errors: dict[str, str] = {}
        self.scale = next((s for s in (self.study.SCALES if self.study else ()) if self._scaled(s) == params), "")
        self._judge()

    def _scaled(self, scale: str) -> Params:
        return self.study.scaled(scale, **{name: getattr(self._valid, name) for name in self._kept})  # type: ignore[union-attr]

    def set(self, name: str, value: Any) -> None:
        """Enter `value` for a field; a bad one is kept, and `errors` says why."""
        self.values[name] = value
        self.errors.pop(name, None)
        try:
            self._valid = self._valid.replace(**{name: value})
        except ValueError as error:
            self.errors[name] = str(error)
        self._judge()

    def rescale(self, scale: str) -> None:
        """Take all values of a scale of the study."""
        self._load(self._scaled(scale))

    def _judge(self) -> None:
        self.errors.pop("", None)
        if self.study is not None and not self.errors:
            try:
                self.study.check(self._valid)
            except ValueError as error:
                self.errors[""] = str(error)

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

    def code(self) -> str:
        """Python that makes the same parameters without a form."""
        values, call, arguments = self._valid.to_dict(), f"{type(self._valid).__name__}", []
        base: Params = type(self._valid)()
        if self.study is not None and self.scale:
            call, base = f"{self.study.__name__.rpartition('.')[2]}.scaled", self._scaled(self.scale)
            arguments = [repr(self.scale), *(f"{name}={values[name]!r}" for name in self._kept)]
        changed = [f"{n}={v!r}" for n, v in values.items() if v != getattr(base, n)]
        return f"params = {call}({', '.join(arguments + changed)})"
