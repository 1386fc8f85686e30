"""Choose the few frames that say most: farthest-point sampling in the descriptor space of a potential."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
from ase import Atoms

from lisi_nb.training.dataset import ELEMENTS


def descriptors(model: Path, frames: list[Atoms]) -> np.ndarray:
    """Mean and spread of the model's atomic descriptors over the atoms of each element.

    Returns
    -------
    numpy.ndarray
        ``(n_frames, 2 * n_elements * n_descriptor)``, zero where a frame lacks an element.
    """
    from deepmd.infer import DeepPot

    potential = DeepPot(str(model))
    rows = []
    for atoms in frames:
        types = np.array([ELEMENTS.index(s) for s in atoms.symbols])
        values = potential.eval_descriptor(atoms.positions.reshape(1, -1), atoms.cell.array.reshape(1, 9), types)[0]
        parts = []
        for k in range(len(ELEMENTS)):
            mine = values[types == k] if (types == k).any() else np.zeros((1, values.shape[1]))
            parts += [mine.mean(axis=0), mine.std(axis=0)]
        rows.append(np.concatenate(parts))
    return np.array(rows)


def farthest(points: np.ndarray, n: int, first: int = 0) -> list[int]:
    """Indices of `n` points, each the farthest from those before it (Euclidean), starting with `first`."""
    chosen, distance = [first], np.linalg.norm(points - points[first], axis=1)
    while len(chosen) < min(n, len(points)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen


def diverse(frames: list[Atoms], model: Path, per_system: int, max_atoms: int) -> list[Atoms]:
    """At most `per_system` diverse frames of each system, dealt out in turn so that any beginning is balanced.

    The first frame of a system (the unperturbed one where there is one) is always among them.
    """
    by_system: dict[str, list[Atoms]] = defaultdict(list)
    for atoms in frames:
        if len(atoms) <= max_atoms:
            by_system[atoms.info["system"]].append(atoms)
    lists = []
    for _, members in sorted(by_system.items()):
        points = descriptors(model, members)
        lists.append([members[k] for k in farthest(points, per_system)])
    return [atoms for atoms in chain.from_iterable(zip_longest(*lists)) if atoms is not None]
