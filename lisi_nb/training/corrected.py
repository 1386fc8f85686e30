"""Train on the teacher's labels, then correct with ab initio ones: the two stages of a shipped potential.

Stage 1 learns the teacher's labels of many frames. Stage 2 goes on from there, at small steps, on the ab initio frames,
which are few and therefore drawn more often, and on the teacher's frames so that nothing is forgotten. Once there are
enough ab initio labels to learn from (`lisi_nb.training.left_out`), the teacher's labels are lifted by a model of its
difference to ab initio first (`lisi_nb.training.delta`). When more ab initio labels come, only stage 2 is done
again. No frame of a held-out system is in either.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from lisi_nb.training import left_out
from lisi_nb.training.ab_initio import Labels
from lisi_nb.training.correct import corrected, differences, element_offsets_eV, on_teachers_scale
from lisi_nb.training.dataset import split, write_deepmd
from lisi_nb.training.delta import Delta, Shape, fit
from lisi_nb.training.held_out import by_system, refuse_overlap
from lisi_nb.training.label import frame_id
from lisi_nb.training.members import Say, side_by_side
from lisi_nb.training.train import CORRECTION, FROM_SCRATCH, SMALL, Data, Network, Schedule, train_member

BEYOND = 1.5  # corrections so much larger than any seen between the engines are not believed


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
    shape : Shape or None
        Of the difference's model; None keeps the teacher's own labels in stage 2.
    network, first, second : Network, Schedule, Schedule
        Size of the members; learning rates and weights of the stages.
    """

    seeds: tuple[int, ...]
    n_steps: int
    n_correction_steps: int
    share: float = 0.3
    shape: Shape | None = field(default_factory=Shape)
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
    teacher, lifted : list of ase.Atoms
        The frames to train on with the teacher's labels, and with corrected ones.
    ab_initio : list of ase.Atoms
        Frames with ab initio labels, to train on.
    test : list of ase.Atoms
        Teacher's labels of frames that are never trained on.
    offsets_eV : dict
        Energy of each element by which ab initio lies above the teacher.
    """

    teacher: list[Atoms]
    lifted: list[Atoms]
    ab_initio: list[Atoms]
    test: list[Atoms]
    offsets_eV: dict[str, float]


def decide(plan: Plan, dft: Labels, say: Say) -> Plan:
    """Correct the teacher's labels only if there are enough ab initio ones, judged without the held-out systems."""
    if plan.shape is None:
        return plan
    learned = left_out.left_out(dft, plan.shape)
    say(f"the correction, learned without each system in turn:\n{left_out.table(learned)}")
    pays = left_out.pays(learned)
    say("stage 2: ab initio labels and the teacher's " + ("corrected ones" if pays else "own: too few to correct them"))
    return plan if pays else replace(plan, shape=None)


def sets(labelled: list[Atoms], dft: Labels, shape: Shape | None) -> Sets:
    """Divide the teacher's frames and correct them with the ab initio labels that may be trained on.

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
    lifted = teacher
    if shape:
        seen = differences(dft.trained, offsets_eV)
        model = fit(seen, shape)
        lifted = lift(teacher, model, BEYOND * max(float(np.abs(a.get_forces()).max()) for a in seen))
        offsets_eV = {element: zero + model.zeros_eV[element] for element, zero in offsets_eV.items()}
    ab_initio = on_teachers_scale([a for a, _ in dft.trained], offsets_eV)
    refuse_overlap([*teacher, *ab_initio], tested)
    return Sets(teacher, lifted, ab_initio, test, offsets_eV)


def lift(teacher: list[Atoms], model: Delta, limit_eV_A: float) -> list[Atoms]:
    """The teacher's labels with the difference added, on its scale of energy.

    A frame whose forces it would change by more than `limit_eV_A` is unlike those the difference was learned from (a
    dimer, a squeezed cell): it keeps the teacher's forces, and its energy only moves to the new zeros of the elements.
    """
    unseen = on_teachers_scale(teacher, model.zeros_eV)
    return [
        new if np.abs(new.get_forces() - old.get_forces()).max() <= limit_eV_A else moved
        for old, new, moved in zip(teacher, corrected(teacher, model), unseen, strict=True)
    ]


def train(folder: Path, plan: Plan, given: Sets, say: Say | None = None) -> tuple[list[Path], list[Path]]:
    """Train all members through both stages; return the frozen files after stage 1 and after stage 2.

    Resumable: a stage that is finished for the same frames and settings is not done again.
    """
    test = write_deepmd(given.test, folder / "test")
    first = Data(write_deepmd(given.teacher, folder / "teacher"), test)
    few = tuple(write_deepmd(given.ab_initio, folder / "ab_initio"))
    second = Data(write_deepmd(given.lifted, folder / "lifted"), test, few, plan.share)
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
