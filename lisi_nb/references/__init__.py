"""Reference engines that label frames: one door, ``references.get(name).calculator()``."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lisi_nb.errors import check_choice


def _sevennet(model: str) -> Any:
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator(model, device="auto")


@dataclass(frozen=True)
class Reference:
    """An engine that returns energy, forces and stress for any Li-Si frame.

    Attributes
    ----------
    name, level_of_theory, install : str
        Its name, what its numbers mean, and how to get it.
    package : str
        Python package it needs.
    seconds_per_atom : float
        Cost of one label on two slow CPU cores.
    """

    name: str
    level_of_theory: str
    package: str
    install: str
    seconds_per_atom: float
    make: Callable[[], Any]

    def available(self) -> bool:
        """Whether the engine's package is installed in this Python."""
        return importlib.util.find_spec(self.package) is not None

    def calculator(self) -> Any:
        """Return an ASE calculator (eV, eV/A, eV/A3), or raise ``ModuleNotFoundError`` with the remedy."""
        if not self.available():
            raise ModuleNotFoundError(
                f"Reference {self.name!r} needs the package {self.package!r}, which this Python lacks. {self.install}"
            )
        return self.make()


_TEACHER_INSTALL = "Run `make reference`, then use .venv-reference/bin/python (it brings its own torch)."
_REFERENCES = {
    "7net-l3i5": Reference(
        name="7net-l3i5",
        level_of_theory="SevenNet-l3i5 universal potential (Materials Project PBE/PBE+U relaxations)",
        package="sevenn",
        install=_TEACHER_INSTALL,
        seconds_per_atom=0.013,
        make=lambda: _sevennet("7net-l3i5"),
    ),
    "7net-0": Reference(
        name="7net-0",
        level_of_theory="SevenNet-0 (11Jul2024) universal potential (Materials Project PBE/PBE+U relaxations)",
        package="sevenn",
        install=_TEACHER_INSTALL,
        seconds_per_atom=0.007,
        make=lambda: _sevennet("7net-0"),
    ),
}


def names() -> list[str]:
    """Names of the reference engines."""
    return list(_REFERENCES)


def get(name: str) -> Reference:
    """Return the reference engine `name`; an unknown name raises ``ValueError`` with the choices."""
    check_choice("reference", name, _REFERENCES)
    return _REFERENCES[name]
