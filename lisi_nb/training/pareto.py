"""Accuracy against speed: several networks trained alike, each measured on held-out frames and in MD on this machine.

Every point is trained on the same frames with the same seed and the same number of steps and kept on disk, so a
measurement that was stopped goes on; ``pareto.json`` beside the labels is what the card shows.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from ase import Atoms

from lisi_nb.engine.files import write_json
from lisi_nb.potentials import Potential
from lisi_nb.potentials.compressed import sha256
from lisi_nb.tables import Table
from lisi_nb.training.ab_initio import Labels
from lisi_nb.training.corrected import Sets
from lisi_nb.training.dataset import ELEMENTS, write_deepmd
from lisi_nb.training.members import Say, side_by_side
from lisi_nb.training.publish import speed, test_errors
from lisi_nb.training.train import (
    ANGLES,
    BATCH,
    DECAY,
    DESCRIPTOR,
    FITTING,
    FROM_SCRATCH,
    OPTIMIZER,
    SMALL,
    WITH_ANGLES,
    Data,
    Network,
    train_member,
)
from lisi_nb.training.validation.ab_initio import ALL, of_calculator

SEED = 11
GOAL_US = 25.0
FILE = "pareto.json"
TUNED = "tuned.npz"  # the labels, in the same folder

_WIDER = ANGLES | {"rcut": 3.8, "sel": [*ANGLES["sel"][:1], 16], "neuron": [16, 16, 16]}
NETWORKS = {
    "shipped size": WITH_ANGLES,
    "without angles": SMALL,
    "nearer": Network(DESCRIPTOR | {"rcut": 4.5, "sel": [34, 28]}, FITTING, ANGLES),
    "smaller": Network(DESCRIPTOR | {"neuron": [16, 16], "axis_neuron": 6}, FITTING | {"neuron": [48, 48, 48]}, ANGLES),
    "larger": Network(DESCRIPTOR | {"neuron": [16, 32, 64]}, FITTING | {"neuron": [96, 96, 96]}, _WIDER),
}


def train_points(folder: Path, given: Sets, names: list[str], n_steps: int, say: Say | None = None) -> None:
    """Train each named network on the teacher's labels of `given`; finished ones are left alone."""
    data = Data(write_deepmd(given.teacher, folder / "train"), write_deepmd(given.test, folder / "test"))
    places = {place(folder, name): NETWORKS[name] for name in names}
    jobs = {where: partial(train_member, where, data, n_steps, SEED, 1, network) for where, network in places.items()}
    side_by_side(jobs, say)


def place(folder: Path, name: str) -> Path:
    """Where a network is trained."""
    return folder / name.replace(" ", "_")


def point(name: str, member: Path, given: Sets, dft: Labels, probe: Atoms, n_steps: int) -> dict[str, Any]:
    """Errors and speed of one trained network: a row of the table."""
    card = {
        "elements": list(ELEMENTS),
        "members": [{"file": member.name, "sha256": sha256(member)}],
        "validity": {"temperature_K": [0.0, 1600.0]},
        "rebuild": "python -m lisi_nb.training.recipe pareto",
    }
    potential = Potential(f"pareto {name}", member.parent, card)
    held_out = of_calculator(potential.calculator(), dft).errors()[ALL]
    return {
        "network": name,
        "n_steps": n_steps,
        "sha256": sha256(member),
        "teacher_force_rmse_eV_A": test_errors(potential, given.test)["all"]["force_rmse_eV_A"],
        "dft_force_rmse_eV_A": held_out["force_rmse_eV_A"],
        "dft_energy_rmse_meV_atom": held_out["energy_rmse_meV_atom"],
        "n_dft": held_out["n_frames"],
        **speed(potential, probe),
    }


def measure(
    folder: Path, target: Path, given: Sets, dft: Labels, probe: Atoms, say: Say, names: list[str], n_steps: int
) -> Table:
    """Train and measure what is missing among `names`, keep each row in ``target/pareto.json``, return the table.

    A row is measured anew when its network was trained anew, or when there are more ab initio frames by now.
    """
    train_points(folder, given, names, n_steps, say)
    for name in names:
        member = place(folder, name) / "frozen.pb"
        rows = {row["network"]: row for row in saved(target)}
        known = rows.get(name, {})
        if (known.get("sha256"), known.get("n_dft")) != (sha256(member), len(dft.held_out)):
            rows[name] = point(name, member, given, dft, probe, n_steps) | {"given": _given(target)}
            write_json(target / FILE, {"networks": [rows[key] for key in NETWORKS if key in rows]})
            say(f"{name}: {rows[name]['us_per_atom_step']} us per atom and step")
    return table(saved(target))


def saved(folder: Path) -> list[dict[str, Any]]:
    """The rows measured so far with today's labels, networks and schedule; others cannot be compared with these."""
    file = folder / FILE
    rows = json.loads(file.read_text())["networks"] if file.exists() else []
    return [row for row in rows if row.get("given", "") == _given(folder)]


def _given(folder: Path) -> str:
    """What all rows have in common: hash of the labels, the networks and how they are trained."""
    labels = sha256(folder / TUNED) if (folder / TUNED).exists() else ""
    networks = {name: asdict(network) for name, network in NETWORKS.items()}
    how = json.dumps([labels, networks, asdict(FROM_SCRATCH), OPTIMIZER, DECAY, BATCH])
    return hashlib.sha256(how.encode()).hexdigest()[:12]


def frontier(rows: list[dict[str, Any]]) -> list[bool]:
    """Whether no other row is both as fast and as accurate (teacher's forces), and better in one of the two."""
    points = [(row["us_per_atom_step"], row["teacher_force_rmse_eV_A"]) for row in rows]
    return [not any(a <= x and b <= y and (a, b) != (x, y) for a, b in points) for x, y in points]


def table(rows: list[dict[str, Any]]) -> Table:
    """Fastest first; ``*`` marks the networks that no other one beats in both."""
    best = frontier(rows)
    order = sorted(range(len(rows)), key=lambda k: rows[k]["us_per_atom_step"])
    return Table(
        ("", "network", "us/atom/step", "steps", "teacher, eV/Å", "DFT, eV/Å", "DFT, meV/atom", "device"),
        tuple(
            (
                "*" if best[k] else "",
                rows[k]["network"],
                f"{rows[k]['us_per_atom_step']:.1f}" + ("" if rows[k]["us_per_atom_step"] <= GOAL_US else " (slow)"),
                str(rows[k]["n_steps"]),
                f"{rows[k]['teacher_force_rmse_eV_A']:.3f}",
                f"{rows[k]['dft_force_rmse_eV_A']:.3f}",
                f"{rows[k]['dft_energy_rmse_meV_atom']:.1f}",
                rows[k]["device"],
            )
            for k in order
        ),
    )
