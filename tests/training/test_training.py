"""Making a potential: held-out frames, DeePMD's files, the label queue, the choice of frames, a real training."""

import json
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.neighborlist import neighbor_list
from hypothesis import given
from hypothesis import strategies as st

from lisi_nb import references
from lisi_nb.errors import RunFailed
from lisi_nb.potentials.compressed import compressed
from lisi_nb.structures.amorphous import check
from lisi_nb.structures.packing import random_packing
from lisi_nb.training import amorphous_frames, dataset, dp, explore, train
from lisi_nb.training import label as labelling
from lisi_nb.training.frames import initial_frames, melt_volume_A3, random_melt, small_interface, strained_crystals
from lisi_nb.training.held_out import is_held_out

LJ = dict(epsilon=0.05, sigma=2.4, rc=5.0)


def frame(n_li: int = 6, n_si: int = 4, seed: int = 0, system: str = "melt/a") -> Atoms:
    """Random Li and Si in shuffled order."""
    atoms = random_packing(["Li"] * n_li + ["Si"] * n_si, (6.0, 6.5, 7.0), seed)
    atoms = atoms[np.random.default_rng(seed).permutation(len(atoms))]
    atoms.info = {"system": system, "round": 0}
    return atoms


def labelled(**options) -> Atoms:
    """A frame with Lennard-Jones labels."""
    atoms = frame(**options)
    work = atoms.copy()
    work.calc = LennardJones(**LJ)
    atoms.calc = SinglePointCalculator(
        atoms, energy=work.get_potential_energy(), forces=work.get_forces(), stress=work.get_stress()
    )
    return atoms


# --- dataset ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=80), st.integers(2, 12))
def test_split_holds_out_every_nth_of_each_system(systems, every):
    frames = []
    for k, system in enumerate(systems):
        atoms = Atoms("Li", info={"system": system, "number": k})
        frames.append(atoms)
    training, test = dataset.split(frames, every)
    numbers = [sorted(a.info["number"] for a in part) for part in (training, test)]
    assert sorted(numbers[0] + numbers[1]) == list(range(len(frames)))  # each frame once, in one of the two
    for system in set(systems):
        n = systems.count(system)
        held = sum(a.info["system"] == system for a in test)
        assert abs(held - n / every) < 1
    # A frame keeps its side when later rounds add frames behind it.
    more = dataset.split([*frames, Atoms("Li", info={"system": "a", "number": -1})], every)
    assert {a.info["number"] for a in test} <= {a.info["number"] for a in more[1]}


def test_usable_is_bounded_force():
    atoms = Atoms("Li2", positions=[(0, 0, 0), (2, 0, 0)])
    for force, good in ((dataset.MAX_FORCE_EV_A, True), (dataset.MAX_FORCE_EV_A + 0.01, False), (float("nan"), False)):
        forces = np.zeros((2, 3))
        forces[1, 2] = -force
        atoms.calc = SinglePointCalculator(atoms, forces=forces, energy=0.0)
        assert dataset.usable(atoms) == good


def test_write_deepmd_round_trip(tmp_path):
    """Read back with numpy: every frame is there, atoms sorted Li then Si, all labels in the same order and unit."""
    frames = [labelled(seed=s) for s in range(3)] + [labelled(n_li=5, n_si=0, seed=9)]
    systems = dataset.write_deepmd(frames, tmp_path / "data")
    assert len(systems) == 2
    total = 0
    for system in map(type(tmp_path), systems):
        assert (system / "type_map.raw").read_text().split() == ["Li", "Si"]
        types = np.loadtxt(system / "type.raw", dtype=int, ndmin=1)
        assert (np.diff(types) >= 0).all()
        parts = {n: np.load(system / "set.000" / f"{n}.npy") for n in ("coord", "box", "energy", "force", "virial")}
        for k in range(len(parts["energy"])):
            total += 1
            atoms = next(a for a in frames if abs(a.get_potential_energy() - parts["energy"][k]) < 1e-9)
            back = Atoms(
                [("Li", "Si")[t] for t in types], parts["coord"][k].reshape(-1, 3), cell=parts["box"][k].reshape(3, 3),
                pbc=True, calculator=LennardJones(**LJ),
            )  # fmt: skip
            assert back.get_chemical_symbols().count("Li") == atoms.get_chemical_symbols().count("Li")
            # The reference engine itself, on what was written, must return the labels beside it.
            assert back.get_potential_energy() == pytest.approx(parts["energy"][k])
            np.testing.assert_allclose(back.get_forces(), parts["force"][k].reshape(-1, 3), atol=1e-10)
            virial = parts["virial"][k].reshape(3, 3)
            np.testing.assert_allclose(virial, -back.get_volume() * back.get_stress(voigt=False), atol=1e-10)
    assert total == len(frames)


def test_virial_sign_by_a_squeezed_crystal(tmp_path):
    """DeePMD's virial is positive when the cell wants to grow: -dE/d(strain), here by finite strain."""
    atoms = Atoms(
        "Li4", scaled_positions=[(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)], cell=[3.4] * 3, pbc=True
    )
    work = atoms.copy()
    work.calc = LennardJones(**LJ)
    atoms.calc = SinglePointCalculator(
        atoms, energy=work.get_potential_energy(), forces=work.get_forces(), stress=work.get_stress()
    )
    (system,) = dataset.write_deepmd([atoms], tmp_path / "d")
    virial = np.load(f"{system}/set.000/virial.npy").reshape(3, 3)
    energies = []
    for strain in (1e-5, -1e-5):
        work.set_cell(np.diag([3.4 * (1 + strain), 3.4, 3.4]), scale_atoms=True)
        energies.append(work.get_potential_energy())
    assert virial[0, 0] == pytest.approx(-(energies[0] - energies[1]) / 2e-5, rel=1e-4)
    assert virial[0, 0] > 1


def test_write_deepmd_replaces_what_was_there(tmp_path):
    dataset.write_deepmd([labelled(seed=1)], tmp_path / "d")
    (system,) = dataset.write_deepmd([labelled(n_li=3, n_si=3, seed=2)], tmp_path / "d")
    assert [str(p) for p in (tmp_path / "d").iterdir()] == [system]


# --- labelling -------------------------------------------------------------------------------------------------------


def test_frame_id_names_the_geometry():
    atoms = frame()
    same = atoms.copy()
    same.positions += 1e-5  # below the 0.001 A of the hash, except at a rounding edge
    edge = np.abs((atoms.positions * 1e3) % 1 - 0.5).min() < 0.02
    assert edge or labelling.frame_id(same) == labelling.frame_id(atoms)
    for change in ("position", "cell", "element"):
        other = atoms.copy()
        if change == "position":
            other.positions[3, 1] += 0.01
        elif change == "cell":
            other.cell[0, 0] += 0.01
        else:
            other.numbers[0] = 14 if other.numbers[0] == 3 else 3
        assert labelling.frame_id(other) != labelling.frame_id(atoms), change
    zero = Atoms("Li", positions=[(-0.0, 0.0, -1e-9)], cell=[5] * 3)
    assert labelling.frame_id(zero) == labelling.frame_id(Atoms("Li", positions=[(0, 0, 0)], cell=[5] * 3))


class Counting(LennardJones):
    """Lennard-Jones that counts its frames and refuses pure lithium."""

    calls = 0

    def calculate(self, atoms=None, properties=None, system_changes=()):
        type(self).calls += 1
        if 14 not in atoms.numbers:
            raise RuntimeError("no silicon,\nno label")
        super().calculate(atoms, ["energy", "forces", "stress"], system_changes or ["positions"])


@pytest.fixture
def cheap(monkeypatch):
    """A reference engine named `cheap` that costs nothing."""
    Counting.calls = 0
    engine = references.Reference("cheap", "Lennard-Jones", "", lambda: Counting(**LJ), ("ase",))
    monkeypatch.setitem(references._REFERENCES, "cheap", engine)
    return engine


def test_queue_resumes_after_a_cut_off_last_frame(tmp_path, cheap):
    """Killed while writing the third label: the half frame is dropped, only what is missing is labelled again."""
    source, target = tmp_path / "frames.extxyz", tmp_path / "labels.extxyz"
    frames = [frame(seed=s, system=f"melt/{s}") for s in range(5)]
    write(source, frames, format="extxyz")
    assert labelling.label(source, target, "cheap") == 5
    whole, reference = target.read_text(), read(target, index=":", format="extxyz")
    lines = whole.splitlines(keepends=True)
    per_frame = 2 + len(frames[0])
    two, three = "".join(lines[: 2 * per_frame]), "".join(lines[: 3 * per_frame])
    # Cut between lines, after the header, after one digit, within the very last number, before the last line end.
    for cut in (two + "".join(lines[:5]), two + lines[0], two + "1", three[:-4], three[:-1]):
        target.write_text(cut)
        Counting.calls = 0
        assert labelling.label(source, target, "cheap") == 5
        done = read(target, index=":", format="extxyz")
        assert {a.info["frame_id"] for a in done} == {labelling.frame_id(a) for a in frames}
        assert Counting.calls == 3
        assert all(np.array_equal(a.get_forces(), b.get_forces()) for a, b in zip(done, reference, strict=True))
    Counting.calls = 0
    assert labelling.label(source, target, "cheap") == 5
    assert Counting.calls == 0


def test_labels_are_the_engines_and_keep_their_origin(tmp_path, cheap):
    write(tmp_path / "f.extxyz", [frame(seed=4, system="interface/100")], format="extxyz")
    labelling.label(tmp_path / "f.extxyz", tmp_path / "l.extxyz", "cheap")
    (back,) = labelling.read_frames(tmp_path / "l.extxyz")
    assert (back.info["system"], back.info["reference"]) == ("interface/100", "cheap")
    direct = back.copy()
    direct.calc = LennardJones(**LJ)
    assert back.get_potential_energy() == pytest.approx(direct.get_potential_energy(), abs=1e-6)
    # extxyz keeps eight decimals of position; LJ forces vary by less than 10 eV/A2.
    np.testing.assert_allclose(back.get_forces(), direct.get_forces(), atol=1e-6)
    np.testing.assert_allclose(back.get_stress(), direct.get_stress(), atol=1e-7)


def test_failed_frames_are_kept_with_their_reason_and_not_tried_again(tmp_path, cheap):
    frames = [frame(seed=1), frame(n_si=0, seed=2), frame(seed=3)]
    write(tmp_path / "f.extxyz", frames, format="extxyz")
    assert labelling.label(tmp_path / "f.extxyz", tmp_path / "l.extxyz", "cheap") == 2
    (failed,) = read(tmp_path / "l.failed.extxyz", index=":", format="extxyz")
    assert failed.info["failure"] == "RuntimeError: no silicon, no label"
    assert failed.info["frame_id"] == labelling.frame_id(frames[1])
    Counting.calls = 0
    assert labelling.label(tmp_path / "f.extxyz", tmp_path / "l.extxyz", "cheap") == 2
    assert Counting.calls == 0


def test_an_engine_without_words_still_leaves_a_reason(tmp_path, cheap, monkeypatch):
    class NotConverged(RuntimeError):
        pass

    def gives_up(*_):
        raise NotConverged

    monkeypatch.setattr(labelling, "evaluate", gives_up)
    write(tmp_path / "f.extxyz", [frame()], format="extxyz")
    assert labelling.label(tmp_path / "f.extxyz", tmp_path / "l.extxyz", "cheap") == 0
    (failed,) = read(tmp_path / "l.failed.extxyz", index=":", format="extxyz")
    assert failed.info["failure"] == "NotConverged: it gave no further words"


def test_a_hash_that_looks_like_a_number_stays_a_name(tmp_path, cheap, monkeypatch):
    monkeypatch.setattr(labelling, "frame_id", lambda atoms: "2e7990435314")
    write(tmp_path / "f.extxyz", [frame()], format="extxyz")
    for _ in range(2):
        assert labelling.label(tmp_path / "f.extxyz", tmp_path / "l.extxyz", "cheap") == 1
    assert [a.info["frame_id"] for a in labelling.read_frames(tmp_path / "l.extxyz")] == ["2e7990435314"]


def test_shards_share_the_work(tmp_path, cheap):
    write(tmp_path / "f.extxyz", [frame(seed=s) for s in range(5)], format="extxyz")
    counts = [labelling.label(tmp_path / "f.extxyz", tmp_path / f"l{k}.extxyz", "cheap", k, 2) for k in range(2)]
    assert counts == [3, 2]
    ids = {a.info["frame_id"] for k in range(2) for a in labelling.read_frames(tmp_path / f"l{k}.extxyz")}
    assert len(ids) == 5


def test_unphysical_frames_and_labels_are_set_apart_with_their_reason(tmp_path, cheap, monkeypatch):
    overlapping, good = frame(seed=1), frame(seed=2)
    overlapping.positions[1] = overlapping.positions[0] + (0.5, 0, 0)
    write(tmp_path / "f.extxyz", [overlapping, good], format="extxyz")
    assert labelling.label(tmp_path / "f.extxyz", tmp_path / "l.extxyz", "cheap") == 1
    (failed,) = read(tmp_path / "l.failed.extxyz", index=":", format="extxyz")
    assert failed.info["failure"] == "ValueError: two atoms are 0.50 Å apart; at least 0.6 Å is allowed"
    monkeypatch.setattr(labelling, "MAX_FORCE_EV_A", 1e-9)
    assert labelling.label(tmp_path / "f.extxyz", tmp_path / "m.extxyz", "cheap") == 0
    (_, failed) = read(tmp_path / "m.failed.extxyz", index=":", format="extxyz")
    assert "is taken for physics" in failed.info["failure"]


# --- frames and exploration ------------------------------------------------------------------------------------------


def test_initial_frames_cover_the_systems_and_are_reproducible():
    frames, again = initial_frames(), initial_frames()
    assert len(frames) == len(again) > 150
    assert [labelling.frame_id(a) for a in frames] == [labelling.frame_id(a) for a in again]
    kinds = {a.info["system"].split("/")[0] for a in frames}
    assert kinds == {"crystal", "surface", "melt", "squeezed", "interface", "dimer"}
    assert all(a.pbc.all() and set(a.symbols) <= {"Li", "Si"} for a in frames)
    assert max(map(len, frames)) <= 200
    ids = [labelling.frame_id(a) for a in frames]
    assert len(set(ids)) == len(ids), "no frame is labelled twice"


def test_strained_crystals_are_sheared_crystals():
    """Strains of a few per cent, shear among them, and neighbours that still know each other."""
    silicon = [a for a in strained_crystals() if a.info["system"] == "crystal/Si"]
    strain = np.array([a.cell.array / 5.4306 - np.eye(3) for a in silicon])
    shear = strain[:, [0, 0, 1], [1, 2, 2]]
    assert 0.005 < np.abs(shear).mean() < np.abs(strain).max() < 0.12
    for atoms in silicon:
        assert (np.bincount(neighbor_list("i", atoms, 2.85), minlength=8) == 4).mean() > 0.8
    assert not [a for a in strained_crystals() if is_held_out(a)]
    ids = [labelling.frame_id(a) for a in strained_crystals()]
    assert ids == [labelling.frame_id(a) for a in strained_crystals()]
    assert len(set(ids)) == len(ids)


def test_melt_volume_and_composition():
    assert melt_volume_A3(10, 0) == pytest.approx(215)
    assert melt_volume_A3(0, 10) == pytest.approx(204)
    # Li15Si4: 15.52 A3/atom in the crystal; the rough rule may be 5 % off.
    assert melt_volume_A3(15, 4) / 19 == pytest.approx(15.52, rel=0.05)
    melt = random_melt(2.25, 52, 1.0, 1)
    symbols = melt.get_chemical_symbols()
    assert symbols.count("Li") / symbols.count("Si") == pytest.approx(2.25)
    atoms = small_interface("110", 1, 12.0)
    assert atoms.pbc.tolist() == [True, True, False]


def test_explorations_are_runnable_and_varied():
    runs, again = explore.explorations(1, 1000), explore.explorations(1, 1000)
    assert [r.system for r in runs] == [r.system for r in again]
    np.testing.assert_array_equal(runs[3].atoms.positions, again[3].atoms.positions)
    assert len({r.segment.seed for r in runs}) == len(runs)
    assert {r.system.split("/")[0] for r in runs} == {"interface", "melt", "crystal", "surface"}
    for run in runs:
        assert run.segment.n_steps >= 500
        assert run.segment.deviation_every == run.segment.dump_every  # every frame has its deviation
        cell = run.atoms.cell.array
        np.testing.assert_allclose(cell, np.diag(np.diag(cell)), atol=1e-6, err_msg=run.system)


# --- training --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_train_member_really_trains_and_freezes(tmp_path):
    """20 steps of `dp train` on eight frames, frozen; the same call again trains nothing; a broken input is said.

    With angles: what MD uses has zeros where the trainer mutes lithium, and still is what was trained.
    """
    frames = [labelled(seed=s) for s in range(8)]
    data = train.Data(*(dataset.write_deepmd(f, tmp_path / n) for n, f in (("a", frames[:6]), ("b", frames[6:]))))
    frozen = train.train_member(tmp_path / "member", data, 20, 1, 1, train.WITH_ANGLES)
    assert frozen.stat().st_size > 1e5
    rows = np.loadtxt(tmp_path / "member" / "lcurve.out")
    assert rows[-1, 0] == 20
    assert np.isfinite(rows).all()
    stamp = frozen.stat().st_mtime_ns
    assert train.train_member(tmp_path / "member", data, 20, 1, 1, train.WITH_ANGLES) == frozen
    assert frozen.stat().st_mtime_ns == stamp
    from deepmd.infer import DeepPot

    model = DeepPot(str(frozen))
    assert model.get_type_map() == ["Li", "Si"]
    assert model.get_rcut() == train.DESCRIPTOR["rcut"]
    # What MD uses is what was trained: energy and forces of the converted model are those PyTorch gives.
    order = sorted(range(len(frames[0])), key=lambda k: dataset.ELEMENTS.index(frames[0].symbols[k]))
    atoms = frames[0][order]
    types = [dataset.ELEMENTS.index(symbol) for symbol in atoms.symbols]
    arguments = (atoms.positions.reshape(1, -1).tolist(), atoms.cell.array.reshape(1, 9).tolist(), types)
    code = (
        "import json, sys; from deepmd.infer import DeepPot; import numpy as np; x, c, t = json.load(sys.stdin);"
        "e, f, v = DeepPot('frozen.pth').eval(np.array(x), np.array(c), t)[:3];"
        "print(json.dumps([e.tolist(), f.tolist(), v.tolist()]))"
    )
    done = subprocess.run(
        [str(dp.reference_python()), "-c", code], input=json.dumps(arguments), cwd=tmp_path / "member",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    trained = json.loads(done.stdout.splitlines()[-1])
    for mine, theirs in zip(model.eval(*map(np.array, arguments[:2]), types)[:3], trained, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)
    assert compressed(frozen).stat().st_size > frozen.stat().st_size
    with pytest.raises(RunFailed, match=r"`dp --pt train input\.json` in .* ended with code"):
        train.train_member(tmp_path / "broken", train.Data([str(tmp_path / "nowhere")], data.test), 20, 1, threads=1)


def answering(curve: str, words: str = "", then=None):
    """A `dp` that writes a learning curve, and fails with `words` in its log if there are any."""

    def dp(python, *arguments, folder, threads=2):
        (folder / "lcurve.out").write_text("#  step rmse_e_val rmse_e_trn rmse_f_val rmse_f_trn lr\n" + curve)
        if then is not None:
            then(folder)
        if words:
            (folder / "dp-train.log").write_text(words + "\n" + "a long list\n" * 30)
            raise RunFailed(f"`dp train` ended with code 1: {words}")
        assert arguments[1] == "train", "nothing is frozen"
        return ""

    return dp


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        ("10 0.1 0.1 0.2 0.2 1e-2\n20 nan nan nan nan 1e-3\n", ""),
        ("10 0.1 0.1 0.2 inf 1e-2\n", ""),
        ("10 0.1 0.1 0.2 0.2 1e-2\n", "RuntimeError: Non-finite gradient norm; training has diverged."),
        ("", "RuntimeError: NaN detected at batch 1: val: . Something went wrong, and it is meaningless to continue."),
    ],
)
def test_a_training_that_diverged_is_not_frozen(tmp_path, monkeypatch, curve, words):
    monkeypatch.setattr(train, "reference_python", lambda: tmp_path)
    monkeypatch.setattr(train, "dp", answering(curve, words))
    with pytest.raises(
        RunFailed, match=r"diverged: .* not finite any more\. Choose a lower learning rate than .*=0\.01"
    ):
        train.train_member(tmp_path / "m", train.Data(["a"], ["b"]), 20, 1)
    assert not (tmp_path / "m" / "frozen.pb").exists()


def test_a_full_disk_is_named_and_the_checkpoint_stays(tmp_path, monkeypatch):
    """The training goes on from its checkpoint, though the file that names it was emptied by the full disk."""
    member, given = tmp_path / "m", (train.Data(["a"], ["b"]), 20, 1)
    good = "10 0.1 0.1 0.2 0.2 1e-2\n"

    def checkpoint(folder):
        (folder / "model.ckpt-10.pt").write_text("weights")
        (folder / "model.ckpt.pt").symlink_to("model.ckpt-10.pt")
        (folder / "checkpoint").write_text("")

    monkeypatch.setattr(train, "reference_python", lambda: tmp_path)
    words = "RuntimeError: [enforce fail at inline_container.cc:672] . unexpected pos 332544 vs 332436"
    monkeypatch.setattr(train, "dp", answering(good, words, checkpoint))
    monkeypatch.setattr(train.shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    with pytest.raises(RunFailed, match=rf"The disk of {member} is full .*goes on from its last checkpoint"):
        train.train_member(member, *given)
    monkeypatch.setattr(train.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1e12))
    asked = []

    def again(python, *arguments, folder, threads=2):
        asked.append(arguments)
        raise RunFailed("something else")

    monkeypatch.setattr(train, "dp", again)
    with pytest.raises(RunFailed, match=r"^something else"):
        train.train_member(member, *given)
    assert asked == [("--pt", "train", "--restart", "model.ckpt.pt", "input.json")]
    assert (member / "model.ckpt.pt").read_text() == "weights"


# --- amorphous silicon -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_tersoff_draws_a_four_coordinated_network(tmp_path):
    frames = amorphous_frames.tersoff_quench(tmp_path / "quench", 0.98, seed=3, n_steps=8000, n_frames=4)
    assert [len(atoms) for atoms in frames] == [amorphous_frames.N_ATOMS] * 4
    glass = check(frames[-1], "Si")
    assert glass.coordination == pytest.approx(4, abs=0.3)
    assert glass.density_g_cm3 == pytest.approx(0.98 * 28.085 * 1.66054 / 20.4, rel=1e-3)
    assert glass.problems() == ()
    # Not a crystal: in diamond no pair lies between the first shell (2.37 A) and the second (3.87 A).
    between = neighbor_list("d", frames[-1], 3.6)
    assert ((between > 2.8) & (between < 3.6)).any()
