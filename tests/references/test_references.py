"""Reference engines: the door, its errors, and real GPAW, CP2K and teachers on a molecule in a box."""

import subprocess

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import kpts2mp
from ase.io import write

from lisi_nb import paths, references
from lisi_nb.references import ab_initio
from lisi_nb.references.ab_initio import KPT_DENSITY_A, kpoint_mesh
from lisi_nb.training import label as labelling
from lisi_nb.training.dp import reference_python

STEP_A = 0.02


def dimer(distance_A):
    """LiSi in a box that is skewed by nothing and symmetric in nothing but the axis."""
    return Atoms("LiSi", positions=[(0, 0, 0), (distance_A, 0, 0)], cell=[7.9, 7.0, 7.0], pbc=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpaw", "cp2k", "7net-0", "gfn1-xtb"])
def test_force_is_the_slope_of_the_energy(name, tmp_path):
    """The labels of three frames, made through the queue: F = -dE/dx by central difference."""
    distances = (2.30 - STEP_A, 2.30, 2.30 + STEP_A)
    write(tmp_path / "frames.extxyz", [dimer(d) for d in distances], format="extxyz")
    command = [str(reference_python()), "-m", "lisi_nb.training.label", "frames.extxyz", "labels.extxyz"]
    done = subprocess.run(
        [*command, "--reference", name],
        cwd=tmp_path,
        env={"PYTHONPATH": str(paths.PROJECT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    labels = labelling.read_frames(tmp_path / "labels.extxyz")
    assert len(labels) == 3, done.stderr[-2000:]
    assert "labelled 3/3 frames, time left 0 s" in done.stderr
    low, middle, high = labels
    slope = (high.get_potential_energy() - low.get_potential_energy()) / (2 * STEP_A)
    # The third derivative and unfinished self-consistency leave about 0.02 eV/A.
    assert -middle.get_forces()[1, 0] == pytest.approx(slope, abs=0.03)
    np.testing.assert_allclose(middle.get_forces().sum(axis=0), 0, atol=0.03)
    assert middle.info["settings"] == references.get(name).signature()
    assert np.isfinite(middle.get_stress()).all()


@pytest.mark.slow
def test_an_unconverged_cp2k_frame_fails_with_its_reason_and_spoils_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setitem(ab_initio.CP2K_SETTINGS, "max_scf_steps", 2)
    write("frames.extxyz", [dimer(2.3), dimer(2.4)], format="extxyz")
    assert labelling.label(tmp_path / "frames.extxyz", tmp_path / "labels.extxyz", "cp2k") == 0
    failed = labelling.read_frames(tmp_path / "labels.failed.extxyz")
    reasons = [a.info["failure"] for a in failed]
    assert reasons == ["RuntimeError: CP2K: SCF run NOT converged in 2 steps"] * 2
    assert {p.name for p in tmp_path.iterdir()} == {"frames.extxyz", "labels.failed.extxyz"}, "no file of CP2K"
    calculator = ab_initio.cp2k()
    with pytest.raises(RuntimeError, match="NOT converged"):
        labelling.evaluate(dimer(2.3), calculator)
    assert calculator.results == {}
    calculator.set(max_scf=120)
    energy = labelling.evaluate(dimer(2.3), calculator)["energy"]
    calculator._shell._child.kill()
    calculator._shell._child.wait()
    with pytest.raises(RuntimeError, match="CP2K ended: "):
        labelling.evaluate(dimer(2.4), calculator)
    assert labelling.evaluate(dimer(2.3), calculator)["energy"] == pytest.approx(energy, abs=1e-5)
    calculator.close()


@pytest.mark.slow
def test_an_unconverged_gpaw_frame_fails(tmp_path):
    code = (
        "from pathlib import Path; from lisi_nb.references import ab_initio; from lisi_nb.training import label;"
        "ab_initio.GPAW_SETTINGS |= {'max_scf_steps': 2, 'cutoff_eV': 150};"
        "label.label(Path('frames.extxyz'), Path('labels.extxyz'), 'gpaw')"
    )
    write(tmp_path / "frames.extxyz", [dimer(2.3)], format="extxyz")
    environment = {"PYTHONPATH": str(paths.PROJECT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    subprocess.run([str(reference_python()), "-c", code], cwd=tmp_path, env=environment, check=True)
    (failed,) = labelling.read_frames(tmp_path / "labels.failed.extxyz")
    assert failed.info["failure"].startswith("KohnShamConvergenceError")


def test_processes_side_by_side_share_no_file(monkeypatch, tmp_path):
    """Each calculator has a folder of its own; CP2K's is where its shell runs."""
    started = []
    monkeypatch.setattr("ase.calculators.cp2k.Cp2kShell", lambda command, debug: started.append(command))
    monkeypatch.setenv("ESPRESSO_PSEUDO", str(tmp_path))
    (tmp_path / "Si.upf").write_text("a potential")
    a, b = ab_initio.cp2k(), ab_initio.cp2k()
    assert a.folder != b.folder
    assert started == [f"cd {c.folder} && exec cp2k_shell" for c in (a, b)]
    one, two = ab_initio.espresso(), ab_initio.espresso()
    assert one.directory != two.directory


def test_kpoint_mesh_is_dense_enough_and_no_denser():
    for atoms in (bulk("Si", cubic=True), bulk("Li"), dimer(2.3)):
        mesh = kpoint_mesh(atoms)
        lengths = 2 * np.pi * np.linalg.norm(atoms.cell.reciprocal(), axis=1)
        for n, length in zip(mesh, lengths, strict=True):
            assert n >= KPT_DENSITY_A * length - 1e-9
            assert n == 1 or n - 1 < KPT_DENSITY_A * length
        assert mesh == tuple(kpts2mp(atoms, KPT_DENSITY_A, even=False))


def test_every_engine_says_what_it_is_what_it_costs_and_how_to_get_it():
    for name in references.names():
        engine = references.get(name)
        assert engine.name == name
        assert len(engine.level_of_theory) > 10
        assert len(engine.install) > 10
        assert 0 < engine.seconds(50) < engine.seconds(100)
        assert engine.signature().startswith(name)
        assert engine.packages or engine.programs


def test_ab_initio_signatures_hold_cutoff_kpoints_and_smearing():
    for name in ("gpaw", "cp2k", "espresso"):
        for word in ("xc=PBE", "cutoff", "kpts_per_invA=2.5", "fermi_dirac_eV=0.1"):
            assert word in references.get(name).signature()


def test_unknown_reference():
    with pytest.raises(ValueError, match=r"reference='vasp' is not known. Allowed: .*gpaw"):
        references.get("vasp")


def test_missing_packages_and_programs_are_named_with_the_remedy():
    engine = references.Reference(
        "far", "none", "Run `make far`.", lambda: None, packages=("no_such_package",), programs=("no-such-program",)
    )
    assert not engine.available()
    with pytest.raises(
        ModuleNotFoundError, match=r"package 'no_such_package' and the program 'no-such-program'.*Run `make far`"
    ):
        engine.calculator()


def test_espresso_names_its_pseudopotentials_and_follows_the_cell(monkeypatch, tmp_path):
    """pw.x itself is a script here: what it is asked, and what is said when it ends without convergence."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "pw.x"
    program.write_text("#!/bin/sh\necho '     convergence NOT achieved after 100 iterations: stopping'\nexit 2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("ESPRESSO_PSEUDO", str(tmp_path))
    engine = references.get("espresso")
    (tmp_path / "Si.upf").write_text("one")
    first = engine.signature()
    (tmp_path / "Si.upf").write_text("another")
    (tmp_path / "li_pbe.UPF").write_text("lithium")
    assert "pseudo_Si=Si.upf:" in first
    assert "pseudo_Li=li_pbe.UPF:" in engine.signature()
    assert first not in engine.signature(), "another Si.upf is another setting"
    calculator = engine.calculator()
    for atoms in (bulk("Si"), bulk("Si", cubic=True)):
        with pytest.raises(RuntimeError, match=r"pw\.x: convergence NOT achieved after 100 iterations"):
            labelling.evaluate(atoms, calculator)
        text = (calculator.directory / "espresso.pwi").read_text()
        assert f"K_POINTS automatic\n{' '.join(map(str, kpoint_mesh(atoms)))} " in text
        assert "Si.upf" in text
    (tmp_path / "Si.pz.UPF").write_text("a second one")
    with pytest.raises(FileNotFoundError, match=r"holds .*Si\.pz\.UPF.* with one pseudopotential per element"):
        ab_initio.espresso()


def test_espresso_without_pseudopotentials(monkeypatch, tmp_path):
    monkeypatch.setenv("ESPRESSO_PSEUDO", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"holds no \*.upf file. Set it to a folder"):
        ab_initio.espresso()
