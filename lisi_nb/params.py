"""Declared parameters: each has a default, unit, range, label and help, and is checked when set.

A study declares a frozen dataclass of `parameter` fields; forms, the CLI, the manifest and the docs
are derived from it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, dataclass, field
from typing import Any, Self, TypeVar

from lisi_nb.errors import check_choice, check_range

Setting = TypeVar("Setting")


def parameter(
    default: Any,
    *,
    label: str,
    help: str,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] | None = None,
    group: str = "General",
    paper: Any = None,
) -> Any:
    """Declare one parameter of a study.

    Parameters
    ----------
    default : object
        Default value; its type is the parameter's type.
    label, help : str
        Short name and one line of explanation shown at the control.
    unit : str
        Unit of the value, shown everywhere the value is shown.
    low, high : float, optional
        Allowed range of a number.
    choices : tuple, optional
        Allowed values.
    group : str
        Heading under which forms show it.
    paper : object, optional
        Value the paper used.
    """
    metadata = dict(label=label, help=help, unit=unit, low=low, high=high, choices=choices, group=group, paper=paper)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Params:
    """Base of every study's parameters; constructing it checks every field."""

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            _check(f, value)
            if isinstance(f.default, float):  # 900 and 900.0 are one input, and name one run
                object.__setattr__(self, f.name, float(value))

    def replace(self, **changes: Any) -> Self:
        """A copy with some values changed; unknown names and bad values raise ``ValueError``."""
        for name in changes:
            check_choice("parameter", name, [f.name for f in dataclasses.fields(self)])
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of the values."""
        return dataclasses.asdict(self)

    def described(self) -> dict[str, dict[str, Any]]:
        """Value, unit and label of each parameter, for manifests and tables."""
        return {
            f.name: {"value": getattr(self, f.name), "unit": f.metadata["unit"], "label": f.metadata["label"]}
            for f in dataclasses.fields(self)
        }


def _check(f: dataclasses.Field[Any], value: Any) -> None:
    assert f.default is not MISSING, f"{f.name} needs a default"
    kind = type(f.default)
    if kind is bool and not isinstance(value, bool):
        raise ValueError(f"{f.name}={value!r} is not allowed. Give true or false.")
    if kind is int and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError(f"{f.name}={value!r} is not a whole number. Give one, such as {f.default}.")
    if kind is str and not isinstance(value, str):
        raise ValueError(f"{f.name}={value!r} is not text. Give a text, such as {f.default!r}.")
    if kind is float and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise ValueError(f"{f.name}={value!r} is not a number. Give one, such as {f.default}.")
    meta = f.metadata
    if meta["choices"] is not None:
        check_choice(f.name, value, meta["choices"])
    if kind in (int, float) and meta["low"] is not None:
        check_range(f.name, value, meta["low"], meta["high"], meta["unit"])


class ByScale(dict[str, Setting]):
    """A setting for each scale; another word than these is refused."""

    def __missing__(self, scale: str) -> Setting:
        check_choice("scale", scale, self)
        raise KeyError(scale)


def from_text(params: Params, settings: list[str]) -> Params:
    """Apply ``key=value`` texts (from a command line) to `params`.

    Raises
    ------
    ValueError
        Not of the form ``key=value``, an unknown key, or a value that cannot be read as the key's type.
    """
    changes: dict[str, Any] = {}
    fields = {f.name: f for f in dataclasses.fields(params)}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"{setting!r} is not of the form key=value, for example temperature_K=900.")
        check_choice("parameter", name, list(fields))
        changes[name] = _read(name, text, type(fields[name].default))
    return params.replace(**changes)


def _read(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        check_choice(name, text.lower(), ("true", "false"))
        return text.lower() == "true"
    if kind not in (int, float):
        return text
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name}={text!r} is not a number.") from None
    return int(value) if kind is int and value.is_integer() else value
