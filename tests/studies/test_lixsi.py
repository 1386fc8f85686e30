"""Bulk LixSi: the chain, known walks come back, what does not diffuse gets no number, lines, tables and claims."""

import dataclasses
import math
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from ase.calculators.calculator import Calculator
from ase.units import kB
from synthetic import write_dump

from lisi_nb import published
from lisi_nb.analysis.clusters import KINDS
from lisi_nb.analysis.diffusion import Diffusion, Framework, tracer_diffusion
from lisi_nb.analysis.displacements import Displacements
from lisi_nb.analysis.msd import MSD, mean_square_displacement
from lisi_nb.engine import chain, estimate, launch
from lisi_nb.engine import run as runs
from lisi_nb.engine.parse import Frame
from lisi_nb.engine.steps import Step, Stop
from lisi_nb.structures.crystals import crystal, primitive_f
from lisi_nb.structures.delithiated import amorphous_volume_A3, delithiated
from lisi_nb.studies import lixsi
from lisi_nb.studies.lixsi import (
    Params,
    analyse,
    arrhenius_of,
    claims,
    compare,
    orderings,
    plan,
    scaled,
    table_1,
    tables,
    thermodynamics,
)
from lisi_nb.studies.lixsi.across import paper_D_cm2_s
from lisi_nb.studies.lixsi.analyse import Result, pooled
from lisi_nb.studies.lixsi.charts import arrhenius_chart, hull_chart, partials_chart, pdf_chart, voltage_chart
from lisi_nb.studies.lixsi.measure import last_structure, measure, pair_distribution_of
from lisi_nb.studies.lixsi.params import PAPER_X
from lisi_nb.units import Measured

NAN = math.nan
SMOKE = scaled("smoke")

# --- parameters and plan ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", PAPER_X)
def test_paper_scale_is_the_papers(x):
    """Li480Si128 less Li, 2 fs, 5 ns of which 200 ps are discarded; the crystal at x = 3.75."""
    params = scaled("paper", x)
    for f in dataclasses.fields(Params):
        if f.metadata["paper"] is not None:
            assert getattr(params, f.name) == f.metadata["paper"], f.name
    assert lixsi.n_atoms(params) == 128 + round(128 * x)
    assert params.start == ("crystal" if x == 3.75 else "searched")
    assert params.equilibrate_ps + params.duration_ps == 5000
    assert len(lixsi.variants("paper")) == 5 * 9


@pytest.mark.parametrize("scale", lixsi.SCALES)
@pytest.mark.parametrize("x", [0.25, 2.25, 3.75])
def test_every_scale_can_be_built_and_planned(scale, x):
    params = scaled(scale, x, seed=5)
    if params.start == "searched":  # 2000 orderings of 416 atoms take hours
        params = params.replace(n_orderings=4, repeats="1x1x1")
    atoms = lixsi.build(params)
    assert len(atoms) == lixsi.n_atoms(params)
    assert atoms.info["warnings"] == []
    assert f"x = {x:.3f}" in atoms.info["report"]
    step = plan(params, ())
    assert step.name == ("anneal" if params.start == "amorphous" else "equilibrate")
    assert step.segment.seed == 5
    assert {stage.relax for stage in step.segment.stages} == {"iso"}


def test_compositions_that_need_more_atoms_are_said_to_be_rounded():
    atoms = lixsi.build(scaled("smoke", 1.03))
    assert (atoms.numbers == 3).sum() == 16
    assert atoms.info["warnings"] == ["x = 1.000 instead of 1.03: 16 Si allow no nearer one"]


def ended(name, atoms, volume=(1000.0,)):
    return SimpleNamespace(name=name, atoms=atoms, thermo=lambda: {"Volume": np.array(volume)})


@pytest.mark.parametrize("start", ["amorphous", "crystal"])
def test_the_plan_is_a_chain(start):
    params = scaled("lesson", 2.25, start=start, temperature_K=800.0)
    atoms = lixsi.build(params)
    atoms.set_velocities(np.random.default_rng(0).normal(size=(len(atoms), 3)))
    done, steps = (), []
    while isinstance(step := plan(params, done), Step):
        steps.append(step)
        volume = (1.0, 1.0, 1990.0, 2010.0)  # the first half has not settled
        done = (*done, ended(step.name, atoms, volume))
    assert isinstance(step, Stop)
    assert [s.name for s in steps] == (["anneal"] if start == "amorphous" else []) + ["equilibrate", "sample"]
    assert sum(s.n_steps for s in steps) == lixsi.expected_steps(params)
    *_, equilibrate, sample = steps
    assert equilibrate.segment.stages[0].pressure_bar == 0.0
    assert equilibrate.segment.keep_velocities == (start == "amorphous")
    assert sample.segment.stages[0].pressure_bar is None
    assert sample.segment.keep_velocities
    assert sample.numbers["volume_A3"] == 2000.0
    assert sample.atoms.get_volume() == pytest.approx(2000.0)
    np.testing.assert_allclose(sample.atoms.get_velocities(), atoms.get_velocities())
    np.testing.assert_allclose(sample.atoms.get_scaled_positions(), atoms.get_scaled_positions(), atol=1e-9)
    mass = atoms.get_masses().sum() * 1.66053907
    assert sample.numbers["density_g_cm3"] == pytest.approx(mass / 2000.0)
    assert done[0].atoms.get_volume() != pytest.approx(2000.0)  # what an ended segment left is not touched
    if start == "amorphous":
        melt, cool = steps[0].segment.stages
        assert (melt.start_K, melt.stop_K, cool.start_K, cool.stop_K) == (1500, 1500, 1500, 800)


def test_a_searched_start_is_the_lowest_ordering_on_the_sites_of_the_crystal(tmp_path, monkeypatch):
    monkeypatch.setenv("LISI_NB_DATA", str(tmp_path))
    params = SMOKE.replace(x=3.5, start="searched", n_orderings=4)
    (what, n, steps), said = *lixsi.preparation(params), []
    assert (what, n, steps) == ("search of orderings", 72, 4 * orderings.QUICK_STEPS)
    atoms = lixsi.build(params, lambda *each: said.append(each))
    assert lixsi.preparation(params) == []
    assert atoms.info["report"] == "Li56Si16, x = 3.500: the lowest of 4 orderings of Li on the sites of Li15Si4"
    search = orderings.lowest_orderings(3.5, population=4, n_generations=1, n_relaxed=1, seed=params.seed).search
    assert search.energies_eV.min() == pytest.approx(search.best[0].energy_eV)
    kept = search.remaining()
    np.testing.assert_allclose(
        np.sort(atoms.get_scaled_positions().round(9), axis=0), np.sort(kept.get_scaled_positions().round(9), axis=0)
    )
    assert atoms.cell.orthorhombic
    assert atoms.get_volume() / 16 == pytest.approx(amorphous_volume_A3(3.5))
    assert said == [
        *(("searching orderings of x = 3.50", k, 4) for k in (1, 2, 3, 4)), ("relaxing the lowest of x = 3.50", 1, 1)
    ]  # fmt: skip
    assert lixsi.expected_segments(params) == 2  # it is not molten
    crystal_itself = lixsi.build(SMOKE.replace(x=3.75, start="searched"))
    assert "crystal" in crystal_itself.info["report"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(x=4.0), "x=4.0 .*is outside 0.25 to 3.75"),
        (dict(x=0.0), "x=0.0 .*is outside 0.25 to 3.75"),
        (dict(temperature_K=5000.0), "temperature_K=5000.0 K is outside 300 to 1400 K"),
        (dict(repeats="4x4x4"), "repeats='4x4x4' is not known. Allowed: 1x1x1"),
        (
            dict(start="searched", x=3.74),
            "x=3.74 takes no Li out of the 60 Li in repeats=1x1x1: nothing to",
        ),
        (dict(start="searched", n_orderings=50_000), "n_orderings=50000 is outside 4 to 40000"),
        (dict(start="glass"), "start='glass' is not known. Allowed: amorphous, crystal, searched"),
        (dict(duration_ps=0.3), "gives 15 frames, too few to fit a diffusion coefficient .20 needed.. Sample longer"),
        (dict(frame_ps=0.002, timestep_fs=3.0), "is shorter than one time step"),
        (dict(temperature_K=1400.0, melt_K=1200.0), "nothing would be cooled"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(changes, message):
    with pytest.raises(ValueError, match=message):
        lixsi.build(SMOKE.replace(**changes))


def test_a_temperature_beyond_the_potential_is_refused(monkeypatch):
    from lisi_nb import potentials

    card = potentials.get("lisi").card
    card["validity"]["temperature_K"] = [50.0, 1200.0]
    monkeypatch.setattr(potentials, "get", lambda name: potentials.Potential(name, None, card))
    with pytest.raises(ValueError, match=r"temperature_K=1500.0 K is outside 50 to 1200 K.*trained for this range"):
        lixsi.build(SMOKE)  # it melts at 1500 K


# --- real chains -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(data_folder):
    """A few seconds of MD of 52 atoms by the real worker."""
    return launch.wait(launch.launch(lixsi, SMOKE, "lixsi", "cpu:1"))


def test_what_began_as_a_crystal_counts_not_as_molten():
    runs = [
        SimpleNamespace(params={"start": start, "temperature_K": 600.0, "x": 2.25}) for start in ("crystal", "searched")
    ]
    assert lixsi.coolest_structures(runs) == []


def test_a_real_chain_end_to_end(finished):
    assert [d["name"] for d in chain.decisions(finished)] == ["anneal", "equilibrate", "sample", "end"]
    status = finished.status()
    assert (status["state"], status["step"]) == ("finished", lixsi.expected_steps(SMOKE))
    assert status["message"] == "0.8 ps were sampled"
    _, equilibrate, sample = finished.segments
    volume = equilibrate.thermo()["Volume"]
    np.testing.assert_allclose(sample.thermo()["Volume"], volume[len(volume) // 2 :].mean(), rtol=1e-6)
    assert sample.thermo()["Temp"][0] == pytest.approx(equilibrate.thermo()["Temp"][-1], rel=1e-4)
    stored = finished.results()
    found = analyse([finished])
    assert stored["quantities"] == found.to_dict()["quantities"]
    assert (found.x, found.temperature_K, found.n_atoms) == (2.25, 1000.0, 52)
    q = found.quantities
    assert 0.9 < q["density"].value < 1.6
    assert sum(q[f"share_{kind}"].value for kind in KINDS) == pytest.approx(1)
    assert sum(v.value for v in found.share_by_cn.values()) == pytest.approx(1)
    assert any("not amorphous" in w for w in found.warnings)  # 0.1 ps melt nothing, and the run says so
    last = last_structure(finished)
    assert last.pbc.all()
    assert last.get_volume() == pytest.approx(sample.decision["numbers"]["volume_A3"])
    assert last.get_chemical_formula() == "Li36Si16"
    assert lixsi.coolest_structures([finished]) == [last]
    g = pair_distribution_of(finished, n_frames=5)
    assert 3 <= g.n_frames <= 5
    assert g.fwhm_A == published.value("nanoparticle", "pdf_broadening_fwhm", "all").value
    assert 2.2 < g.peak_A(1.0, 3.5) < 3.2
    chart = pdf_chart({"Li2.25Si": g})
    assert chart.title == "Pair distribution, Gaussian of 0.3 Å"
    np.testing.assert_array_equal(chart.curves[0].y, g.total)
    assert [c.label for c in partials_chart("Li2.25Si", g).curves] == ["Li-Li", "Li-Si", "Si-Si"]
    table = str(tables.results_table({"x": found})) + str(tables.statements_table({"x": found}))
    assert "distance moved in 0.08 ps" in table
    (chart,) = lixsi.live(finished)
    assert [c.label for c in chart.curves] == ["Li", "Si"]
    assert lixsi.figures({"x": found}).keys() == {"arrhenius", "diffusion", "neighbours", "run-x"}


def test_estimates_count_what_is_run(finished):
    cost = estimate.estimate(lixsi, SMOKE, "cpu:1", exact=False)
    assert cost.n_atoms == finished.manifest["structure"]["n_atoms"] == 52
    assert cost.n_steps == finished.status()["step"]


@pytest.mark.slow
def test_a_stopped_chain_goes_on_where_it_was(empty_data):
    """Stopped while sampling, after a restart file: the same segments, no frame twice, none missing."""
    params = scaled("smoke", 0.25, anneal_ps=0.06, equilibrate_ps=0.1, duration_ps=8.0, frame_ps=0.1)
    run = launch.launch(lixsi, params, "stopped", "cpu:1")
    deadline = time.monotonic() + 120
    while not (run.recorded().get("segment") == "002-sample" and run.status()["step"] > 1300):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    launch.stop(run)
    assert run.status()["state"] == "stopped"
    launch.wait(launch.start(run, resume=True))
    assert [s.folder.name for s in run.segments] == ["000-anneal", "001-equilibrate", "002-sample"]
    sample = run.segments[2]
    assert sample.n_parts == 2
    assert [frame.step for frame in sample.frames()] == list(range(0, 4001, 50))
    assert analyse([run]).li.lags_ps[-1] == pytest.approx(8.0)


# --- known motions ---------------------------------------------------------------------------------------------------

D_LI, D_FRAMES = 0.3, 400  # A^2/ps


def walking(folder, params, *, d_li=D_LI, d_si=0.0, n_frames=D_FRAMES, seed=0, keep=None, annealed_A=None, drift=0.0):
    """A run whose atoms walk at random with known D (A^2/ps) and rattle by 0.2 A; everything drifts along."""
    rng = np.random.default_rng(seed)
    atoms = delithiated(params.x, params.cells(), params.seed)
    if keep:
        atoms = atoms[atoms.numbers == keep]
    n, edge = len(atoms), atoms.cell.lengths()
    box = np.stack([np.zeros(3), edge], axis=1)
    types = np.where(atoms.numbers == 3, 1, 2)
    every = max(1, round(1000 * params.frame_ps / params.timestep_fs))
    sigma = np.sqrt(2 * params.frame_ps * np.where(types == 1, d_li, d_si))[None, :, None]
    steps = rng.normal(size=(n_frames, n, 3)) * sigma
    steps[0] = 0
    path = atoms.positions + np.cumsum(steps, axis=0) + rng.normal(0, 0.2, (n_frames, n, 3))
    path += drift * np.arange(n_frames)[:, None, None]
    where = folder / "lixsi" / f"walk-{seed:08x}"
    where.mkdir(parents=True)
    manifest = {
        "format": runs.FORMAT,
        "study": "lixsi",
        "params": params.replace(seed=seed + 1).described(),
        "potential": {"name": "lisi", "members": []},
        "structure": {"n_atoms": n, "report": "walk"},
        "chain": True,
    }
    run = runs.create(where, manifest, target=1)
    if annealed_A is not None:
        moved = np.where(types == 2, annealed_A, 0.0)[:, None] * rng.choice([-1, 1], (n, 3)) / math.sqrt(3)
        segment(run, 0, "anneal", [Frame(0, box, types, path[0]), Frame(10, box, types, path[0] + moved)])
    frames = [Frame(k * every, box, types, p) for k, p in enumerate(path)]
    segment(run, len(run.segments), "sample", frames)
    run.update(state="finished", step=1)
    return run


def segment(run, number, name, frames):
    folder = run.folder / runs.SEGMENTS / f"{number:03d}-{name}"
    folder.mkdir(parents=True)
    write_dump(folder / "traj.0.bin", frames)
    rows = "\n".join(f"{f.step} 1000.0 0.0" for f in frames)
    (folder / "log.lammps").write_text(f"Step Temp Press\n{rows}\nLoop time of 1\n")
    numbers = {"density_g_cm3": 1.3}
    decision = {"number": number, "name": name, "first_step": 0, "n_steps": frames[-1].step, "numbers": numbers}
    runs.write_json(folder / "step.json", decision)
    runs.write_json(folder / "ended.json", {})


WALK = scaled("smoke", 2.25, repeats="2x2x1", duration_ps=40.0, frame_ps=0.1)


def test_a_known_walk_comes_back(tmp_path):
    """144 Li at 0.3 A^2/ps = 3e-5 cm^2/s around rattling Si, everything drifting at 0.5 A/ps."""
    found = analyse([walking(tmp_path, WALK, drift=0.05)])
    q = found.quantities
    D = D_LI * 1e-4
    assert abs(q["tracer_D"].value - D) < 3 * q["tracer_D"].error
    assert q["tracer_D"].error < 0.1 * D
    # Walkers that do not know each other: collective and tracer D agree (parts of 10 ps, 18 overlapping: wide).
    assert q["collective_D"].value == pytest.approx(D, rel=0.6)
    assert abs(q["haven_ratio"].value - 1) < 3 * q["haven_ratio"].error
    assert found.silicon.state == "solid"
    assert found.warnings == ()
    assert found.statements["lithium"].startswith("diffusive: D = ")
    assert q["li_msd_end"].value == pytest.approx(6 * D_LI * 20, rel=0.2)  # 10 to 50 % of 39.9 ps are fitted
    assert found.tracer.window_ps == pytest.approx((3.99, 19.95))
    # Atoms that do not see each other part by diffusion alone, about when 6 D t is the square of a contact's 3.5 A.
    assert q["contact_time"].value == pytest.approx(3.5**2 / (6 * D_LI), rel=0.3)
    assert found.statements["contacts"].startswith("contacts fall to 1/e in")


def test_of_a_run_larger_than_the_memory_some_frames_are_read(tmp_path, monkeypatch):
    """Displacements of all frames would take 2.5 times what is allowed: every third frame, and it is said."""
    run = walking(tmp_path, WALK)
    whole = measure(run)
    every_byte = 12 * run.manifest["structure"]["n_atoms"] * D_FRAMES
    monkeypatch.setattr(sys.modules[measure.__module__], "KEPT_BYTES", every_byte / 2.5)
    thinned = measure(run)
    assert whole.warnings == ()
    assert thinned.warnings == ("Of a run this long, a frame every 0.3 ps was read (1 of 3).",)
    np.testing.assert_allclose(thinned.li.msd_A2, whole.li.msd_A2[::3], rtol=0.15, atol=1)


def test_seeds_are_averaged_and_anything_else_is_refused(tmp_path):
    each = [walking(tmp_path / str(k), WALK, seed=k) for k in range(3)]
    together, alone = analyse(each), [analyse([run]).quantities["tracer_D"].value for run in each]
    assert together.n_runs == 3
    assert together.quantities["tracer_D"].value == pytest.approx(np.mean(alone))
    assert together.quantities["tracer_D"].error == pytest.approx(np.std(alone, ddof=1) / 3**0.5)
    assert together.li.groups == "runs"
    assert abs(together.quantities["tracer_D"].value - D_LI * 1e-4) < 3 * max(
        together.quantities["tracer_D"].error, 0.02 * D_LI * 1e-4
    )
    hotter = walking(tmp_path / "h", WALK.replace(temperature_K=1100.0))
    with pytest.raises(ValueError, match=r"differs from .* in temperature_K. Average over seeds only"):
        analyse([each[0], hotter])
    with pytest.raises(ValueError, match="No run was given"):
        analyse([])


def test_what_does_not_diffuse_gets_no_number(tmp_path):
    found = analyse([walking(tmp_path, WALK, d_li=0.002)])
    for name in ("tracer_D", "collective_D", "haven_ratio"):
        assert math.isnan(found.quantities[name].value), name
    assert found.statements["lithium"].startswith("not diffusive: the mean square displacement is ")
    assert found.statements["collective"].startswith("0 of 1 runs give a number; the first: not diffusive: the mean")
    assert found.to_dict()["quantities"]["tracer_D"]["value"] is None


def test_melting_is_flagged(tmp_path):
    found = analyse([walking(tmp_path, WALK, d_si=0.2)])
    assert found.silicon.state == "molten"
    assert [w for w in found.warnings if w.startswith("molten: the silicon diffuses too")]
    assert {row.agrees for row in compare(found)} == {"molten"}


def test_an_anneal_that_melted_nothing_is_flagged(tmp_path):
    cold = measure(walking(tmp_path / "a", WALK, annealed_A=1.0))
    assert cold.warnings[0].startswith("not amorphous: silicon moved by 1.")
    assert measure(walking(tmp_path / "b", WALK, annealed_A=4.0)).warnings == ()


@pytest.mark.parametrize(("keep", "name"), [(3, "Li"), (14, "Si")])
def test_pure_elements_are_refused(tmp_path, keep, name):
    run = walking(tmp_path, WALK, keep=keep)
    with pytest.raises(ValueError, match=f"has only {name}: LixSi needs both elements"):
        analyse([run])
    assert lixsi.live(run) == ()


def test_too_short_for_the_window(tmp_path):
    run = walking(tmp_path / "a", WALK, n_frames=60)
    found = analyse([run], window_ps=(5.0, 30.0))
    assert math.isnan(found.quantities["tracer_D"].value)
    assert "too short for lags of 5 to 30 ps: lags reach 5.9 ps" in found.statements["lithium"]
    assert math.isnan(found.quantities["li_msd_end"].value)
    few = walking(tmp_path / "b", WALK, n_frames=8)
    with pytest.raises(ValueError, match="has sampled 8 frames; at least 20 are needed"):
        analyse([few])
    with pytest.raises(ValueError, match=r"window_ps=\(3, 1\) ps is no window"):
        analyse([run], window_ps=(3.0, 1.0))


def test_nothing_to_show_before_sampling(tmp_path):
    run = walking(tmp_path, WALK, n_frames=20)
    for file in (run.folder / runs.SEGMENTS).glob("*/step.json"):
        file.unlink()
    assert lixsi.live(run) == ()
    with pytest.raises(ValueError, match="has sampled 0 frames"):
        analyse([run])
    for of in (last_structure, pair_distribution_of):
        with pytest.raises(ValueError, match="has sampled nothing yet"):
            of(run)


# --- across runs -----------------------------------------------------------------------------------------------------


def result(x=2.25, temperature_K=800.0, D=1e-5, error=0.05, n_runs=3, state="solid", **more) -> Result:
    """A result with this D (NaN: not diffusive) and relative error; `more` replaces quantities and neighbours."""
    window, flat = (4.0, 20.0), MSD(np.arange(3.0), np.zeros(3), np.zeros((2, 3)), "runs")
    measured = Measured(D, error * D, "cm^2/s")
    said = "diffusive" if math.isfinite(D) else "not diffusive: rattling"
    quantities = {
        "tracer_D": measured,
        "collective_D": measured,
        "cluster_time": Measured(9.0, 0.5, "ps"),
        "hop_rate": Measured(0.5, 0.02, "1/ps"),
        "cn_si_si": Measured(1.2, 0.05, "1"),
        "cn_li_si": Measured(7 - x, 0.05, "1"),
        "share_cn_up_to_2": Measured(0.2 - 0.05 * x, 0.001, "1"),
        "moves_to_another_cluster": Measured(0.1, 0.01, "1"),
        "mean_cluster_size": Measured(3.0, 0.1, "1"),
        **{f"share_{k}": Measured(1 / 6, 0.01, "1") for k in KINDS},
    }
    speeds = {n: Measured(3.0 - 0.3 * n, 0.01, "A/ps") for n in (2, 3, 4, 5)}
    shares = {3: Measured(0.81, 0.01, "1"), 4: Measured(0.18, 0.01, "1")}
    params = scaled("paper", x, temperature_K=temperature_K).to_dict()
    base = Result(
        x, temperature_K, params, 416, n_runs, Diffusion(measured, window, 1.0, 50.0, said),
        Framework(state, 1.0, state), flat, flat, shares, speeds, quantities, {},
        (SimpleNamespace(deviation_eV_A=np.array([0.1, 0.12])),), "green",
    )  # fmt: skip
    return dataclasses.replace(base, **more)


def paper_results(temperatures=(500.0, 600.0, 700.0, 800.0), **changes) -> dict[str, Result]:
    """On the paper's own lines, and the crystal that does not diffuse."""
    out = {}
    for x in PAPER_X:
        for t in temperatures:
            D = float(paper_D_cm2_s(x, t))
            out[f"{x} {t:g}"] = result(x, t, D, **changes)
    return out


def test_the_papers_own_line_comes_back():
    """D on the lines of Table I: E_a and D(300 K) of the table, within its own three digits."""
    for x in (0.75, 1.0, 2.25, 3.5):
        line = arrhenius_of([result(x, t, float(paper_D_cm2_s(x, t))) for t in (400.0, 600.0, 800.0, 1000.0)])
        system = f"Li{x:.2f}Si"
        assert line.fit.Ea_eV.value == pytest.approx(
            published.value("nanoparticle", "activation_energy", system).value, abs=1e-6
        )
        D = published.value("nanoparticle", "diffusivity", system).value
        assert line.fit.at(300.0).value == pytest.approx(D, rel=1e-6)
        low, high = line.fit.band_cm2_s(300.0)
        assert low < D < high
    assert math.isnan(float(paper_D_cm2_s(3.75, 800.0)))
    assert math.isnan(float(paper_D_cm2_s(1.7, 800.0)))


def test_lines_leave_out_and_name_what_is_no_number():
    hot = [result(1.0, t, 1e-2 * math.exp(-0.5 / (kB * t))) for t in (800.0, 900.0, 1000.0)]
    cold, molten = result(1.0, 400.0, NAN), dataclasses.replace(hot[2], silicon=Framework("molten", 9.0, "molten"))
    line = arrhenius_of([*hot[:2], molten, cold])
    assert line.fit.Ea_eV.value == pytest.approx(0.5)
    assert line.fit.left_out_K.tolist() == [400.0]
    assert "Not diffusive and left out: 400 K" in line.statement
    assert line.molten_K == (1000.0,)
    assert "a melt, not a solid) at 1000 K" in line.statement
    two = arrhenius_of([*hot[:2], cold])
    assert not two.fit.fitted
    assert "2 diffusive temperatures, three are needed" in two.statement
    with pytest.raises(ValueError, match="one comes twice"):
        arrhenius_of([hot[0], hot[0]])
    with pytest.raises(ValueError, match="differ in x"):
        arrhenius_of([hot[0], result(2.25, 1000.0)])
    with pytest.raises(ValueError, match="No result was given"):
        arrhenius_of([])
    with pytest.raises(ValueError, match="quantity='D' is not known"):
        arrhenius_of(hot, "D")


def test_table_1_stands_beside_the_papers():
    found = paper_results()
    table = table_1(found)
    assert [row[0] for row in table.rows] == ["0.75", "1.00", "2.25", "3.50", "3.75", "a-LixSi, measured"]
    by_x = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    one = by_x["1.00"]
    assert one["E_a, paper (collective)"] == "0.500 ± 0.015 eV"
    assert one["E_a, collective"].startswith("0.500")
    assert "(6.0 ± 3.7)e-11 cm²/s" in one["D(300 K), paper"]
    assert one["D(300 K), tracer"].startswith("6.0e-11 (95 %: ")
    assert list(by_x["3.75"].values())[3:6] == ["no line", "no line", "not distinguishable from 0"]
    measured = by_x["a-LixSi, measured"]["D(300 K), paper"]
    assert {"1e-10", "1e-12", "1e-14"} <= set(measured.replace(",", "").split())
    lonely = table_1({f"{t:g}": result(1.7, t) for t in (600.0, 700.0)})
    rows = {row[0]: row[1:6] for row in lonely.rows}
    assert rows["1.70"] == ("no line", "no line", "not in the paper", "no line", "not in the paper")
    assert rows["2.25"][:2] == ("not run", "not run")
    assert rows["2.25"][2].startswith("0.483")


def test_a_line_of_melts_is_marked_and_ends_with_the_melt():
    def line(state):
        return [result(1.0, t, float(paper_D_cm2_s(1.0, t)), state=state) for t in (800.0, 1000.0, 1200.0)]

    table = table_1({f"{r.temperature_K:g}": r for r in line("molten")})
    (row,) = [row for row in table.rows if row[0] == "1.00"]
    assert row[1].endswith("eV (of a melt)")
    assert row[4] == "not extended: a melt"
    molten, solid = ({c.label: c for c in arrhenius_chart(line(state)).curves} for state in ("molten", "solid"))
    assert molten["line of a melt, 95 % band"].x.max() == pytest.approx(1000 / 800)
    assert solid["line, 95 % band"].x.max() == pytest.approx(1000 / 300)


def test_comparison_judges_only_at_the_papers_conditions():
    D = float(paper_D_cm2_s(2.25, 800.0))
    rows = {row.quantity: row for row in compare(result(2.25, 800.0, D))}
    assert rows["collective_D"].paper == pytest.approx(D, rel=0.005)
    molten_crystal = result(3.75, 600.0, NAN, params=scaled("paper", 3.75, start="amorphous").to_dict())
    assert lixsi.at_paper_conditions(molten_crystal) == "molten, not the Li15Si4 crystal"
    for changes, said in (
        ({"start": "amorphous"}, "start='amorphous', not the lowest of a search over orderings"),
        ({"n_orderings": 12}, "12 orderings searched; 500 needed"),
    ):
        other = result(2.25, 800.0, D, params=scaled("paper", 2.25, temperature_K=800.0, **changes).to_dict())
        assert lixsi.at_paper_conditions(other) == said
        assert {r.agrees for r in compare(other)} == {"other conditions"}
    assert {q: r.agrees for q, r in rows.items()} == {"collective_D": "yes", "cn_si_si": "yes"}
    assert {r.agrees for r in compare(result(2.25, 800.0, 3 * D))} == {"no", "yes"}
    small = result(2.25, 800.0, D, params=scaled("lesson", 2.25, temperature_K=800.0).to_dict())
    assert {r.agrees for r in compare(small)} == {"other conditions"}
    assert {r.agrees for r in compare(result(2.25, 800.0, NAN))} == {"not measured", "yes"}
    crystal_rows = compare(result(3.75, 600.0, NAN))
    assert {r.quantity: r.agrees for r in crystal_rows} == {"share_cn_3": "yes", "share_cn_3_or_4": "yes"}


def verdicts(results):
    return {claim.text.partition(":")[0]: claim.verdict for claim in claims(results)}


def test_claims_hold_for_results_made_to_hold_them():
    assert verdicts(paper_results()) == dict.fromkeys(("Q7", "Q8a", "Q8b", "Q9", "Q10"), "true")
    (first, *_) = claims(paper_results())
    assert "extrapolated to 300 K" in first.because
    assert "x = 2.25: 9.6e-11" in first.because


def test_claims_that_the_numbers_contradict_are_false():
    found = paper_results()
    for name, r in found.items():
        turned = {n: Measured(1 + 0.3 * n + 0.3 * r.x, 0.01, "A/ps") for n in (2, 3, 4)}
        D = Measured(1e-3 * math.exp(-(0.4 + 0.1 * abs(r.x - 2)) / (kB * r.temperature_K)), 0.0, "cm^2/s")
        D = Measured(D.value if r.x < 3.7 else NAN, 0.01 * D.value, "cm^2/s")
        if r.x in (1.0, 2.25):
            D = Measured(0.01 * D.value, 0.01 * D.error, D.unit)
        quantities = r.quantities | {
            "tracer_D": D,
            "cn_li_si": Measured(r.x, 0.01, "1"),
            "moves_to_another_cluster": Measured(0.9, 0.01, "1"),
        }
        found[name] = dataclasses.replace(r, quantities=quantities, speed_by_cn=turned)
    assert verdicts(found) == dict.fromkeys(("Q7", "Q8a", "Q8b", "Q9", "Q10"), "false")


def test_a_crystal_that_melts_says_nothing_of_a_solid():
    found = paper_results()
    for name, r in found.items():
        if r.x > 3.7:
            found[name] = result(r.x, r.temperature_K, 1e-5, state="rearranged")
    assert verdicts(found)["Q7"] == "undecided"


def test_lithium_that_leaves_a_cluster_with_every_hop_does_not_stay_at_it():
    found = {
        name: dataclasses.replace(r, quantities=r.quantities | {"cluster_time": Measured(1.0, 0.05, "ps")})
        for name, r in paper_results().items()
    }
    assert verdicts(found)["Q10"] == "false"


def test_claims_are_undecided_without_seeds_compositions_or_contrast():
    for few in (1, 2):
        found = claims(paper_results(n_runs=few))
        assert {c.verdict for c in found} == {"undecided"}
        assert all(f"too few seeds to judge ({few}, 3 needed)" in c.because for c in found)
    assert verdicts({"a": result(2.25)})["Q7"] == "undecided"
    assert verdicts({})["Q8a"] == "undecided"
    # At one hot temperature there is no line, and compositions differ too little to rank.
    hot = claims(paper_results(temperatures=(1000.0,)))[0]
    assert hot.verdict == "undecided"
    assert "at 1000 K (too hot to rank)" in hot.because
    warm = claims(paper_results(temperatures=(700.0,)))[0]
    assert warm.verdict == "true"
    assert "D at 700 K" in warm.because
    molten = claims(paper_results(state="molten"))
    said = "the silicon diffused too (a melt) at x = 0.75 (500, 600, 700, 800 K), x = 1.00 (500"
    assert all(said in c.because for c in molten)
    assert molten[0].verdict == "undecided"  # the paper's claim is about a solid
    assert "no temperature at which all compositions are solid" in molten[0].because


def test_charts_have_numbers_behind_them(tmp_path):
    results = paper_results(temperatures=(600.0, 700.0, 800.0))
    drawn = lixsi.figures(results)
    assert len(drawn["arrhenius"]) == len(PAPER_X)
    chart = drawn["arrhenius"][2]
    assert "Li2.25Si" in chart.title
    points, line, paper, measured = chart.curves
    assert [c.label for c in chart.curves] == [
        "this study",
        "line, 95 % band",
        "paper (Table I)",
        "measured (Table S1)",
    ]
    assert points.x.tolist() == pytest.approx([1000 / 600, 1000 / 700, 1000 / 800])
    np.testing.assert_allclose(points.y, np.log10(paper_D_cm2_s(2.25, 1000 / points.x)))
    assert np.interp(1000 / 300, paper.x, paper.y) == pytest.approx(math.log10(9.607e-11))
    assert line.error.argmin() < len(line.x) / 2  # the band opens toward room temperature
    assert measured.y.tolist() == [-10, -12, -14, -14, -13]
    speeds, shares, kinds = drawn["neighbours"]
    assert [c.label for c in speeds.curves] == [c.label for c in shares.curves] == [f"{x} 600" for x in PAPER_X]
    assert kinds.title == "Kinds of silicon clusters, 600 K"
    assert len(drawn["arrhenius"][4].curves) == 1  # Li15Si4 does not diffuse: only what was measured is shown
    for charts in drawn.values():
        for k, chart in enumerate(charts):
            assert len(chart.to_csv(tmp_path / f"{k}.csv").read_text().splitlines()) > 1, chart.title


# --- thermodynamics --------------------------------------------------------------------------------------------------


class Tabulated(Calculator):
    """Energies from a table of formation energies per atom (eV) by Li fraction; no forces, no stress."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, table: dict[float, float]) -> None:
        super().__init__()
        self.table = table

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        n_li, n_si = ((atoms.numbers == z).sum() for z in (3, 14))
        f = n_li / len(atoms)
        at = min(self.table, key=lambda k: abs(k - f))
        assert abs(at - f) < 1e-6, f
        energy = -1.9 * n_li - 5.4 * n_si + self.table[at] * len(atoms)
        self.results = {"energy": energy, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}


def pbe_table(**changes) -> dict[float, float]:
    table = {0.0: 0.0, 1.0: 0.0}
    for name in ("LiSi", "Li12Si7", "Li7Si3", "Li13Si4", "Li15Si4", "Li21Si5"):
        atoms = crystal(name)
        reference = f"{name}_dft" if name != "Li21Si5" else name
        known = published.value("reference", "formation_energy", reference).value
        table[float((atoms.numbers == 3).mean())] = changes.get(name, known)
    return table


NAMES = ("LiSi", "Li12Si7", "Li7Si3", "Li13Si4", "Li15Si4", "Li21Si5")


def test_formation_energies_hull_and_voltages_of_pbe_come_back():
    said = []
    found = thermodynamics.thermodynamics(Tabulated(pbe_table()), NAMES, progress=said.append)
    assert said == ["Li", "Si", *NAMES]
    assert [c.name for c in found.crystals] == list(NAMES)
    for c in found.crystals:
        assert c.formation_eV == pytest.approx(c.pbe_eV)
    steps = {(v.before, v.after): v for v in found.voltages}
    assert len(steps) == 7  # Li17Si4 was not asked for
    for v in steps.values():  # printed to three digits, from energies printed to three digits
        if math.isfinite(v.pbe_V):
            assert v.volt_V == pytest.approx(v.pbe_V, abs=0.012), v
    assert steps["Li12Si7", "Li7Si3"].experiment_V == 0.288
    assert steps["Si", "Li12Si7"].experiment_V == 0.332
    assert steps["Li13Si4", "Li21Si5"].experiment_V == 0.044
    assert math.isnan(steps["Si", "LiSi"].experiment_V)
    # By hand: Li21Si5 lies 12 meV above the line from Li15Si4 to lithium, all others are corners.
    assert found.stable == NAMES[:-1]
    assert 1000 * found.crystals[-1].above_eV == pytest.approx(12, abs=1)
    assert [s.volt_V for s in found.steps] == sorted((s.volt_V for s in found.steps), reverse=True)
    printed = str(tables.crystals_table(found)) + str(tables.voltages_table(found))
    assert "Li7Si3 to Li13Si4" in printed
    assert "nan" not in printed
    assert "-0.264" in printed
    edges = {row[:2]: row[2:] for row in tables.lattices_table(found).rows}
    assert edges["LiSi", "c"] == ("5.741", "5.741", "+0.0", "")
    assert edges["Li15Si4", "a"] == ("10.566", "10.566", "+0.0", "10.63 to 10.72")
    assert [edge for name, edge in edges if name == "Li7Si3"] == ["a", "c"]
    assert edges["Li21Si5", "a"] == ("18.710", "", "", "18.71")  # of the primitive cell that was relaxed
    claim = thermodynamics.hull_claim(found)
    assert claim.verdict == "undecided"
    assert "Li21Si5 12" in claim.because
    as_printed = thermodynamics.thermodynamics(Tabulated(pbe_table(Li21Si5=-0.235, Li15Si4=-0.235)), NAMES)
    assert thermodynamics.hull_claim(as_printed).verdict == "true"
    off = thermodynamics.hull_claim(thermodynamics.thermodynamics(Tabulated(pbe_table(Li13Si4=-0.2)), NAMES))
    assert off.verdict == "false"
    few = thermodynamics.thermodynamics(Tabulated(pbe_table()), ("LiSi",))
    assert thermodynamics.hull_claim(few).verdict == "undecided"
    with pytest.raises(ValueError, match="crystal='LiSi2' is not known"):
        thermodynamics.thermodynamics(Tabulated(pbe_table()), ("LiSi2",))


@pytest.mark.slow
def test_the_shipped_potential_makes_stable_compounds_with_falling_voltages():
    from lisi_nb import potentials

    found = thermodynamics.thermodynamics(potentials.get("lisi").calculator(), ("LiSi", "Li15Si4", "Li17Si4"))
    by_name = {c.name: c for c in found.crystals}
    assert [c.name for c in found.crystals] == ["LiSi", "Li15Si4", "Li17Si4"]
    for name in ("LiSi", "Li15Si4"):
        assert by_name[name].formation_eV == pytest.approx(by_name[name].pbe_eV, abs=0.02)
    assert by_name["Li17Si4"].n_li + by_name["Li17Si4"].n_si == 105
    assert 0.3 < found.steps[0].volt_V < 0.5
    volts = [s.volt_V for s in found.steps]
    assert volts == sorted(volts, reverse=True)


@pytest.mark.parametrize("name", ["Li17Si4", "Li21Si5", "Li22Si5"])
def test_a_quarter_of_the_face_centred_cells(name):
    whole, part = crystal(name), primitive_f(crystal(name))
    assert 4 * len(part) == len(whole)
    assert 4 * part.get_volume() == pytest.approx(whole.get_volume())
    assert (whole.numbers == 14).sum() == 4 * (part.numbers == 14).sum()
    near = np.sort(part.get_all_distances(mic=True)[0])[1:9]
    np.testing.assert_allclose(near[0], np.sqrt(3) / 12 * 18.71, rtol=1e-6)
    with pytest.raises(ValueError, match="is not face-centred"):
        primitive_f(crystal("Li15Si4"))


def amorphous_cells(xs):
    return [delithiated(x, (1, 1, 1)) for x in xs]


def amorphous_table(energies):
    return pbe_table() | {x / (1 + x): e for x, e in energies.items()}


def test_two_phases_between_a_solid_solution_and_the_crystal():
    """A convex curve up to x = 2.25, and beyond it 20 meV/atom above the tangent to Li15Si4."""
    crystals = thermodynamics.thermodynamics(Tabulated(pbe_table()), NAMES)
    low = {0.5: -0.10, 1.0: -0.16, 1.5: -0.195, 2.25: -0.225}
    ends = (2.25 / 3.25, 15 / 19), (low[2.25], -0.243)
    tangent = {x: float(np.interp(x / (1 + x), *ends)) for x in (2.75, 3.25)}
    table = amorphous_table(low | {x: e + 0.02 for x, e in tangent.items()})
    made = {"searched": amorphous_cells([*low, *tangent]), "molten": []}
    (found,) = thermodynamics.branches(made, Tabulated(table), crystals).values()  # none was molten: no row, no error
    assert "2.25 < x < 3.75 (20 meV/atom)" in found.statement
    rows = tables.amorphous_table({"searched": found, "molten": found}).rows
    assert [row[:2] for row in rows[:6]] == [("searched", x) for x in ("0.50", "1.00", "1.50", "2.25", "2.75", "3.25")]
    assert [row[0] for row in rows[6:]] == 6 * ["molten"]
    made = delithiated(1.0, (1, 1, 1))
    by_hand = made.get_masses().sum() * 1.66053907 / made.get_volume()
    assert found.density_g_cm3[1] == pytest.approx(by_hand)
    assert rows[1][4:] == (f"{by_hand:.2f}", "1.76")  # DFTB: 1.81 at 0.89, 1.56 at 1.50
    branch, below = hull_chart(crystals, {"made up": found}).curves[-2:]
    assert (branch.label, below.label) == ("amorphous, made up", "its hull, made up")
    assert all(np.interp(x, below.x, below.y) <= y + 1e-9 for x, y in zip(branch.x, branch.y, strict=True))
    ours, pbe, measured = voltage_chart(crystals).curves
    assert list(measured.y[:4]) == [0.332, 0.332, 0.288, 0.288]
    assert ours.y[0] == pytest.approx(0.412, abs=1e-3)  # -0.206 eV/atom of LiSi, two atoms per Li
    assert pbe.x[-1] == pytest.approx(3.75)
    assert (found.above_eV > 0).all()
    np.testing.assert_allclose(found.phases.per_atom_eV, [table[x / (1 + x)] for x in (*low, *tangent)])
    assert thermodynamics.two_phase_claim(found, thermodynamics.FEWEST_SEARCHED).verdict == "true"
    flat = amorphous_table(low | {x: e - 0.001 for x, e in tangent.items()})
    none = thermodynamics.amorphous(amorphous_cells([*low, *tangent]), Tabulated(flat), crystals)
    assert none.statement.startswith("no two-phase region")
    assert thermodynamics.two_phase_claim(none, thermodynamics.FEWEST_SEARCHED).verdict == "false"
    few = thermodynamics.two_phase_claim(none, 12)
    assert few.verdict == "undecided"
    assert "12 orderings searched at each x, 500 needed to judge" in few.because
    for xs in (low, [*tangent, 2.25, 0.5], [*tangent, 0.5, 1.0]):  # nothing inside, one below, nothing at 2.25
        short = thermodynamics.amorphous(amorphous_cells(xs), Tabulated(table), crystals)
        short = thermodynamics.two_phase_claim(short, thermodynamics.FEWEST_SEARCHED)
        assert short.verdict == "undecided"
        assert "needs structures at x = 2.25" in short.because
    with pytest.raises(ValueError, match="A structure is pure Li or pure Si"):
        thermodynamics.amorphous([crystal("Si")], Tabulated(table), crystals)
    few = thermodynamics.thermodynamics(Tabulated(pbe_table()), ("LiSi",))
    with pytest.raises(ValueError, match="have no Li15Si4"):
        thermodynamics.amorphous(amorphous_cells(low), Tabulated(table), few)


def test_pooled_runs_give_the_mean_and_its_scatter():
    rng = np.random.default_rng(3)
    walks = [np.cumsum(rng.normal(0, 0.3, (n, 40, 3)), axis=0) for n in (120, 100)]
    each = [mean_square_displacement(Displacements(w, 0.1, "none")) for w in walks]
    both = pooled(each)
    assert len(both.lags_ps) == 100
    np.testing.assert_allclose(both.msd_A2, (each[0].msd_A2[:100] + each[1].msd_A2) / 2)
    assert tracer_diffusion(both).diffusive
