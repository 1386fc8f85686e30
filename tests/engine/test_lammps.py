"""The LAMMPS input: its text block by block, id ranges, bottom modes, stages. Real LAMMPS reads it in test_launch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lisi_nb.engine.lammps import Segment, Stage, _ranges, input_text

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
thermo_style custom step temp pe ke etotal press pzz lz cpu
compute mobile_T mobile temp
thermo_modify temp mobile_T flush yes lost error
dump trajectory all custom 100 traj.0.bin id type xu yu zu
dump_modify trajectory sort id flush yes

# stop on request
variable stop equal is_file(stop.request)
fix stop all halt 20 v_stop > 0.5 error soft message no

# molecular dynamics
timestep 0.0005
reset_timestep 0
fix integrate mobile nvt temp 500 500 0.1
run 2000
unfix integrate

# final state
write_data final.data nocoeff
write_restart final.restart
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
    assert text.count("reset_timestep 0") == 1
    assert text.index("run 5") < text.index("temp 900 300 0.1") < text.index("run 7") < text.index("run 9")
    assert "fix integrate mobile npt temp 300 300 0.1 z 1.5 1.5 0.5\nrun 9\nunfix integrate" in text
    assert text.count("unfix integrate") == 3


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


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5), st.integers(1, 300))
def test_shortened_is_the_first_steps(lengths, n):
    whole = segment(stages=tuple(Stage(length, 300 + k, 400) for k, length in enumerate(lengths)))
    short = whole.shortened(n)
    assert short.n_steps == min(n, whole.n_steps)
    for mine, theirs in zip(short.stages, whole.stages, strict=False):
        assert mine.start_K == theirs.start_K
        assert mine.n_steps <= theirs.n_steps
    assert all(a.n_steps == b.n_steps for a, b in zip(short.stages[:-1], whole.stages, strict=False))


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
