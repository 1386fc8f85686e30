"""Which process a number meant: process numbers are given again, clocks are set, machines boot."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

PROC = Path("/proc")


def start_of(pid: int | None = None) -> str:
    """When a process (this one by default) began: boot and ticks since then, which no clock that is set can change.

    Where there is no ``/proc`` (macOS): the time by the clock.

    Raises
    ------
    psutil.NoSuchProcess
        There is none with this number.
    """
    pid = os.getpid() if pid is None else pid
    if not (PROC / "self" / "stat").exists():
        return f"{psutil.Process(pid).create_time():.2f}"
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    return f"{(PROC / 'sys' / 'kernel' / 'random' / 'boot_id').read_text().strip()} {fields[19]}"


def alive(pid: int | None, start: str | None) -> bool:
    """Whether the process `pid` that began at `start` lives; a later one with its number does not count."""
    if pid is None or start is None:
        return False
    try:
        return start_of(pid) == start and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
