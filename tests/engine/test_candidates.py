"""Frames worth a label are the frames of the steps at which the ensemble disagreed."""

import numpy as np
from ase.io import read
from synthetic import make_run, moving_fronts

from lisi_nb import potentials
from lisi_nb.engine.candidates import AT_MOST, save_candidates
from lisi_nb.studies import interdiffusion


def run_with(tmp_path, deviations, frame_steps):
    params = interdiffusion.scaled("smoke")
    times = [step * params.timestep_fs / 1000 for step in frame_steps]
    frames = moving_fronts(times, params.timestep_fs, left_A_ps=1.0, right_A_ps=1.0, n_atoms=50)
    run = make_run(tmp_path, params, frames, 50)
    rows = [f"{step} 0 0 0 {value} 0 0" for step, value in deviations.items()]
    header = "# step max_devi_v min_devi_v avg_devi_v max_devi_f min_devi_f avg_devi_f"
    (run.folder / "model_devi.out").write_text("\n".join([header, *rows]) + "\n")
    return run


def test_frames_within_the_window_are_kept_with_step_and_deviation(tmp_path):
    low, high = potentials.get("lisi").card["validity"]["trust_eV_A"]
    middle = 0.5 * (low + high)
    deviations = {0: middle, 50: 0.5 * low, 100: middle, 150: 0.9 * middle, 200: 1.1 * high, 250: middle}
    run = run_with(tmp_path, deviations, frame_steps=range(0, 300, 25))
    path = save_candidates(run)
    kept = read(path, index=":", format="extxyz")
    assert [a.info["step"] for a in kept] == [100, 150]  # not the start, and nothing after the failure at 200
    assert [a.info["max_devi_f_eV_A"] for a in kept] == [deviations[100], deviations[150]]
    frame = next(f for f in run.frames() if f.step == 100)
    assert kept[0].get_chemical_symbols() == frame.atoms().get_chemical_symbols()
    np.testing.assert_allclose(kept[0].positions, frame.atoms().positions, atol=1e-6)


def test_nothing_is_written_when_the_members_agree(tmp_path):
    low, _ = potentials.get("lisi").card["validity"]["trust_eV_A"]
    run = run_with(tmp_path, {step: 0.5 * low for step in range(0, 300, 50)}, range(0, 300, 50))
    assert save_candidates(run) is None
    assert not (run.folder / "candidates.extxyz").exists()


def test_a_long_disagreement_is_thinned(tmp_path):
    low, high = potentials.get("lisi").card["validity"]["trust_eV_A"]
    run = run_with(
        tmp_path, {s: low + 0.5 * (high - low) * (s % 7) / 7 + 0.001 for s in range(0, 2000, 10)}, range(0, 2000, 10)
    )
    assert len(read(save_candidates(run), index=":", format="extxyz")) == AT_MOST


def test_looks_between_frames_do_not_crowd_out_those_with_one(tmp_path):
    """The ensemble looks every 10 steps, frames come every 70: all that have both are kept, though few."""
    low, high = potentials.get("lisi").card["validity"]["trust_eV_A"]
    middle = 0.5 * (low + high)
    run = run_with(tmp_path, dict.fromkeys(range(0, 2000, 10), middle), range(0, 2000, 70))
    steps = [a.info["step"] for a in read(save_candidates(run), index=":", format="extxyz")]
    assert len(steps) == AT_MOST
    assert all(step % 70 == 0 for step in steps)
    # A failed look between two frames ends the search all the same.
    failed = dict.fromkeys(range(0, 2000, 10), middle) | {150: 1.1 * high}
    (tmp_path / "other").mkdir()
    run = run_with(tmp_path / "other", failed, range(0, 2000, 70))
    assert [a.info["step"] for a in read(save_candidates(run), index=":", format="extxyz")] == [70, 140]
