"""The LAMMPS input: its text block by block, id ranges, bottom modes, stages. Real LAMMPS reads it in test_launch."""

import numpy as np
import pytest
from ase import Atoms, units
from hypothesis import given
from hypothesis import strategies as st

from lisi_nb.engine import execute, parse
from lisi_nb.engine.devices import Device
from lisi_nb.engine.lammps import TRAJECTORY, Segment, Stage, _ranges, input_text, resume_text
from lisi_nb.training.amorphous_frames import TERSOFF

GOLDEN = """\
# structure
units metal
atom_style atomic
atom_modify map yes
boundary p p f
read_data data.lmp

# potential
pair_style deepmd potential/member0.pb potential/member1.pb out_freq 50 out_file model_devi.out
pair_coeff * * Li Si
neighbor 1.0 bin

# held atoms
group bottom id 1:3 7
group mobile subtract all bottom
velocity bottom set 0.0 0.0 0.0
fix hold bottom setforce 0.0 0.0 0.0
fix walls all wall/reflect zlo EDGE zhi EDGE

# velocities
velocity mobile create 500.0 11 mom yes rot no dist gaussian

# output
thermo 10
thermo_style custom step atoms temp pe ke etotal press pzz lz vol cpu
compute mobile_T mobile temp
thermo_modify temp mobile_T flush yes lost error
dump trajectory all custom 100 traj.0.bin id type xu yu zu
dump_modify trajectory sort id flush yes

# stop on request
variable stop equal is_file(stop.request)
fix stop all halt 20 v_stop > 0.5 error soft message no

# molecular dynamics
timestep 0.0005
if "$(step) < 2000 && $(v_stop) < 0.5" then &
  "fix integrate mobile nvt temp 500 500 0.1" &
  "run 2000 upto start 0 stop 2000" &
  "write_restart final.restart" &
  "unfix integrate"

# final state
write_data final.data nocoeff
"""


def segment(**changes) -> Segment:
    settings = dict(
        stages=(Stage(2000, 500.0, 500.0),), timestep_fs=0.5, seed=11, thermo_every=10, deviation_every=50,
        bottom="fixed", walls=True,
    )  # fmt: skip
    return Segment(**(settings | changes))


def test_golden_text():
    """Written by hand after the LAMMPS and DeePMD-kit manuals; a change of the physics must change this text."""
    assert input_text(segment(), ["potential/member0.pb", "potential/member1.pb"], [1, 2, 3, 7]) == GOLDEN


def test_tethered_moves_everything_and_springs_the_bottom():
    text = input_text(segment(bottom="tethered", tether_eV_A2=3.5), ["m.pb"], [4, 5])
    assert "group bottom id 4:5\ngroup mobile union all\nfix hold bottom spring/self 3.5\n" in text
    assert "setforce" not in text


@pytest.mark.parametrize(("bottom", "ids"), [("free", [1, 2]), ("fixed", []), ("tethered", [])])
def test_nothing_held(bottom, ids):
    text = input_text(segment(bottom=bottom), ["m.pb"], ids)
    assert "group mobile union all" in text
    assert "group bottom" not in text
    assert "fix hold" not in text
    # Net momentum is removed only where nothing holds the slab in place.
    assert ("fix drift mobile momentum" in text) == (bottom == "free")


def test_one_model_writes_no_deviation_and_no_dump_when_unwanted():
    text = input_text(segment(dump_every=0), ["m.pb"])
    assert "model_devi" not in text
    assert "dump" not in text


def test_stages_follow_on_one_time_axis():
    text = input_text(segment(stages=(Stage(5, 900, 900), Stage(7, 900, 300), Stage(9, 300, 300, 1.5))), ["m.pb"])
    first = text.index('"run 5 upto start 0 stop 5"')
    second = text.index('"run 12 upto start 5 stop 12"')
    assert first < text.index("temp 900 300 0.1") < second < text.index('"run 21 upto start 12 stop 21"')
    assert '"fix integrate mobile npt temp 300 300 0.1 z 1.5 1.5 0.5"' in text
    assert text.count("unfix integrate") == 3


def test_resumed_segment_reads_its_state_and_writes_new_files():
    stages = (Stage(5, 900, 900), Stage(7, 900, 300))
    first = input_text(segment(stages=stages, restart_every=4), ["a.pb", "b.pb"], [1])
    then = resume_text(segment(stages=stages, restart_every=4), ["a.pb", "b.pb"], [1])
    assert "read_restart ${from}" in then
    assert "read_data" not in then
    assert "velocity mobile create" not in then
    for old, new in (("traj.0.bin", "traj.${part}.bin"), ("model_devi.out", "model_devi.${part}.out")):
        assert old in first
        assert old not in then
        assert new in then
    for same in ("restart 4 restart.a restart.b", '"run 5 upto start 0 stop 5"', '"run 12 upto start 5 stop 12"'):
        assert same in first
        assert same in then


@given(st.sets(st.integers(1, 400)))
def test_ranges_expand_to_the_same_ids(ids):
    words = _ranges(list(ids))
    expanded = []
    for word in words:
        first, _, last = word.partition(":")
        expanded += range(int(first), int(last or first) + 1)
    assert expanded == sorted(ids)
    # As few words as there are stretches: no two can be joined.
    assert len(words) == sum(i - 1 not in ids for i in ids)


def test_tersoff_silicon_needs_no_ensemble():
    text = input_text(segment(), ["potential/member0.tersoff"], [])
    assert "pair_style tersoff\npair_coeff * * potential/member0.tersoff Si Si\n" in text
    assert "deepmd" not in text


def test_an_atom_that_leaves_a_free_particle_never_comes_back(tmp_path):
    """Silicon at 100 A/ps crosses a box of 20 A twice over: its box grows, and a periodic one would fold it in."""
    atoms = Atoms("Si3", [[9, 10, 10], [11.3, 10, 10], [10, 10, 14]], cell=[20, 20, 20], pbc=False)
    atoms.set_velocities([[0, 0, 0], [0, 0, 0], [0, 0, 0.1 / units.fs]])
    fly = Segment((Stage(500, 300.0, 300.0),), damping_ps=1e4, dump_every=100, free=True, keep_velocities=True)
    last = execute.run_blocking(tmp_path, atoms, fly, [TERSOFF], Device("cpu", "test", 1))
    frames = list(parse.frames(tmp_path / TRAJECTORY))
    assert {f.periodic for f in frames} == {(False, False, False)}
    height = [f.atoms().positions[2, 2] - f.atoms().positions[0, 2] for f in frames]
    np.testing.assert_allclose(height, 4 + 100 * 0.1 * np.arange(6), rtol=0.02)
    assert np.ptp(frames[-1].box_A[2]) > 50
    assert len(last) == 3


@pytest.mark.parametrize("towards", [1, -1])
def test_a_free_particle_goes_on_where_an_atom_has_left_its_box(tmp_path, towards):
    atoms = Atoms("Si3", [[9, 10, 10], [11.3, 10, 10], [10, 10, 10 + 4 * towards]], cell=[20, 20, 20], pbc=False)
    atoms.set_velocities([[0, 0, 0], [0, 0, 0], [0, 0, 0.1 * towards / units.fs]])
    fly = Segment((Stage(200, 300.0, 300.0),), damping_ps=1e4, dump_every=100, free=True, keep_velocities=True)
    for k in range(2):
        atoms = execute.run_blocking(tmp_path / str(k), atoms, fly, [TERSOFF], Device("cpu", "test", 1))
    height = atoms.positions[2, 2] - atoms.positions[0, 2]
    assert towards * height == pytest.approx(4 + 400 * 0.1, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(bottom="glued"), "bottom='glued' is not known. Allowed: free, fixed, tethered"),
        (dict(timestep_fs=50.0), "timestep_fs=50.0 fs is outside 0.05 to 5 fs"),
        (dict(seed=0), "seed=0 is outside"),
    ],
)
def test_bad_segment(changes, message):
    with pytest.raises(ValueError, match=message):
        segment(**changes)
