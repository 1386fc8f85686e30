"""The paper's numbers and claims about delithiated particles beside ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from lisi_nb import published
from lisi_nb.analysis import statistics
from lisi_nb.studies.nanoparticle.analyse import Composition, Result
from lisi_nb.units import Measured
from lisi_nb.verdicts import Claim, Row, greater

SEEDS_TO_JUDGE = 3
NEAR_X = 0.3  # a composition this near to a printed one is compared with it
NEAR_R = 0.1  # of the radius: "about three fourth"
EVEN_X = 0.2  # from shell to shell: "homogeneous"
SURFACE_A = 3.0  # below the radius: shells of surface atoms, of which claim Q6 speaks
ISOLATED = Measured(0.5, 0.0, "1")  # Si-Si coordination below which most of the silicon has no silicon beside it
CORE_X = 3.25  # "close to Li3.75Si"


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


def steps(result: Result) -> list[tuple[Composition, ...]]:
    """The compositions of the chain, each as all seeds have it (as far as all have come)."""
    return list(zip(*result.particles, strict=False))


def x_of(seeds: Sequence[Composition]) -> float:
    """Li per Si, mean over the seeds (amorphous particles of different seeds differ by a few atoms)."""
    return float(np.mean([c.x for c in seeds]))


def over(values: Sequence[float]) -> Measured:
    """Mean of one number per seed, with its standard error."""
    return statistics.over_seeds([Measured(float(v), math.nan, "1") for v in values])


def compare(result: Result) -> list[Row]:
    """Si-Si coordination at x = 2.25, and down to which x lithium covers the surface.

    Judged only at the paper's temperature, time and size.
    """
    other = at_paper_conditions(result)
    low = published.value("nanoparticle", "cn_si_si_min", "Li2.25Si")
    high = published.value("nanoparticle", "cn_si_si_max", "Li2.25Si")
    xs = [x_of(seeds) for seeds in steps(result)]
    k = int(np.argmin(np.abs(np.array(xs) - 2.25)))
    si_si = result.over_seeds("si_si")[k]
    within = low.value <= si_si.value <= high.value
    agrees = f"no composition near ({xs[k]:.2f})" if abs(xs[k] - 2.25) > NEAR_X else other and "other conditions"
    covered = [x for x, share in zip(xs, result.over_seeds("surface_li"), strict=True) if share.value > 0.5]
    paper = published.value("nanoparticle", "li_covered_surface_composition", "particles")
    x_covered = Measured(min(covered, default=math.nan), math.nan, "1")
    verdict = "other conditions" if other else "yes" if abs(x_covered.value - paper.value) <= NEAR_X else "no"
    to_the_end = ", to the chain's end" if covered and min(covered) == xs[-1] else ""
    return [
        Row("cn_si_si", f"x = {xs[k]:.2f}", si_si, low.value, "1", f"{low.place}; up to {high.value:g}",
            agrees or ("yes" if within else "no")),
        Row("li_covered_surface", f"{result.family}{to_the_end}", x_covered, paper.value, "1", paper.place, verdict),
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


def core_x(composition: Composition) -> float:
    """Li per Si in the inner half of the shells."""
    shells = composition.profile
    n = len(shells.n_si) // 2
    return float(np.nansum(shells.x[:n] * shells.n_si[:n]) / max(np.nansum(shells.n_si[:n]), 1e-9))


def claims(results: Mapping[str, Result]) -> list[Claim]:
    """Judge Q3 to Q6 of the paper from the families at hand (keys are family names).

    ``true`` or ``false`` only beyond two standard errors of the mean over at least `SEEDS_TO_JUDGE` seeds; formation
    energies of one relaxed structure per seed.
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


def formation_at(result: Result, x: float) -> Measured:
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
        pair = formation_at(results["a-Li3.50Si"], x), formation_at(crystal, x)
        above.append((x, *pair, greater(*pair)))
    for x in (1.5, 1.75, 2.0):
        pair = formation_at(crystal, x), formation_at(amorphous, x)
        below.append((x, *pair, greater(*pair)))
        pair = formation_at(results["a-Li3.50Si"], x), formation_at(amorphous, x)
        never.append((x, *pair, greater(*pair)))
    verdict = _all_of([v for *_, v in (*above, *below, *never)])
    numbers = [f"x = {x:g}: a-Li3.50Si {a}, c-Li3.75Si {c}" for x, a, c, _ in above]
    numbers += [f"x = {x:g}: c-Li3.75Si {c}, a-Li2.25Si {a}" for x, c, a, _ in below]
    numbers += [f"x = {x:g}: a-Li3.50Si {c}, a-Li2.25Si {a}" for x, c, a, _ in never]
    sizes = ", ".join(f"{name} {result.compositions[0].n_si}" for name, result in results.items())
    return Claim(text, verdict, f"{'; '.join(numbers)}; Si atoms: {sizes}, and more of them have less surface each")


def _all_of(verdicts: Sequence[str]) -> str:
    """``false`` where one is, ``true`` where all are, else ``undecided``."""
    found = set(verdicts)
    return "false" if "false" in found else "true" if found == {"true"} else "undecided"


def _from_outside(result: Result) -> Claim:
    text = "Q4: while lithium leaves, silicon first bonds to silicon in the outer shells; the core keeps isolated Si"
    verdicts, numbers = [], []
    for k, seeds in enumerate(steps(result)):
        if x_of(seeds) <= 2.25:
            continue
        inside, outside = (over(each) for each in zip(*map(inside_and_outside, seeds), strict=True))
        core = over([core_x(c) for c in seeds])
        numbers.append(f"x = {x_of(seeds):.2f}: {inside} inside (there x = {core.value:.2f}), {outside} outside")
        if k:
            verdicts.append(greater(outside, inside))
            if core.value > CORE_X:
                verdicts.append(greater(ISOLATED, inside))
    return Claim(text, _all_of(verdicts), f"Si-Si coordination, {'; '.join(numbers)}")


def _profile(seeds: Sequence[Composition]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radius over that of the particle, Li per Si and its standard error over the seeds, in shells with Si in each."""
    n = min(len(c.profile.x) for c in seeds)
    x = np.array([c.profile.x[:n] for c in seeds])
    r = np.mean([c.profile.middle_A[:n] / c.profile.radius_A for c in seeds], axis=0)
    with_si = np.isfinite(x).all(axis=0)
    x, r, n = x[:, with_si], r[with_si], int(with_si.sum())
    error = x.std(axis=0, ddof=1) / np.sqrt(len(x)) if len(x) > 1 else np.full(n, math.nan)
    return r, x.mean(axis=0), error


def _deeper(x: np.ndarray, error: np.ndarray, low: int, other: int) -> str:
    return greater(Measured(x[other], error[other], "1"), Measured(x[low], error[low], "1"))


def _minimum_inside(result: Result) -> Claim:
    paper = published.value("nanoparticle", "composition_minimum_radius_fraction", "two_phase_particles").value
    text = f"Q5: at first x(r) has its minimum at about {paper:g} of the radius (within {NEAR_R:g}), not at the surface"
    numbers, verdicts = [], []
    for seeds in steps(result)[1:3]:
        r, x, error = _profile(seeds)
        low = int(np.argmin(x))
        near = np.flatnonzero(np.abs(r - paper) <= NEAR_R)
        if low in near:
            verdicts.append(_deeper(x, error, low, len(x) - 1))
        else:
            elsewhere = [_deeper(x, error, low, int(k)) for k in near]
            verdicts.append("false" if set(elsewhere) == {"true"} else "undecided")
        numbers.append(f"x = {x_of(seeds):.2f}: lowest {x[low]:.2f} at {r[low]:.2f} R, {x[-1]:.2f} in the last shell")
    return Claim(text, _all_of(verdicts), "; ".join(numbers))


def _falls_outwards(result: Result) -> Claim:
    """No shell may hold more lithium than the one inside it, down to `SURFACE_A` below the surface."""
    text = f"Q5: below x = 2.25 x(r) inside the particle is homogeneous (within {EVEN_X:g}) or falls from the centre"
    verdicts, numbers = [], []
    for seeds in steps(result):
        if x_of(seeds) >= 2.25:
            continue
        r, x, error = _profile(seeds)
        inside = r < 1 - SURFACE_A / np.mean([c.profile.radius_A for c in seeds])
        if inside.sum() < 2:
            verdicts.append("undecided")
            numbers.append(f"x = {x_of(seeds):.2f}: the particle is too small, all of it is surface")
            continue
        r, x, error = r[inside], x[inside], error[inside]
        shells = [Measured(value, e, "1") for value, e in zip(x, error, strict=True)]
        verdicts += [greater(Measured(a.value + EVEN_X, a.error, "1"), b) for a, b in pairwise(shells)]
        k = int(np.argmax(np.diff(x)))
        numbers.append(f"x = {x_of(seeds):.2f}: from shell to shell at most {np.diff(x)[k]:+.2f}, at {r[k]:.2f} R")
    return Claim(text, _all_of(verdicts), "; ".join(numbers) or "no composition below 2.25")


def _surface(result: Result) -> Claim:
    """Most of the surface atoms are Li, and more of them than of all atoms: in LixSi most are, wherever one looks."""
    paper = published.value("nanoparticle", "li_covered_surface_composition", "particles").value
    text = f"Q6, {result.family}: lithium dominates the surface down to x = {paper:g}"
    verdicts, numbers, lowest = [], [], math.inf
    for seeds, share in zip(steps(result), result.over_seeds("surface_li"), strict=True):
        x = x_of(seeds)
        if x < paper - NEAR_X:
            continue
        lowest, everywhere = x, Measured(x / (1 + x), 0.0, "1")
        verdicts += [greater(share, limit) for limit in (Measured(0.5, 0.0, "1"), everywhere)] if x > paper else []
        numbers.append(f"x = {x:.2f}: {share} (of all atoms {everywhere.value:.2f})")
    verdict = _all_of(verdicts)
    if verdict == "true" and lowest > paper + NEAR_X:
        verdict = "undecided"
    return Claim(text, verdict, f"share of Li among surface atoms: {', '.join(numbers)}")
