"""What a viewer shows: frames of a structure, a series or a run, and the colour of every atom. No widgets here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from ase.neighborlist import neighbor_list

from lisi_nb import palette, plots
from lisi_nb.engine import parse
from lisi_nb.engine.run import Run
from lisi_nb.errors import check_choice
from lisi_nb.widgets import phases
from lisi_nb.widgets.reading import Unreadable, why_not

PLAYED = 200  # frames of a trajectory that are played at most; a longer one is strided
NEIGHBOUR_A = 3.3
LOOKED = 8  # frames from which the limits of a colour scale are taken


class Series:
    """Structures given one by one; their atoms may jump across the cell's faces."""

    def __init__(self, structures: Sequence[Atoms]) -> None:
        self.structures, self.name, self.unwrapped = list(structures), "", False

    def __len__(self) -> int:
        return len(self.structures)

    def atoms(self, index: int) -> Atoms:
        """Frame `index` as given."""
        return self.structures[index]


class Trajectory:
    """Every `every`-th whole frame that a run has written so far, read from disk when it is looked at."""

    def __init__(self, run: Run, every: int | None) -> None:
        n = run.n_frames
        if n == 0:
            raise ValueError(f"{run.id} has written no frame yet. Wait a moment: await follow(run).")
        self.run, self.n_written, self.unwrapped = run, n, True
        self.every = every or -(-n // PLAYED)
        self.name = f"{n} frames of {run.id}" if self.every == 1 else f"every {self.every}th of {n} frames of {run.id}"

    def __len__(self) -> int:
        return len(range(0, self.n_written, self.every))

    def atoms(self, index: int) -> Atoms:
        """Frame `index` with unwrapped positions; `Unreadable` when the run's folder is gone."""
        left = index * self.every
        try:
            for file in self.run.trajectories:
                n = parse.count_frames(file)
                if left < n:
                    return next(parse.frames(file, first=left)).unwrapped()
                left -= n
        except OSError as error:
            raise Unreadable(why_not(self.run, error)) from None
        raise Unreadable(why_not(self.run, ValueError(f"frame {index * self.every} is no longer there")))


@dataclass(frozen=True)
class Colouring:
    """A number for each atom of each frame, drawn between `limits`; without `of`, atoms have their element's colour.

    With `kinds` (name -> colour), the numbers are indices of kinds instead of places on a scale.
    """

    label: str = "element"
    of: Callable[[int], np.ndarray] | None = None
    limits: tuple[float, float] = (0.0, 1.0)
    kinds: dict[str, str] = field(default_factory=dict)


def coordination(atoms: Atoms) -> np.ndarray:
    """Number of neighbours within `NEIGHBOUR_A`, ``(n,)``."""
    return np.bincount(neighbor_list("i", atoms, NEIGHBOUR_A), minlength=len(atoms)).astype(float)


def displacement(frames: Series | Trajectory, index: int) -> np.ndarray:
    """How far each atom is from its place in the first frame, in A ``(n,)``."""
    first, now = frames.atoms(0), frames.atoms(index)
    if len(first) != len(now):
        raise ValueError(f"Frame {index} has {len(now)} atoms and the first {len(first)}: no displacement is defined.")
    moved = now.positions - first.positions
    return np.linalg.norm(moved, axis=1) if frames.unwrapped else find_mic(moved, now.cell, now.pbc)[1]


def colouring(
    frames: Series | Trajectory,
    colour: Any = "element",
    label: str = "",
    limits: tuple[float, float] | None = None,
) -> Colouring:
    """What `colour` means for these frames.

    Parameters
    ----------
    colour : str, array or callable
        ``"element"``, ``"phase"`` (diamond, bcc, close-packed or no crystal, see `lisi_nb.widgets.phases`),
        ``"coordination"``, ``"displacement"`` (from the first frame), one number for each atom ``(n_atoms,)`` or for
        each frame and atom ``(n_frames, n_atoms)``, or a function of a frame's ``ase.Atoms`` that returns
        ``(n_atoms,)``.
    label : str
        Name and unit of the numbers; an array and a function need one.
    limits : tuple of float, optional
        Numbers at the ends of the colour scale; else the smallest and largest of some frames.

    Raises
    ------
    ValueError
        An unknown word, or numbers that have no label or do not fit the atoms.
    """
    if isinstance(colour, str):
        check_choice("colour", colour, ("element", "phase", "coordination", "displacement"))
        if colour == "element":
            return Colouring()
        if colour == "phase":  # kept, because widget messages arrive in a thread where phases cannot be found
            of_frame = cache(lambda k: phases.phases(frames.atoms(k)))
            return Colouring(label or "phase", of_frame, kinds=palette.PHASES)
    elif not label:
        raise ValueError('label="" is not allowed for numbers of your own. Name them with their unit: "energy (eV)".')
    if isinstance(colour, str) and colour == "displacement":
        label, of = label or "displacement (Å)", lambda k: displacement(frames, k)
    elif isinstance(colour, str):
        label, of = label or f"neighbours within {NEIGHBOUR_A} Å", lambda k: coordination(frames.atoms(k))
    else:
        of = _given(frames, colour)
    return Colouring(label, of, limits or _limits(of, len(frames)))


def _given(frames: Series | Trajectory, colour: Any) -> Callable[[int], np.ndarray]:
    """The numbers of each frame, of an array or of a function of a frame's atoms."""
    if callable(colour):
        return lambda k: fitting(colour(frames.atoms(k)), len(frames.atoms(k)))
    numbers = np.asarray(colour, dtype=float)
    if numbers.ndim == 2 and len(numbers) != len(frames):
        raise ValueError(f"colour holds numbers for {len(numbers)} frames, but {len(frames)} are shown.")
    return lambda k: fitting(numbers[k] if numbers.ndim == 2 else numbers, len(frames.atoms(k)))


def fitting(numbers: Any, n_atoms: int) -> np.ndarray:
    """`numbers` as ``(n_atoms,)``, or a ``ValueError`` that says what came."""
    values = np.asarray(numbers, dtype=float)
    if values.shape != (n_atoms,):
        raise ValueError(f"colour has shape {values.shape} for a frame of {n_atoms} atoms. Give one number per atom.")
    return values


def _limits(of: Callable[[int], np.ndarray], n_frames: int) -> tuple[float, float]:
    looked = np.unique(np.linspace(0, n_frames - 1, LOOKED).astype(int))
    numbers = np.concatenate([of(int(k)) for k in looked])
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) == 0:
        raise ValueError("colour has no finite number, so there is nothing to colour by.")
    return float(numbers.min()), float(numbers.max())


@dataclass(frozen=True)
class Slab:
    """Atoms between `low_A` and `high_A` along an axis (0 x, 1 y, 2 z) are shown."""

    axis: int
    low_A: float
    high_A: float


class Look:
    """Frames, their colouring, and the slab that is shown."""

    def __init__(self, frames: Series | Trajectory, colours: Colouring, slab: Slab | None = None) -> None:
        self.frames, self.colours, self.slab = frames, colours, slab

    def frame(self, index: int) -> tuple[Atoms, np.ndarray | None]:
        """The atoms to be drawn, and their numbers (``None`` by element)."""
        atoms = self.atoms(index)
        values = self.colours.of(index) if self.colours.of else None
        kept = self.kept(atoms)
        return atoms[kept], None if values is None else values[kept]

    def atoms(self, index: int) -> Atoms:
        """All atoms of a frame, wrapped into their cell."""
        atoms = self.frames.atoms(index).copy()
        if atoms.cell.rank == 3:
            atoms.wrap()
        return atoms

    def kept(self, atoms: Atoms) -> np.ndarray:
        """Mask ``(n,)`` of the (wrapped) atoms inside the slab."""
        if self.slab is None:
            return np.ones(len(atoms), dtype=bool)
        at = atoms.positions[:, self.slab.axis]
        return (at >= self.slab.low_A) & (at <= self.slab.high_A)

    def rgb(self, atoms: Atoms, values: np.ndarray | None) -> np.ndarray:
        """Colours ``(n, 3)`` in 0-1."""
        if values is not None and self.colours.kinds:
            return plots.kind_colours(values, self.colours.kinds)
        if values is not None:
            return plots.shades(values, *self.colours.limits)
        return np.array([palette.rgb(palette.COLOURS[s]) for s in atoms.get_chemical_symbols()]).reshape(-1, 3)

    def legend(self) -> dict[str, str]:
        """Names and colours of the elements or phases in the first and last frame; empty for a scale of numbers."""
        elements = dict.fromkeys(s for k in {0, len(self.frames) - 1} for s in self.frames.atoms(k).symbols)
        if self.colours.of is None:
            return {element: palette.COLOURS[element] for element in elements}
        return phases.of_elements(set(elements)) if self.colours.kinds else {}

    def picture(self, index: int, camera: str = "side", extent_A: np.ndarray | None = None) -> plots.Picture:
        """A still picture of a frame, drawn without any 3-D viewer."""
        check_choice("camera", camera, plots.CAMERAS)
        atoms, values = self.frame(index)
        c = self.colours
        title = f"frame {index + 1} of {len(self.frames)}" if len(self.frames) > 1 else ""
        return plots.atoms_view(atoms, camera, title, values, c.limits, c.label, extent_A, c.kinds)

    def extent_A(self, indices: Sequence[int]) -> np.ndarray:
        """Lowest and highest coordinates ``(2, 3)`` over some frames."""
        ends = [self.frame(k)[0].positions for k in (indices[0], indices[len(indices) // 2], indices[-1])]
        every = np.concatenate(ends)
        return np.array([every.min(axis=0), every.max(axis=0)])
