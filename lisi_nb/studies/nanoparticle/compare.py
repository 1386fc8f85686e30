"""The paper's numbers and claims about delithiated particles beside ours."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from lisi_nb import published
from lisi_nb.studies.nanoparticle.analyse import Composition, Result
from lisi_nb.units import Measured
from lisi_nb.verdicts import Claim, Row, greater

SEEDS_TO_JUDGE = 3
NEAR_X = 0.3  # a composition this near to a printed one is compared with it


def at_paper_conditions(result: Result) -> str:
    """Empty where temperature, time and size are the paper's; otherwise what differs."""
    p, different = result.params, []
    n_atoms = result.compositions[0].n_li + result.compositions[0].n_si
    if abs(p["temperature_K"] - 500) > 1:
        different.append(f"{p['temperature_K']:g} K, not 500 K")
    if p["step_ps"] < 3900:
        different.append(f"{p['step_ps']:g} ps per composition, not 4000 ps")
    if n_atoms < 6000:
        different.append(f"{n_atoms} atoms; the paper's motifs settle at 6000 to 12 000")
    return "; ".join(different)


def nearest(result: Result, x: float) -> Composition:
    """The composition of the chain that is nearest to `x`."""
    return min(result.compositions, key=lambda c: abs(c.x - x))


def compare(result: Result) -> list[Row]:
    """Si-Si coordination at x = 2.25, and down to which x lithium covers the surface.

    Judged only at the paper's temperature, time and size.
    """
    other = at_paper_conditions(result)
    low = published.value("nanoparticle", "cn_si_si_min", "Li2.25Si")
    high = published.value("nanoparticle", "cn_si_si_max", "Li2.25Si")
    at = nearest(result, 2.25)
    near = abs(at.x - 2.25) <= NEAR_X
    within = low.value <= at.si_si.value <= high.value
    agrees = f"no composition near ({at.x:.2f})" if not near else other and "other conditions"
    covered = [c.x for c in result.compositions if c.surface_li.value > 0.5]
    paper = published.value("nanoparticle", "li_covered_surface_composition", "particles")
    x_covered = Measured(min(covered) if covered else math.nan, math.nan, "1")
    verdict = "other conditions" if other else "yes" if abs(x_covered.value - paper.value) <= NEAR_X else "no"
    return [
        Row("cn_si_si", f"x = {at.x:.2f}", at.si_si, low.value, "1", f"{low.place}; up to {high.value:g}",
            agrees or ("yes" if within else "no")),
        Row("li_covered_surface", result.family, x_covered, paper.value, "1", paper.place, verdict),
    ]  # fmt: skip


def inside_and_outside(composition: Composition) -> tuple[float, float]:
    """Si-Si coordination in the inner and in the outer half of the shells."""
    shells = composition.profile
    n = len(shells.n_si) // 2
    parts = []
    for part in (slice(0, n), slice(n, None)):
        weight = np.nan_to_num(shells.n_si[part])
        parts.append(float(np.nansum(shells.coordination[part] * weight) / max(weight.sum(), 1e-9)))
    return parts[0], parts[1]


def claims(results: Mapping[str, Result]) -> list[Claim]:
    """Judge Q3 to Q6 of the paper from the families at hand (keys are family names).

    ``true`` or ``false`` only beyond two standard errors over at least `SEEDS_TO_JUDGE` seeds; formation energies of
    one relaxed structure per seed.
    """
    out: list[Claim] = []
    if len(results) == 3:
        out.append(_most_stable(results))
    crystal = results.get("c-Li3.75Si")
    if crystal is not None:
        out += [_from_outside(crystal), _minimum_inside(crystal), _falls_outwards(crystal)]
    for result in results.values():
        out.append(_surface(result))
    few = sorted({r.n_runs for r in results.values() if r.n_runs < SEEDS_TO_JUDGE})
    if few:
        note = f"; too few seeds to judge ({few[0]}, {SEEDS_TO_JUDGE} needed)"
        out = [Claim(c.text, "undecided", c.because + note) for c in out]
    return out


def _formation(result: Result, x: float) -> Measured:
    """Formation energy per Si at `x`, interpolated along each seed's chain; error over the seeds (eV/Si)."""
    values = []
    for particle in result.particles:
        xs, energies = [c.x for c in particle][::-1], [c.formation_eV_si for c in particle][::-1]
        values.append(float(np.interp(x, xs, energies, left=np.nan, right=np.nan)))
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else math.nan
    return Measured(float(np.mean(values)), error, "eV/Si")


def _most_stable(results: Mapping[str, Result]) -> Claim:
    """Energies per Si hold the surface's, so a particle with more silicon lies lower: the sizes are said."""
    text = (
        "Q3: above x = 2.25 particles cut from the crystal are lowest in energy, below it those of a-Li2.25Si, never "
        "those of a-Li3.50Si"
    )
    crystal, amorphous = results["c-Li3.75Si"], results["a-Li2.25Si"]
    above, below, never = [], [], []
    for x in (2.5, 2.75, 3.0, 3.25):
        pair = _formation(results["a-Li3.50Si"], x), _formation(crystal, x)
        above.append((x, *pair, greater(*pair)))
    for x in (1.5, 1.75, 2.0):
        pair = _formation(crystal, x), _formation(amorphous, x)
        below.append((x, *pair, greater(*pair)))
        pair = _formation(results["a-Li3.50Si"], x), _formation(amorphous, x)
        never.append((x, *pair, greater(*pair)))
    verdicts = {v for *_, v in (*above, *below, *never)}
    verdict = "false" if "false" in verdicts else "true" if verdicts == {"true"} else "undecided"
    numbers = [f"x = {x:g}: a-Li3.50Si {a}, c-Li3.75Si {c}" for x, a, c, _ in above]
    numbers += [f"x = {x:g}: c-Li3.75Si {c}, a-Li2.25Si {a}" for x, c, a, _ in below]
    numbers += [f"x = {x:g}: a-Li3.50Si {c}, a-Li2.25Si {a}" for x, c, a, _ in never]
    sizes = ", ".join(f"{name} {result.compositions[0].n_si}" for name, result in results.items())
    return Claim(text, verdict, f"{'; '.join(numbers)}; Si atoms: {sizes}, and more of them have less surface each")


def _from_outside(result: Result) -> Claim:
    text = "Q4: while lithium leaves, silicon first bonds to silicon in the outer shells; the core keeps isolated Si"
    pairs = [(c.x, *inside_and_outside(c)) for c in result.compositions if c.x > 2.25]
    more = [outside > inside for _, inside, outside in pairs[1:]]
    numbers = "; ".join(f"x = {x:.2f}: {inside:.2f} inside, {outside:.2f} outside" for x, inside, outside in pairs)
    return Claim(text, _all_agree(more), f"Si-Si coordination, {numbers}")


def _all_agree(found: list[bool]) -> str:
    """Verdict of several looks: they must all say the same."""
    return "undecided" if len(set(found)) != 1 else "true" if found[0] else "false"


def _minimum_inside(result: Result) -> Claim:
    text = "Q5: at first x(r) has its minimum at about 3/4 of the radius, not at the surface"
    numbers, verdicts = [], []
    for c in result.compositions[1:3]:
        x, error = c.profile.x, np.nan_to_num(c.profile.x_error, nan=np.inf)
        lowest = int(np.nanargmin(x))
        edge = len(x) - 1
        deeper = x[edge] - x[lowest] > 2 * math.hypot(error[edge], error[lowest])
        verdicts.append(lowest not in (0, edge) and deeper)
        numbers.append(
            f"x = {c.x:.2f}: lowest {x[lowest]:.2f} at {c.profile.middle_A[lowest] / c.profile.radius_A:.2f} R"
        )
    verdict = (
        "undecided" if not verdicts else "true" if all(verdicts) else "false" if not any(verdicts) else "undecided"
    )
    return Claim(text, verdict, "; ".join(numbers))


def _falls_outwards(result: Result) -> Claim:
    """A rise from one shell to the next counts beyond two standard errors; the outermost shells are the surface."""
    text = "Q5: below x = 2.25 x(r) is homogeneous or goes one way"
    verdicts, numbers = [], []
    for c in result.compositions:
        if c.x >= 2.25:
            continue
        x, error = c.profile.x, np.nan_to_num(c.profile.x_error, nan=np.inf)
        steps, limit = np.diff(x), 2 * np.hypot(error[1:], error[:-1])
        ups, downs = int((steps > limit).sum()), int((steps < -limit).sum())
        verdicts.append(not (ups and downs))
        numbers.append(f"x = {c.x:.2f}: {ups} rises and {downs} falls from shell to shell")
    return Claim(text, _all_agree(verdicts), "; ".join(numbers) or "no composition below 2.25")


def _surface(result: Result) -> Claim:
    paper = published.value("nanoparticle", "li_covered_surface_composition", "particles").value
    text = f"Q6, {result.family}: lithium dominates the surface down to x = {paper:g}"
    rows = [(c.x, c.surface_li) for c in result.compositions if c.x >= paper - NEAR_X]
    low = [x for x, share in rows if share.value <= 0.5]
    numbers = ", ".join(f"x = {x:.2f}: {share}" for x, share in rows)
    reached = rows and rows[-1][0] <= paper + NEAR_X
    verdict = "false" if any(x > paper for x in low) else "true" if reached else "undecided"
    return Claim(text, verdict, f"share of Li among surface atoms: {numbers}")
