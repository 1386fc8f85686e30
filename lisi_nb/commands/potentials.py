"""``lisi-nb potentials``: list, show, validate, train, bring your own, and list what others have published."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase import Atoms

from lisi_nb import paths, potentials, tables
from lisi_nb.commands.common import Answer, say

if TYPE_CHECKING:
    from lisi_nb.training.published_sets import PublishedSet

NOT_STATED = "not stated"


def command_potentials(options: argparse.Namespace) -> Answer:
    """``lisi-nb potentials``: list, card, validate, train or add; sets: data sets and models others have published."""
    if options.what == "list":
        return _list()
    if options.what == "sets":
        return _sets()
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


def _sets() -> Answer:
    from lisi_nb.training.published_sets import published_sets

    entries = published_sets().values()
    rows = tuple(
        (e.name, e.holds, " ".join(e.elements), e.format, e.licence, e.doi, e.sha256[:16] or "not recorded", e.where)
        for e in entries
    )
    say(str(tables.Table(("set", "holds", "elements", "format", "licence", "paper", "sha256", "where"), rows)))
    return 0, [asdict(entry) for entry in entries]


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
    from lisi_nb.training import intake, published_sets

    published = _published(options)
    if not options.labels:
        return []
    if published and options.what != "add":
        frames = published_sets.published_set(published.name, Path(options.labels), options.sha256, say)
    else:
        numbered = [element for element in options.elements.replace(",", " ").split() if element]
        frames = intake.read_labelled(Path(options.labels), options.format, numbered)
    for atoms in frames:
        atoms.info.setdefault("reference", options.labels)
    found = intake.sort_labels(frames, elements)
    say(str(found))
    return found.good


def _validate(options: argparse.Namespace) -> Answer:
    from lisi_nb.training import adopt, publish, recipe, validation
    from lisi_nb.training.dataset import split
    from lisi_nb.training.validation.report import table

    potential = potentials.get(options.name)
    potential.members()
    own = options.name != recipe.NAME and not options.to
    folder = Path(options.to) if options.to else paths.cache() / "validation" / options.name
    folder = potential.folder / validation.REPORT if own else folder
    labels, zeros = adopt.on_own_zeros(potential, _labels(options, potential.elements))
    dft = None
    if not options.labels:
        labels = split(recipe.lifted())[1] if options.name == recipe.NAME else []
        dft = recipe.ab_initio()
    found = validation.validate(potential, labels, folder, say, dft)
    report = folder / "validation.md"
    if own:
        potential = validation.note_in_card(potential, found)
    if own and zeros:
        potential = publish.tell_card(potential, {"validation": potential.card["validation"] | {"zeros": zeros}})
    for section, rows in found.items():
        say(f"\n{section}\n{table(rows)}")
    answer: dict[str, Any] = {section: [row.to_dict() for row in rows] for section, rows in found.items()}
    if zeros:
        say(f"\n{zeros}")
        report.write_text(f"{report.read_text()}\nLabels given: {zeros}.\n")
        answer["zeros"] = zeros
    say(f"\nreport: {report}; {_held(potential, own)}")
    return 0, answer


def _held(potential: potentials.Potential, changed: bool) -> str:
    """What the card holds by now, and what it lacks of a shipped one's."""
    card = potential.card
    facts = {
        "errors on labels": card.get("test_errors"),
        "calibrated trust limits": not card["validity"].get("trust_how", "not calibrated").startswith("not calibrated"),
        "lattices and formation energies": card.get("properties"),
        "amorphous Si": card.get("properties", {}).get("amorphous_si"),
        "stability": card.get("stability"),
        "speed": card.get("speed"),
        "validation": card.get("validation"),
    }
    held, lacking = (", ".join(what for what, fact in facts.items() if bool(fact) is there) for there in (True, False))
    when = "now" if changed else "is unchanged and"
    return f"the card of {potential.name} {when} holds {held}" + (f"; not {lacking}" if lacking else "")


def _train(options: argparse.Namespace) -> Answer:
    from lisi_nb.training import recipe

    published = _published(options)
    if options.labels:
        from lisi_nb.training import own
        from lisi_nb.training.dataset import ELEMENTS

        potential = own.train_own(
            options.name, _labels(options, ELEMENTS), options.labels, say, level_of_theory=options.theory or NOT_STATED,
            licence=_licence(options, published), n_steps=options.steps or own.N_STEPS, published=published,
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


def _published(options: argparse.Namespace) -> PublishedSet | None:
    """The entry that ``--published`` names, if it names one."""
    from lisi_nb.training import published_sets

    entry = published_sets.find(options.published) if options.published else None
    if entry and options.what != "add" and not options.labels:
        raise ValueError(
            f"--published {entry.name} says what --labels is, and that is missing. Get the set from {entry.where} and "
            "give its path: --labels FILE."
        )
    return entry


def _licence(options: argparse.Namespace, published: PublishedSet | None) -> str:
    return options.licence or (published.licence if published else NOT_STATED)


def _add(options: argparse.Namespace) -> Answer:
    from lisi_nb.training import adopt
    from lisi_nb.training.dataset import ELEMENTS

    if bool(options.url) != bool(options.sha256):
        raise ValueError("--url and --sha256 belong together: a file from elsewhere is only used with its hash.")
    models = [Path(model) for model in options.models]
    models += [adopt.fetch(options.url, options.sha256)] if options.url else []
    published = _published(options)
    potential = adopt.adopt(
        options.name, models, options.theory or NOT_STATED, _licence(options, published),
        labelled=_labels(options, ELEMENTS), source=options.url,
        facts={"citation": published.citation()} if published else None,
    )  # fmt: skip
    say(f"{potential.name} lies in {potential.folder}; use it with --set potential={potential.name}")
    return 0, potential.card


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Options of the command."""
    sub.add_argument("what", choices=("list", "card", "validate", "train", "add", "sets"))
    sub.add_argument("name", nargs="?")
    sub.add_argument("models", nargs="*", help="add: frozen DeePMD models (.pb, .dp, .pth), the first drives MD")
    sub.add_argument(
        "--labels", default="", metavar="FILE",
        help="validate, add: labelled frames it has not seen; train: those to train a potential of your own on",
    )  # fmt: skip
    sub.add_argument(
        "--published", default="", metavar="SET",
        help="train, validate: the published set that --labels is (see `sets`), read in its own format; add: what the "
        "models come from; the card of a new potential cites it",
    )  # fmt: skip
    sub.add_argument("--format", default="auto", help="of --labels: extxyz, deepmd/npy, mtp, ...; told by the name")
    sub.add_argument("--elements", default="", metavar="LI,SI", help="of --labels that number them, in their order")
    sub.add_argument("--to", default="", metavar="FOLDER", help="validate: where the report goes")
    sub.add_argument("--steps", type=int, default=0, help="train: training steps of each member")
    sub.add_argument("--yes", action="store_true", help="train: replace the shipped potential by a shorter training")
    sub.add_argument("--url", default="", help="add: download the model, with --sha256")
    sub.add_argument("--sha256", default="", help="add: hash of the downloaded file; with --published: of --labels")
    sub.add_argument("--theory", default="", help="add: level of theory of its labels, for the card")
    sub.add_argument("--licence", default="", help="add: terms of use, for the card")
