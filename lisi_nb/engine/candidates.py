"""Frames of a run on which the ensemble disagreed: kept for labelling, so that the potential can be mended there."""

from __future__ import annotations

from pathlib import Path

from ase.io import write

from lisi_nb.analysis import trust
from lisi_nb.engine.run import Run

FILE = "candidates.extxyz"
AT_MOST = 20


def save_candidates(run: Run) -> Path | None:
    """Write the frames between the limits of the run (`Run.trust_eV_A`) to ``candidates.extxyz``, if there are any.

    At most 20, spread in time (`lisi_nb.analysis.trust.candidates`); ``max_devi_f_eV_A`` and step stand in the header
    of each, and ``python -m lisi_nb.training.label`` reads the file.
    """
    looks = run.model_deviation()
    chosen = trust.candidates(looks["max_devi_f_eV_A"], *run.trust_eV_A, AT_MOST)
    if not chosen:
        return None
    deviation = {int(looks["step"][k]): float(looks["max_devi_f_eV_A"][k]) for k in chosen}
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
