"""Readers of LAMMPS's files: round trips, truncation at every kind of place, damage, and three other codes."""

import struct
import subprocess

import numpy as np
import pytest
from ase.io import read as ase_read
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import dump_bytes, write_dump

from lisi_nb.engine import parse
from lisi_nb.engine.devices import Device
from lisi_nb.engine.execute import command, environment
from lisi_nb.engine.parse import Frame, TruncatedFile

HEAD = "Step Temp PotEng TotEng CPU"


def frame(step: int, n: int, seed: int) -> Frame:
    rng = np.random.default_rng(seed)
    low = rng.uniform(-5, 5, 3)
    box = np.column_stack([low, low + rng.uniform(5, 20, 3)])
    x, y, z = rng.integers(0, 2, 3).astype(bool).tolist()
    return Frame(step, box, rng.integers(1, 3, n).astype(np.int8), rng.normal(0, 30, (n, 3)), (x, y, z))


def same(a: Frame, b: Frame) -> bool:
    return a.step == b.step and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("box_A", "types", "positions_A", "periodic")
    )


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_round_trip_with_any_cut_into_chunks(tmp_path_factory, data):
    """As many MPI ranks as one likes, some of them without atoms, with and without units and time in the header."""
    path = tmp_path_factory.mktemp("dump") / "traj.bin"
    n = data.draw(st.integers(1, 30))
    written = [frame(10 * k, n, data.draw(st.integers(0, 99))) for k in range(data.draw(st.integers(0, 5)))]
    blob = b""
    for f in written:
        cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=5)))
        units, time = data.draw(st.sampled_from([("", None), ("metal", None), ("metal", 0.5)]))
        blob += dump_bytes(f, np.diff([0, *cuts, n]).tolist(), units=units, time_ps=time)
    path.write_bytes(blob)
    read = list(parse.frames(path, strict=True))
    assert len(read) == len(written)
    assert all(map(same, read, written))
    every = data.draw(st.integers(1, 4))
    assert [f.step for f in parse.frames(path, every)] == [f.step for f in written[::every]]


def test_count_frames_needs_no_reading(tmp_path):
    path = write_dump(tmp_path / "t.bin", [frame(k, 17, k) for k in range(9)], n_chunks=3)
    assert parse.count_frames(path) == 9
    (tmp_path / "empty.bin").touch()
    assert parse.count_frames(tmp_path / "empty.bin") == 0


@pytest.mark.parametrize("every", [1, 2, 3])
def test_cut_after_any_byte_gives_the_whole_frames_before(tmp_path, every):
    """A run killed while writing: every length of the file, from nothing to three frames of two chunks."""
    whole = [frame(k, 4, k) for k in range(3)]
    blobs = [dump_bytes(f, [3, 1]) for f in whole]
    ends = np.cumsum([len(b) for b in blobs])
    blob, path = b"".join(blobs), tmp_path / "t.bin"
    for length in range(len(blob) + 1):
        path.write_bytes(blob[:length])
        complete = int((ends <= length).sum())
        read = list(parse.frames(path, every))
        assert len(read) == len(range(0, complete, every)), length
        assert all(map(same, read, whole[:complete:every]))
        assert parse.count_frames(path) == complete
        if length in (0, *ends):
            list(parse.frames(path, strict=True))
        else:
            with pytest.raises(TruncatedFile, match=f"middle of frame {complete}"):
                list(parse.frames(path, strict=True))


def test_damage_in_the_middle_is_an_error(tmp_path):
    blobs = [dump_bytes(frame(k, 4, k)) for k in range(2)]
    path = tmp_path / "t.bin"
    for damaged in (
        blobs[0] + b"garbage!" * 40 + blobs[1],
        b"ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n" * 9,
        blobs[0].replace(b"DUMPCUSTOM", b"DUMPNOTHIN") + blobs[1],
        dump_bytes(frame(0, 4, 0), columns="id type x y z"),
        blobs[0].replace(
            struct.pack("=i", 20) + struct.pack("=d", 1.0), struct.pack("=i", 15) + struct.pack("=d", 1.0)
        ),
        blobs[0].replace(
            struct.pack("=i", 20) + struct.pack("=d", 1.0), struct.pack("=i", -5) + struct.pack("=d", 1.0)
        ),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"t\.bin"):
            list(parse.frames(path))


def test_types_and_atoms():
    box, places = np.array([[1.0, 11.0], [0, 10], [-2, 8]]), np.array([[0.5, 0, 0], [12, 9, 7]])
    f = Frame(0, box, np.array([1, 2]), places, (True, True, False))
    assert f.is_li.tolist() == [True, False]
    atoms = f.atoms()
    assert atoms.get_chemical_symbols() == ["Li", "Si"]
    assert atoms.pbc.tolist() == [True, True, False]
    np.testing.assert_allclose(atoms.positions, [[9.5, 0, 2], [1, 9, 9]])  # relative to the corner, wrapped


def test_binary_and_text_dump_of_one_lammps_run(tmp_path):
    """LAMMPS on two ranks writes one run twice: its binary dump read by us, its text dump by MDAnalysis."""
    import MDAnalysis

    (tmp_path / "in.lmp").write_text(
        "units metal\nboundary p p f\nlattice bcc 4.0\nregion box block 0 3 0 4 0 5\ncreate_box 2 box\n"
        "create_atoms 1 box\nset group all type/fraction 2 0.4 7\nmass * 7.0\npair_style zero 3.0\npair_coeff * *\n"
        "velocity all create 3000.0 5\nfix walls all wall/reflect zlo EDGE zhi EDGE\nfix move all nve\n"
        "dump binary all custom 5 traj.bin id type xu yu zu\ndump_modify binary sort id\n"
        "dump text all custom 5 traj.lammpstrj id type xu yu zu\ndump_modify text sort id format float %.12g\n"
        "timestep 0.05\nrun 100\n"
    )
    device = Device("cpu", "test", 2)
    done = subprocess.run(command(device), cwd=tmp_path, env=environment(device), check=False, timeout=120)
    assert done.returncode == 0, (tmp_path / "log.lammps").read_text()[-800:]
    universe = MDAnalysis.Universe(
        tmp_path / "traj.lammpstrj", format="LAMMPSDUMP", lammps_coordinate_convention="unwrapped"
    )
    ours = list(parse.frames(tmp_path / "traj.bin", strict=True))
    assert len(ours) == len(universe.trajectory) == 21
    travelled = np.abs(ours[-1].positions_A - ours[0].positions_A).max(axis=0)
    assert (travelled[:2] > 6).all(), "atoms must leave the cell for unwrapped positions to be tested"
    assert {f.periodic for f in ours} == {(True, True, False)}
    for f, theirs in zip(ours, universe.trajectory, strict=True):
        assert int(theirs.data["step"]) == f.step
        # MDAnalysis keeps float32 (2^-24 of coordinates up to 100 A: 6e-6) and shifts to the corner of the box.
        np.testing.assert_allclose(theirs.positions, f.positions_A - f.box_A[:, 0], atol=2e-5)
        assert [int(t) for t in universe.atoms.types] == f.types.tolist()


def test_real_trajectory_as_read_by_ovito_and_ase(smoke_run):
    from ovito.io import import_file

    pipeline = import_file(str(smoke_run.trajectories[0]))
    ours = list(smoke_run.frames())
    assert pipeline.source.num_frames == len(ours) == parse.count_frames(smoke_run.trajectories[0])
    ase_frames = ase_read(
        smoke_run.trajectories[0], format="lammps-dump-binary", index=":", colnames=parse.DUMP_COLUMNS
    )
    for k in (0, 7, len(ours) - 1):
        data = pipeline.compute(k)
        order = np.argsort(data.particles["Particle Identifier"][...])
        np.testing.assert_array_equal(data.particles.positions[...][order], ours[k].positions_A)
        np.testing.assert_array_equal(data.particles.particle_types[...][order], ours[k].types)
        assert data.attributes["Timestep"] == ours[k].step
        np.testing.assert_allclose(ase_frames[k].positions, ours[k].positions_A, atol=1e-12)


def test_first_frame_is_the_built_structure(smoke_run):
    """Order of atoms and elements survive: dump against the data file that LAMMPS read."""
    start = ase_read(smoke_run.folder / "data.lmp", format="lammps-data", sort_by_id=True, Z_of_type={1: 3, 2: 14})
    first = next(smoke_run.frames())
    np.testing.assert_array_equal(start.numbers == 3, first.is_li)
    shift = first.positions_A - first.box_A[:, 0] - start.positions
    shift[:, :2] -= np.ptp(first.box_A, axis=1)[:2] * np.round(shift[:, :2] / np.ptp(first.box_A, axis=1)[:2])
    # data.lmp is written with finite decimals, and z is shrink-wrapped by nothing (boundary f).
    np.testing.assert_allclose(shift, 0, atol=1e-5)


# --- log -------------------------------------------------------------------------------------------------------------


def log(*blocks: str) -> str:
    return "LAMMPS (22 Jul 2025)\n" + "\n".join(blocks) + "\n"


def rows(steps) -> str:
    return "\n".join(f"   {s}   {300 + s}   -4.5e2  -400.25  {0.1 * s:.6f} " for s in steps)


def test_thermo_of_several_runs(tmp_path):
    """Three `run` commands: the step shared by two of them appears once, with the later run's line."""
    path = tmp_path / "log.lammps"
    end = "Loop time of 1.5 on 2 procs for 10 steps with 9 atoms\n\nPair | 1.0 | 2.0 | 3.0 | 4"
    second = rows((10, 15, 20)).replace("310   -4.5e2", "777   -4.5e2")
    path.write_text(log(HEAD, rows((0, 5, 10)), end, "unfix integrate", HEAD, second, end, HEAD, rows((20, 30)), end))
    thermo = parse.thermo(path)
    assert list(thermo) == HEAD.split()
    assert thermo["Step"].tolist() == [0, 5, 10, 15, 20, 30]
    assert thermo["Temp"].tolist() == [300, 305, 777, 315, 320, 330]


def test_thermo_leaves_out_warnings_and_errors(tmp_path):
    path = tmp_path / "log.lammps"
    path.write_text(
        log(
            HEAD,
            rows((0, 5)),
            "WARNING: one two three",
            rows((10,)),
            "ERROR: Lost atoms: original 9",
            "Last command: run",
        )
        + "ERROR: Lost atoms: original 9\nERROR on proc 0: Non-numeric atom coords\n"
    )
    assert parse.thermo(path)["Step"].tolist() == [0, 5, 10]
    assert parse.errors(path) == ["ERROR: Lost atoms: original 9", "ERROR on proc 0: Non-numeric atom coords"]


@given(st.integers(0, 400))
def test_thermo_cut_after_any_byte(tmp_path_factory, length):
    """Whatever was written when the reader came: whole lines only, the same values as in the whole file."""
    path = tmp_path_factory.mktemp("log") / "log.lammps"
    text = log(HEAD, rows(range(0, 40, 5)), "Loop time of 1")
    path.write_text(text[:length])
    thermo = parse.thermo(path)
    whole_lines = text[:length].count("\n") - 2  # less title and header
    n = max(0, min(whole_lines, 8))
    assert thermo.get("Step", np.array([])).tolist() == list(range(0, 5 * n, 5))
    assert thermo.get("PotEng", np.array([])).tolist() == [-450.0] * n


def test_nothing_yet(tmp_path):
    assert parse.thermo(tmp_path / "none") == {}
    assert parse.errors(tmp_path / "none") == []
    assert all(len(v) == 0 for v in parse.model_deviation(tmp_path / "none").values())


# --- model deviation -------------------------------------------------------------------------------------------------


@given(st.integers(0, 700))
def test_model_deviation_cut_after_any_byte(tmp_path_factory, length):
    names = ["step", "max_devi_v", "min_devi_v", "avg_devi_v", "max_devi_f", "min_devi_f", "avg_devi_f"]
    text = "#" + "".join(f"{n:>19}" for n in names) + "\n"
    for k in range(4):
        text += f"{50 * k:12d}" + "".join(f"{v:19.6e}" for v in (0.1, 0.2, 0.3, 1 + k, 0.5, 0.7)) + "\n"
    path = tmp_path_factory.mktemp("devi") / "model_devi.out"
    path.write_text(text[:length])
    n = max(0, text[:length].count("\n") - 1)
    found = parse.model_deviation(path)
    assert found["step"].tolist() == [0, 50, 100, 150][:n]
    assert found["max_devi_f_eV_A"].tolist() == [1, 2, 3, 4][:n]
    assert found["min_devi_f_eV_A"].tolist() == [0.5] * n
    assert found["avg_devi_f_eV_A"].tolist() == [0.7] * n


def test_real_model_deviation_against_numpy(smoke_run):
    table = np.loadtxt(smoke_run.folder / "model_devi.out")
    found = smoke_run.model_deviation()
    assert found["step"].tolist() == list(range(0, 301, 50))
    np.testing.assert_array_equal(np.column_stack(list(found.values())), table[:, [0, 4, 5, 6]])


def test_real_thermo_against_the_text(smoke_run):
    thermo = smoke_run.thermo()
    assert thermo["Step"].tolist() == list(range(0, 301, 10))
    np.testing.assert_allclose(
        thermo["PotEng"] + thermo["KinEng"], thermo["TotEng"], rtol=1e-5
    )  # eight digits in the log
    # The temperature is that of the atoms that move: velocities are scaled to exactly 900 K at the start.
    assert thermo["Temp"][0] == pytest.approx(900, abs=0.01)
