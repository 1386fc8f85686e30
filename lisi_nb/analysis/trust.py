"""How far a run can be trusted: fractions of the time the ensemble agreed."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class Trust:
    """Fractions of looks with the largest force deviation below `low`, between, and above `high` (eV/A)."""

    accurate: float
    candidate: float
    failed: float
    low_eV_A: float
    high_eV_A: float
    largest_eV_A: float

    @property
    def light(self) -> str:
        """``green``, ``amber`` (>= 10 % candidate) or ``red`` (any failed)."""
        if not np.isfinite(self.largest_eV_A):
            return "unknown"
        return "red" if self.failed > 0 else "amber" if self.candidate >= 0.1 else "green"

    def to_dict(self) -> dict[str, float | None]:
        """As JSON: the fractions, the limits they were counted with, the largest; a missing number is ``None``."""
        return {name: value if np.isfinite(value) else None for name, value in asdict(self).items()}


NO_LOOKS = Trust(*6 * (float("nan"),))


def trust(max_devi_f_eV_A: np.ndarray, low_eV_A: float, high_eV_A: float) -> Trust:
    """Sort the looks of an ensemble by its largest force deviation (DP-GEN's accurate / candidate / failed)."""
    if not 0 < low_eV_A < high_eV_A:
        raise ValueError(f"low_eV_A={low_eV_A}, high_eV_A={high_eV_A}: needs 0 < low < high.")
    if len(max_devi_f_eV_A) == 0:
        nan = float("nan")
        return Trust(nan, nan, nan, low_eV_A, high_eV_A, nan)
    below, above = max_devi_f_eV_A < low_eV_A, ~(max_devi_f_eV_A <= high_eV_A)  # what is no number has failed
    return Trust(
        accurate=float(below.mean()),
        candidate=float((~below & ~above).mean()),
        failed=float(above.mean()),
        low_eV_A=low_eV_A,
        high_eV_A=high_eV_A,
        largest_eV_A=float(max_devi_f_eV_A.max()),
    )


def candidates(max_devi_f_eV_A: np.ndarray, low_eV_A: float, high_eV_A: float, n: int) -> list[int]:
    """Looks worth a label: at most `n`, spread in time, with the highest deviation of each stretch.

    They lie within ``(low, high]``, and before the first look above `high_eV_A`: what follows a failed frame is not
    physics. The first look, which is the given start, is left out.
    """
    failed = np.flatnonzero(max_devi_f_eV_A > high_eV_A)
    end = int(failed[0]) if len(failed) else len(max_devi_f_eV_A)
    found = [k for k in range(1, end) if max_devi_f_eV_A[k] > low_eV_A]
    if len(found) <= n:
        return found
    return [int(max(part, key=lambda k: max_devi_f_eV_A[k])) for part in np.array_split(found, n)]
