"""The seven Li-Si crystals: volume, formation energy, hull, voltage steps, vibrations, and a lithium that hops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from lisi_nb.analysis.elasticity import relaxed, softest_mode_THz
from lisi_nb.analysis.energetics import Formation, convex_hull
from lisi_nb.potentials import Potential
from lisi_nb.structures.crystals import LI_RICH
from lisi_nb.structures.vacancies import distinct, li_hops
from lisi_nb.studies.lixsi.migration import vacancy_barriers
from lisi_nb.studies.lixsi.thermodynamics import (
    PAPER_GROUND_STATES,
    Crystal,
    PER_ATOM_eV,
    Thermodynamics,
    thermodynamics,
)
from lisi_nb.training.validation.findings import SOFTEST_THZ, Finding, over_members, reference_value

_NO_PBE = "experiment's cell; no PBE value is at hand"
_ALLOWED_V = 0.05


def compounds(potential: Potential) -> list[Finding]:
    """All of them; crystals are relaxed with each member, vibrations and the path of the hop with the first one."""

    @cache
    def of(calculator: Any) -> Thermodynamics:
        return thermodynamics(calculator)

    first = of(potential.calculator()).crystals
    pbe_eV = _pbe_above_eV(first)
    found = []
    for k, crystal in enumerate(first):
        found += _of_crystal(potential, of, k, crystal, pbe_eV.get(crystal.name))
    on_hull = over_members(potential, lambda c: float(len(of(c).stable)))
    names = {
        "ours": of(potential.calculator()).stable,
        "PBE, of the crystals with a DFT value": [n for n, above in pbe_eV.items() if above == 0],
        "arXiv:1901.09272": PAPER_GROUND_STATES,
    }
    note = "; ".join(f"{who}: {', '.join(which)}" for who, which in names.items())
    found.append(Finding("crystals on the hull", "Li-Si", *on_hull, "1", note=note))
    found += _voltages(potential, of)
    deepest = min(first, key=lambda crystal: crystal.formation_eV).name
    found.append(
        Finding("deepest formation energy is that of Li7Si3", "Li-Si", float(deepest == "Li7Si3"), 0.0, "1", 1.0, None,
                0.0, f"ours: {deepest}")
    )  # fmt: skip
    return found + vibrations(potential, first) + [hop(potential, first)]


def _pbe_above_eV(crystals: Sequence[Crystal]) -> dict[str, float]:
    """Distance above their hull of the crystals whose PBE energies are known, from these energies."""
    sure = [c for c in crystals if c.name not in LI_RICH]
    n_li, n_si, per_atom_eV = np.array([(c.n_li, c.n_si, c.pbe_eV) for c in sure]).T
    hull = convex_hull(Formation(n_li, n_si, per_atom_eV))
    return dict(zip((c.name for c in sure), hull.above_eV.round(6).tolist(), strict=True))


def _of_crystal(potential: Potential, of: Any, k: int, crystal: Crystal, pbe_eV: float | None) -> list[Finding]:
    """Volume, formation energy and distance above the hull of the crystal at place `k`."""
    name, unknown = crystal.name, crystal.name in LI_RICH
    volumes = over_members(potential, lambda c: of(c).crystals[k].volume_A3)
    if unknown:
        # The conventional cell holds four primitive ones.
        lattice_A = reference_value("lattice_a", f"{name}_experiment")
        volume = Finding(
            "volume", name, *volumes, "A3/atom", None, lattice_A**3 / (4 * len(crystal.atoms)), None, _NO_PBE
        )
    else:
        dft = reference_value("volume_per_atom", f"{name}_dft")
        volume = Finding("volume", name, *volumes, "A3/atom", dft, None, 0.03 * dft)
    formation = over_members(potential, lambda c: of(c).crystals[k].formation_eV)
    above = over_members(potential, lambda c: 1000 * of(c).crystals[k].above_eV)
    note = "reference of low confidence" if unknown and _known(crystal.pbe_eV) else ""
    return [
        volume,
        Finding("formation energy", name, *formation, "eV/atom", _known(crystal.pbe_eV), None,
                None if unknown else PER_ATOM_eV, note),
        Finding("energy above the hull", name, *above, "meV/atom", None if pbe_eV is None else 1000 * pbe_eV, None,
                1000 * PER_ATOM_eV),
    ]  # fmt: skip


def _voltages(potential: Potential, of: Any) -> list[Finding]:
    """Steps between neighbouring phases; those without PBE value are not judged."""
    found = []
    for k, step in enumerate(of(potential.calculator()).voltages):
        pbe, experiment = _known(step.pbe_V), _known(step.experiment_V)
        found.append(
            Finding(f"voltage step from {step.before}", step.after,
                    *over_members(potential, lambda c, k=k: of(c).voltages[k].volt_V), "V", pbe, experiment,  # type: ignore[misc]
                    None if pbe is None else _ALLOWED_V, "experiment at 415 °C" if experiment else "")
        )  # fmt: skip
    return found


def _known(value: float) -> float | None:
    """The value, or None for NaN."""
    return value if math.isfinite(value) else None


def vibrations(potential: Potential, crystals: Sequence[Crystal]) -> list[Finding]:
    """Softest vibration of each crystal, relaxed further, with the first member."""
    calculator = potential.calculator()
    found = []
    for crystal in crystals:
        atoms = relaxed(crystal.atoms, calculator, cell=False, fmax_eV_A=0.005, steps=1000)
        found.append(
            Finding("softest vibration", crystal.name, softest_mode_THz(atoms, calculator), float("nan"), "THz",
                    note="at the wave vectors that fit the cell; negative is imaginary: unstable", at_least=SOFTEST_THZ)
        )  # fmt: skip
    return found


def hop(potential: Potential, crystals: Sequence[Crystal]) -> Finding:
    """Barrier of the shortest hop in Li15Si4 that has a path; its error is the members' scatter on the first's path."""
    cell = next(crystal.atoms for crystal in crystals if crystal.name == "Li15Si4")
    nan = float("nan")
    for each in distinct(li_hops(cell)):
        (path,) = vacancy_barriers(cell, potential.calculator(), members=potential.calculators(), hops=[each])
        if path.barrier:
            note = f"{each.distance_A:.2f} Å, {each.si_from} to {each.si_to} Si around; {path.statement}"
            return Finding(
                "Li hop into a vacancy", "Li15Si4", path.barrier.forward_eV, path.scatter_eV, "eV", note=note
            )
    return Finding("Li hop into a vacancy", "Li15Si4", nan, nan, "eV", note=path.statement)
