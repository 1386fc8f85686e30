"""Held-out ab initio labels: what teacher and potential are worth on systems that nobody trained on.

The engines' energies have different zeros. Those of the elements are fitted, for each model anew, on the ab initio
frames that are *not* held out; the held-out ones then have nothing left to adjust.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from lisi_nb.charts import Chart, Curve
from lisi_nb.palette import COLOURS, CYCLE
from lisi_nb.potentials import Potential
from lisi_nb.potentials.loading import load
from lisi_nb.tables import Table
from lisi_nb.training.ab_initio import Labels, Pair
from lisi_nb.training.dataset import ELEMENTS
from lisi_nb.training.validation.findings import GOALS, Finding, first_and_spread
from lisi_nb.training.validation.labels import Parity, beside, deviation
from lisi_nb.training.zeros import element_offsets_eV, on_teachers_scale, paired

ALL = "all"
_QUANTITIES = {"energy_rmse_meV_atom": ("energy", "meV/atom"), "force_rmse_eV_A": ("force", "eV/A")}
_COLOURS = (*CYCLE, COLOURS["Si"], COLOURS["Li"], COLOURS["C"])


@dataclass(frozen=True)
class Comparison:
    """One model beside the ab initio labels of the held-out systems.

    Attributes
    ----------
    pairs : list of pair
        (ab initio, model) labels of each held-out frame, energies on the model's zero.
    offsets_eV : dict
        Energy of each element by which ab initio lay above the model on the frames that are not held out.
    """

    pairs: list[Pair]
    offsets_eV: dict[str, float]

    def errors(self) -> dict[str, dict[str, float]]:
        """By system and for all: frames, root-mean-square errors of energy and force, and the energy's mean error.

        Forces are averaged over components, so that a big frame counts for more.
        """
        groups: dict[str, list[Pair]] = defaultdict(list)
        for pair in self.pairs:
            groups[str(pair[0].info["system"])].append(pair)
        return {name: _errors(pairs) for name, pairs in [*sorted(groups.items()), (ALL, self.pairs)]}


def _errors(pairs: list[Pair]) -> dict[str, float]:
    energy = np.array([(m.get_potential_energy() - a.get_potential_energy()) / len(a) for a, m in pairs])
    force = np.concatenate([(m.get_forces() - a.get_forces()).ravel() for a, m in pairs])
    return {
        "n_frames": len(pairs),
        "energy_rmse_meV_atom": round(1e3 * float(np.sqrt((energy**2).mean())), 2),
        "energy_bias_meV_atom": round(1e3 * float(energy.mean()), 2),
        "force_rmse_eV_A": round(float(np.sqrt((force**2).mean())), 4),
    }


def compare(trained: list[Pair], held_out: list[Pair]) -> Comparison:
    """Put ab initio energies on the model's zero, which `trained` fixes, and compare on `held_out`."""
    offsets_eV = element_offsets_eV(trained)
    moved = on_teachers_scale([a for a, _ in held_out], offsets_eV)
    return Comparison([(a, model) for a, (_, model) in zip(moved, held_out, strict=True)], offsets_eV)


def of_teacher(labels: Labels) -> Comparison:
    """The teacher beside the ab initio labels."""
    return compare(labels.trained, labels.held_out)


def of_teachers(labels: Labels) -> dict[str, Comparison]:
    """The teacher and, once there is one, the fine-tuned teacher, by name, beside the ab initio labels.

    Raises
    ------
    ValueError
        There are more ab initio labels by now than the fine-tuned teacher has learned from and labelled.
    """
    found = {"teacher": of_teacher(labels)}
    if labels.tuned:
        known = {a.info["frame_id"] for a in labels.tuned}
        if n := sum(a.info["frame_id"] not in known for a, _ in (*labels.trained, *labels.held_out)):
            raise ValueError(f"The tuned teacher does not know {n} frames: python -m lisi_nb.training.recipe tune")
        pairs = (paired([a for a, _ in some], labels.tuned) for some in (labels.trained, labels.held_out))
        found["tuned teacher"] = compare(*pairs)
    return found


def of_calculator(calculator: Any, labels: Labels) -> Comparison:
    """Any ASE calculator beside the ab initio labels."""
    return compare(*([(a, evaluated(a, calculator)) for a, _ in pairs] for pairs in (labels.trained, labels.held_out)))


def of_files(labels: Labels, models: dict[str, Path]) -> dict[str, Comparison]:
    """Teachers and frozen models, by name, beside the ab initio labels."""
    return of_teachers(labels) | {name: of_calculator(load(path, ELEMENTS), labels) for name, path in models.items()}


def summary(labels: Labels, columns: dict[str, Comparison]) -> dict[str, Any]:
    """For the card: how many frames, their settings, and each model's errors and element zeros."""
    return {
        "settings": labels.settings,
        "n_trained": len(labels.trained),
        "n_held_out": len(labels.held_out),
        "n_waiting": labels.n_waiting,
        "set_apart": [f"{system}: {why}" for system, why in labels.apart],
        "offsets_eV": {
            name: {k: round(v, 5) for k, v in comparison.offsets_eV.items()} for name, comparison in columns.items()
        },
        "errors": {name: comparison.errors() for name, comparison in columns.items()},
    }


def evaluated(atoms: Atoms, calculator: Any) -> Atoms:
    """A copy with the calculator's energy and forces as its labels."""
    work = atoms.copy()
    work.calc = calculator
    out = atoms.copy()
    out.calc = SinglePointCalculator(out, energy=float(work.get_potential_energy()), forces=work.get_forces())
    return out


def table(columns: dict[str, Comparison]) -> Table:
    """Errors by system, one pair of columns for each model: energy in meV/atom, force in eV/A."""
    errors = {name: comparison.errors() for name, comparison in columns.items()}
    first = next(iter(errors.values()))
    heads = [f"{name}, {unit}" for name in columns for unit in ("meV/atom", "eV/Å")]
    rows = [
        (
            system,
            str(row["n_frames"]),
            *(
                f"{errors[name][system][quantity]:.{digits}f}"
                for name in columns
                for quantity, digits in (("energy_rmse_meV_atom", 1), ("force_rmse_eV_A", 3))
            ),
        )
        for system, row in first.items()
    ]
    return Table(("system", "frames", *heads), tuple(rows))


def of_members(potential: Potential, labels: Labels) -> list[Comparison]:
    """Each member of an ensemble beside the ab initio labels."""
    return [of_calculator(calculator, labels) for calculator in potential.calculators()]


def findings(potential: Potential, labels: Labels, members: list[Comparison]) -> list[Finding]:
    """Errors of a potential on the held-out systems, with the teachers' in the note."""
    ours = [m.errors() for m in members]
    teachers = {name: comparison.errors() for name, comparison in of_teachers(labels).items()}
    saw = "" if potential.card.get("training", {}).get("held_out") else "; its training may have seen it"
    found = []
    for system, row in ours[0].items():
        for quantity, (word, unit) in _QUANTITIES.items():
            goal = GOALS[quantity] if system == ALL else None
            theirs = [f"{name} {errors[system][quantity]:.3g}" for name, errors in teachers.items()]
            note = "; ".join([f"{row['n_frames']} frames", *theirs])
            note += f"; goal {goal:g}" if goal else saw
            value, spread = first_and_spread([each[system][quantity] for each in ours])
            zero = 0.0 if goal else None
            found.append(Finding(f"{word} error (RMS), DFT", system, value, spread, unit, zero, None, goal, note))
    return found


def parity(members: list[Comparison]) -> Parity:
    """Energies on the first member's zero, and the ensemble's deviation on each atom."""
    predicted = []
    for each in zip(*(m.pairs for m in members), strict=True):
        forces = np.array([model.get_forces() for _, model in each])
        predicted.append((each[0][1].get_potential_energy(), forces[0], deviation(forces)))
    return beside([a for a, _ in members[0].pairs], predicted)


def in_words(labels: Labels, comparison: Comparison) -> str:
    """What was compared with what, for the report."""
    zeros = ", ".join(f"{element} {1e3 * offset:+.1f}" for element, offset in comparison.offsets_eV.items())
    return (
        f"{len(labels.held_out)} frames of {len({a.info['system'] for a, _ in labels.held_out})} systems that were "
        f"never trained on, labelled with {labels.settings}. The elements' zeros (meV/atom: {zeros}) come from the "
        f"{len(labels.trained)} other ab initio frames; {len(labels.apart)} frames are set apart."
    )


def charts(comparison: Comparison) -> tuple[Chart, Chart]:
    """Parity of energy (relative to DFT's mean in each system) and of force components, one colour per system."""
    points, dots = [], []
    for k, system in enumerate(sorted({str(a.info["system"]) for a, _ in comparison.pairs})):
        sides = list(zip(*(pair for pair in comparison.pairs if pair[0].info["system"] == system), strict=True))
        energies = 1e3 * np.array([[a.get_potential_energy() / len(a) for a in side] for side in sides])
        x, y = energies - energies[0].mean()
        dft, model = (np.concatenate([a.get_forces().ravel() for a in side]) for side in sides)
        colour = _COLOURS[k % len(_COLOURS)]
        points.append(Curve(x, y, system, style="points", colour=colour, dash=k))
        dots.append(Curve(dft, model, system, style="dots", colour=colour))
    less = "less DFT's mean of the system (meV/atom)"
    return (
        Chart("Energy, held-out systems", f"DFT, {less}", "model, likewise (meV/atom)", (*points, _diagonal(points))),
        Chart("Force components, held-out systems", "DFT (eV/Å)", "model (eV/Å)", (*dots, _diagonal(dots))),
    )


def _diagonal(curves: list[Curve]) -> Curve:
    ends = np.array([min(c.x.min() for c in curves), max(c.x.max() for c in curves)])
    return Curve(ends, ends, "equal", style="level")
