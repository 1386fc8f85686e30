"""Numbers with their error bar and unit, and the few conversions used (LAMMPS ``metal`` units inside)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

A_PER_PS_IN_CM_S = 1.0e4  # 1 A/ps = 1e-8 cm / 1e-12 s
PER_A2_PS_IN_PER_NM2_NS = 1.0e5  # 1 A^-2 ps^-1 = 1e2 nm^-2 * 1e3 ns^-1
U_PER_A3_IN_G_CM3 = 1.66053907
NO_ERROR = "no error estimate"


@dataclass(frozen=True)
class Measured:
    """A value with standard error (NaN when there is no estimate) and unit; prints as ``3.1 ± 0.4 Å``."""

    value: float
    error: float
    unit: str

    def __str__(self) -> str:
        unit = "" if self.unit == "1" else f" {pretty(self.unit)}"
        if not math.isfinite(self.value):
            return f"not measured{unit and f' ({unit.strip()})'}"
        if not math.isfinite(self.error):
            return f"{self.value:.3g}{unit} ({NO_ERROR})"
        if self.error == 0:
            return f"{self.value:.4g} ± 0{unit}"
        digits = max(0, 1 - math.floor(math.log10(self.error)))
        power = max(-307, math.floor(math.log10(max(abs(self.value), self.error))))  # below, 10**power is 0
        if power < -4:  # 3.58e-06 cm^2/s is read, 0.00000358 is not
            places = max(1, digits + power)
            scaled = f"{self.value / 10**power:.{places}f} ± {self.error / 10**power:.{places}f}"
            return f"({scaled})e{power:03d}{unit}"
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}{unit}"

    def to_dict(self) -> dict[str, float | str | None]:
        """As JSON: ``{"value": ..., "error": ..., "unit": ...}``; a missing number is ``None``."""
        number = {k: (v if math.isfinite(v) else None) for k, v in (("value", self.value), ("error", self.error))}
        return {**number, "unit": self.unit}


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def pretty(unit: str) -> str:
    """`unit` as people write it: Å for ``A``, nm⁻² for ``nm^-2``; files and names keep to plain letters."""
    raised = re.sub(r"\^(-?\d+)", lambda power: power[1].translate(_SUPERSCRIPTS), unit)
    return re.sub(r"\bA(?![a-z])", "Å", raised)


def duration(seconds: float | None) -> str:
    """Seconds as words: ``40 s``, ``12 min``, ``3.4 h``, ``2.1 d``."""
    if seconds is None:
        return "unknown"
    for size, unit in ((86400, "d"), (3600, "h"), (90, "min")):
        if seconds >= size:
            return f"{seconds / {'d': 86400, 'h': 3600, 'min': 60}[unit]:.1f} {unit}"
    return f"{seconds:.0f} s"
