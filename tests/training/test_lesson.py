"""The lesson that makes a potential: what it learns from, where it breaks, what is cut out; engines stay outside."""

from types import SimpleNamespace

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.neighborlist import neighbor_list

from lisi_nb import paths, published
from lisi_nb.structures.crystals import crystal
from lisi_nb.training import lesson, lesson_figures, lesson_work, work
from lisi_nb.training.label import frame_id
from lisi_nb.training.train import DESCRIPTOR, OPTIMIZER

RNG = np.random.default_rng(1)


def calculator(epsilon=0.1):
    return LennardJones(sigma=2.6, epsilon=epsilon, rc=5.5, smooth=True)


ENSEMBLE = SimpleNamespace(calculators=lambda: [calculator(), calculator(0.08)])


def labelled(n, system="crystal/Li"):
    found = []
    for k in range(n):
        atoms = crystal("Li") * (3, 3, 3)
        atoms.rattle(0.1, seed=k)
        atoms.calc = calculator(0.12)
        calc = SinglePointCalculator(
            atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces(), stress=atoms.get_stress()
        )
        atoms.calc, atoms.info = calc, {"system": system}
        found.append(atoms)
    return found


@pytest.fixture
def idle(monkeypatch, empty_data):
    """Works are prepared and found, but no process is started."""
    monkeypatch.setattr(work, "start", lambda job, module: job)


def finished(job, files):
    """Write what a process would have made."""
    for name, frames in files.items():
        write(job.folder / name, frames, format="extxyz")
    outputs = {name: work.sha256(job.folder / name) for name in files}
    job.update(state="finished", started=0.0, ended=1.0, message="", outputs=outputs)
    return job


def moved(peaks_eV_A, high_atom=5):
    """Frames of the needle whose largest deviation, on one atom, is given."""
    found = []
    for k, peak in enumerate(peaks_eV_A):
        atoms = lesson.needle(lesson.scaled("smoke"))
        atoms.arrays["model_devi_f"] = np.full(len(atoms), 0.001)
        atoms.arrays["model_devi_f"][high_atom + k] = peak
        atoms.info["time_ps"] = 0.02 * k
        found.append(atoms)
    return found


def test_surfaces_are_not_learnt_from():
    given = lesson.shipped_frames()
    assert {a.info["system"] for a in [*given.training, *given.held_out]} == {"crystal/Li", "crystal/Li_fcc"}
    assert all(a.info["system"].startswith("surface/Li") for a in given.left_out)
    assert len(given.training) >= 12
    assert len(given.held_out) >= 4
    assert len(given.left_out) >= 20
    ids = [frame_id(a) for some in (given.training, given.held_out, given.left_out) for a in some]
    assert len(ids) == len(set(ids))


def test_fresh_frames_are_reproducible_and_new():
    params = lesson.scaled("lesson")
    fresh = lesson.fresh_frames(params)
    assert [frame_id(a) for a in fresh] == [frame_id(a) for a in lesson.fresh_frames(params)]
    assert len(fresh) == params.n_fresh
    assert not {frame_id(a) for a in fresh} & {frame_id(a) for a in lesson.recipe.labelled()}
    per_atom = [a.get_volume() / len(a) for a in fresh]
    assert min(per_atom) < 0.9 * 20 < 1.1 * 20 < max(per_atom)
    assert frame_id(lesson.fresh_frames(params.replace(seed=2))[0]) != frame_id(fresh[0])


@pytest.mark.parametrize("scale", lesson.SCALES)
def test_the_needle_has_faces_edges_and_corners(scale):
    params = lesson.scaled(scale)
    atoms = lesson.needle(params)
    assert atoms.pbc.all()
    distances = neighbor_list("d", atoms, 3.2)
    assert distances.min() == pytest.approx(crystal("Li").cell.lengths()[0] * 3**0.5 / 2)
    n = lesson_figures.neighbours(atoms)
    assert n.max() == 14
    assert n.min() <= 5
    z = np.sort(atoms.positions[:, 2])
    assert atoms.cell.lengths()[2] - (z[-1] - z[0]) == pytest.approx(12.0)
    # A cut cell is smaller than the slab at every scale: something is really cut.
    assert atoms.cell.lengths()[:2].min() > 2 * DESCRIPTOR["rcut"] + 2.2


def test_the_same_labels_and_seeds_are_the_same_training(idle):
    params, more = lesson.scaled("smoke"), labelled(2)
    first = lesson.train(params, more)
    assert lesson.train(params, labelled(2)) == first
    assert lesson.train(params.replace(seed=2), more) != first
    assert lesson.train(params, labelled(3)) != first
    assert first.settings == {
        "n_steps": params.n_steps,
        "seeds": [100, 111],
        "optimizer": OPTIMIZER,
        "frames_a_step": 1,
    }
    assert lesson_figures.share(first) == (0.0, f"step 0 of {params.n_steps}, 2 members")
    assert lesson_figures.live(first) == ()


def test_without_teacher_and_trainer_it_says_what_to_type(monkeypatch, tmp_path, empty_data):
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    for call in (lambda: lesson.label(labelled(1)), lambda: lesson.train(lesson.scaled("smoke"), labelled(1))):
        with pytest.raises(FileNotFoundError, match="make reference"):
            call()


def test_predictions_are_written_beside_the_labels_and_read_back(idle):
    frames = labelled(3)
    job = finished(
        lesson.label(frames), {"held_out.predicted.extxyz": [lesson_work.annotated(ENSEMBLE, a) for a in frames]}
    )
    found = lesson.predicted(job, "held_out")
    for k, atoms in enumerate(frames):
        np.testing.assert_allclose(found.label_force_eV_A[k], atoms.get_forces(), atol=1e-7)
        # Forces scale with epsilon: 0.10 and 0.08 beside a label of 0.12, so their spread is 0.01 / 0.12 of the label.
        np.testing.assert_allclose(found.force_eV_A[k], atoms.get_forces() / 1.2, atol=1e-7)
        norm = np.linalg.norm(atoms.get_forces(), axis=1)
        np.testing.assert_allclose(found.deviation_eV_A[k], norm / 12, atol=1e-7)
    np.testing.assert_allclose(found.energy_eV_atom * 1.2, found.label_energy_eV_atom, rtol=1e-6)
    force, energy, deviation = lesson_figures.totals(found)
    every = np.concatenate([a.get_forces().ravel() for a in frames])
    assert force == pytest.approx(np.sqrt((every**2).mean()) / 6, rel=1e-5)
    assert energy == pytest.approx(1000 * abs(found.label_energy_eV_atom).mean() / 6, rel=1e-2)
    assert deviation == pytest.approx(np.concatenate(found.deviation_eV_A).max())


def tried(peaks_eV_A):
    files = {"crystal.trajectory.extxyz": moved([9.0, 0.1, 0.1, 0.1]), "needle.trajectory.extxyz": moved(peaks_eV_A)}
    return finished(work.prepare(lesson.root(), "needle", {"n": len(peaks_eV_A)}, {}), files)


def test_labels_are_told_apart_by_their_frames_when_one_is_missing(idle):
    """The teacher could not label the second of three: what follows is still paired with its own frame."""
    frames = labelled(5)
    for atoms in frames:
        atoms.info["frame_id"] = frame_id(atoms)
    fresh, shipped = frames[:3], frames[3:]
    job = finished(lesson.label(frames), {"labels.extxyz": [frames[0], *frames[2:]]})
    assert [a.info["frame_id"] for a in lesson.labels(job, fresh)] == [frames[k].info["frame_id"] for k in (0, 2)]
    again = lesson.labels(job, shipped)
    assert len(again) == 2
    curve = lesson_figures.relabelled_chart(shipped, again[::-1]).curves[0]
    np.testing.assert_allclose(curve.x, curve.y, atol=1e-6)


def test_cells_are_cut_around_the_least_certain_atom_of_frames_in_the_window(idle):
    job = tried([0.5, 0.05, 0.3, 0.2, 5.0, 0.4])
    assert lesson.window(job) == (pytest.approx(0.1), lesson.TOO_FAR_EV_A)
    cuts = lesson.choose_cuts(lesson.scaled("smoke"), job)
    # Not the start, not the certain frame, nothing from the failed frame on.
    assert len(cuts) == 2
    for cell, k in zip(cuts, (2, 3), strict=True):
        frame = lesson.needle(lesson.scaled("smoke"))
        centre = cell.info["centre"]
        assert cell.info["cut_from"] == len(frame) > len(cell)
        assert cell.info["in_window"] == 1
        (i, d), (here, far) = (neighbor_list("id", atoms, DESCRIPTOR["rcut"]) for atoms in (frame, cell))
        np.testing.assert_allclose(np.sort(far[here == centre]), np.sort(d[i == 5 + k]))
    assert f"2 cells of {min(map(len, cuts))}" in lesson_figures.cuts_text(cuts)


def test_a_window_without_frames_is_said(idle):
    cuts = lesson.choose_cuts(lesson.scaled("smoke"), tried([0.0, 0.05, 0.06]))
    assert [cell.info["in_window"] for cell in cuts] == [0, 0]
    assert "below the window" in lesson_figures.cuts_text(cuts)


def test_smoothing_is_the_root_mean_square_of_neighbouring_looks():
    step, error = np.arange(20.0) * 10, RNG.random(20)
    x, y = lesson_figures.smooth(step, error, 5)
    for k in range(16):
        assert x[k] == pytest.approx(step[k : k + 5].mean())
        assert y[k] == pytest.approx(np.sqrt((error[k : k + 5] ** 2).mean()))
    np.testing.assert_allclose(lesson_figures.smooth(step[:7], error[:7], 9), (step[:7], error[:7]))


def test_neighbours_of_bcc():
    assert set(lesson_figures.neighbours(crystal("Li") * (3, 3, 3))) == {14}


def test_charts_and_tables_hold_what_they_are_given():
    given = lesson.Frames(labelled(2), labelled(1), labelled(3, "surface/Li100"))
    assert lesson_figures.frames_table(given).rows == (
        ("crystal/Li", "2", "1", ""),
        ("surface/Li100", "", "", "3"),
        ("all", "2", "1", "3"),
    )
    chart = lesson_figures.deviation_chart({"a": moved([0.1, 0.2]), "b": moved([0.3])}, 0.15, 9.0)
    assert [c.label for c in chart.curves] == ["a", "b", "worth a label above 0.15"]
    np.testing.assert_array_equal(chart.curves[0].y, [0.1, 0.2])
    errors = {"crystal": {"n_frames": 5, "force_rmse_eV_A": 0.02, "energy_rmse_meV_atom": 1.5}}
    rows = lesson_figures.errors_table({"before": errors, "after": errors}).rows
    assert rows == (("crystal", "5", "0.020", "1.5", "0.020", "1.5"),)
    rows = lesson_figures.published_table({"mine": errors}, "lisi").rows
    paper = published.value("interdiffusion", "energy_rmse", "Si_Li_interfaces")
    assert ("interdiffusion: Si_Li_interfaces", f"{paper.value:g}", "0.155", paper.doi) in rows
    assert ("mine: crystal", "1.5", "0.02", "this project") in rows
    assert any(row[0] == "what it imitates" for row in lesson_figures.card_table("lisi").rows)
