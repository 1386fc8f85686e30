"""The analysis on what LAMMPS and DeePMD write: 1 ps of hot Li2Si, unwrapped coordinates, equipartition."""

import numpy as np
import pytest
from ase.units import _amu, _k

from lisi_nb import potentials
from lisi_nb.analysis.clusters import silicon_clusters
from lisi_nb.analysis.displacements import displacements
from lisi_nb.analysis.mobility import speed_by_coordination
from lisi_nb.analysis.msd import mean_square_displacement
from lisi_nb.analysis.shells import radial_shells, surface_li_fraction
from lisi_nb.engine import parse
from lisi_nb.engine.devices import Device
from lisi_nb.engine.execute import run_blocking
from lisi_nb.engine.lammps import TRAJECTORY, Segment, Stage
from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.delithiated import delithiated
from lisi_nb.structures.nanoparticles import sphere

FRAME_PS = 0.001


@pytest.fixture(scope="module")
def hot(tmp_path_factory):
    """Frames of 1 ps at 1500 K, every step of 1 fs, after 0.3 ps; and the mean temperature."""
    folder = tmp_path_factory.mktemp("hot")
    atoms = delithiated(2.0, (1, 1, 1), seed=2)
    segment = Segment((Stage(1300, 1500.0, 1500.0),), dump_every=1, thermo_every=1, deviation_every=0, seed=5)
    run_blocking(folder, atoms, segment, potentials.get("lisi").models()[:1], Device("cpu", "test", 1))
    frames = list(parse.frames(folder / TRAJECTORY, first=300))
    return frames, parse.thermo(folder / "log.lammps")["Temp"][300:].mean()


def test_short_times_are_equipartition(hot):
    """MSD(1 fs) = <v^2> (1 fs)^2 with <v^2> = 3 k T / m, for Li and Si each: 7 and 28 u at one temperature."""
    frames, temperature_K = hot
    paths = np.array([f.positions_A for f in frames])
    symbols = np.where(frames[0].is_li, "Li", "Si").tolist()
    for element, mass_u in (("Li", 6.94), ("Si", 28.085)):
        moved = displacements(
            paths, FRAME_PS, cell_A=np.ptp(frames[0].box_A, axis=1), symbols=symbols, element=element, drift="none"
        )
        speed2_A2_ps2 = 3 * _k * temperature_K / (mass_u * _amu) * 1e-4  # m^2/s^2 -> A^2/ps^2
        # 16 Si: the share of the kinetic energy in one element scatters by some per cent over 1 ps.
        assert mean_square_displacement(moved).msd_A2[1] == pytest.approx(speed2_A2_ps2 * FRAME_PS**2, rel=0.12)


def test_the_same_frames_wrapped_are_refused(hot):
    frames, _ = hot
    edges = np.ptp(frames[0].box_A, axis=1)
    symbols = np.where(frames[0].is_li, "Li", "Si").tolist()
    wrapped = np.array([(f.positions_A - f.box_A[:, 0]) % edges for f in frames])
    with pytest.raises(ValueError, match="wrapped"):
        displacements(wrapped, FRAME_PS, cell_A=edges, symbols=symbols)


def test_clusters_and_speeds_of_real_frames(hot):
    """Unwrapped and wrapped frames have the same clusters; Li thermal speed is that of Maxwell over one step."""
    frames, temperature_K = hot
    edges, si = np.ptp(frames[0].box_A, axis=1), ~frames[0].is_li
    for f in frames[::250]:
        one = silicon_clusters(f.positions_A, si, edges)
        two = silicon_clusters((f.positions_A - f.box_A[:, 0]) % edges, si, edges)
        assert (one.label == two.label).all()
        assert (one.kind == two.kind).all()
        assert (one.dimension == two.dimension).all()
    found = speed_by_coordination((f.positions_A for f in frames), FRAME_PS, si, edges)
    maxwell_A_ps = np.sqrt(8 * _k * temperature_K / (np.pi * 6.94 * _amu)) * 1e-2
    often = np.isfinite(found.speed_A_ps)
    assert np.average(found.speed_A_ps[often], weights=found.share[often]) == pytest.approx(maxwell_A_ps, rel=0.1)
    assert found.share.sum() == pytest.approx(1)


def test_a_particle_in_its_box(tmp_path):
    """2.6 nm of Li15Si4 for 0.4 ps at 500 K: stays whole, isolated Si inside, Li outside; the core is the crystal."""
    atoms = sphere(crystal("Li15Si4"), 26.0)
    segment = Segment(
        (Stage(200, 500.0, 500.0),), timestep_fs=2.0, dump_every=10, thermo_every=50, deviation_every=0, seed=6
    )
    run_blocking(tmp_path, atoms, segment, potentials.get("lisi").models()[:1], Device("cpu", "test", 1))
    frames = list(parse.frames(tmp_path / TRAJECTORY, first=1))
    assert len(frames) == 20
    si = ~frames[0].is_li
    assert (si == (atoms.numbers == 14)).all()
    found = radial_shells((f.positions_A for f in frames), si, n_shells=4)
    total = found.n_li.sum() + found.n_si.sum() + found.outside_li + found.outside_si
    assert total == pytest.approx(len(atoms))
    assert found.radius_A == pytest.approx(13.0, abs=1.0)
    assert found.x[0] == pytest.approx(3.75, abs=0.8)  # a shell of about 120 atoms cuts cells of 76
    assert found.density_g_cm3[:2].mean() == pytest.approx(1.22, abs=0.15)  # of the crystal: 1.22 g/cm3
    assert found.coordination[0] < 0.2
    assert surface_li_fraction((f.positions_A for f in frames), si).value > 0.75
    last = silicon_clusters(frames[-1].positions_A, si, atoms.cell.lengths(), (False,) * 3)
    assert last.share("isolated") > 0.8
