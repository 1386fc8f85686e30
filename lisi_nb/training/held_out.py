"""Which systems the ab initio test is made of: named here and nowhere else, and never trained on."""

from __future__ import annotations

from collections.abc import Iterable

from ase import Atoms

from lisi_nb.training.label import frame_id

# Neither their ab initio labels nor the teacher's are trained on: phases, compositions and facets, not single frames.
HELD_OUT = (
    "crystal/Li13Si4",
    "crystal/Si_vacancy",
    "interface/100/vacuum",
    "interface/110",
    "melt/x=0.6",
    "melt/x=1.5",
    "melt/x=3",
    "surface/Li110",
    "surface/Si111",
)


def is_held_out(atoms: Atoms) -> bool:
    """Whether a frame belongs to a held-out system."""
    return atoms.info["system"] in HELD_OUT


def by_system(frames: Iterable[Atoms]) -> tuple[list[Atoms], list[Atoms]]:
    """Frames to train on, and those of held-out systems; a geometry of the second is not in the first.

    The same geometry may carry two names (a surface that was built, and MD's first frame of it), so it is its hash
    that decides.
    """
    frames = list(frames)
    tested = [atoms for atoms in frames if is_held_out(atoms)]
    known = {frame_id(atoms) for atoms in tested}
    return [a for a in frames if not is_held_out(a) and frame_id(a) not in known], tested


def refuse_overlap(training: Iterable[Atoms], tested: Iterable[Atoms]) -> None:
    """Raise ``ValueError`` if a frame to train on is of a held-out system or has the geometry of a tested frame."""
    known = {frame_id(atoms) for atoms in tested}
    for number, atoms in enumerate(training):
        if is_held_out(atoms) or frame_id(atoms) in known:
            raise ValueError(
                f"Training frame {number} ({atoms.info['system']}, {frame_id(atoms)}) is held out for the ab initio "
                "test. Take it out of the training set (`held_out.by_system`)."
            )
