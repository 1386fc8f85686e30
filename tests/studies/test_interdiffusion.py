"""The interdiffusion study: known front motion is found, verdicts follow error bars, plans and inputs."""

import dataclasses
import math
import tracemalloc

import numpy as np
import pytest
from synthetic import make_run, moving_fronts

from lisi_nb import published
from lisi_nb.studies import interdiffusion
from lisi_nb.studies.interdiffusion import INTERFACES, Params, Result, analyse, claims, compare, plan, scaled
from lisi_nb.studies.interdiffusion.analyse import measure
from lisi_nb.studies.interdiffusion.charts import fronts_chart, profile_chart
from lisi_nb.studies.interdiffusion.compare import COMPARED
from lisi_nb.units import Measured

# name: Si atoms of the paper's models
PAPER_SI = {"aSi": 1536, "100": 1536, "110": 1536, "111": 1476}


def synthetic_run(folder, params: Params, **motion):
    times = np.arange(0, params.duration_ps + 1e-9, params.frame_ps)
    n_atoms = motion.setdefault("n_atoms", 3000)
    return make_run(folder, params, moving_fronts(times, params.timestep_fs, **motion), n_atoms)


MOVING = Params(duration_ps=20.0, frame_ps=0.05, window_ps=0.5)
LEFT, RIGHT, FRACTION = 0.5, 1.0, 0.6  # A/ps, A/ps, Li fraction of the alloy


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    run = synthetic_run(
        tmp_path_factory.mktemp("moving"), MOVING, left_A_ps=LEFT, right_A_ps=RIGHT, alloy_fraction=FRACTION
    )
    return analyse([run])


def test_known_front_motion_comes_back(moving):
    """Left front 0.5 A/ps, right 1 A/ps for 20 ps: displacements, speeds in cm/s, flux by recession.

    The last window is centred on 20 - 0.5/2 ps. A sharp front is found within 1.054 bins of 1 A (test_profiles); at
    one window's blur of 0.25 and 0.5 A that stays the bound.
    """
    q, end = moving.quantities, 19.75
    bin_A, duration = 1.054, moving.series[0].duration_ps
    assert duration == pytest.approx(20, abs=MOVING.window_ps)
    assert q["left_front_displacement"].value == pytest.approx(LEFT * end, abs=bin_A)
    assert q["right_front_displacement"].value == pytest.approx(RIGHT * end, abs=bin_A)
    assert q["lithiation_length"].value == pytest.approx((LEFT + RIGHT) * end, abs=2 * bin_A)
    # The paper's bins (3 A) can only be wider than the alloy, by up to one bin on each side.
    assert 0 <= q["lithiation_length_paper_bins"].value - (LEFT + RIGHT) * end + 2 * bin_A <= 6 + 2 * bin_A
    assert q["lithiation_length_paper_bins"].error >= 3
    # 0.5 A/ps = 5000 cm/s: displacement over the time of the last window's centre.
    for name, speed in (("left_front_speed", 5000.0), ("right_front_speed", 10000.0)):
        assert q[name].value == pytest.approx(speed, abs=bin_A / end * 1e4)
        assert q[name].unit == "cm/s"
    # Silicon at 3000 / (20 * 20 * 100) A^-3 is eaten at 0.5 A/ps: per nm2 and ns, 1e5 times that. Its density comes
    # from some 800 random atoms (15th to 85th percentile of the first frame): +-4 %.
    flux = 3000 / 4e4 * LEFT * 1e5
    assert q["si_flux_recession"].value == pytest.approx(flux, rel=bin_A / (LEFT * end) + 0.08)
    assert q["si_flux_recession"].unit == "nm^-2 ns^-1"
    # x of LixSi in the alloy: 0.6/0.4. Some 1000 atoms per window in the middle half, 10 windows.
    assert q["plateau_composition"].value == pytest.approx(FRACTION / (1 - FRACTION), rel=0.05)


def test_series_are_consistent(moving):
    (s,) = moving.series
    assert len(s.time_ps) == len(s.left_A) == len(s.fraction) == 40
    np.testing.assert_allclose(s.time_ps, np.arange(40) * 0.5 + 0.25)
    assert s.boundary_A == pytest.approx(40, abs=0.3)  # the last Si and first Li of 3000 random atoms along 100 A
    assert s.area_A2 == pytest.approx(400)
    # All atoms are counted in every window: densities times volume of a bin add up to n_atoms.
    np.testing.assert_allclose((s.si_per_A3 + s.li_per_A3).sum(axis=1) * s.area_A2 * 1.0, 3000)
    assert s.si_bulk_per_A3 == pytest.approx(0.075, rel=0.15)


def test_fronts_at_rest_do_not_move(tmp_path):
    run = synthetic_run(tmp_path, MOVING.replace(duration_ps=5.0), left_A_ps=0.0, right_A_ps=0.0)
    q = analyse([run]).quantities
    for name in ("left_front_displacement", "right_front_displacement"):
        assert abs(q[name].value) <= 1.054


def test_seeds_are_averaged_and_anything_else_is_refused(tmp_path):
    short = MOVING.replace(duration_ps=4.0)
    runs = [
        synthetic_run(tmp_path / str(k), short.replace(seed=k), left_A_ps=v, right_A_ps=1.0, n_atoms=1500, seed=k)
        for k, v in ((1, 0.5), (2, 1.5))
    ]
    both, each = analyse(runs), [analyse([r]) for r in runs]
    assert both.n_runs == 2
    values = [r.quantities["left_front_displacement"].value for r in each]
    assert both.quantities["left_front_displacement"].value == pytest.approx(np.mean(values))
    assert both.quantities["left_front_displacement"].error == pytest.approx(np.std(values, ddof=1) / 2**0.5)
    hotter = synthetic_run(tmp_path / "h", short.replace(temperature_K=1100.0), left_A_ps=1.0, right_A_ps=1.0)
    with pytest.raises(ValueError, match=r"differs from .* in temperature_K. Average over seeds only"):
        analyse([runs[0], hotter])
    with pytest.raises(ValueError, match="No run was given"):
        analyse([])


def test_too_few_frames(tmp_path):
    run = synthetic_run(tmp_path, MOVING.replace(duration_ps=0.5), left_A_ps=0, right_A_ps=0)
    run.trajectories[0].write_bytes(run.trajectories[0].read_bytes()[:300])
    with pytest.raises(ValueError, match="has 0 frames; at least 2 are needed"):
        analyse([run])
    run.trajectories[0].unlink()
    with pytest.raises(ValueError, match="has 0 frames"):
        analyse([run])
    assert interdiffusion.live(run) == ()  # the monitor shows nothing yet, and does not fail


def test_memory_does_not_grow_with_the_trajectory(tmp_path):
    """Four times the frames in the same number of windows: the same peak of allocated memory."""
    peaks = {}
    for n_frames in (500, 2000):
        params = Params(duration_ps=0.01 * n_frames, frame_ps=0.01, window_ps=0.001 * n_frames)
        run = synthetic_run(tmp_path / str(n_frames), params, left_A_ps=0.1, right_A_ps=0.1, n_atoms=300)
        tracemalloc.start()
        interdiffusion.analyse([run])
        peaks[n_frames] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    trajectory = run.trajectories[0].stat().st_size
    assert peaks[2000] < 1.3 * peaks[500], peaks
    assert peaks[2000] < 0.5 * trajectory, "the whole trajectory is never in memory"


def test_result_serialises(moving):
    data = moving.to_dict()
    assert set(data["quantities"]) >= set(COMPARED)
    for entry in data["quantities"].values():
        assert set(entry) == {"value", "error", "unit"}


# --- comparison and claims -------------------------------------------------------------------------------------------


def result(interface: str = "100", factor: float = 1.0, error: float = 0.1, n_runs: int = 3, **params) -> Result:
    """A result whose numbers are the paper's times `factor`, under the paper's conditions unless told otherwise."""
    quantities = {
        name: Measured(factor * row.value, error, row.unit)
        for name in COMPARED
        for row in [published.value("interdiffusion", name, interface)]
    }
    quantities |= {
        "si_width_10_90": Measured(20.0 * factor, error, "A"),
        "li_width_10_90": Measured(10.0, error, "A"),
    }
    p = scaled("paper", interface).replace(**params).to_dict()
    return Result(interface, p, 4608, n_runs, quantities, (), "green")


def verdicts(r: Result) -> dict[str, str]:
    return {row.quantity: row.agrees for row in compare(r)}


def test_the_papers_own_numbers_agree_with_the_paper():
    for name in INTERFACES:
        v = verdicts(result(name))
        assert v.pop("max_force_deviation") in ("yes", "no")
        assert set(v.values()) == {"yes"}, (name, v)


def test_agreement_is_two_errors_and_one_bin():
    paper = published.value("interdiffusion", "lithiation_length", "100").value
    for off, error, agrees in ((3.2, 0.0, "yes"), (3.4, 0.0, "no"), (5.2, 1.0, "yes"), (5.4, 1.0, "no")):
        r = result()
        r.quantities["lithiation_length"] = Measured(paper + off, error, "A")
        assert verdicts(r)["lithiation_length"] == agrees, (off, error)
    flux = published.value("interdiffusion", "si_flux", "100").value
    for off, agrees in ((0.19, "yes"), (0.21, "no")):  # no bin in a flux
        r = result(error=0.1)
        r.quantities["si_flux"] = Measured(flux + off, 0.1, "nm^-2 ns^-1")
        assert verdicts(r)["si_flux"] == agrees


def test_a_structure_that_is_not_what_its_name_says_is_not_judged():
    """The paper's own numbers, but the slab is no amorphous silicon: no row agrees, no order with it is decided."""
    results = {name: result(name) for name in INTERFACES}
    decided = {claim.text: claim.verdict for claim in claims(results)}
    results["aSi"] = dataclasses.replace(results["aSi"], warnings=("this is not amorphous Si: coordination = 5.5",))
    assert set(verdicts(results["aSi"]).values()) == {"not this structure"}
    for claim in claims(results):
        if "aSi" in claim.text:
            assert claim.verdict == "undecided", claim
            assert "aSi is not what its name says" in claim.because
        else:
            assert claim.verdict == decided[claim.text]


def test_what_was_not_measured_neither_agrees_nor_disagrees():
    r = result()
    r.quantities["transition_composition"] = Measured(math.nan, math.nan, "1")
    assert verdicts(r)["transition_composition"] == "not measured"


@pytest.mark.parametrize("change", [dict(temperature_K=900.0), dict(duration_ps=100.0)])
def test_other_conditions_are_not_judged(change):
    v = verdicts(result(**change))
    v.pop("max_force_deviation")
    assert set(v.values()) == {"other conditions"}
    small = dataclasses.replace(result(), n_atoms=192)
    assert verdicts(small)["si_flux"] == "other conditions"


def test_claims_hold_for_the_papers_own_numbers():
    """Printed with small error bars, the paper's numbers must support the paper's claims."""
    found = claims({name: result(name, error=0.01) for name in INTERFACES})
    assert len(found) >= 6
    assert {c.verdict for c in found} == {"true"}, [c for c in found if c.verdict != "true"]


def test_claims_are_undecided_within_the_noise_and_false_when_contradicted():
    noisy = claims({name: result(name, error=50.0) for name in INTERFACES})
    assert {c.verdict for c in noisy} == {"undecided"}
    upside = {name: result(name, factor=-1.0, error=0.01) for name in INTERFACES}
    assert {c.verdict for c in claims(upside)} == {"false"}
    # One or two seeds decide nothing, however small the error within each run.
    for few in (1, 2):
        found = claims({name: result(name, error=0.01, n_runs=few if name == "110" else 3) for name in INTERFACES})
        assert {c.verdict for c in found} == {"undecided"}
        assert all(f"{few} of an interface, 3 needed" in c.because for c in found)
    # Claims about an order need every interface named in them; the others are judged from what is there.
    texts = [c.text for c in claims({"100": result("100", error=0.01)})]
    assert not any("aSi" in text for text in texts)
    assert any("right front" in text for text in texts)


# --- parameters, plan ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interface", INTERFACES)
def test_paper_scale_is_the_papers(interface):
    """Every parameter that carries a paper value has it, and 5 ns at 0.5 fs are 1e7 steps with 5000 frames."""
    params = scaled("paper", interface)
    for f in dataclasses.fields(Params):
        if f.metadata["paper"] is not None and f.name != "si_thickness_A":
            assert getattr(params, f.name) == f.metadata["paper"], f.name
    # The thickness is the paper's (from its cell and counts), within the potential's error in the lattice parameter.
    paper_A = {"aSi": 65.6, "100": 65.6, "110": 61.9, "111": 64.7}[interface]
    assert params.si_thickness_A == pytest.approx(paper_A, rel=0.015)
    segment = plan(params, ())
    assert segment.n_steps == 10_000_000
    assert segment.n_steps // segment.dump_every == 5000
    assert segment.stages[0].start_K == segment.stages[0].stop_K == 500
    assert segment.timestep_fs == 0.5
    assert plan(params, (segment,)) is None


@pytest.mark.parametrize("scale", interdiffusion.SCALES)
@pytest.mark.parametrize("interface", INTERFACES)
def test_every_scale_can_be_planned(scale, interface):
    params = scaled(scale, interface, seed=7)
    interdiffusion.check(params)
    segment = plan(params, ())
    assert segment.seed == 7
    assert segment.n_steps == round(1000 * params.duration_ps / params.timestep_fs)
    assert segment.walls
    assert segment.bottom == params.bottom
    assert segment.dump_every % segment.thermo_every == 0 or segment.thermo_every == 50


def test_scaled_changes_and_refusals():
    assert scaled("smoke", "110", duration_ps=2.0).duration_ps == 2.0
    with pytest.raises(
        ValueError, match=r"scale='papr' is not known. Allowed: smoke, lesson, paper.*Did you mean 'paper'"
    ):
        scaled("papr")
    with pytest.raises(ValueError, match="interface='112' is not known"):
        scaled("smoke", "112")
    with pytest.raises(ValueError, match=r"parameter='duration' is not known.*Did you mean 'duration_ps'"):
        scaled("smoke", "100", duration=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(lateral_A=-5.0), "lateral_A=-5.0 Å is outside"),
        (dict(temperature_K=5000.0), "temperature_K=5000.0 K is outside"),
        (dict(bottom="glued"), "bottom='glued' is not known. Allowed: fixed, tethered, free"),
        (dict(seed=1.5), "seed=1.5 is not a whole number"),
    ],
)
def test_bad_params(changes, message):
    with pytest.raises(ValueError, match=message):
        scaled("smoke", "100", **changes)


def test_temperature_beyond_the_potential_is_refused_before_anything_is_made(monkeypatch):
    from lisi_nb import potentials

    card = potentials.get("lisi").card
    card["validity"]["temperature_K"] = [50.0, 800.0]
    monkeypatch.setattr(potentials, "get", lambda name: potentials.Potential(name, None, card))
    with pytest.raises(
        ValueError, match=r"temperature_K=900.0 K is outside 50 to 800 K.*'lisi' was trained for this range"
    ):
        interdiffusion.build(scaled("smoke"))


@pytest.mark.parametrize("interface", ["100", "110", "111"])
@pytest.mark.parametrize("strain", [-5.0, 0.0])
def test_whatever_can_be_built_can_be_analysed(interface, strain, monkeypatch):
    """The narrowest cells: neighbour counting needs twice its cutoff, so narrower ones are refused at the start."""
    from lisi_nb.structures import amorphous, packing

    def packed(recipe, potential, progress=None):  # the melt itself is tested elsewhere
        n, (x, y) = recipe.n_atoms, recipe.lateral_A
        atoms = packing.random_packing(["Li"] * n, (x, y, n * 22.4 / (x * y)), 1)
        return atoms, amorphous.check(atoms, "Li")

    monkeypatch.setattr(amorphous, "melt_quench", packed)
    smallest = Params.__dataclass_fields__["lateral_A"].metadata["low"]
    for lateral_A in (smallest, 8.0, 8.5, 9.5, 11.0):
        params = scaled("smoke", interface, lateral_A=lateral_A, strain_percent=strain)
        refusal = ""
        try:
            atoms = interdiffusion.build(params)
        except ValueError as error:
            refusal = str(error)
        if refusal:
            assert f"lateral_A={lateral_A:g} gives a cell of " in refusal
            assert "too narrow" in refusal
            assert lateral_A < 10  # 1.5 of the longest surface cell, 6.7 A
        else:
            assert atoms.cell.lengths()[:2].min() >= 2 * 3.3
            report = atoms.info["report"]
            assert f"{(atoms.numbers == 14).sum()} Si + {(atoms.numbers == 3).sum()} Li" in report


def test_built_smoke_model_of_the_real_run(smoke_run):
    """What the real run says about itself: two Li per Si, the facet's cell, no overlap."""
    structure = smoke_run.manifest["structure"]
    assert structure["formula"] == "Li128Si64"
    assert structure["n_atoms"] == 192
    first = next(smoke_run.frames())
    assert np.ptp(first.box_A, axis=1) == pytest.approx(structure["cell_A"], abs=1e-3)


def test_real_run_analysis(smoke_run):
    """Real MD at 900 K: the slab is lithiated from its surface, so fronts move apart and silicon leaves."""
    found = analyse([smoke_run])
    (s,) = found.series
    assert len(s.time_ps) == 6
    assert s.duration_ps == pytest.approx(0.6, abs=0.1)
    assert found.quantities["lithiation_length"].value > 0
    assert s.bulk_si[0] > s.bulk_si[-1] >= 0
    assert found.quantities["max_force_deviation"].value == smoke_run.model_deviation()["max_devi_f_eV_A"].max()
    stored = smoke_run.results()["quantities"]
    assert stored == found.to_dict()["quantities"]
    assert len(interdiffusion.live(smoke_run)) == 2


def test_live_charts_are_those_of_the_whole_analysis(smoke_run):
    """They leave out neighbours, which cost the most and are not drawn while a run goes on."""
    whole = measure(smoke_run)
    quick = measure(smoke_run, neighbours=False)
    assert not len(quick.bulk_si)
    assert len(whole.bulk_si)
    for drawn, full in zip(interdiffusion.live(smoke_run), (profile_chart(whole, 8), fronts_chart(whole)), strict=True):
        for ours, theirs in zip(drawn.curves, full.curves, strict=True):
            np.testing.assert_array_equal(ours.y, theirs.y)
