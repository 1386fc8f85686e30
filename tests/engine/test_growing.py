"""Logs that are read on: each line once, also when a file begins anew; what the worker's own look at a run costs."""

import time

import numpy as np
import pytest

from lisi_nb.engine import parse
from lisi_nb.engine.growing import growing_thermo
from lisi_nb.engine.supervise import Goal, progress


def lines(first, last, temperature=900.0):
    return "".join(f"{step} {temperature} {0.01 * step}\n" for step in range(first, last))


def test_a_log_that_is_begun_anew_is_read_anew(tmp_path):
    """A segment that was killed before its first restart file starts over in the same log."""
    log, growing = tmp_path / "log.lammps", growing_thermo()
    for text in ("Step Temp CPU\n" + lines(0, 50), "", "Step Te", "Step Temp CPU\n" + lines(0, 20, 300.0)):
        log.write_text(text)
        found = growing.read([(log, 0)])
    np.testing.assert_array_equal(found["Step"], np.arange(20))
    assert set(found["Temp"]) == {300.0}


@pytest.mark.parametrize("cut", [1, 100, 777])
def test_read_on_in_pieces_it_is_what_is_read_whole(tmp_path, cut):
    whole = "Step Temp CPU\n" + lines(0, 30) + "Loop time of 3\nStep Temp CPU\n" + lines(29, 60)
    logs, growing = [tmp_path / "log.lammps", tmp_path / "log.1.lammps"], growing_thermo()
    for log, text in zip(logs, (whole, "Step Temp CPU\n" + lines(40, 90, 1.0)), strict=True):
        for end in range(0, len(text) + cut, cut):
            log.write_text(text[:end])
            growing.read([(file, 0) for file in logs if file.exists()])
    expected = parse.joined([parse.thermo(log) for log in logs], "Step")
    for name, column in expected.items():
        np.testing.assert_array_equal(growing.table[name], column)


def test_the_worker_reads_each_line_once(tmp_path):
    """At the scale of the paper, twice a second: 100,000 lines read anew each time take most of a core."""
    log, growing, costs = tmp_path / "log.lammps", growing_thermo(), []
    log.write_text("Step Temp CPU\n" + lines(0, 100_000))
    for k in range(5):
        with log.open("a") as stream:
            stream.write(lines(100_000 + k, 100_001 + k))
        before = time.thread_time()
        now = progress(growing.read([(log, 0)]), Goal(200_000, 200_000))
        costs.append(time.thread_time() - before)
        assert (now["step"], now["steps_per_s"]) == (100_000 + k, pytest.approx(100.0))
    print(f"a look at 100,000 lines: {1000 * costs[0]:.0f} ms, then {1000 * max(costs[1:]):.1f} ms")
    assert max(costs[1:]) < 0.05
