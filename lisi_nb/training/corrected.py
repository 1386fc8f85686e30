"""Train on the teacher's labels, then correct with ab initio ones: the two stages of a shipped potential.

Stage 1 learns the (tuned) teacher's labels of many frames. Stage 2 goes on from there, at small steps, on the ab initio
frames, which are few and therefore drawn more often, and on the teacher's frames so that nothing is forgotten. No frame
of a held-out system is in either.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ase import Atoms

from lisi_nb.training.ab_initio import Labels
from lisi_nb.training.dataset import split, write_deepmd
from lisi_nb.training.held_out import by_system, refuse_overlap
from lisi_nb.training.label import frame_id
from lisi_nb.training.members import Say, side_by_side
from lisi_nb.training.train import CORRECTION, FROM_SCRATCH, SMALL, Data, Network, Schedule, train_member
from lisi_nb.training.zeros import element_offsets_eV, on_teachers_scale


@dataclass(frozen=True)
class Plan:
    """How much is trained, and how.

    Attributes
    ----------
    seeds : tuple of int
        One for each member.
    n_steps, n_correction_steps : int
        Training steps of stage 1 and stage 2.
    share : float
        Of stage 2's batches, the part drawn from ab initio frames.
    network, first, second : Network, Schedule, Schedule
        Size of the members; learning rates and weights of the stages.
    """

    seeds: tuple[int, ...]
    n_steps: int
    n_correction_steps: int
    share: float = 0.3
    network: Network = SMALL
    first: Schedule = FROM_SCRATCH
    second: Schedule = CORRECTION

    def to_dict(self) -> dict[str, Any]:
        """As JSON, for the card."""
        return asdict(self)


@dataclass(frozen=True)
class Sets:
    """Frames of both stages; energies are on the teacher's zero.

    Attributes
    ----------
    teacher, ab_initio : list of ase.Atoms
        Frames to train on with the teacher's labels, and with ab initio ones.
    test : list of ase.Atoms
        Teacher's labels of frames that are never trained on.
    offsets_eV : dict
        Energy of each element by which ab initio lies above the teacher.
    """

    teacher: list[Atoms]
    ab_initio: list[Atoms]
    test: list[Atoms]
    offsets_eV: dict[str, float]


def sets(labelled: list[Atoms], dft: Labels) -> Sets:
    """Divide the teacher's frames, and put the ab initio labels that may be trained on beside them.

    Raises
    ------
    ValueError
        A frame to train on is one of the held-out frames.
    """
    training, test = split(labelled)
    tested = [a for a, _ in dft.held_out]
    known = {frame_id(a) for a in tested}
    teacher = [a for a in by_system(training)[0] if frame_id(a) not in known]
    offsets_eV = element_offsets_eV(dft.trained)
    ab_initio = on_teachers_scale([a for a, _ in dft.trained], offsets_eV)
    refuse_overlap([*teacher, *ab_initio], tested)
    return Sets(teacher, ab_initio, test, offsets_eV)


def train(folder: Path, plan: Plan, given: Sets, say: Say | None = None) -> tuple[list[Path], list[Path]]:
    """Train all members through both stages; return the frozen files after stage 1 and after stage 2.

    Resumable: a stage that is finished for the same frames and settings is not done again.
    """
    test = write_deepmd(given.test, folder / "test")
    many = write_deepmd(given.teacher, folder / "teacher")
    few = tuple(write_deepmd(given.ab_initio, folder / "ab_initio"))
    first, second = Data(many, test), Data(many, test, few, plan.share)
    begun = {seed: folder / "pretrained" / f"seed{seed}" for seed in plan.seeds}
    ended = {seed: folder / "corrected" / f"seed{seed}" for seed in plan.seeds}

    def member(where: Path, data: Data, n_steps: int, seed: int, schedule: Schedule, start: Path | None) -> Path:
        return train_member(where, data, n_steps, seed, 1, plan.network, schedule, start)

    before = side_by_side(
        {begun[s]: partial(member, begun[s], first, plan.n_steps, s, plan.first, None) for s in plan.seeds}, say
    )
    after = side_by_side(
        {
            ended[s]: partial(member, ended[s], second, plan.n_correction_steps, s, plan.second, begun[s])
            for s in plan.seeds
        },
        say,
    )
    return before, after
