"""The paper's numbers and claims about lithium in bulk LixSi beside ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from lisi_nb import published
from lisi_nb.studies.lixsi.across import ROOM_K, SAME_X, by_composition, lines, paper_D_cm2_s, paper_system
from lisi_nb.studies.lixsi.analyse import LOW_CN, Result
from lisi_nb.studies.lixsi.thermodynamics import FEWEST_SEARCHED
from lisi_nb.units import Measured
from lisi_nb.verdicts import Claim, Row, greater

SEEDS_TO_JUDGE = 3  # one run's error says how well that run fixes a number, not what the next seed would give
HOTTEST_TO_RANK_K = 800.0  # by the paper's own lines, D of all x from 1 to 3.5 are within 20 % of each other at 1000 K
SAME_SPEED = 1.2  # "nearly identical" speeds: within 20 %
NEVER, MOSTLY = Measured(0.0, 0.0, "1"), Measured(0.5, 0.0, "1")
MIDDLE_X, ENDS_X, CRYSTAL_X = (1.0, 2.25), (0.75, 3.5), 3.75


def at_paper_conditions(result: Result) -> str:
    """Empty where temperature, time, size and start are the paper's; otherwise what differs."""
    p, different = result.params, []
    if not 400 <= p["temperature_K"] <= 1200:
        different.append(f"{p['temperature_K']:g} K, not 400 to 1200 K")
    if p["duration_ps"] < 4700:
        different.append(f"{p['duration_ps']:g} ps, not 4800 ps")
    if p["repeats"] != "2x2x2":
        different.append(f"{p['repeats']} cells, not 2x2x2")
    if abs(result.x - CRYSTAL_X) < SAME_X:
        if p["start"] != "crystal":
            different.append("molten, not the Li15Si4 crystal")
    elif p["start"] != "searched":
        different.append(f"start={p['start']!r}, not the lowest of a search over orderings")
    elif p["n_orderings"] < FEWEST_SEARCHED:
        different.append(f"{p['n_orderings']} orderings searched; {FEWEST_SEARCHED} needed")
    return "; ".join(different)


def compare(result: Result) -> list[Row]:
    """Collective D beside the line of Table I at this temperature; neighbours of Li and Si where the paper prints them.

    Judged only at the paper's time, size and start; a melt is never judged.
    """
    rows = []
    other = at_paper_conditions(result)

    def agrees(ours: Measured, within: bool) -> str:
        if not math.isfinite(ours.value):
            return "not measured"
        if result.silicon.state == "molten":
            return "molten"
        return "other conditions" if other else "yes" if within else "no"

    def row(quantity: str, ours: Measured, paper: float, unit: str, place: str, within: bool) -> None:
        system = f"Li{result.x:.2f}Si, {result.temperature_K:g} K"
        rows.append(Row(quantity, system, ours, paper, unit, place, agrees(ours, within)))

    D, paper_D = result.quantities["collective_D"], float(f"{paper_D_cm2_s(result.x, result.temperature_K):.3g}")
    if math.isfinite(paper_D):
        error = D.error if math.isfinite(D.error) else 0.0
        within = abs(D.value - paper_D) <= 2 * error
        row("collective_D", D, paper_D, "cm^2/s", "computed from Table I", within)
    system = paper_system(result.x)
    if system == "Li2.25Si":
        low, high = (published.value("nanoparticle", f"cn_si_si_{end}", system) for end in ("min", "max"))
        ours = result.quantities["cn_si_si"]
        row(
            "cn_si_si",
            ours,
            low.value,
            "1",
            f"{low.place}; up to {high.value:g}",
            low.value <= ours.value <= high.value,
        )
    if system == "Li3.75Si":
        three = result.share_by_cn.get(3, Measured(0.0, math.nan, "1"))
        four = result.share_by_cn.get(4, Measured(0.0, math.nan, "1"))
        both = Measured(three.value + four.value, math.hypot(three.error, four.error), "1")
        for quantity, ours, name in (
            ("share_cn_3", three, "probability_three_si_neighbours"),
            ("share_cn_3_or_4", both, "probability_three_or_four_si_neighbours"),
        ):
            paper = published.value("nanoparticle", name, system)
            limit = paper.value / 100
            within = ours.value >= limit if quantity == "share_cn_3" else abs(ours.value - limit) <= 0.01
            row(quantity, ours, limit, "1", paper.place, within)
    return rows


def claims(results: Mapping[str, Result]) -> list[Claim]:
    """Judge Q7 to Q10: where D is largest, how Si neighbours slow Li down, how many it has, and where it hops.

    ``true`` or ``false`` only beyond two standard errors over at least `SEEDS_TO_JUDGE` seeds of each result;
    otherwise ``undecided``, with the numbers there are. Speeds and neighbours are compared at one temperature.
    """
    out = [_largest_between(results), _slower_with_neighbours(results), _same_at_two(results)]
    out += [_more_with_few_neighbours(results), _between_clusters(results)]
    few = sorted({r.n_runs for r in results.values() if r.n_runs < SEEDS_TO_JUDGE})
    note = f"; too few seeds to judge ({few[0]}, {SEEDS_TO_JUDGE} needed)" if few else ""
    note += _melts(results)
    return [Claim(c.text, "undecided" if few else c.verdict, c.because + note) for c in out]


def _melts(results: Mapping[str, Result]) -> str:
    """Which results are of melts, for the end of a claim; empty where none is."""
    named = []
    for x, each in by_composition(results).items():
        hot = [f"{r.temperature_K:g}" for r in each if r.silicon.state == "molten"]
        named += [f"x = {x:.2f} ({', '.join(hot)} K)"] if hot else []
    return f"; the silicon diffused too (a melt) at {', '.join(named)}" if named else ""


def all_of(verdicts: Sequence[str]) -> str:
    """``false`` where one is, ``true`` where all are, else ``undecided``."""
    found = set(verdicts)
    return "false" if "false" in found else "true" if found == {"true"} else "undecided"


def _near(values: Mapping[float, Measured], x: float) -> Measured | None:
    return next((v for k, v in values.items() if abs(k - x) < SAME_X), None)


def rankable(results: Mapping[str, Result]) -> tuple[dict[float, Measured], str]:
    """Natural logarithm of D for each x, all at one temperature, and which that is; melts do not count.

    At 300 K from the Arrhenius lines (tracer D), as in the paper, where every composition has one; otherwise measured
    at the lowest common temperature, if that is one at which compositions differ.
    """
    results = {name: r for name, r in results.items() if r.silicon.state != "molten"}
    found = {x: line.fit for x, line in lines(results).items() if abs(x - CRYSTAL_X) >= SAME_X}
    if found and all(fit.fitted for fit in found.values()):
        at = {
            x: Measured(math.log(fit.at(ROOM_K).value), float(fit.sigma_ln_D(ROOM_K)), "1") for x, fit in found.items()
        }
        return at, f"extrapolated to {ROOM_K:g} K"
    of = {x: {r.temperature_K: r for r in each} for x, each in by_composition(results).items() if x in found}
    common = set.intersection(*(set(each) for each in of.values())) if of else set()
    diffusive = sorted(t for t in common if all(each[t].tracer.diffusive for each in of.values()))
    if not diffusive:
        return {}, "nowhere: there is no temperature at which all compositions are solid and diffuse"
    t = diffusive[0]
    ln = {}
    for x, each in of.items():
        D = each[t].tracer.D
        ln[x] = Measured(math.log(D.value), D.error / D.value, "1")
    return ln, f"at {t:g} K" + (" (too hot to rank)" if t > HOTTEST_TO_RANK_K else "")


def _largest_between(results: Mapping[str, Result]) -> Claim:
    text = "Q7: D of Li is largest near x = 1 to 2.25, lower at x = 0.75 and 3.50, and not measurable at 3.75"
    ln, where = rankable(results)
    middle = [v for x in MIDDLE_X if (v := _near(ln, x)) is not None]
    ends = [v for x in ENDS_X if (v := _near(ln, x)) is not None]
    crystal = [r for r in results.values() if abs(r.x - CRYSTAL_X) < SAME_X and r.params["start"] == "crystal"]
    numbers = ", ".join(f"x = {x:.2f}: {math.exp(v.value):.1e} cm²/s (ln D ± {v.error:.2g})" for x, v in ln.items())
    because = f"D {where}: {numbers}" if numbers else f"D is compared {where}"
    because += "".join(f"; x = 3.75, {r.temperature_K:g} K: {r.tracer.statement}" for r in crystal)
    if len(middle) < len(MIDDLE_X) or len(ends) < len(ENDS_X) or not crystal or "too hot" in where:
        return Claim(
            text, "undecided", f"{because}; needs solid results at x = 0.75, 1.00, 2.25, 3.50 and 3.75 (crystal)"
        )
    verdicts = [greater(m, e) for m in middle for e in ends]
    verdicts += ["undecided" if r.silicon.state != "solid" else str(not r.tracer.diffusive).lower() for r in crystal]
    return Claim(text, all_of(verdicts), because)


def _coolest(results: Mapping[str, Result]) -> list[Result]:
    """The results at the lowest temperature that the most compositions have."""
    by_T: dict[float, list[Result]] = {}
    for r in results.values():
        by_T.setdefault(r.temperature_K, []).append(r)
    most = max((len(each) for each in by_T.values()), default=0)
    t = min((t for t, each in by_T.items() if len(each) == most), default=math.nan)
    return sorted(by_T.get(t, []), key=lambda r: r.x)


def _measured(speeds: Mapping[int, Measured]) -> dict[int, Measured]:
    return {n: v for n, v in speeds.items() if math.isfinite(v.value)}


def _slower_with_neighbours(results: Mapping[str, Result]) -> Claim:
    text = "Q8a: Li is slower the more Si neighbours it has"
    verdicts, numbers = [], []
    for r in _coolest(results):
        speed = _measured(r.speed_by_cn)
        if len(speed) < 2:
            continue
        few, many = min(speed), max(speed)
        verdicts.append(greater(speed[few], speed[many]))
        ratio = speed[few].value / speed[many].value
        numbers.append(f"x = {r.x:.2f}: {speed[few]} with {few}, {speed[many]} with {many} (ratio {ratio:.2f})")
    at = f"{_coolest(results)[0].temperature_K:g} K, " if numbers else ""
    return Claim(text, all_of(verdicts) if verdicts else "undecided", at + "; ".join(numbers or ["no speeds"]))


def _same_at_two(results: Mapping[str, Result]) -> Claim:
    text = f"Q8b: with {LOW_CN} Si neighbours Li is equally fast at all x (within 20 %)"
    speed = {r.x: v for r in _coolest(results) if (v := _measured(r.speed_by_cn).get(LOW_CN)) is not None}
    numbers = ", ".join(f"x = {x:.2f}: {v}" for x, v in speed.items())
    if len(speed) < 2:
        return Claim(text, "undecided", f"{numbers or 'no speeds'}; needs two compositions at one temperature")
    verdicts = []
    for a, b in combinations(speed.values(), 2):
        slow, fast = sorted((a, b), key=lambda v: v.value)
        limit = Measured(SAME_SPEED * slow.value, SAME_SPEED * slow.error, slow.unit)
        verdicts.append(greater(limit, fast))
    return Claim(text, all_of(verdicts), numbers)


def _more_with_few_neighbours(results: Mapping[str, Result]) -> Claim:
    text = f"Q9: with less Li, more Li have at most {LOW_CN} Si neighbours although the mean number rises"
    share, found = f"share_cn_up_to_{LOW_CN}", _coolest(results)
    numbers = [f"x = {r.x:.2f}: {r.quantities[share]}, mean {r.quantities['cn_li_si']}" for r in found]
    rich = [r for r in found if abs(r.x - CRYSTAL_X) < SAME_X]
    poor = [r for r in found if any(abs(r.x - x) < SAME_X for x in MIDDLE_X)]
    if not rich or not poor:
        need = "needs x = 3.75 and 1.00 or 2.25 at one temperature"
        return Claim(text, "undecided", "; ".join([*numbers, need]))
    verdicts = [greater(p.quantities[q], rich[0].quantities[q]) for p in poor for q in (share, "cn_li_si")]
    return Claim(text, all_of(verdicts), "; ".join(numbers))


def _between_clusters(results: Mapping[str, Result]) -> Claim:
    """Most moves lead along a cluster, some to another; and a Li hops more often than it leaves its cluster."""
    text = "Q10: Li stays at one Si cluster most of the time and hops to another now and then"
    verdicts, numbers = [], []
    for r in _coolest(results):
        q = r.quantities
        share, stays, rate = q["moves_to_another_cluster"], q["cluster_time"], q["hop_rate"]
        between = Measured(1 / rate.value, rate.error / rate.value**2, "ps") if rate.value > 0 else stays
        numbers.append(
            f"x = {r.x:.2f}: {share} of the moves lead to another, {stays} at a cluster, {between} between hops, Si "
            f"clusters of {q['mean_cluster_size'].value:.1f} atoms"
        )
        if any(abs(r.x - x) < SAME_X for x in MIDDLE_X):
            verdicts += [greater(share, NEVER), greater(MOSTLY, share), greater(stays, between)]
    need = "" if verdicts else "; needs x = 1.00 or 2.25, where the paper has clusters"
    return Claim(text, all_of(verdicts) if verdicts else "undecided", "; ".join(numbers) + need)
