"""The nanoparticle study: what it builds and plans, what it refuses, and how it judges, on particles made by hand."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from ase import Atoms

from lisi_nb import published
from lisi_nb.engine.steps import Step, Stop
from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.nanoparticles import sphere
from lisi_nb.studies import nanoparticle
from lisi_nb.studies.nanoparticle.analyse import Composition, Result, n_alone
from lisi_nb.studies.nanoparticle.build import bulk, composition, cut, n_compositions, n_removed
from lisi_nb.studies.nanoparticle.charts import composition_chart
from lisi_nb.studies.nanoparticle.compare import inside_and_outside
from lisi_nb.studies.nanoparticle.tables import lowest_table
from lisi_nb.units import Measured

SMOKE = nanoparticle.scaled("smoke")
LESSON = nanoparticle.scaled("lesson")


@dataclass
class Done:
    """A segment that has ended, as `plan` sees it."""

    name: str
    atoms: Atoms


def planned(params, most=60):
    """All steps of a chain whose atoms do not move."""
    atoms, history, steps = nanoparticle.build(params), [], []
    while isinstance(step := nanoparticle.plan(params, tuple(history)), Step):
        steps.append(step)
        atoms = step.atoms if step.atoms is not None else atoms
        history.append(Done(step.name, atoms))
        assert len(steps) < most
    return steps, step, history


def test_the_crystal_is_taken_apart_from_outside():
    steps, end, history = planned(LESSON)
    assert [s.name for s in steps] == ["equilibrate", "sample"] * n_compositions(LESSON)
    assert sum(s.n_steps for s in steps) == nanoparticle.expected_steps(LESSON)
    assert len(steps) == nanoparticle.expected_segments(LESSON)
    first = history[0].atoms
    assert len(first) == nanoparticle.n_atoms(LESSON) == 907
    x = [composition(done.atoms) for done in history[::2]]
    assert x == sorted(x, reverse=True)
    per_step = n_removed(LESSON, first)
    assert per_step == round(1000 / 9429 * (first.numbers == 3).sum())
    for before, after in zip(history[:-2:2], history[2::2], strict=True):
        assert (before.atoms.numbers == 3).sum() - (after.atoms.numbers == 3).sum() == per_step
        assert (after.atoms.numbers == 14).sum() == (first.numbers == 14).sum()
        reach = [np.linalg.norm(a.atoms.positions[a.atoms.numbers == 3] - a.atoms.get_center_of_mass(), axis=1).max()
                 for a in (before, after)]  # fmt: skip
        assert reach[1] < reach[0] + 1e-9
    assert isinstance(end, Stop)
    assert end.numbers["x_next"] < LESSON.x_end <= x[-1]


def test_a_quarter_of_the_time_seeds_the_next_composition():
    steps, _, _ = planned(LESSON)
    quarter, rest = steps[0].segment, steps[1].segment
    assert 3 * quarter.n_steps == rest.n_steps
    assert (quarter.n_steps + rest.n_steps) * LESSON.timestep_fs == 1000 * LESSON.step_ps
    assert not quarter.keep_velocities
    assert rest.keep_velocities
    assert rest.relax_after
    assert len({s.segment.seed for s in steps}) == len(steps)


@pytest.mark.parametrize("family", nanoparticle.FAMILIES)
def test_only_the_bulk_that_is_molten_repeats(family):
    steps, *_ = planned(nanoparticle.scaled("smoke", family))
    assert [s.segment.free for s in steps] == [s.name != "anneal" for s in steps]
    assert nanoparticle.build(nanoparticle.scaled("smoke", family)).pbc.all() == (family != "c-Li3.75Si")


@pytest.mark.parametrize("family", ["a-Li3.50Si", "a-Li2.25Si"])
def test_amorphous_particles_are_cut_from_a_bulk_that_was_molten(family):
    params = nanoparticle.scaled("smoke", family)
    bulk = nanoparticle.build(params)
    assert bulk.pbc.all()
    assert composition(bulk) == pytest.approx(float(family[4:8]), abs=0.04)
    anneal = nanoparticle.plan(params, ())
    assert anneal.name == "anneal"
    melt, cool = anneal.segment.stages
    assert (melt.start_K, cool.start_K, cool.stop_K) == (1400.0, 1400.0, params.temperature_K)
    assert {stage.relax for stage in (melt, cool)} == {"iso"}
    cut = nanoparticle.plan(params, (Done("anneal", bulk),))
    assert len(cut.atoms) == len(sphere(bulk, params.diameter_A, params.vacuum_A))
    assert cut.numbers["x"] == pytest.approx(composition(cut.atoms))


def test_the_paper_scale_has_its_atoms():
    """Li9429Si2571 from the crystal, Li8310Si3690 from a-Li2.25Si; 12 000 of a-Li3.50Si, too."""
    paper = nanoparticle.scaled("paper")
    assert nanoparticle.n_atoms(paper) == 12000
    for which, name in (("c-Li3.75Si_particle", "c-Li3.75Si"), ("Li2.25Si_particle", "a-Li2.25Si")):
        printed = {n[2:].title(): published.value("nanoparticle", n, which).value for n in ("n_li", "n_si")}
        params = nanoparticle.scaled("paper", name)
        assert cut(params, bulk(params)).symbols.formula.count() == printed
    assert "Li9429Si2571, x = 3.67, 7" in nanoparticle.build(paper).info["report"]
    assert nanoparticle.n_atoms(nanoparticle.scaled("paper", "a-Li3.50Si")) == 12000
    assert n_removed(paper, crystal("Li15Si4")) == 1000
    assert paper.step_ps == 4000.0
    assert n_compositions(paper) >= 9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(family="c-Li4Si"), "family='c-Li4Si' is not known. Allowed: c-Li3.75Si, a-Li3.50Si, a-Li2.25Si"),
        (dict(diameter_A=5.0), "diameter_A=5"),
        (dict(x_end=5.0), "x_end=5"),
        (dict(n_remove=-1), "n_remove=-1"),
        (dict(temperature_K=5000.0), "temperature_K=5000"),
        (dict(timestep_fs=10.0), "timestep_fs=10"),
        (dict(n_li=100), "n_li=100 and n_si=0: give both"),
        (dict(n_li=100, n_si=90), "too far from the bulk's x = 3.75"),
    ],
)
def test_parameters_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        nanoparticle.build(SMOKE.replace(**changes))


@pytest.mark.parametrize("scale", ["smoke", "lesson"])
@pytest.mark.parametrize("family", nanoparticle.FAMILIES)
def test_quick_particles_pass_their_check_and_cost_no_more_than_the_scale(scale, family):
    quick, full = nanoparticle.quick(scale, family=family), nanoparticle.scaled(scale, family)
    nanoparticle.check(quick)  # raises where too few frames would be sampled
    assert (quick == full) == (scale == "smoke")
    assert nanoparticle.expected_steps(quick) <= nanoparticle.expected_steps(full)
    assert nanoparticle.n_atoms(quick) <= nanoparticle.n_atoms(full)


def test_taking_more_lithium_than_there_is_is_refused_before_anything_runs():
    with pytest.raises(
        ValueError, match=r"n_remove=50: taking 50 of 54 Li leaves x = 0\.27, below x_end=1\.5; remove fewer"
    ):
        nanoparticle.build(SMOKE.replace(n_remove=50))


def test_a_particle_smaller_than_one_cell_is_refused():
    with pytest.raises(ValueError, match="A particle holds at least one cell"):
        nanoparticle.build(nanoparticle.scaled("smoke", "a-Li3.50Si", bulk_repeat=2))


@dataclass(frozen=True)
class Profile:
    """Only what the claims look at."""

    x: np.ndarray
    x_error: np.ndarray
    coordination: np.ndarray
    n_si: np.ndarray
    middle_A: np.ndarray
    radius_A: float


def particle(x, formation_eV_si, coordination=(0.0, 0.0, 0.2, 0.6), x_of_r=(3.7, 3.5, 2.5, 3.0), surface=0.9):
    n_si = 100
    n_li = round(x * n_si)
    profile = Profile(np.array(x_of_r), np.full(4, 0.02), np.array(coordination), np.full(4, 25.0),
                      np.array([4.0, 7.0, 9.0, 12.0]), 13.0)  # fmt: skip
    of_atom = formation_eV_si * n_si / (n_li + n_si)
    one = Measured(1.2, 0.05, "1")
    return Composition(0, n_li, n_si, of_atom, one, profile, one, {}, one, one, Measured(surface, 0.01, "1"), one,
                       np.zeros((1, 3)), np.zeros(1, bool))  # fmt: skip


def family(name, slope, offset, n_runs=3, poor_of_r=(2.0, 1.9, 1.9, 8.0), **looks):
    """Chains of three seeds, each 2 meV apart, on a line of formation energy against x."""
    chains = tuple(
        tuple(
            particle(x, offset + slope * x + 0.002 * seed, **looks | ({"x_of_r": poor_of_r} if x < 2.25 else {}))
            for x in (3.6, 3.1, 2.6, 2.3, 1.9, 1.4)
        )
        for seed in range(n_runs)
    )
    params = {"temperature_K": 500.0, "step_ps": 8.0, "potential": "lisi"}
    return Result(name, params, n_runs, chains, "green", 0.1)


def families(crystal_offset=0.0, **more):
    return {
        "c-Li3.75Si": family("c-Li3.75Si", -0.30, crystal_offset, **more),
        "a-Li3.50Si": family("a-Li3.50Si", -0.28, 0.05, **more),
        "a-Li2.25Si": family("a-Li2.25Si", -0.26, -0.20, **more),
    }


def verdicts(results):
    return {claim.text: claim.verdict for claim in nanoparticle.claims(results)}


def test_claims_that_hold():
    assert set(verdicts(families()).values()) == {"true"}


def test_claims_that_do_not_hold():
    found = verdicts(
        families(
            0.3, coordination=(0.6, 0.5, 0.1, 0.0), x_of_r=(3.7, 3.5, 3.0, 2.5), poor_of_r=(2, 1, 2, 3), surface=0.3
        )
    )
    assert set(found.values()) == {"false"}


def second_seed(result, k, profile=None, **looks):
    """The result with what the second seed's particle looks like at step `k` changed."""
    return seeded(result, 1, k, looks, **(profile or {}))


def seeded(result, seed, k, looks=None, **profile):
    """The result with one seed's particle at step `k` changed, and its profile."""
    particles = [list(particle) for particle in result.particles]
    one = replace(particles[seed][k], **(looks or {}))
    particles[seed][k] = replace(one, profile=replace(one.profile, **profile))
    return replace(result, particles=tuple(map(tuple, particles)))


@pytest.mark.parametrize(
    ("claim", "step", "looks"),
    [
        ("Q4", 1, {"profile": {"coordination": np.array([0.6, 0.5, 0.1, 0.0])}}),
        ("Q5: at first", 1, {"profile": {"x": np.array([3.7, 3.5, 3.2, 1.0])}}),
        ("Q5: below", 5, {"profile": {"x": np.array([1.0, 1.9, 1.9, 1.8])}}),
        ("Q6", 2, {"surface_li": Measured(0.1, 0.01, "1")}),
    ],
)
def test_a_seed_that_says_otherwise_is_heard(claim, step, looks):
    """What the first and third seed have is not enough where the second has the contrary."""
    holds = family("c-Li3.75Si", -0.3, 0.0)
    for result, verdict in ((holds, "true"), (second_seed(holds, step, **looks), "undecided")):
        found = {text: v for text, v in verdicts({"c-Li3.75Si": result}).items() if text.startswith(claim)}
        assert set(found.values()) == {verdict}, found


def test_a_core_that_bonds_is_not_isolated():
    """Outer shells have more, but the core has bonds, too, while it is still as rich as the crystal."""
    found = verdicts({"c-Li3.75Si": family("c-Li3.75Si", -0.3, 0.0, coordination=(0.9, 0.9, 1.5, 1.5))})
    assert [v for text, v in found.items() if text.startswith("Q4")] == ["false"]


def test_a_minimum_elsewhere_is_not_at_three_quarters():
    found = verdicts({"c-Li3.75Si": family("c-Li3.75Si", -0.3, 0.0, x_of_r=(3.7, 2.0, 3.4, 3.5))})
    assert [v for text, v in found.items() if text.startswith("Q5: at first")] == ["false"]


def test_a_shell_without_silicon_in_one_seed_counts_in_none():
    """Its Li per Si is no number: neither the profile's minimum nor its fall is judged by it."""
    holds = family("c-Li3.75Si", -0.3, 0.0)
    for step, x in ((1, (3.7, 3.5, 2.5, math.nan)), (5, (2.0, 1.9, math.nan, 8.0))):
        result = second_seed(holds, step, profile={"x": np.array(x)})
        found = [c for c in nanoparticle.claims({"c-Li3.75Si": result}) if c.text.startswith("Q5")]
        assert all("nan" not in c.because for c in found)
        assert "false" not in {c.verdict for c in found}


def test_a_particle_that_is_all_surface_has_no_inside_to_judge():
    small = family("c-Li3.75Si", -0.3, 0.0)
    for seed in range(3):
        small = seeded(small, seed, 5, middle_A=np.array([1.0, 3.0, 4.0, 5.0]), radius_A=5.0)
    (claim,) = (c for c in nanoparticle.claims({"c-Li3.75Si": small}) if c.text.startswith("Q5: below"))
    assert claim.verdict == "undecided"
    assert "x = 1.40: the particle is too small, all of it is surface" in claim.because


def test_as_much_lithium_as_anywhere_is_no_surface_of_lithium():
    poor = family("c-Li3.75Si", -0.3, 0.0, surface=0.7)  # of all atoms, 0.78 at x = 3.6
    found = verdicts({"c-Li3.75Si": poor})
    assert [v for text, v in found.items() if text.startswith("Q6")] == ["false"]


def test_results_are_averaged_over_the_seeds():
    result = second_seed(family("c-Li3.75Si", -0.3, 0.0), 0, si_si=Measured(1.5, 0.05, "1"))
    row = result.to_dict()["compositions"][0]
    assert row["si_si_coordination"]["value"] == pytest.approx(1.3)
    assert row["si_si_coordination"]["error"] == pytest.approx(0.1)
    assert row["x"] == pytest.approx(3.6)


def test_the_lowest_family_at_each_composition():
    table = lowest_table(families(-0.1), (3.25, 1.5, 9.0))
    assert [row[-1] for row in table.rows] == ["c-Li3.75Si", "a-Li2.25Si", "none is there"]
    assert table.rows[0][1].startswith("-1.073 ± 0.001")


def test_one_seed_judges_nothing():
    claims = nanoparticle.claims(families(n_runs=1))
    assert {claim.verdict for claim in claims} == {"undecided"}
    assert all("too few seeds to judge (1, 3 needed)" in claim.because for claim in claims)


def test_inside_and_outside_weigh_shells_by_their_silicon():
    one = particle(3.0, -1.0, coordination=(1.0, 0.0, np.nan, 0.5))
    one = replace(one, profile=replace(one.profile, n_si=np.array([30, 10, 0, 20])))
    assert inside_and_outside(one) == pytest.approx((0.75, 0.5))


def test_numbers_are_not_judged_at_other_conditions():
    rows = nanoparticle.compare(families()["c-Li3.75Si"])
    assert {row.agrees for row in rows} == {"other conditions"}
    assert rows[0].ours.value == pytest.approx(1.2)
    assert "8 ps per composition, not 4000 ps" in nanoparticle.at_paper_conditions(families()["c-Li3.75Si"])


def test_structures_go_from_the_first_composition_to_the_last():
    result = family("c-Li3.75Si", -0.1, 0.0)
    shown = result.structures(3)
    x = [float(name.removeprefix("x = ")) for name in shown]
    assert x[0] == pytest.approx(result.compositions[0].x, abs=0.01)
    assert x[-1] == pytest.approx(result.compositions[-1].x, abs=0.01)
    assert x == sorted(x, reverse=True)
    assert len(x) == 3
    assert len(next(iter(shown.values()))) == len(result.compositions[0].is_li)


def test_atoms_that_left_the_particle_are_counted():
    cluster = np.array([(0.0, 0, 0), (2.4, 0, 0), (0, 2.4, 0)])
    assert n_alone(cluster) == 0
    assert n_alone(np.vstack([cluster, [(30.0, 0, 0)], [(0, 0, 5.1)]])) == 2


def test_composition_along_the_radius_is_a_fraction_with_its_error():
    chart = composition_chart(family("c-Li3.75Si", -0.1, 0.0))
    np.testing.assert_allclose(chart.curves[0].y, np.array([3.7, 3.5, 2.5, 3.0]) / np.array([4.7, 4.5, 3.5, 4.0]))
    near = [x / (1 + x) for x in (3.69, 3.71)]
    assert chart.curves[0].error[0] == pytest.approx(near[1] - near[0], rel=1e-3)  # x is known to 0.02
