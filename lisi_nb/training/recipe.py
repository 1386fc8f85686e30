"""How the shipped potential ``lisi`` is made: the one place with its settings.

``python -m lisi_nb.training.recipe collect`` adds the teacher's labels (`lisi_nb.training.label`) round by round,
``correct`` adds ab initio labels of a diverse selection (``teach``: the teacher's labels of the same frames), ``tune``
fine-tunes the teacher on them and has it label all rounds anew, ``try`` trains from the labels in
``data/training/lisi`` and prints what they are worth, ``pareto`` measures accuracy against speed for several networks
and tells the card, ``make`` trains and publishes. Everything is resumable.
"""

from __future__ import annotations

import argparse
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import write

from lisi_nb import paths, potentials
from lisi_nb.engine.files import write_json
from lisi_nb.errors import RunFailed
from lisi_nb.potentials.compressed import compressed
from lisi_nb.references import tuned
from lisi_nb.structures.interfaces import interface, silicon_slab
from lisi_nb.structures.packing import random_packing
from lisi_nb.training import ab_initio_frames, pareto, tuned_labels
from lisi_nb.training.ab_initio import Labels, gather
from lisi_nb.training.amorphous_frames import amorphous_silicon
from lisi_nb.training.corrected import Plan, sets, train
from lisi_nb.training.dataset import split, usable, write_deepmd
from lisi_nb.training.explore import explore
from lisi_nb.training.frames import initial_frames, strained_crystals
from lisi_nb.training.held_out import HELD_OUT
from lisi_nb.training.label import label_in_parts, label_side_by_side, read_frames
from lisi_nb.training.members import Say, side_by_side
from lisi_nb.training.publish import publish, tell_card
from lisi_nb.training.surface_frames import surface_frames
from lisi_nb.training.train import DECAY, OPTIMIZER, Data, train_member
from lisi_nb.training.tune import N_EPOCHS, TEACHER, tune
from lisi_nb.training.validation import into_card
from lisi_nb.training.validation.ab_initio import of_files, summary, table
from lisi_nb.training.zeros import element_offsets_eV, on_teachers_scale

NAME = "lisi"
N_MEMBERS, N_DRAFTS = 4, 3
EXPLORED, AMORPHOUS = (1, 2, 3), 4  # rounds: active learning by MD, then amorphous silicon
STRAINED, BIASED = 7, 8  # rounds of strained crystals, and of what earlier members were biased on
SEEDS = (11, 22, 33, 44)
DRAFT_STEPS, FINAL_STEPS, CORRECTION_STEPS = 3000, 12000, 4000
EXPLORE_STEPS, PER_RUN = 2500, 8
NETWORK = "shipped size"
LABELS = paths.DATA / "training" / NAME

AB_INITIO = "gpaw"

DESCRIPTION = {
    "kind": "DeePMD ensemble (se_e2_a, and se_e3 of Si neighbours), float32, distilled from a universal potential and "
    "corrected with DFT",
    "level_of_theory": f"PBE: labels of {TEACHER} (SevenNet-l3i5, Materials Project) fine-tuned on {AB_INITIO}, and of "
    f"{AB_INITIO} itself",
    "method": "round 0 built; rounds 1 to 3 chosen by model deviation in MD at Si | Li interfaces, LixSi melts, "
    "crystals and surfaces (DP-GEN); round 4 amorphous Si, Tersoff networks and what the previous "
    "potential made of them; round 7 strained crystals. Rounds 1 to 3 were collected with drafts of 4000, 5000 and "
    "14000 small steps and 6 to 8 frames a run, before this recipe was final",
    "validity": {
        "temperature_K": [50.0, 1600.0],
        "composition": "Li, Si and every LixSi between; crystals, melts, amorphous, surfaces, Si | Li interfaces",
        "pressure": "about -5 to 10 GPa",
        "not_for": "isolated atoms and molecules, other elements, electric fields, energies to better than the teacher",
    },
    "known_weakness": "forces on Si are fitted less well than on Li (test_errors); what melt and quench makes of "
    "silicon is in properties.amorphous_si; energies between phases follow the fine-tuned teacher where few DFT labels "
    "reach",
    "licence": "MIT (this model and its labels); SevenNet is GPL-3.0 software, its predictions are data",
    "rebuild": "make potential (from the labels in data/training/lisi); its errors on held-out systems should lie "
    "within the scatter of these members (validation, ±); make reference to label more",
}


def labelled() -> list[Atoms]:
    """All usable frames with the teacher's own labels, in round order."""
    files = {int(file.stem.removeprefix("round")): file for file in LABELS.glob("round*.extxyz")}
    if not files:
        raise FileNotFoundError(f"No labels in {LABELS}. They are part of the repository; restore them with git.")
    frames = []
    for number, file in sorted(files.items()):
        for atoms in read_frames(file):
            atoms.info["round"] = number
            if usable(atoms):
                frames.append(atoms)
    return frames


def lifted() -> list[Atoms]:
    """The same frames with the labels of the fine-tuned teacher."""
    if not (LABELS / pareto.TUNED).exists():
        raise FileNotFoundError(f"No {pareto.TUNED} in {LABELS}. Make it: python -m lisi_nb.training.recipe tune")
    return [atoms for atoms in tuned_labels.load(LABELS / pareto.TUNED, labelled()) if usable(atoms)]


def draft(folder: Path, n_steps: int, say: Say | None = None) -> list[Path]:
    """Train an ensemble on the teacher's labels made so far, to explore with; return the frozen files."""
    training, test = split(labelled())
    data = Data(write_deepmd(training, folder / "train"), write_deepmd(test, folder / "test"))
    members = {folder / f"member{k}": seed for k, seed in enumerate(SEEDS[:N_DRAFTS])}
    jobs = {where: partial(train_member, where, data, n_steps, seed, 1) for where, seed in members.items()}
    return side_by_side(jobs, say)


def ab_initio() -> Labels:
    """The ab initio labels made so far, beside the teacher's of the same frames."""
    return gather(LABELS, AB_INITIO)


def teach(work: Path) -> None:
    """The teacher's labels of the frames for ab initio labels: a few minutes, once."""
    for frames in chosen_frames(work).values():
        label_in_parts(frames, [LABELS / f"{AB_INITIO}.teacher.extxyz"], TEACHER)


def label(round_number: int, frames: list[Atoms], work: Path) -> None:
    """Label a round in two processes of the reference environment and add it to `LABELS`."""
    target = LABELS / f"round{round_number}.extxyz"
    if target.exists():
        return
    queue = work / f"frames{round_number}.extxyz"
    write(queue, frames, format="extxyz")
    parts = [work / f"labels{round_number}.{k}.extxyz" for k in range(2)]
    label_in_parts(queue, parts, TEACHER)
    LABELS.mkdir(parents=True, exist_ok=True)
    write(target, [a for part in parts for a in read_frames(part)], format="extxyz")


def chosen_frames(work: Path) -> dict[int, Path]:
    """The files of frames for ab initio labels, made once, by the number of the first of their two label files."""
    given, files = (work, potentials.get(NAME)), ab_initio_frames
    return {
        2: files.smallest_melts(LABELS / f"{AB_INITIO}.melts.extxyz", *given),
        4: files.glasses(LABELS / f"{AB_INITIO}.glasses.extxyz", *given),
        0: files.small_cells(LABELS / f"{AB_INITIO}.frames.extxyz", *given),
    }


def label_ab_initio(work: Path) -> None:
    """Label the frames in two processes, straight into ``data/training``: hours, so nothing may be lost."""
    for first, frames in chosen_frames(work).items():
        parts = [LABELS / f"{AB_INITIO}.{k}.extxyz" for k in (first, first + 1)]
        label_in_parts(frames, parts, AB_INITIO)


def tune_teacher(work: Path, n_epochs: int, say: Say) -> None:
    """Fine-tune the teacher on the ab initio labels that may be trained on, and have it label every frame anew."""
    dft = ab_initio()
    say(str(dft))
    frames = on_teachers_scale([a for a, _ in dft.trained], element_offsets_eV(dft.trained))
    weights = tune(work / "tuned", frames, n_epochs, say)
    signature = tuned(TEACHER, weights).signature()
    asked, made = [a for a, _ in (*dft.trained, *dft.held_out)], []
    for target, frames in ((LABELS / pareto.TUNED, labelled()), (LABELS / f"{AB_INITIO}.tuned.extxyz", asked)):
        queue = work / "tuned" / f"{target.stem}-{signature[-12:]}.extxyz"
        write(queue, [a.copy() for a in frames], format="extxyz")
        found = label_side_by_side(queue, queue.with_suffix(".labels.extxyz"), TEACHER, weights)
        say(f"{target.name}: {len(found)} of {len(frames)} frames labelled")
        if len(found) < 0.95 * len(frames):
            raise RunFailed(f"The tuned teacher cannot label the others; why is in {queue.parent}/*.failed.extxyz.")
        made.append((target, found))
    for target, found in made:  # both or none: labels of two teachers do not go together
        draft_file = target.with_suffix(".part")
        if target.name == pareto.TUNED:
            tuned_labels.save(draft_file, found)
        else:
            write(draft_file, found, format="extxyz")
        draft_file.rename(target)


def collect(work: Path) -> None:
    """Build round 0 and strained crystals, then alternate training, exploring and labelling. Skips finished rounds."""
    label(0, initial_frames(), work)
    label(STRAINED, strained_crystals(), work)
    for number in (*EXPLORED, AMORPHOUS):
        if (LABELS / f"round{number}.extxyz").exists():
            continue
        models = [compressed(path) for path in draft(work / f"draft{number}", DRAFT_STEPS)]
        if number == AMORPHOUS:
            frames = amorphous_silicon(work / f"explore{number}", models, number)
        else:
            frames = explore(work / f"explore{number}", models, number, EXPLORE_STEPS, PER_RUN)
        label(number, frames, work)
    if not (LABELS / f"round{BIASED}.extxyz").exists():
        label(BIASED, surface_frames(potentials.get(NAME).calculator()), work)


def probe() -> Atoms:
    """The (100) interface on which the card's speed is measured."""
    slab = silicon_slab("100", 21.9, 65.6)
    x_A, y_A = slab.cell.lengths()[:2]
    n_li = 2 * len(slab)
    lithium = random_packing(["Li"] * n_li, (float(x_A), float(y_A), float(n_li * 22.4 / (x_A * y_A))), seed=1)
    return interface(slab, lithium)


def plan(n_steps: int, n_correction_steps: int, n_members: int, network: str = NETWORK) -> Plan:
    """The training of `n_members` members with one of the networks that `pareto` compares."""
    return Plan(SEEDS[:n_members], n_steps, n_correction_steps, network=pareto.NETWORKS[network])


def make(folder: Path, the_plan: Plan, say: Say) -> potentials.Potential:
    """Train the final members from the labels in the repository and publish them with their card."""
    dft, teachers = ab_initio(), lifted()
    say(str(dft))
    given = sets(teachers, dft)
    before, after = train(folder, the_plan, given, say)
    errors = of_files(dft, {"pretrained": before[0], "corrected": after[0]})
    details: dict[str, Any] = {
        "training": the_plan.to_dict()
        | {"decay": DECAY, "optimizer": OPTIMIZER, "reference": TEACHER, "held_out": list(HELD_OUT)},
        "ab_initio": summary(dft, errors),
        "pareto": pareto.saved(LABELS),
    }
    judges = [a for a, _ in dft.held_out]
    trained_on = [*given.teacher, *given.ab_initio]
    published = publish(NAME, after, trained_on, given.test, judges, DESCRIPTION | details, probe())
    say(str(table(errors)))
    return into_card(published, given.test, say, dft)


def attempt(folder: Path, the_plan: Plan, say: Say) -> None:
    """Train like `make`, publish nothing, print what the held-out systems say of teacher, shipped and new potential."""
    dft = ab_initio()
    say(str(dft))
    before, after = train(folder, the_plan, sets(lifted(), dft), say)
    shipped = {f"shipped {NAME}": potentials.get(NAME).members()[0]}
    errors = of_files(dft, shipped | {"pretrained": before[0], "corrected": after[0]})
    write_json(folder / "held_out.json", summary(dft, errors))
    say(str(table(errors)))


def main() -> None:
    """Command line: ``collect`` new labels, or ``make`` the potential from the labels at hand."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("collect", "correct", "teach", "tune", "try", "pareto", "make"))
    parser.add_argument("--steps", type=int, default=FINAL_STEPS, help="training steps of each member")
    parser.add_argument("--correction-steps", type=int, default=CORRECTION_STEPS, help="steps with ab initio labels")
    parser.add_argument("--epochs", type=int, default=N_EPOCHS, help="tune: how often each ab initio frame is seen")
    parser.add_argument("--members", type=int, default=N_MEMBERS, choices=range(1, N_MEMBERS + 1))
    parser.add_argument("--network", default=NETWORK, choices=pareto.NETWORKS, help="try, make: what is trained")
    parser.add_argument("--networks", default=",".join(pareto.NETWORKS), help="pareto: which, separated by commas")
    parser.add_argument("--work", type=Path, default=paths.cache() / "training" / NAME)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what it has started ends with it
    work: Path = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    the_plan = plan(options.steps, options.correction_steps, options.members, options.network)
    if options.what == "collect":
        collect(work)
    elif options.what == "teach":
        teach(work)
    elif options.what == "tune":
        tune_teacher(work, options.epochs, print)
    elif options.what == "correct":
        teach(work)
        label_ab_initio(work)
    elif options.what == "pareto":
        dft, names = ab_initio(), options.networks.split(",")
        given = sets(lifted(), dft)
        print(pareto.measure(work / "pareto", LABELS, given, dft, probe(), print, names, options.steps))
        tell_card(potentials.get(NAME), {"pareto": pareto.saved(LABELS)})
    elif options.what == "try":
        attempt(work / "try", the_plan, print)
    else:
        make(work / "final", the_plan, print)


if __name__ == "__main__":
    main()
