"""Frames of a run on which the ensemble disagreed: kept for labelling, so that the potential can be mended there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase.io import write

from lisi_nb.analysis import trust
from lisi_nb.engine.run import Run

FILE = "candidates.extxyz"
AT_MOST = 20


def save_candidates(run: Run) -> Path | None:
    """Write the frames between the limits of the run (`Run.trust_eV_A`) to ``candidates.extxyz``, if there are any.

    At most 20 of those the trajectory holds, spread in time (`lisi_nb.analysis.trust.candidates`); ``max_devi_f_eV_A``
    and step stand in the header of each, and ``lisi-nb label`` reads the file.
    """
    looks = run.model_deviation()
    low, high = run.trust_eV_A
    if not (looks["max_devi_f_eV_A"] > low).any():
        return None
    kept = np.isin(looks["step"], [frame.step for frame in run.frames()])
    kept |= looks["max_devi_f_eV_A"] > high  # they end the search, frame or not
    step, largest = looks["step"][kept], looks["max_devi_f_eV_A"][kept]
    deviation = {int(step[k]): float(largest[k]) for k in trust.candidates(largest, low, high, AT_MOST)}
    found = []
    for frame in run.frames():
        if frame.step in deviation:
            atoms = frame.atoms()
            atoms.info = {"system": f"run/{run.folder.name}", "round": 0, "step": frame.step}
            atoms.info["max_devi_f_eV_A"] = deviation[frame.step]
            found.append(atoms)
    if not found:
        return None
    write(run.folder / FILE, found, format="extxyz")
    return run.folder / FILE
