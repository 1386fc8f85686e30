"""What a format holds is read whole, and what cannot be used is named with its reason: no frame is lost unseen."""

import dpdata
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from lisi_nb.training.dataset import write_deepmd
from lisi_nb.training.intake import read_labelled, sort_labels


def frame(symbols, seed=0):
    rng = np.random.default_rng(seed)
    grid = np.array([(x, y, z) for x in (0, 3.5) for y in (0, 3.7) for z in (0, 4.0)])[: len(symbols)]
    atoms = Atoms(symbols, positions=grid + rng.uniform(-0.3, 0.3, grid.shape), cell=[7.0, 7.5, 8.0], pbc=True)
    forces, stress = rng.normal(size=grid.shape), rng.normal(size=6) * 0.01
    atoms.calc = SinglePointCalculator(atoms, energy=-3.0 * seed - 1, forces=forces, stress=stress)
    return atoms


SETS = [["Li", "Si", "Si", "Li"], ["Li", "Li", "Li", "Si"], ["Si", "Li", "Li", "Li"], ["Li", "Si"]]
FRAMES = [frame(symbols, k) for k, symbols in enumerate(SETS)]


def assert_same_frames(back, frames):
    """Every frame is there once, with the right element at each position and its own labels."""
    assert len(back) == len(frames)
    by_energy = {round(a.get_potential_energy(), 6): a for a in back}
    for a in frames:
        b = by_energy[round(a.get_potential_energy(), 6)]
        order = [int(np.abs(b.positions - x).sum(axis=1).argmin()) for x in a.positions]
        assert b[order].get_chemical_symbols() == a.get_chemical_symbols()
        np.testing.assert_allclose(b.positions[order], a.positions, atol=1e-6)
        np.testing.assert_allclose(b.get_forces()[order], a.get_forces(), atol=1e-6)


def multi(frames):
    return dpdata.MultiSystems(*[dpdata.LabeledSystem(a, fmt="ase/structure") for a in frames])


@pytest.mark.parametrize("pad", [None, 4])
def test_mixed_deepmd_keeps_the_elements_of_each_frame(tmp_path, pad):
    multi(FRAMES).to("deepmd/npy/mixed", str(tmp_path / "mixed"), atom_numb_pad=pad)
    write_deepmd(FRAMES[:1], tmp_path / "plain")
    assert_same_frames(read_labelled(tmp_path / "mixed"), FRAMES)
    (tmp_path / "plain").rename(tmp_path / "mixed" / "plain")  # both kinds in one folder
    assert len(read_labelled(tmp_path / "mixed")) == 5
    for file in (tmp_path / "mixed").rglob("type_map.raw"):
        if "plain" not in str(file):
            file.unlink()
    why = [a.info["failure"] for a in read_labelled(tmp_path / "mixed", elements=("Li", "Si")) if "failure" in a.info]
    assert why
    assert all("it mixes compositions and has no type_map.raw" in w for w in why)


@pytest.mark.parametrize("form", ["deepmd/hdf5", "deepmd/hdf5/mixed"])
def test_hdf5_of_several_systems_gives_all(tmp_path, form):
    multi(FRAMES).to(form, str(tmp_path / "set.hdf5"))
    assert_same_frames(read_labelled(tmp_path / "set.hdf5"), FRAMES)


def test_hdf5_of_one_system(tmp_path):
    dpdata.LabeledSystem(FRAMES[0], fmt="ase/structure").to("deepmd/hdf5", str(tmp_path / "set.h5"))
    assert_same_frames(read_labelled(tmp_path / "set.h5"), FRAMES[:1])
    (tmp_path / "no.h5").write_text("text")
    with pytest.raises(ValueError, match=r"no\.h5 cannot be read in format deepmd/hdf5: .*signature"):
        read_labelled(tmp_path / "no.h5")


def test_one_bad_deepmd_system_is_named_and_the_others_stay(tmp_path):
    write_deepmd(FRAMES, tmp_path / "set")
    np.save(tmp_path / "set" / "LiSi" / "set.000" / "coord.npy", np.zeros((1, 5)))
    n_good, (why,) = apart(tmp_path / "set")
    assert n_good == 3
    assert why.startswith("set/LiSi: ")


def apart(path, **options):
    """Number of good frames and the reasons of the others."""
    found = sort_labels(read_labelled(path, **options), ("Li", "Si"))
    return len(found.good), [why for _, why in found.apart]


def test_damaged_extxyz_keeps_the_whole_frames(tmp_path):
    path = tmp_path / "set.extxyz"
    write(path, FRAMES, format="extxyz")
    lines = path.read_text().splitlines(keepends=True)
    del lines[4]  # a row of the first frame; then the file is cut within the last
    path.write_text("".join(lines)[:-40])
    n_good, (first, last) = apart(path)
    assert n_good == 2
    assert first.startswith("block 1 of set.extxyz: ")
    assert last.startswith("block 4 of set.extxyz: ")
    (tmp_path / "empty.xyz").touch()
    assert apart(tmp_path) == (2, ["block 1 of empty.xyz: it is empty", first, last])


def keyed(energy, forces, stress=None, **also):
    """An extxyz file with one frame whose labels have these names."""
    atoms = FRAMES[0].copy()
    atoms.info = {energy: -1.5, **also}
    atoms.arrays[forces] = np.arange(12.0).reshape(4, 3)
    if stress:
        atoms.info[stress] = np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]]) * 0.001
    return atoms


@pytest.mark.parametrize(
    "names",
    [
        ("REF_energy", "REF_forces", "REF_stress"),
        ("dft_energy", "dft_forces", "dft_stress"),
        ("DFT_energy", "DFT_forces", "DFT_stress"),
        ("energy_mace", "forces_mace", "stress_mace"),
        ("Energy", "forces", None),
    ],
)
def test_other_names_of_labels(tmp_path, names):
    write(tmp_path / "set.xyz", keyed(*names), format="extxyz")
    (atoms,) = read_labelled(tmp_path / "set.xyz")
    assert atoms.get_potential_energy() == -1.5
    np.testing.assert_allclose(atoms.get_forces(), np.arange(12.0).reshape(4, 3))
    if names[2]:
        np.testing.assert_allclose(atoms.get_stress(), [0.001, 0.002, 0.003, 0.004, 0.005, 0.006])


def test_unknown_and_ambiguous_names_are_set_apart_with_what_came_and_what_is_allowed(tmp_path):
    both = FRAMES[1].copy()
    both.calc = SinglePointCalculator(both, **FRAMES[1].calc.results)
    both.info["REF_energy"], both.arrays["REF_forces"] = -2.0, np.zeros((4, 3))
    frames = [keyed("my_energy", "my_forces"), both, keyed("REF_energy", "dft_forces"), FRAMES[2]]
    write(tmp_path / "set.xyz", frames, format="extxyz")
    n_good, (unknown, twice, half) = apart(tmp_path / "set.xyz")
    assert n_good == 1
    assert (
        "block 1 of set.xyz: it has no energy or no forces but my_energy, my_forces; allowed: energy + forces, "
        in unknown
    )
    assert "several labels, energy + forces and REF_energy + REF_forces: keep those" in twice
    assert "but REF_energy, dft_forces; allowed" in half


def movement(steps):
    """A PWmat MOVEMENT; per step its time in fs and its number of SCF steps."""
    return "".join(
        f""" 2 atoms,Iteration (fs) = {time:.6E}, Etot,Ep,Ek (eV) = -5.0 -6.{k} 1.0, SCF = {n_scf}
 Lattice vector (Angstrom)
   5.0 0.0 0.0     stress (eV): 0.125 0.0 0.0
   0.0 5.0 0.0     stress (eV): 0.0 0.25 0.0
   0.0 0.0 5.0     stress (eV): 0.0 0.0 0.5
 Position (normalized), move_x, move_y, move_z
   14 0.1 0.2 0.3 1 1 1
    3 0.5 0.6 0.{k}7 1 1 1
 Force (-force, eV/Angstrom)
   14 0.1 0.0 0.0
    3 -0.1 0.0 0.0
 -------------------------------------------------
"""
        for k, (time, n_scf) in enumerate(steps)
    )


def test_movement_sets_unconverged_and_damaged_steps_apart(tmp_path):
    path = tmp_path / "MOVEMENT"
    text = movement([(0, 41), (1, 40), (2, 12), (3, 12)])
    path.write_text(text.replace("6.2 1.0, SCF = 12", "6.2 1.0, SCF = many") + text[:300])
    n_good, why = apart(path)
    assert n_good == 2
    assert why[0] == "step 2 of MOVEMENT: SCF did not converge"
    assert why[1].startswith("step 3 of MOVEMENT: ")
    assert why[2:] == ["step 5 of MOVEMENT: it is cut short"]
    atoms = read_labelled(path)[0]
    assert sorted(atoms.get_chemical_symbols()) == ["Li", "Si"]
    assert atoms.get_potential_energy() == -6.0
    np.testing.assert_allclose(atoms.get_forces()[list(atoms.symbols).index("Si")], [-0.1, 0, 0])


def outcar(n_scf):
    """A VASP OUTCAR; per ionic step its number of SCF steps, of at most 60."""
    head = """ TITEL  = PAW_PBE Li_sv 10Sep2004
 TITEL  = PAW_PBE Si 05Jan2001
   NWRITE =      2    write-flag & timer
   NELM   =     60;   NELMIN=  2; NELMDL= -5     # of ELM steps
   ions per type =               1   1
"""
    kilobar = "1.0 2.0 3.0 0.1 0.2 0.3"
    steps = [
        f"""--------------------------------------- Iteration      {k}({n:4d})  ---------------------------------------
  FORCE on cell =-STRESS in cart. coord.  units (eV):
{"  Direction XX YY ZZ XY YZ ZX" * 13}
{chr(10).join(["  Alpha Z 0.1 0.1 0.1"] * 13)}
  in kB       {kilobar}
 VOLUME and BASIS-vectors are now :
 -----------------------------------------------------------------------------
  energy-cutoff  :      500.00
  volume of cell :      125.00
      direct lattice vectors                 reciprocal lattice vectors
     5.000000000  0.000000000  0.000000000     0.200000000  0.000000000  0.000000000
     0.000000000  5.000000000  0.000000000     0.000000000  0.200000000  0.000000000
     0.000000000  0.000000000  5.000000000     0.000000000  0.000000000  0.200000000

 POSITION                                       TOTAL-FORCE (eV/Angst)
 -----------------------------------------------------------------------------------
      0.10000      0.20000      0.{k}3000         0.100000      0.000000      0.000000
      2.50000      2.50000      2.50000        -0.100000      0.000000      0.000000
 -----------------------------------------------------------------------------------
  free  energy   TOTEN  =        -7.{k}0000000 eV
"""
        for k, n in enumerate(n_scf, 1)
    ]
    return head, steps


def test_outcar_sets_unconverged_and_damaged_steps_apart(tmp_path):
    path = tmp_path / "OUTCAR"
    head, steps = outcar([5, 60, 7, 8, 9])
    path.write_text(head + "".join(steps) + " General timing and accounting informations for this job:\n")
    assert apart(path) == (4, ["step 2 of OUTCAR: SCF did not converge"])
    atoms = read_labelled(path)[2]
    assert atoms.get_chemical_symbols() == ["Li", "Si"]
    assert atoms.get_potential_energy() == -7.3
    assert atoms.get_stress()[0] == pytest.approx(-1.0 / 1602.176621)

    steps[2] = steps[2].replace("      2.50000      2.50000      2.50000 ", "")  # a row of the forces
    path.write_text(head + "".join(steps)[:-300])
    n_good, why = apart(path)
    assert n_good == 2
    assert why[0] == "step 2 of OUTCAR: SCF did not converge"
    assert why[1].startswith("step 3 of OUTCAR: incomplete labels")
    assert why[2:] == ["step 5 of OUTCAR: it is cut short"]
    path.write_text(head + steps[1])
    with pytest.raises(ValueError, match=r"no usable labelled frame.*\n  step 1 of OUTCAR: SCF did not converge"):
        read_labelled(path)


def vasprun(n_scf):
    """A vasprun.xml; per ionic step its number of SCF steps, of at most 60."""

    def rows(name, values):
        return f'<varray name="{name}">' + "".join(f"<v>{v}</v>" for v in values) + "</varray>"

    steps = "".join(
        f"""<calculation>{"<scstep/>" * n}<structure><crystal>{rows("basis", ["5 0 0", "0 5 0", "0 0 5"])}</crystal>
{rows("positions", [f"0 0 0.0{k}", "0.5 0.5 0.5"])}</structure>{rows("forces", ["0.1 0 0", "-0.1 0 0"])}
{rows("stress", ["1 0 0", "0 2 0", "0 0 3"])}<energy><i name="e_fr_energy">-7.{k}</i></energy></calculation>
"""
        for k, n in enumerate(n_scf, 1)
    )
    atoms = "".join(f"<rc><c>{s}</c><c>{k}</c></rc>" for k, s in enumerate(("Li", "Si"), 1))
    return (
        '<modeling><parameters><separator><i type="int" name="NELM">60</i></separator></parameters>'
        f'<atominfo><array name="atoms"><set>{atoms}</set></array></atominfo>\n{steps}</modeling>'
    )


def test_vasprun_sets_unconverged_steps_and_a_cut_end_apart(tmp_path):
    path = tmp_path / "vasprun.xml"
    path.write_text(vasprun([5, 60, 7, 8]))
    assert apart(path) == (3, ["step 2 of vasprun.xml: SCF did not converge"])
    assert [a.calc is None for a in read_labelled(path)] == [False, True, False, False]
    assert read_labelled(path)[2].get_potential_energy() == -7.3
    path.write_text(vasprun([5, 60, 7, 8])[:-80])
    n_good, why = apart(path)
    assert n_good == 2
    assert why[0] == "step 2 of vasprun.xml: SCF did not converge"
    assert why[1].startswith("vasprun.xml: it is cut short or damaged after step 3")
