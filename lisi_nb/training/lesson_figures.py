"""Charts and tables of the lesson that makes a potential."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from lisi_nb import potentials, published
from lisi_nb.charts import Chart, Curve
from lisi_nb.palette import CYCLE
from lisi_nb.tables import Table
from lisi_nb.training.curve import LearningCurve, learning_curve
from lisi_nb.training.lesson import Frames, deviation_eV_A
from lisi_nb.training.validation.labels import Parity
from lisi_nb.training.work import Work
from lisi_nb.training.zeros import paired

LEAST_ATOMS = 5  # of one kind for an error
WINDOW = 9  # looks of a learning curve averaged, fewer of a short one: each is the error of a few frames only
ENERGY = "energy_rmse_meV_atom"


def frames_table(given: Frames) -> Table:
    """How many labelled frames of each system are for what."""
    counts = [Counter(a.info["system"] for a in some) for some in (given.training, given.held_out, given.left_out)]
    names = sorted(set().union(*counts))
    rows = [(name, *(str(count[name] or "") for count in counts)) for name in names]
    total = ("all", *(str(count.total()) for count in counts))
    return Table(("system", "to learn from", "held out", "left out on purpose"), (*rows, total))


def relabelled_chart(shipped: list[Atoms], fresh: list[Atoms]) -> Chart:
    """Force components of fresh labels against those of the shipped labels of the same frames."""
    pairs = paired(shipped, fresh)
    x, y = (np.concatenate([a.get_forces().ravel() for a in some]) for some in zip(*pairs, strict=True))
    ends = np.array([x.min(), x.max()])
    return Chart(
        "The teacher, asked twice",
        "shipped label (eV/Å)",
        "label made now (eV/Å)",
        (Curve(x, y, "force components", style="points"), Curve(ends, ends, "equal", style="level")),
    )


def curves(trained: Work) -> list[LearningCurve]:
    """Learning curve of each member so far."""
    return [learning_curve(trained.folder / f"member{k}" / "lcurve.out") for k in range(len(trained.settings["seeds"]))]


def live(trained: Work) -> tuple[Chart, ...]:
    """Force error on held-out and on training frames so far; empty before the first line."""
    found = [curve for curve in curves(trained) if len(curve.step)]
    lines = []
    for k, curve in enumerate(found):
        for what, error, dash in (
            ("held out", curve.force_held_out_eV_A, 0),
            ("training", curve.force_training_eV_A, 1),
        ):
            label = f"member {k}, {what}"
            lines.append(Curve(*smooth(curve.step, error), label, colour=CYCLE[k], dash=dash))
    return (Chart("Learning, smoothed", "training step", "force error (eV/Å)", tuple(lines)),) if found else ()


def smooth(step: np.ndarray, error: np.ndarray, n: int = WINDOW) -> tuple[np.ndarray, np.ndarray]:
    """Root of the mean square of `n` neighbouring points, at the middle of their steps; both ``(m,)``."""
    n = max(1, min(n, len(step) // 4))
    mean = np.ones(n) / n
    return np.convolve(step, mean, "valid"), np.sqrt(np.convolve(error**2, mean, "valid"))


def share(trained: Work) -> tuple[float, str]:
    """Fraction of the training steps done by the slowest member, and words."""
    target, found = trained.settings["n_steps"], curves(trained)
    if trained.status()["state"] == "finished":
        return 1.0, f"{len(found)} members, {target} steps each"
    step = min(int(curve.step[-1]) if len(curve.step) else 0 for curve in found)
    # A little is left for the end: freezing, converting, predicting what was held out.
    return 0.9 * step / target, f"step {step} of {target}, {len(found)} members"


def errors_table(named: Mapping[str, Mapping[str, Any]]) -> Table:
    """Errors of several potentials side by side: force (eV/A) and energy (meV/atom) by kind of system."""
    kinds = [kind for kind in next(iter(named.values())) if kind != "all"]
    columns = [f"{name}: {what}" for name in named for what in ("force error (eV/Å)", "energy error (meV/atom)")]
    rows = []
    for kind in kinds:
        found = [errors[kind] for errors in named.values()]
        values = [f"{e[key]:{form}}" for e in found for key, form in (("force_rmse_eV_A", ".3f"), (ENERGY, ".1f"))]
        rows.append((kind, str(found[0]["n_frames"]), *values))
    return Table(("system", "frames", *columns), tuple(rows))


def deviation_chart(tried: Mapping[str, list[Atoms]], low_eV_A: float, high_eV_A: float) -> Chart:
    """Largest force deviation against time of MD runs, with the window worth a label."""
    lines = [
        Curve(np.array([a.info["time_ps"] for a in moved]), deviation_eV_A(moved), name, dash=k)
        for k, (name, moved) in enumerate(tried.items())
    ]
    end_ps = max(float(line.x[-1]) for line in lines)
    marks = [("worth a label above", low_eV_A), ("too far gone above", high_eV_A)]
    top = max(float(line.y.max()) for line in lines)
    levels = [
        Curve(np.array([0.0, end_ps]), np.full(2, value), f"{text} {value:.2g}", style="level")
        for text, value in marks
        if value < 2 * top
    ]
    return Chart("Do the members agree?", "time (ps)", "max force deviation (eV/Å)", (*lines, *levels))


def cuts_text(cuts: list[Atoms]) -> str:
    """How many cells were cut from how many atoms, and whether their frames lay in the window."""
    sizes = [len(cell) for cell in cuts]
    window = "in the window" if cuts[0].info["in_window"] else "below the window, the most uncertain ones"
    return (
        f"{len(cuts)} cells of {min(sizes)} to {max(sizes)} atoms, out of frames of {cuts[0].info['cut_from']} atoms "
        f"{window}; {sum(cell.info['left_out'] for cell in cuts)} atoms left out at the new boundaries"
    )


def truth_chart(named: Mapping[str, Parity]) -> Chart:
    """True force error of each atom against the ensemble's deviation on it."""
    dots = []
    for name, found in named.items():
        error = [np.linalg.norm(a - b, axis=1) for a, b in zip(found.force_eV_A, found.label_force_eV_A, strict=True)]
        dots.append(Curve(np.concatenate(found.deviation_eV_A), np.concatenate(error), name, style="dots"))
    end = np.array([0.0, max(float(curve.x.max()) for curve in dots)])
    return Chart(
        "Does the deviation tell the error?",
        "force deviation of the ensemble (eV/Å)",
        "true force error (eV/Å)",
        (*dots, Curve(end, end, "error = deviation", style="level")),
    )


def by_neighbours_chart(frames: Mapping[str, list[Atoms]], named: Mapping[str, Parity]) -> Chart:
    """Root-mean-square force error against the number of neighbours within 4.2 A (14 in bcc lithium)."""
    lines: list[Curve] = []
    for name, found in named.items():
        n = np.concatenate([neighbours(a) for a in frames[name]])
        pairs = zip(found.force_eV_A, found.label_force_eV_A, strict=True)
        square = np.concatenate([((a - b) ** 2).mean(axis=1) for a, b in pairs])
        there = [k for k in np.unique(n) if (n == k).sum() >= LEAST_ATOMS]
        error = np.array([np.sqrt(square[n == k].mean()) for k in there])
        lines.append(Curve(np.array(there), error, name, dash=len(lines)))
    return Chart("Where is it wrong?", "neighbours within 4.2 Å", "force error (eV/Å)", tuple(lines))


def neighbours(atoms: Atoms, cutoff_A: float = 4.2) -> np.ndarray:
    """Number of neighbours of each atom within `cutoff_A`, between second and third shell of bcc Li; ``(n_atoms,)``."""
    return np.bincount(neighbor_list("i", atoms, cutoff_A), minlength=len(atoms))


def totals(found: Parity) -> tuple[float, float, float]:
    """Root-mean-square error of a force component (eV/A) and of the energy (meV/atom), largest deviation (eV/A)."""
    pairs = zip(found.force_eV_A, found.label_force_eV_A, strict=True)
    force = np.sqrt(np.concatenate([((a - b) ** 2).ravel() for a, b in pairs]).mean())
    energy = np.sqrt(((found.energy_eV_atom - found.label_energy_eV_atom) ** 2).mean())
    return float(force), 1000 * float(energy), max(float(d.max()) for d in found.deviation_eV_A)


def repair_table(before: Parity, after: Parity, moved: Mapping[str, list[Atoms]]) -> Table:
    """The needle before and after the repair: error on frames the teacher labelled, deviation along the run."""
    runs = [deviation_eV_A(m) for m in moved.values()]
    sums = [totals(found) for found in (before, after)]
    rows = (
        ("force error on the labelled needles (eV/Å)", *(f"{s[0]:.3f}" for s in sums)),
        ("energy error on the labelled needles (meV/atom)", *(f"{s[1]:.1f}" for s in sums)),
        ("largest force deviation, median over the run (eV/Å)", *(f"{np.median(run[1:]):.3f}" for run in runs)),
        ("largest force deviation of the run (eV/Å)", *(f"{run[1:].max():.3f}" for run in runs)),
    )
    return Table(("the needle in MD", *moved), rows)


def published_table(own: Mapping[str, Mapping[str, Any]], potential: str) -> Table:
    """Errors that the papers print for their own potentials, and ours, each on its own kind of frames."""
    own = {**own, potential: potentials.get(potential).card["test_errors"]}
    rows = []
    for study in ("interdiffusion", "nanoparticle", "sei"):
        energies = {r.system: r for r in published.find(study, "energy_rmse")}
        forces = {r.system: r for r in published.find(study, "force_rmse")}
        for system, row in energies.items():
            force = f"{forces[system].value:g}" if system in forces else "not printed"
            rows.append((f"{study}: {system}", f"{row.value:g}", force, row.doi))
    for name, errors in own.items():
        for kind, e in errors.items():
            if kind in ("all", "crystal", "surface", "interface"):
                rows.append((f"{name}: {kind}", f"{e[ENERGY]:g}", f"{e['force_rmse_eV_A']:g}", "this project"))
    return Table(("potential: tested on", "energy error (meV/atom)", "force error (eV/Å)", "source"), tuple(rows))


def card_table(name: str) -> Table:
    """What to read first in the card of a potential."""
    card = potentials.get(name).card
    validity, training = card["validity"], card["training_set"]
    rows = (
        ("what it imitates", card["level_of_theory"]),
        ("learnt from", f"{training['n_train']} frames; tested on {training['n_test']} never shown to it"),
        ("kinds of frames", ", ".join(f"{kind} {n}" for kind, n in training["frames_by_kind"].items())),
        (
            "valid for",
            f"{validity['composition']}; {validity['temperature_K'][0]:g} to {validity['temperature_K'][1]:g} K",
        ),
        ("not for", validity["not_for"]),
        ("force error", f"{card['test_errors']['all']['force_rmse_eV_A']:.2f} eV/Å on the test frames"),
        ("trust", f"below {validity['trust_eV_A'][0]} eV/Å accurate, above {validity['trust_eV_A'][1]} failed"),
        ("known weakness", card["known_weakness"]),
        ("speed", f"{card['speed']['us_per_atom_step']} µs per atom and step; {card['speed']['device']}"),
        ("licence", card["licence"]),
    )
    return Table(("the card says", ""), rows)


def provenance(works: Mapping[str, Work]) -> Table:
    """What each step was made from and how long it took: the same inputs give the same folder."""
    rows = []
    for name, work in works.items():
        status, inputs = work.status(), work.inputs
        hashes = ", ".join(f"{file} {digest[:8]}" for file, digest in inputs["files"].items())
        rows.append((name, work.folder.name, f"{status['ended'] - status['started']:.0f} s", hashes))
    return Table(("step", "folder", "took", "input files (sha256)"), tuple(rows))
