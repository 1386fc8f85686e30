"""A monitor that looks for hours holds no more memory than after its first looks."""

import gc
import itertools
import os
import tracemalloc

import pytest
from synthetic import dump_bytes, moving_fronts

from lisi_nb.engine import run as runs
from lisi_nb.engine.lammps import TRAJECTORY, deviation_file, log_file
from lisi_nb.engine.processes import start_of
from lisi_nb.studies import interdiffusion
from lisi_nb.widgets import Monitor, watch

N_LOOKS, N_FIRST, GROWTH_MB = 200, 50, 0.5


@pytest.mark.slow
def test_two_hundred_looks_at_a_growing_run_hold_no_more_memory(tmp_path, monkeypatch):
    """Allocated since the first looks and still held at the last; every fifth look draws.

    The process's size would not tell: room that the first looks have freed hides megabytes.
    """
    monkeypatch.setattr(watch, "EVERY_S", 0.0)
    monkeypatch.setattr(watch, "LEAST_S", 0.0)
    frames = moving_fronts(range(2 * N_LOOKS), 1.0, left_A_ps=0.02, right_A_ps=0.04, n_atoms=500)
    manifest = {
        "format": runs.FORMAT,
        "study": "interdiffusion",
        "params": interdiffusion.Params().described(),
        "potential": {"name": "lisi", "members": []},
        "structure": {"n_atoms": 500},
        "timestep_fs": 1.0,
    }
    run = runs.create(tmp_path, manifest, target=1000 * N_LOOKS)
    run.update(state="running", pid=os.getpid(), process_start=start_of(os.getpid()))
    names = TRAJECTORY, log_file(0), deviation_file(0)
    (run.folder / names[1]).write_text("Step Temp PotEng Press\n")
    looks = itertools.count(1)

    def grow_and_afford(_):
        look = next(looks)
        step = 1000 * look
        new = dump_bytes(next(frames)), f"{step} 500 -2000 10\n".encode(), f"{step} 0 0 0 0.05 0 0\n".encode()
        for name, content in zip(names, new, strict=True):
            with (run.folder / name).open("ab") as stream:
                stream.write(content)
        if look == N_FIRST:
            gc.collect()
            tracemalloc.start()
        if look == N_LOOKS:
            run.update(state="finished")
        return look % 5 == 0

    monkeypatch.setattr(watch.Budget, "affords", grow_and_afford)
    shown = Monitor(run, interdiffusion.live)
    shown.thread.join()
    gc.collect()
    growth_MB = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    print(f"look {N_LOOKS} holds {growth_MB:.2f} MB more than look {N_FIRST}")
    assert "finished" in shown.text.value
    assert next(looks) == N_LOOKS + 1
    assert growth_MB < GROWTH_MB
