"""A potential from labels of one's own: an ensemble trained from scratch, registered with its card."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ase import Atoms

from lisi_nb import paths, potentials
from lisi_nb.training.adopt import adopt, check_name, references
from lisi_nb.training.dataset import ELEMENTS, split, write_deepmd
from lisi_nb.training.members import Say, side_by_side
from lisi_nb.training.published_sets import PublishedSet
from lisi_nb.training.train import SMALL, WITH_ANGLES, Data, train_member

N_STEPS, N_MEMBERS = 6000, 4


def train_own(
    name: str,
    labelled: list[Atoms],
    source: str,
    say: Say,
    *,
    level_of_theory: str = "not stated",
    licence: str = "not stated",
    n_steps: int = N_STEPS,
    n_members: int = N_MEMBERS,
    published: PublishedSet | None = None,
) -> potentials.Potential:
    """Train an ensemble on labelled frames of Li and Si, and register it under `name`.

    Every tenth frame of each ``info["system"]`` is not trained on: errors and trust limits come from these. Called
    again after it was cut short, it goes on. With silicon, the network is the one of ``lisi``, which sees angles.

    Parameters
    ----------
    name : str
        New name: lower-case letters, digits, dashes, underscores.
    labelled : list of ase.Atoms
        Energies (eV), forces (eV/A) and, where given, stresses (eV/A3); see `lisi_nb.training.intake`.
    source, level_of_theory, licence : str
        For the card: where the labels come from, what they mean, terms of use.
    say : callable
        Told of the progress.
    n_steps, n_members : int
        Training steps of a member, of one frame each; how many members.
    published : PublishedSet, optional
        The set these labels are, which the card then cites.

    Raises
    ------
    ValueError
        A bad or taken name, or too few frames to hold any out.
    """
    check_name(name)
    training, test = split(labelled)
    if not test:
        raise ValueError(f"{len(labelled)} frames are too few: at least six of one kind, so that one can be held out.")
    folder = paths.cache() / "training" / name
    data = Data(write_deepmd(training, folder / "train"), write_deepmd(test, folder / "test"))
    say(f"training {n_members} members on {len(training)} frames, {len(test)} held out")
    members = {folder / f"member{k}": 11 * (k + 1) for k in range(n_members)}
    network = WITH_ANGLES if any("Si" in atoms.symbols for atoms in training) else SMALL
    jobs = {at: partial(train_member, at, data, n_steps, seed, 1, network) for at, seed in members.items()}
    models = side_by_side(jobs, say)
    facts = {
        "kind": f"DeePMD {network.kind}, {n_members} members, trained here on labels of the user",
        "training_set": {"n_train": len(training), "n_test": len(test), "n_atoms": sum(map(len, labelled))},
        "training": {
            "elements": list(ELEMENTS),
            "n_steps": n_steps,
            "seeds": list(members.values()),
            "references": sorted(references(labelled)),
        },
        "rebuild": f"lisi-nb potentials train {name} --labels {Path(source).name} --steps {n_steps}",
    }
    if published:
        facts |= {"citation": published.citation(), "rebuild": f"{facts['rebuild']} --published {published.name}"}
    return adopt(name, models, level_of_theory, licence, labelled=test, source=source, facts=facts)
