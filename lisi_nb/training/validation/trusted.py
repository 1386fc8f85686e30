"""What the card's trust limits mean: the true force error of atoms whose deviation lies below, between, above them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lisi_nb.training.validation.ab_initio import Comparison, parity
from lisi_nb.training.validation.findings import SHARE, TYPICAL, Finding, first_and_spread

SMALL_eV_A = 0.3


def findings(members: list[Comparison], limits_eV_A: Sequence[float]) -> list[Finding]:
    """By class of deviation: share of atoms with a small force error, and the error's root mean square.

    Parameters
    ----------
    members : list of Comparison
        Every member beside the ab initio labels.
    limits_eV_A : two floats
        ``low`` and ``high`` of the card.

    Returns
    -------
    list of Finding
        A class that no atom is in has a share of NaN and no error.
    """
    low, high = limits_eV_A
    found = parity(members)
    deviation = np.concatenate(found.deviation_eV_A)
    largest = np.array([each.max() for each in found.deviation_eV_A])
    errors = np.array([_errors_eV_A(member) for member in members])
    rows = []
    for name, words, within in (
        ("accurate", f"below {low:g}", lambda d: d < low),
        ("candidate", f"{low:g} to {high:g}", lambda d: (d >= low) & (d <= high)),
        ("failed", f"above {high:g}", lambda d: d > high),
    ):
        ours = errors[:, within(deviation)]
        n = ours.shape[1]
        note = f"{n} of {len(deviation)} atoms, deviation {words} eV/Å; {within(largest).sum()} frames by their largest"
        if not n:
            rows.append(Finding(SHARE, name, float("nan"), float("nan"), "%", note=note))
            continue
        note += f"; median error {np.median(ours[0]):.2g}, 90th percentile {np.percentile(ours[0], 90):.2g} eV/Å"
        share = first_and_spread([100 * float((each < SMALL_eV_A).mean()) for each in ours])
        rms = first_and_spread([float(np.sqrt((each**2).mean())) for each in ours])
        rows += [Finding(SHARE, name, *share, "%", note=note), Finding(TYPICAL, name, *rms, "eV/A")]
    return rows


def _errors_eV_A(member: Comparison) -> np.ndarray:
    """Force error of each atom of all frames."""
    return np.concatenate([np.linalg.norm(m.get_forces() - a.get_forces(), axis=1) for a, m in member.pairs])
