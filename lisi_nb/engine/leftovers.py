"""Processes of a run that outlived its worker: known by their program and their place, and ended."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from lisi_nb.engine.run import Run

PROGRAMS = ("lmp", "mpiexec", "hydra_pmi_proxy")


def end_leftovers(run: Run) -> None:
    """End what outlived a killed worker (LAMMPS, its launcher, a task), so that no two write in one folder.

    Other programs that stand in the folder, such as a shell, are left alone.
    """
    me, folder = psutil.Process(), run.folder.resolve()
    spared = {me, *me.parents()}
    left = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if _belongs(process, folder):
                left |= {process, *process.children(recursive=True)} - spared
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=10)


def _belongs(process: psutil.Process, folder: Path) -> bool:
    """Whether it is a program of ours at work in or below `folder`."""
    words = process.cmdline()
    if words[1:2] == ["-m"] and len(words) > 3 and words[2].startswith("lisi_nb."):  # a worker or a task
        return Path(words[3]).is_relative_to(folder)
    return process.name() in PROGRAMS and Path(process.cwd()).is_relative_to(folder)
