"""``lisi-nb potentials``: list, show, validate, train, and bring your own."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

from lisi_nb import paths, potentials
from lisi_nb.commands.common import Answer, say
from lisi_nb.errors import check_choice


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


def _labels(text: str, name: str, elements: Sequence[str]) -> list[Atoms]:
    """Labelled frames of ``--labels``, which may number `elements`; else those `name` was not trained on, if ours."""
    from lisi_nb.training import intake, recipe
    from lisi_nb.training.dataset import split

    if text:
        found = intake.sort_labels(intake.read_labelled(Path(text), elements=elements), elements)
        say(str(found))
        return found.good
    return split(recipe.labelled())[1] if name == recipe.NAME else []


def _validate(options: argparse.Namespace) -> Answer:
    from lisi_nb.training import recipe, validation
    from lisi_nb.training.validation.report import table

    potential = potentials.get(options.name)
    potential.members()
    folder = Path(options.to) if options.to else paths.cache() / "validation" / options.name
    dft = recipe.ab_initio() if options.name == recipe.NAME and not options.labels else None
    labels = _labels(options.labels, options.name, potential.elements)
    found = validation.validate(potential, labels, folder, say, dft)
    for section, rows in found.items():
        say(f"\n{section}\n{table(rows)}")
    say(f"\nreport: {folder / 'validation.md'}")
    return 0, {section: [row.to_dict() for row in rows] for section, rows in found.items()}


def _train(options: argparse.Namespace) -> Answer:
    from lisi_nb.training import recipe

    check_choice("potential to train", options.name, [recipe.NAME])
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
    labelled = _labels(options.labels, "", ELEMENTS) if options.labels else None
    theory, licence = options.theory or "not stated", options.licence or "not stated"
    potential = adopt.adopt(options.name, models, theory, licence, labelled=labelled, source=options.url)
    say(f"{potential.name} lies in {potential.folder}; use it with --set potential={potential.name}")
    return 0, potential.card


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Options of the command."""
    sub.add_argument("what", choices=("list", "card", "validate", "train", "add"))
    sub.add_argument("name", nargs="?")
    sub.add_argument("models", nargs="*", help="add: frozen DeePMD models (.pb, .dp, .pth), the first drives MD")
    sub.add_argument("--labels", default="", metavar="FILE", help="validate, add: labelled frames it has not seen")
    sub.add_argument("--to", default="", metavar="FOLDER", help="validate: where the report goes")
    sub.add_argument("--steps", type=int, default=0, help="train: training steps of each member")
    sub.add_argument("--url", default="", help="add: download the model, with --sha256")
    sub.add_argument("--sha256", default="", help="add: hash of the downloaded file")
    sub.add_argument("--theory", default="", help="add: level of theory of its labels, for the card")
    sub.add_argument("--licence", default="", help="add: terms of use, for the card")
