"""Energies at 0 K: the Li-Si crystals, their hull and voltages beside PBE and experiment; the amorphous branch.

Takes an ASE calculator, such as ``potentials.get("lisi").calculator()``; entropy and volume work are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from lisi_nb import published
from lisi_nb.analysis.elasticity import relaxed
from lisi_nb.analysis.energetics import (
    Formation,
    Hull,
    VoltageStep,
    convex_hull,
    formation,
    two_phase_regions,
    two_phase_statement,
    voltage_steps,
)
from lisi_nb.errors import check_choice
from lisi_nb.params import ByScale
from lisi_nb.structures.crystals import LI_RICH, crystal, primitive_f
from lisi_nb.units import U_PER_A3_IN_G_CM3
from lisi_nb.verdicts import Claim

CRYSTALS = ("LiSi", "Li12Si7", "Li7Si3", "Li13Si4", "Li15Si4", "Li17Si4", "Li21Si5")
CRYSTALS_OF = ByScale({"smoke": ("LiSi", "Li7Si3", "Li15Si4"), "lesson": CRYSTALS, "paper": CRYSTALS})
PAPER_GROUND_STATES = ("LiSi", "Li12Si7", "Li7Si3", "Li13Si4", "Li21Si5")
FMAX_eV_A = 0.02  # the paper's
ROUNDING_eV = 1e-6
NEAR_X, FEWEST_X = 0.1, 2  # compositions that a two-phase region is judged from
FEWEST_SEARCHED = 500  # orderings of each x, our choice: the paper looked at thousands, a dozen are only a sample
PER_ATOM_eV = 0.015  # PBE set-ups differ by so much in these formation energies; a corner of the hull within it is none
# Phases before and after, and the names of the PBE and of the measured value (at 415 C, where LiSi and Li15Si4 do not
# form, so that their neighbours make one step).
STEPS = (
    ("Si", "LiSi", "LiSi_dft", ""),
    ("LiSi", "Li12Si7", "Li12Si7_dft", ""),
    ("Si", "Li12Si7", "Li12Si7_from_Si_dft", "Li12Si7_experiment_415C"),
    ("Li12Si7", "Li7Si3", "Li7Si3_dft", "Li7Si3_experiment_415C"),
    ("Li7Si3", "Li13Si4", "Li13Si4_dft", "Li13Si4_experiment_415C"),
    ("Li13Si4", "Li15Si4", "Li15Si4_dft", ""),
    ("Li13Si4", "Li21Si5", "", "Li21Si5_experiment_415C"),
    ("Li15Si4", "Li17Si4", "", ""),
)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Crystal:
    """One relaxed crystal; energies in eV per atom, NaN references where none is known.

    ``formation_eV`` against bcc Li and diamond Si of the same calculator, ``pbe_eV`` that of the reference,
    ``above_eV`` the distance above the hull of all of them, ``volume_A3`` and ``pbe_volume_A3`` per atom.
    """

    name: str
    n_li: int
    n_si: int
    volume_A3: float
    formation_eV: float
    pbe_eV: float
    above_eV: float
    atoms: Atoms
    pbe_volume_A3: float = float("nan")

    @property
    def x(self) -> float:
        """Li per Si."""
        return self.n_li / self.n_si

    @property
    def per_si_eV(self) -> float:
        """Formation energy per Si."""
        return self.formation_eV * (self.n_li + self.n_si) / self.n_si


@dataclass(frozen=True)
class Voltage:
    """Plateau from one phase to another richer in Li, in V against Li; NaN where there is no reference."""

    before: str
    after: str
    volt_V: float
    pbe_V: float
    experiment_V: float


@dataclass(frozen=True, eq=False)
class Thermodynamics:
    """Crystals in order of x, their hull, its voltage steps, and the steps that are known from PBE or experiment.

    ``li_eV`` and ``si_eV`` are the energies per atom of bcc Li and diamond Si.
    """

    li_eV: float
    si_eV: float
    crystals: tuple[Crystal, ...]
    hull: Hull
    steps: tuple[VoltageStep, ...]
    voltages: tuple[Voltage, ...]

    @property
    def stable(self) -> tuple[str, ...]:
        """Names on the hull, in order of x."""
        return tuple(self.crystals[k].name for k in self.hull.members if k >= 0)


def thermodynamics(
    calculator: Any,
    names: Sequence[str] = CRYSTALS,
    fmax_eV_A: float = FMAX_eV_A,
    progress: Progress | None = None,
) -> Thermodynamics:
    """Relax crystals (positions and cell) and compare formation energies and voltages with PBE and experiment.

    Parameters
    ----------
    calculator : ase calculator
        Gives energy, forces and stress; one evaluation of 152 atoms at most.
    names : sequence of str
        Of `CRYSTALS` or ``"Li22Si5"``.
    fmax_eV_A : float
        Largest force left.
    progress : callable, optional
        Called with the name of each crystal before it is relaxed.

    Raises
    ------
    ValueError
        An unknown crystal.
    RuntimeError
        One does not relax.
    """
    for name in names:
        check_choice("crystal", name, (*CRYSTALS, "Li22Si5"))

    def energy(name: str) -> tuple[Atoms, float]:
        if progress:
            progress(name)
        atoms = crystal(name)
        atoms = relaxed(primitive_f(atoms) if name in LI_RICH else atoms, calculator, fmax_eV_A=fmax_eV_A, steps=1000)
        return atoms, float(atoms.get_potential_energy())

    (li, e_li), (si, e_si) = energy("Li"), energy("Si")
    li_eV, si_eV = e_li / len(li), e_si / len(si)
    found = sorted(((*energy(name), name) for name in names), key=lambda each: _counts(each[0])[0] / len(each[0]))
    counts = np.array([_counts(atoms) for atoms, *_ in found])
    phases = formation([e for _, e, _ in found], counts[:, 0], counts[:, 1], li_eV, si_eV)
    hull = convex_hull(phases)
    each = zip(found, phases.per_atom_eV, hull.above_eV, strict=True)
    crystals = tuple(_crystal(name, atoms, float(e), float(above)) for (atoms, _, name), e, above in each)
    return Thermodynamics(li_eV, si_eV, crystals, hull, voltage_steps(phases, hull), _voltages(crystals))


def _crystal(name: str, atoms: Atoms, formation_eV: float, above_eV: float) -> Crystal:
    known = name if name in LI_RICH else f"{name}_dft"
    pbe, pbe_volume = _reference("formation_energy", known), _reference("volume_per_atom", known)
    volume = atoms.get_volume() / len(atoms)
    return Crystal(name, *_counts(atoms), volume, formation_eV, pbe, above_eV, atoms, pbe_volume)


def _counts(atoms: Atoms) -> tuple[int, int]:
    return int((atoms.numbers == 3).sum()), int((atoms.numbers == 14).sum())


def _reference(quantity: str, system: str) -> float:
    """From ``data/published.csv``, NaN where it has none."""
    rows = published.find("reference", quantity, system) if system else ()
    return rows[0].value if rows else float("nan")


def _voltages(crystals: Sequence[Crystal]) -> tuple[Voltage, ...]:
    """The steps of `STEPS` whose phases are there."""
    ends = {"Si": (0.0, 0.0)} | {c.name: (c.x, c.per_si_eV) for c in crystals}
    out = []
    for before, after, pbe, experiment in STEPS:
        if before in ends and after in ends:
            (x1, e1), (x2, e2) = ends[before], ends[after]
            known = (_reference("step_voltage", system) for system in (pbe, experiment))
            out.append(Voltage(before, after, -(e2 - e1) / (x2 - x1), *known))
    return tuple(out)


@dataclass(frozen=True, eq=False)
class Amorphous:
    """Relaxed amorphous structures: formation energies, distance above the crystals' hull, and the statement.

    ``above_eV`` (n,) per atom; ``density_g_cm3`` (n,) relaxed at 0 K; ``with_crystal`` is the branch closed by
    crystalline Li15Si4 at x = 3.75.
    """

    phases: Formation
    above_eV: np.ndarray
    density_g_cm3: np.ndarray
    with_crystal: Formation
    tolerance_eV: float
    statement: str


def branches(made: Mapping[str, Sequence[Atoms]], calculator: Any, crystals: Thermodynamics) -> dict[str, Amorphous]:
    """`amorphous` of the structures made in each way; a way that has made none is left out."""
    return {how: amorphous(structures, calculator, crystals) for how, structures in made.items() if structures}


def amorphous(
    structures: Sequence[Atoms],
    calculator: Any,
    crystals: Thermodynamics,
    tolerance_eV: float = 0.005,
    fmax_eV_A: float = FMAX_eV_A,
) -> Amorphous:
    """Formation energies of amorphous LixSi, and where two phases together lie below one (Fig. 1a of the paper).

    Parameters
    ----------
    structures : sequence of Atoms
        Amorphous cells, such as the last frames of anneals; they are relaxed here, which costs nothing when they are.
        At least two compositions; of each the lowest energy counts.
    calculator : ase calculator
        The one of `crystals`.
    crystals : Thermodynamics
        With Li15Si4, the end of the two-phase region in the paper.
    tolerance_eV : float
        Per atom: how far above a common tangent structures must lie to be two-phase.
    fmax_eV_A : float
        Largest force left.

    Raises
    ------
    ValueError
        No Li15Si4 among the crystals, pure Li or Si, or too few compositions.
    """
    end = next((c for c in crystals.crystals if c.name == "Li15Si4"), None)
    if end is None:
        raise ValueError("The crystals have no Li15Si4, which ends the amorphous branch. Relax it too.")
    counts = np.array([_counts(atoms) for atoms in structures]).reshape(-1, 2)
    if (counts == 0).any():
        raise ValueError("A structure is pure Li or pure Si. Give LixSi; the elements are the zero of energy.")
    cells = [relaxed(a, calculator, fmax_eV_A=fmax_eV_A, steps=2000) for a in structures]
    density = np.array([a.get_masses().sum() / a.get_volume() * U_PER_A3_IN_G_CM3 for a in cells])
    phases = formation(
        [a.get_potential_energy() for a in cells], counts[:, 0], counts[:, 1], crystals.li_eV, crystals.si_eV
    )
    closed = Formation(
        np.append(phases.n_li, end.n_li),
        np.append(phases.n_si, end.n_si),
        np.append(phases.per_atom_eV, end.formation_eV),
    )
    above = phases.per_atom_eV - crystals.hull.at(phases.li_fraction)
    return Amorphous(phases, above, density, closed, tolerance_eV, two_phase_statement(closed, tolerance_eV))


def hull_claim(found: Thermodynamics) -> Claim:
    """Q1: which crystals are ground states; ``undecided`` where the distance from the hull is below 15 meV/atom."""
    text = "Q1: LiSi, Li12Si7, Li7Si3, Li13Si4 and Li21Si5 are on the hull; Li15Si4 is metastable"
    numbers = ", ".join(f"{c.name} {1000 * c.above_eV:.0f}" for c in found.crystals)
    above = {c.name: c.above_eV for c in found.crystals}
    because = f"meV/atom above the hull: {numbers}"
    if not {*PAPER_GROUND_STATES, "Li15Si4"} <= set(above):
        return Claim(text, "undecided", f"{because}; not all of them were relaxed")
    off = [name for name in PAPER_GROUND_STATES if above[name] > ROUNDING_eV]
    if not off and above["Li15Si4"] > ROUNDING_eV:
        return Claim(text, "true", because)
    if max((above[name] for name in off), default=0.0) > PER_ATOM_eV:
        return Claim(text, "false", because)
    return Claim(text, "undecided", f"{because}; PBE set-ups differ by {1000 * PER_ATOM_eV:.0f}")


def two_phase_claim(found: Amorphous, n_searched: int) -> Claim:
    """Q2: two phases between x = 2.25 and 3.75, a solid solution below; undecided where few orderings were searched.

    `n_searched` is the number at each composition (0 for structures from MD); `FEWEST_SEARCHED` are needed.
    """
    low, high = (
        published.value("nanoparticle", f"two_phase_composition_{end}", "LixSi").value for end in ("min", "max")
    )
    text = f"Q2: amorphous LixSi is two-phase for {low:g} < x < {high:g} and a solid solution below"
    x = np.unique(found.phases.x.round(6))
    at = (abs(x - low) < NEAR_X).any()
    inside_x, below_x = ((x > low + NEAR_X) & (x < high)).sum(), (x < low - NEAR_X).sum()
    if not at or inside_x < FEWEST_X or below_x < FEWEST_X:
        need = f"needs structures at x = {low:g} and at {FEWEST_X} compositions or more on either side"
        return Claim(text, "undecided", f"{found.statement}; {need}")
    if n_searched < FEWEST_SEARCHED:
        need = f"{n_searched} orderings searched at each x, {FEWEST_SEARCHED} needed to judge"
        return Claim(text, "undecided", f"{found.statement}; {need}")
    regions = two_phase_regions(found.with_crystal, found.tolerance_eV)
    inside = any(abs(r.x_low - low) < 0.5 and abs(r.x_high - high) < 0.1 for r in regions)
    below = any(r.x_low < low - 0.5 for r in regions)
    return Claim(text, "true" if inside and not below else "false", found.statement)
