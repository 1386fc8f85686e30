"""Reference engines: the door, its errors, and real GPAW, CP2K and teachers on a molecule in a box."""

import subprocess

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import kpts2mp
from ase.io import write

from lisi_nb import paths, references
from lisi_nb.references.ab_initio import KPT_DENSITY_A, kpoint_mesh
from lisi_nb.training import label as labelling
from lisi_nb.training.train import reference_python

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


def test_espresso_without_pseudopotentials(monkeypatch, tmp_path):
    from lisi_nb.references import ab_initio

    monkeypatch.setenv("ESPRESSO_PSEUDO", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"holds no \*.upf file. Set it to a folder"):
        ab_initio.espresso()
