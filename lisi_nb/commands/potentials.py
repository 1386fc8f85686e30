"""``lisi-nb potentials``: list, show, validate, train, and bring your own."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

from lisi_nb import paths, potentials
from lisi_nb.commands.common import Answer, say


def command_potentials(options: argparse.Namespace) -> Answer:
    """``lisi-nb potentials``: list, card, validate, train or add."""
    if options.what == "list":
        return _list()
    if options.name is None:
        raise ValueError(
            f"`lisi-nb potentials {options.what}` needs a name: one of {', '.join(potentials.names())}, or a new one "
            "for `add`."
        )
    if options.what == "add":
        return _add(options)
    if options.what == "train":
        return _train(options)
    return _validate(options) if options.what == "validate" else _card(options.name)


def _list() -> Answer:
    cards = [potentials.get(name).card for name in potentials.names()]
    for card in cards:
        say(f"{card['name']}: {', '.join(card['elements'])}; {card['kind']}; {card['level_of_theory']}")
    return 0, cards


def _card(name: str) -> Answer:
    potential = potentials.get(name)
    potential.members()
    say(json.dumps(potential.card, indent=2, ensure_ascii=False))
    if rows := potential.card.get("pareto"):
        from lisi_nb.training import pareto

        say(f"\naccuracy against speed, trained alike:\n{pareto.table(rows)}")
    return 0, potential.card


def _labels(options: argparse.Namespace, elements: Sequence[str]) -> list[Atoms]:
    """Labelled frames of ``--labels`` that a potential of `elements` can be compared with; none without it."""
    from lisi_nb.training import intake

    if not options.labels:
        return []
    numbered = [element for element in options.elements.replace(",", " ").split() if element]
    frames = intake.read_labelled(Path(options.labels), options.format, numbered)
    found = intake.sort_labels(frames, elements)
    say(str(found))
    return found.good


def _validate(options: argparse.Namespace) -> Answer:
    from lisi_nb.training import recipe, validation
    from lisi_nb.training.dataset import split
    from lisi_nb.training.validation.report import table

    potential = potentials.get(options.name)
    potential.members()
    own = options.name != recipe.NAME and not options.to
    folder = Path(options.to) if options.to else paths.cache() / "validation" / options.name
    folder = potential.folder / validation.REPORT if own else folder
    labels, dft = _labels(options, potential.elements), None
    if not options.labels:
        labels = split(recipe.lifted())[1] if options.name == recipe.NAME else []
        dft = recipe.ab_initio()
    found = validation.validate(potential, labels, folder, say, dft)
    if own:
        validation.note_in_card(potential, found)
    for section, rows in found.items():
        say(f"\n{section}\n{table(rows)}")
    say(f"\nreport: {folder / 'validation.md'}")
    return 0, {section: [row.to_dict() for row in rows] for section, rows in found.items()}


def _train(options: argparse.Namespace) -> Answer:
    from lisi_nb.training import recipe

    if options.labels:
        from lisi_nb.training import own
        from lisi_nb.training.dataset import ELEMENTS

        theory, licence = options.theory or "not stated", options.licence or "not stated"
        potential = own.train_own(
            options.name, _labels(options, ELEMENTS), options.labels, say,
            level_of_theory=theory, licence=licence, n_steps=options.steps or own.N_STEPS,
        )  # fmt: skip
        return 0, potential.card
    if options.name != recipe.NAME:
        raise ValueError(f"What is {options.name!r} to learn from? Give --labels FILE, or train {recipe.NAME!r}.")
    if options.steps and not options.yes:
        raise ValueError(
            f"This would replace the shipped {recipe.NAME!r} by one trained for {options.steps} steps instead of "
            f"{recipe.FINAL_STEPS}. Confirm with --yes, or train under a name of your own with --labels."
        )
    work = paths.cache() / "training" / recipe.NAME
    work.mkdir(parents=True, exist_ok=True)
    plan = recipe.plan(options.steps or recipe.FINAL_STEPS, recipe.CORRECTION_STEPS, recipe.N_MEMBERS)
    card = recipe.make(work.resolve() / "final", plan, say).card
    return 0, card


def _add(options: argparse.Namespace) -> Answer:
    from lisi_nb.training import adopt
    from lisi_nb.training.dataset import ELEMENTS

    if bool(options.url) != bool(options.sha256):
        raise ValueError("--url and --sha256 belong together: a file from elsewhere is only used with its hash.")
    models = [Path(model) for model in options.models]
    models += [adopt.fetch(options.url, options.sha256)] if options.url else []
    labelled = _labels(options, ELEMENTS)
    theory, licence = options.theory or "not stated", options.licence or "not stated"
    potential = adopt.adopt(options.name, models, theory, licence, labelled=labelled, source=options.url)
    say(f"{potential.name} lies in {potential.folder}; use it with --set potential={potential.name}")
    return 0, potential.card


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Options of the command."""
    sub.add_argument("what", choices=("list", "card", "validate", "train", "add"))
    sub.add_argument("name", nargs="?")
    sub.add_argument("models", nargs="*", help="add: frozen DeePMD models (.pb, .dp, .pth), the first drives MD")
    sub.add_argument(
        "--labels", default="", metavar="FILE",
        help="validate, add: labelled frames it has not seen; train: those to train a potential of your own on",
    )  # fmt: skip
    sub.add_argument("--format", default="auto", help="of --labels: extxyz, deepmd/npy, mtp, ...; told by the name")
    sub.add_argument("--elements", default="", metavar="LI,SI", help="of --labels that number them, in their order")
    sub.add_argument("--to", default="", metavar="FOLDER", help="validate: where the report goes")
    sub.add_argument("--steps", type=int, default=0, help="train: training steps of each member")
    sub.add_argument("--yes", action="store_true", help="train: replace the shipped potential by a shorter training")
    sub.add_argument("--url", default="", help="add: download the model, with --sha256")
    sub.add_argument("--sha256", default="", help="add: hash of the downloaded file")
    sub.add_argument("--theory", default="", help="add: level of theory of its labels, for the card")
    sub.add_argument("--licence", default="", help="add: terms of use, for the card")
