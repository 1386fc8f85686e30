"""Displacements of atoms from unwrapped frames, with a chosen drift taken out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.data import atomic_masses, atomic_numbers

from lisi_nb.analysis.bonds import cell_matrix
from lisi_nb.errors import check_choice, check_range

Array = np.ndarray
JUMP = 0.5  # of a cell length between two frames: farther than any minimum-image step


@dataclass(frozen=True)
class Displacements:
    """Displacements of the followed atoms from the first frame.

    ``values_A`` has shape (n_frames, n_atoms, 3), single precision (1e-5 A at 100 A). ``frame_ps`` is the time
    between frames; ``drift`` says in words what was taken out.
    """

    values_A: Array
    frame_ps: float
    drift: str

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.values_A.shape[0]

    @property
    def n_atoms(self) -> int:
        """Number of followed atoms."""
        return self.values_A.shape[1]

    @property
    def duration_ps(self) -> float:
        """Time from the first to the last frame."""
        return (self.n_frames - 1) * self.frame_ps

    @cached_property
    def collective_A(self) -> Array:
        """``sum_i dr_i / sqrt(N)``, (n_frames, 1, 3): its square is the net square displacement per atom."""
        return self.values_A.sum(axis=1, dtype=np.float64, keepdims=True) / np.sqrt(self.n_atoms)


def drift_weights(symbols: Sequence[str], choice: str) -> Array | None:
    """Weights of the atoms whose weighted mean displacement counts as drift.

    Parameters
    ----------
    symbols : sequence of str
        Element of each atom.
    choice : str
        ``"none"``; ``"all"``, the centre of mass of all atoms; or an element, the centre of its atoms (``"Si"``
        measures lithium against the silicon framework).

    Returns
    -------
    (n,) array or None
        Weights that add up to one; None for ``"none"``.
    """
    check_choice("drift", choice, ("none", "all", *sorted(set(symbols))))
    if choice == "none":
        return None
    if choice == "all":
        weights = np.array([atomic_masses[atomic_numbers[s]] for s in symbols])
    else:
        weights = np.array([s == choice for s in symbols], dtype=float)
    return weights / weights.sum()


def displacements(
    frames: Iterable[Array],
    frame_ps: float,
    *,
    cell_A: Array | None,
    symbols: Sequence[str],
    element: str = "Li",
    drift: str = "all",
    n_frames: int | None = None,
) -> Displacements:
    """Displacements of one element, frame by frame; memory is one number of single precision per coordinate.

    Parameters
    ----------
    frames : iterable of (n, 3) arrays
        Unwrapped positions in A, equally spaced in time, atoms in one order; an (n_frames, n, 3) array will do.
    frame_ps : float
        Time between frames, ps.
    cell_A : (3,) or (3, 3) array, or None
        Cell edges or vectors, A; None for a particle without periodic boundaries. Only used to recognise
        wrapped positions. The volume must be constant.
    symbols : sequence of str
        Element of each atom.
    element : str
        The element to follow.
    drift : str
        What is subtracted, see `drift_weights`. Taken over all atoms, before `element` is picked.
    n_frames : int, optional
        Number of frames; needed when `frames` has no length.

    Returns
    -------
    Displacements

    Raises
    ------
    ValueError
        Wrapped positions (an atom moves by more than half a cell between frames), positions that are not finite,
        fewer than two frames, an element that does not occur.
    """
    check_choice("element", element, sorted(set(symbols)))
    check_range("frame_ps", frame_ps, 1e-6, 1e6, "ps")
    weights = drift_weights(symbols, drift)
    followed = np.flatnonzero(np.array(symbols) == element)
    if n_frames is None:
        n_frames = len(frames)  # type: ignore[arg-type]
    values = np.empty((n_frames, len(followed), 3), dtype=np.float32)
    first = before = np.empty(0)
    k = -1
    for k, frame in enumerate(frames):
        if k == n_frames:
            raise ValueError(f"More than n_frames={n_frames} frames came. Give the number of frames there are.")
        here = np.asarray(frame, dtype=float)
        if here.shape != (len(symbols), 3):
            raise ValueError(f"Frame {k} has shape {here.shape}; {len(symbols)} atoms need ({len(symbols)}, 3).")
        if k == 0:
            first = before = here.copy()  # a reader may overwrite the frame it gave
        if not np.isfinite(here).all():
            raise ValueError(f"Frame {k} has positions that are not finite numbers. Look at the trajectory there.")
        if cell_A is not None:
            check_unwrapped(here - before, cell_A, k)
        total = here - first
        moved = total[followed] if weights is None else total[followed] - weights @ total
        values[k], before = moved, here.copy()
    if k + 1 != n_frames or n_frames < 2:
        raise ValueError(f"{k + 1} frames came, n_frames={n_frames}; the two must agree and be at least 2.")
    return Displacements(values, frame_ps, drift)


def check_unwrapped(step_A: Array, cell_A: Array, k: int) -> None:
    """Raise ``ValueError`` when an atom moves by more than half a cell in one step (n, 3), the one to frame `k`."""
    share = np.abs(step_A @ np.linalg.inv(cell_matrix(cell_A)))
    if share.max(initial=0.0) <= JUMP:
        return
    atom = int(share.max(axis=1).argmax())
    raise ValueError(
        f"Atom {atom} moves by {share[atom].max():.2f} of a cell length up to frame {k}: the positions are wrapped "
        "into the cell. Use unwrapped ones (LAMMPS xu yu zu, or image flags); if they are unwrapped, write frames more "
        "often."
    )
