"""Labelled frames from elsewhere: every format there and back, units and signs, and what is set apart."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from lisi_nb.training.dataset import write_deepmd
from lisi_nb.training.intake import guess_format, read_labelled, sort_labels


def frame(seed=0, n_li=3, n_si=2):
    rng = np.random.default_rng(seed)
    atoms = Atoms("Li" * n_li + "Si" * n_si, cell=[7.0, 7.5, 8.0], pbc=True)
    grid = np.array([(x, y, z) for x in (0, 3.5) for y in (0, 3.7) for z in (0, 4.0)])[: len(atoms)]
    atoms.positions = grid + rng.uniform(-0.3, 0.3, (len(atoms), 3))
    stress = rng.normal(size=6) * 0.01
    atoms.info["system"] = f"made/{seed}"
    atoms.calc = SinglePointCalculator(
        atoms, energy=-3.0 * seed - 1, forces=rng.normal(size=(len(atoms), 3)), stress=stress
    )
    return atoms


def same(a, b, stress=True):
    assert a.get_chemical_symbols() == b.get_chemical_symbols()
    np.testing.assert_allclose(a.positions, b.positions, atol=1e-6)
    np.testing.assert_allclose(a.cell.array, b.cell.array, atol=1e-6)
    assert a.get_potential_energy() == pytest.approx(b.get_potential_energy(), abs=1e-6)
    np.testing.assert_allclose(a.get_forces(), b.get_forces(), atol=1e-6)
    if stress:
        np.testing.assert_allclose(a.get_stress(), b.get_stress(), atol=1e-7)


def test_extxyz(tmp_path):
    frames = [frame(s) for s in range(3)]
    write(tmp_path / "set.extxyz", frames, format="extxyz")
    for a, b in zip(read_labelled(tmp_path / "set.extxyz"), frames, strict=True):
        same(a, b)
        assert a.info["system"] == b.info["system"]


def test_deepmd_folder_keeps_energy_forces_and_the_sign_of_the_stress(tmp_path):
    frames = [frame(s) for s in range(3)]
    write_deepmd(frames, tmp_path / "deepmd")
    back = read_labelled(tmp_path / "deepmd")
    assert len(back) == 3
    for a, b in zip(sorted(back, key=lambda a: a.get_potential_energy()), reversed(frames), strict=True):
        same(a, b, stress="stress" in a.calc.results)


def test_deepmd_types_without_names_need_elements(tmp_path):
    frames = [frame(s) for s in range(2)]
    (system,) = write_deepmd(frames, tmp_path / "deepmd")
    (tmp_path / "deepmd" / system.rsplit("/", 1)[-1] / "type_map.raw").unlink()
    with pytest.raises(ValueError, match=r"deepmd numbers its types and has no type_map\.raw\. Give their elements"):
        read_labelled(tmp_path / "deepmd")
    with pytest.raises(ValueError, match=r"deepmd has 2 types, but elements=\['Li'\] names 1"):
        read_labelled(tmp_path / "deepmd", elements=("Li",))
    back = read_labelled(tmp_path / "deepmd", elements=("Li", "Si"))
    for a, b in zip(sorted(back, key=lambda a: -a.get_potential_energy()), frames, strict=True):
        same(a, b, stress=False)
    swapped = read_labelled(tmp_path / "deepmd", elements=("Si", "Li"))[0]
    assert swapped.get_chemical_symbols() == ["Si"] * 3 + ["Li"] * 2


def mtp_text(atoms):
    """A configuration as MLIP writes it: PlusStress = -stress * volume."""
    rows = [
        f"    {k + 1} {0 if s == 'Li' else 1} {' '.join(f'{x:.8f}' for x in (*p, *f))}"
        for k, (s, p, f) in enumerate(zip(atoms.symbols, atoms.positions, atoms.get_forces(), strict=True))
    ]
    plus = " ".join(f"{x:.8f}" for x in -atoms.get_stress() * atoms.get_volume())
    cell = "\n".join("    " + " ".join(f"{x:.8f}" for x in row) for row in atoms.cell.array)
    return "\n".join(
        [
            "BEGIN_CFG", " Size", f"    {len(atoms)}", " Supercell", cell,
            " AtomData:  id type       cartes_x      cartes_y      cartes_z           fx          fy          fz",
            *rows, " Energy", f"    {atoms.get_potential_energy():.8f}",
            " PlusStress:  xx          yy          zz          yz          xz          xy", f"    {plus}",
            " Feature   EFS_by       VASP", "END_CFG", "",
        ]
    )  # fmt: skip


def test_mtp_and_its_stress(tmp_path):
    frames = [frame(s) for s in range(2)]
    path = tmp_path / "train.cfg"
    path.write_text("\n".join(mtp_text(a) for a in frames))
    for a, b in zip(read_labelled(path, elements=("Li", "Si")), frames, strict=True):
        same(a, b)
    with pytest.raises(ValueError, match="numbers its types"):
        read_labelled(path)
    with pytest.raises(ValueError, match=r"has 2 types, but elements=\['Li'\] names 1"):
        read_labelled(path, elements=("Li",))


def test_a_malformed_mtp_block_is_named_and_the_others_stay(tmp_path):
    first, second = (mtp_text(frame(s)) for s in range(2))
    path = tmp_path / "train.cfg"
    unlabelled = second.replace(" Energy", " Enthalpy")
    path.write_text("\n".join([first, unlabelled, second.replace(" fz", " gz"), second, first[:200]]))
    found = sort_labels(read_labelled(path, elements=("Li", "Si")), ("Li", "Si"))
    same(found.good[1], frame(1))
    assert found.apart == [
        (1, "block 2 of train.cfg: it has no Energy"),
        (2, "block 3 of train.cfg: its AtomData has no fz"),
        (4, "block 5 of train.cfg: it is cut short: no END_CFG"),
    ]
    path.write_text(unlabelled)
    with pytest.raises(
        ValueError, match=r"no usable labelled frame in format mtp\..*\n  block 1 of train.cfg: it has no"
    ):
        read_labelled(path, elements=("Li", "Si"))


def test_aenet_folder(tmp_path):
    atoms = frame(5)
    rows = "\n".join(
        f"{s} {' '.join(f'{x:.8f}' for x in (*p, *f))}"
        for s, p, f in zip(atoms.symbols, atoms.positions, atoms.get_forces(), strict=True)
    )
    cell = "\n".join(" ".join(f"{x:.8f}" for x in row) for row in atoms.cell.array)
    head = f"# total energy = {atoms.get_potential_energy()} eV\n\nCRYSTAL\nPRIMVEC\n"
    (tmp_path / "s1.xsf").write_text(f"{head}{cell}\nPRIMCOORD\n{len(atoms)} 1\n{rows}\n")
    (back,) = read_labelled(tmp_path)
    same(back, atoms, stress=False)
    (tmp_path / "s2.xsf").write_text("CRYSTAL\n")
    found = sort_labels(read_labelled(tmp_path), ("Li", "Si"))
    same(found.good[0], atoms, stress=False)
    ((index, why),) = found.apart
    assert index == 1
    assert why.startswith("s2.xsf: it has no line '# total energy")
    (tmp_path / "s1.xsf").unlink()
    with pytest.raises(ValueError, match=r"no usable labelled frame in format aenet\..*\n  s2.xsf: it has no line"):
        read_labelled(tmp_path)


def test_formats_are_told_by_name(tmp_path):
    for name, form in (
        ("a.xyz", "extxyz"),
        ("OUTCAR", "vasp/outcar"),
        ("MOVEMENT", "pwmat/movement"),
        ("x.CFG", "mtp"),
    ):
        (tmp_path / name).touch()
        assert guess_format(tmp_path / name) == form
    with pytest.raises(ValueError, match=r"does not tell its format\. Give one of: extxyz"):
        guess_format(tmp_path / "a.dat")
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "none.xyz"))):
        read_labelled(tmp_path / "none.xyz")
    with pytest.raises(ValueError, match="format='word' is not known"):
        read_labelled(tmp_path / "a.xyz", form="word")
    with pytest.raises(ValueError, match=r"a folder, but mtp is one file: give that\. Folders may be extxyz, aenet, "):
        read_labelled(tmp_path, form="mtp", elements=("Li", "Si"))
    with pytest.raises(ValueError, match=r"a file, but deepmd/npy is a folder: give the one that holds type\.raw"):
        read_labelled(tmp_path / "a.xyz", form="deepmd/npy")
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"'none' does not tell its format"):
        read_labelled(tmp_path / "none")


def test_each_bad_frame_is_set_apart_with_its_reason_and_the_rest_stays():
    good, twin = frame(1), frame(1)
    empty = Atoms(cell=[5] * 3, pbc=True)
    foreign = frame(2)
    foreign.symbols[0] = "Na"
    unlabelled = frame(3)
    unlabelled.calc = None
    strong, nan, close = frame(4), frame(5), frame(6)
    strong.calc.results["forces"][0, 0] = 500.0
    nan.calc.results["energy"] = float("nan")
    close.positions[1] = close.positions[0] + (0.4, 0, 0)
    close.calc.atoms = close.copy()
    found = sort_labels([good, twin, empty, foreign, unlabelled, strong, nan, close, frame(7)], ("Li", "Si"))
    assert found.good[0] is good
    assert len(found.good) == 2
    assert [k for k, _ in found.apart] == [1, 2, 3, 4, 5, 6, 7]
    reasons = " / ".join(why for _, why in found.apart)
    for words in ("same geometry as frame 0", "no atoms", "contains Na", "no energy or no forces", "500.0 eV/Å",
                  "not finite", "0.40 Å apart"):  # fmt: skip
        assert words in reasons
    assert str(found).startswith("2 frames are usable, 7 are set apart")


def test_mixed_settings_are_refused():
    a, b = frame(1), frame(2)
    a.info["settings"], b.info["settings"] = "gpaw cutoff_eV=350", "gpaw cutoff_eV=500"
    with pytest.raises(ValueError, match=r"mixed: gpaw cutoff_eV=350 \| gpaw cutoff_eV=500"):
        sort_labels([a, b], ("Li", "Si"))


def test_frames_without_settings_beside_frames_with_them_are_set_apart():
    frames = [frame(k) for k in range(4)]
    frames[0].info["settings"] = frames[2].info["settings"] = "gpaw cutoff_eV=350"
    frames[3].info["settings"] = ""
    found = sort_labels(frames, ("Li", "Si"))
    assert found.good == [frames[0], frames[2]]
    assert found.apart == [(k, "it names no reference settings; others name gpaw cutoff_eV=350") for k in (1, 3)]
    assert not sort_labels([frame(k) for k in range(4)], ("Li", "Si")).apart
