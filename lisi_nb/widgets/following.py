"""A run that is looked at again and again: of its logs, each look reads what was written since the last one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lisi_nb.engine import parse
from lisi_nb.engine.growing import Growing, growing_thermo
from lisi_nb.engine.lammps import deviation_file, log_file
from lisi_nb.engine.output import Output
from lisi_nb.engine.run import Run, Segment


@dataclass(frozen=True)
class Followed(Run):
    """A run, its logs read on at each call."""

    @cached_property
    def _known(self) -> dict[Path, Segment]:
        return {}

    @cached_property
    def _thermo(self) -> Growing:
        return growing_thermo()

    @cached_property
    def _deviation(self) -> Growing:
        return Growing("step", parse.model_deviation_in)

    @property
    def segments(self) -> list[Segment]:
        """The segments of a chain so far, each with the decision that it has read before."""
        return [self._known.setdefault(s.folder, s) for s in super().segments]

    def thermo(self) -> dict[str, Any]:
        """Thermo columns so far, on one axis of steps."""
        return self._thermo.read(self._files(log_file))

    def model_deviation(self) -> dict[str, Any]:
        """Deviations of the ensemble so far, on one axis of steps."""
        return self._deviation.read(self._files(deviation_file))

    def _files(self, name: Callable[[int], str]) -> list[tuple[Path, int]]:
        places = [(s.folder, s.first_step) for s in self.segments] or [(self.folder, 0)]
        return [(folder / name(k), first) for folder, first in places for k in range(Output(folder).n_parts)]
