"""Speed of diffusion and cluster analysis beside MDAnalysis, freud, pymatgen, ASE and plain loops: `make benchmark`.

Times are of CPU, so that a busy machine does not change them; targets are the constants below.
"""

import subprocess
import sys
import time

import numpy as np
import pytest

from lisi_nb.analysis.bonds import find_bonds
from lisi_nb.analysis.clusters import clusters, silicon_clusters
from lisi_nb.analysis.displacements import Displacements
from lisi_nb.analysis.mobility import speed_by_coordination
from lisi_nb.analysis.msd import mean_square_displacement
from lisi_nb.analysis.shells import radial_shells
from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.nanoparticles import sphere_of

N_ATOMS, N_FRAMES = 12_000, 5_000
MSD_TARGET_S, MSD_TARGET_MB, CLUSTER_TARGET_MS = 60.0, 1000.0, 50.0


def cpu_s(work, repeats: int = 1) -> float:
    """Shortest CPU time of a call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def show(title: str, rows: list[tuple[str, float, str]]) -> None:
    """A small table; the ratio is to the first row."""
    print(f"\n{title}")
    for name, value, unit in rows:
        print(f"  {name:<44} {value:10.3f} {unit:<12} x {value / rows[0][1]:.2f}")


def test_msd_of_a_paper_scale_trajectory():
    """12 000 atoms x 5000 frames as a stream, in a process of its own: displacements, MSD with error, D."""
    code = f"""
import time, numpy as np
from lisi_nb.analysis.diffusion import tracer_diffusion
from lisi_nb.analysis.displacements import displacements
from lisi_nb.analysis.msd import mean_square_displacement
peak = lambda: int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) / 1024
rng = np.random.default_rng(0)
def frames():
    here = 60 * rng.random(({N_ATOMS}, 3))
    for k in range({N_FRAMES}):
        here = here + 0.05 * rng.standard_normal(({N_ATOMS}, 3), dtype=np.float32)
        yield here
empty, start = peak(), time.process_time()
for _ in frames(): pass
made = time.process_time() - start
start = time.process_time()
moved = displacements(frames(), 1.0, cell_A=np.full(3, 60.0), symbols=["Li"] * {N_ATOMS}, drift="none",
                      n_frames={N_FRAMES})
read = time.process_time() - start - made
start = time.process_time()
found = tracer_diffusion(mean_square_displacement(moved))
print(read, time.process_time() - start, peak(), empty, found.D.value)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    read_s, msd_s, peak_MB, empty_MB, D = map(float, done.stdout.split())
    print(
        f"\nMSD of {N_ATOMS} atoms x {N_FRAMES} frames: {read_s:.1f} s displacements + {msd_s:.1f} s MSD of CPU "
        f"(target {MSD_TARGET_S:g}), peak {peak_MB:.0f} MB (target {MSD_TARGET_MB:g}; "
        f"{empty_MB:.0f} MB before the first frame)"
    )
    assert pytest.approx(0.05**2 / 2 * 1e-4, rel=0.2) == D
    assert read_s + msd_s < MSD_TARGET_S
    assert peak_MB < MSD_TARGET_MB


def test_msd_beside_other_codes_and_a_loop():
    """300 atoms x 1000 frames, all lags and origins.

    pymatgen computes all lags, keeps 250 and derives diffusivities; one Si at rest is its reference of drift.
    """
    import MDAnalysis
    from freud.msd import MSD
    from MDAnalysis.analysis.msd import EinsteinMSD
    from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer
    from pymatgen.core import Lattice, Structure

    rng = np.random.default_rng(1)
    paths = np.cumsum(rng.normal(0, 0.1, (1000, 300, 3)), axis=0).astype(np.float32)
    universe = MDAnalysis.Universe.empty(300, trajectory=True)
    universe.load_new(paths, order="fac")
    moved = Displacements(paths, 1.0, "none")
    resting = Structure(Lattice.cubic(100.0), ["Li"] * 300 + ["Si"], rng.random((301, 3)))
    by_atom = np.concatenate([(paths - paths[0]).swapaxes(0, 1), np.zeros((1, 1000, 3), dtype=np.float32)])

    def loop() -> np.ndarray:
        return np.array([((paths[k:] - paths[: 1000 - k]) ** 2).sum(axis=2).mean() for k in range(1000)])

    def mdanalysis() -> np.ndarray:
        return EinsteinMSD(universe, msd_type="xyz", fft=False).run().results.timeseries

    def pymatgen() -> DiffusionAnalyzer:
        return DiffusionAnalyzer(resting, by_atom, "Li", 300.0, time_step=1000, step_skip=1, min_obs=1)

    ours = cpu_s(lambda: mean_square_displacement(moved), 3)
    rows = [
        ("lisi_nb, FFT", ours, "s"),
        ("numpy, one lag at a time", cpu_s(loop), "s"),
        ("MDAnalysis, windowed", cpu_s(mdanalysis), "s"),
        ("freud, windowed by FFT", cpu_s(lambda: MSD().compute(paths).msd, 3), "s"),
        ("pymatgen, DiffusionAnalyzer, by FFT", cpu_s(pymatgen, 3), "s"),
    ]
    show("MSD of 300 atoms x 1000 frames", rows)
    msd, theirs = mean_square_displacement(moved).msd_A2, pymatgen()
    for other in (loop(), mdanalysis(), MSD().compute(paths).msd):
        np.testing.assert_allclose(msd, other, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(msd[theirs.dt // 1000], theirs.msd, rtol=1e-6)
    assert rows[1][1] > 5 * ours
    assert rows[2][1] > 5 * ours
    assert min(rows[3][1], rows[4][1]) > ours


def silicon(n_cells: int):
    """Diamond with three in ten atoms gone and the rest displaced: clusters of all shapes."""
    atoms = crystal("Si") * (n_cells, n_cells, n_cells)
    atoms.rattle(0.1, seed=1)
    return atoms[np.random.default_rng(2).random(len(atoms)) < 0.7]


def test_clusters_beside_other_codes():
    """Periodic bonds and clusters of about 12 000 Si atoms; freud's clusters have labels, no kinds or dimensions."""
    from ase.neighborlist import neighbor_list
    from freud.box import Box
    from freud.cluster import Cluster
    from freud.locality import AABBQuery, NeighborList
    from MDAnalysis.lib.distances import self_capped_distance
    from pymatgen.core import Structure

    atoms = silicon(13)
    positions, cell = atoms.positions, atoms.cell.array
    box = np.array([*np.diag(cell), 90, 90, 90], dtype=np.float32)
    freuds, near = Box.from_matrix(cell), {"r_max": 2.7, "exclude_ii": True}
    structure = Structure(cell, ["Si"] * len(atoms), positions, coords_are_cartesian=True)
    everyone = np.ones(len(atoms), dtype=bool)

    def freud_bonds() -> NeighborList:
        inside = freuds.wrap(positions)
        return AABBQuery(freuds, inside).query(inside, near).toNeighborList()

    def freud_clusters() -> Cluster:
        return Cluster().compute((freuds, freuds.wrap(positions)), neighbors=near)

    whole = 1e3 * cpu_s(lambda: silicon_clusters(positions, everyone, cell), 5)
    bonds = find_bonds(positions, cell, (True,) * 3, 2.7)
    theirs, _ = self_capped_distance(positions.astype(np.float32), 2.7, box=box)
    rows = [
        ("lisi_nb: bonds, clusters, kinds, dimensions", whole, "ms"),
        ("of which bonds", 1e3 * cpu_s(lambda: find_bonds(positions, cell, (True,) * 3, 2.7), 5), "ms"),
        ("freud: bonds, clusters", 1e3 * cpu_s(freud_clusters, 5), "ms"),
        ("freud: bonds", 1e3 * cpu_s(freud_bonds, 5), "ms"),
        ("pymatgen: bonds", 1e3 * cpu_s(lambda: structure.get_neighbor_list(2.7), 5), "ms"),
        ("MDAnalysis: bonds", 1e3 * cpu_s(lambda: self_capped_distance(positions, 2.7, box=box), 5), "ms"),
        ("ASE: bonds", 1e3 * cpu_s(lambda: neighbor_list("ijS", atoms, 2.7)), "ms"),
        ("Python: clusters by flooding, bonds given", 1e3 * cpu_s(lambda: flood(bonds)), "ms"),
    ]
    show(f"clusters of {len(atoms)} Si", rows)
    for found in (len(theirs), len(freud_bonds()) / 2):
        assert abs(found - len(bonds.first)) <= 5  # in single precision
    first, second, *_ = structure.get_neighbor_list(2.7)
    once = first < second
    assert {*zip(first[once], second[once], strict=True)} == {*zip(bonds.first, bonds.second, strict=True)}
    sizes = clusters(bonds).size.tolist()
    assert sizes == flood(bonds) == sorted(np.bincount(freud_clusters().cluster_idx).tolist(), reverse=True)
    assert whole < CLUSTER_TARGET_MS


def flood(bonds) -> list[int]:
    """Sizes of clusters the plain way."""
    near: list[list[int]] = [[] for _ in range(bonds.n_atoms)]
    for i, j in zip(bonds.first.tolist(), bonds.second.tolist(), strict=True):
        near[i].append(j)
        near[j].append(i)
    seen, sizes = [False] * bonds.n_atoms, []
    for start in range(bonds.n_atoms):
        if seen[start]:
            continue
        seen[start], todo, size = True, [start], 0
        while todo:
            size += 1
            for k in near[todo.pop()]:
                if not seen[k]:
                    seen[k] = True
                    todo.append(k)
        sizes.append(size)
    return sorted(sizes, reverse=True)


def test_a_paper_scale_particle():
    """One frame of Li9429Si2571: clusters, shells and Si neighbours of Li, ms."""
    atoms = sphere_of(crystal("Li15Si4"), 9429, 2571)
    si, cell, r = atoms.numbers == 14, atoms.cell.array, atoms.positions
    free = (False,) * 3
    rows = [
        ("clusters", 1e3 * cpu_s(lambda: silicon_clusters(r, si, cell, free), 5), "ms/frame"),
        ("shells", 1e2 * cpu_s(lambda: radial_shells([r] * 10, si)), "ms/frame"),
        ("Li speed", 1e2 * cpu_s(lambda: speed_by_coordination([r] * 11, 1.0, si, cell, free)), "ms/frame"),
    ]
    show(f"{len(atoms)} atoms", rows)
    assert rows[0][1] < CLUSTER_TARGET_MS
