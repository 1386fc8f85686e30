"""Cluster profiles: what to ask of which scheduler, in one file of the user.

The file is ``~/.config/lisi_nb/clusters.toml`` (``LISI_NB_CLUSTERS`` names another). Its tables ``machine`` and
``resources`` are those of dpdispatcher (https://docs.deepmodeling.com/projects/dpdispatcher), so its pages describe
every key; ``clusters.example.toml`` beside this module has commented examples.
"""

from __future__ import annotations

import logging
import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from lisi_nb import paths
from lisi_nb.engine.devices import Device
from lisi_nb.errors import check_choice

EXAMPLE = Path(__file__).with_name("clusters.example.toml")
# dpdispatcher's words for: the scheduler answers here, or on a machine reached over SSH. Both see the run folder.
HERE, OVER_SSH = "LazyLocalContext", "SSHContext"
# Without these a scheduler runs the script of a lost node a second time, from step 0, over what was written.
NEVER_TWICE = {"Slurm": "#SBATCH --no-requeue", "PBS": "#PBS -r n", "Torque": "#PBS -r n"}


def file() -> Path:
    """The user's file of profiles."""
    default = Path.home() / ".config" / "lisi_nb" / "clusters.toml"
    return Path(os.environ.get("LISI_NB_CLUSTERS", default))


def dispatcher() -> ModuleType:
    """dpdispatcher, loaded when a cluster is used; ``ValueError`` says how to install it."""
    # Unasked, it writes dpdispatcher.log wherever one stands, and to stdout, which --json needs for itself.
    logging.getLogger("dpdispatcher").disabled = True
    try:
        import dpdispatcher
    except ModuleNotFoundError as error:
        raise ValueError(
            "Clusters need dpdispatcher, which is not installed here. Run `pip install -e '.[cluster]'` in the "
            "project folder."
        ) from error
    return dpdispatcher


@dataclass(frozen=True)
class Profile:
    """One entry of the file.

    Attributes
    ----------
    name : str
        What ``--cluster`` takes.
    machine, resources : dict
        For ``dpdispatcher.Machine`` and ``dpdispatcher.Resources``, checked.
    python : str
        The Python with lisi_nb on the node.
    """

    name: str
    machine: dict[str, Any]
    resources: dict[str, Any]
    python: str

    @property
    def system(self) -> str:
        """The scheduler: ``Slurm``, ``PBS``, ``Torque``."""
        return self.machine["batch_type"]

    @property
    def over_ssh(self) -> bool:
        """Whether the scheduler is asked over SSH."""
        return self.machine["context_type"] == OVER_SSH

    def device(self) -> Device:
        """Where LAMMPS runs on the node; which GPU it gets, the scheduler says there."""
        if self.resources["gpu_per_node"] > 0:
            return Device("gpu", f"GPU of cluster {self.name}", 1)
        return Device("cpu", f"cluster {self.name}", self.resources["cpu_per_node"])


def names() -> list[str]:
    """Names of the profiles in the user's file; none when there is no file."""
    return list(_read()) if file().exists() else []


def get(name: str) -> Profile:
    """The profile `name`.

    Raises
    ------
    FileNotFoundError
        There is no file of profiles.
    ValueError
        No such profile, or something in it is not understood.
    """
    if not file().exists():
        raise FileNotFoundError(f"There is no {file()}. Copy {EXAMPLE} there and change it for your cluster.")
    profiles = _read()
    check_choice("cluster", name, profiles)
    dispatcher()
    try:
        return _checked(name, profiles[name])
    except Exception as error:  # dargs raises classes of its own, each naming the key and what it expects
        raise ValueError(f"Profile {name!r} in {file()}: {str(error).strip()} Compare it with {EXAMPLE}.") from error


def _read() -> dict[str, Any]:
    try:
        return tomllib.loads(file().read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file()} is not TOML: {error}. Compare it with {EXAMPLE}.") from error


def _checked(name: str, entry: dict[str, Any]) -> Profile:
    for key in entry:
        check_choice("key", key, ("machine", "resources", "python"))
    for key in ("machine", "resources"):
        if not isinstance(entry.get(key, {}), dict):
            raise ValueError(f"{key}={entry[key]!r} is not a table.")
    dp = dispatcher()
    machine = {"context_type": HERE, "local_root": "/", "remote_root": "/"} | entry.get("machine", {})
    check_choice("machine.batch_type", machine.get("batch_type"), NEVER_TWICE)
    check_choice("machine.context_type", machine["context_type"], (HERE, OVER_SSH))
    machine = _by(dp.Machine.arginfo(), machine)
    resources = {"group_size": 1, "number_node": 1, "cpu_per_node": 1, "gpu_per_node": 0} | entry.get("resources", {})
    resources = _by(dp.Resources.arginfo(detail_kwargs=False), resources)
    for key in ("number_node", "group_size"):
        if resources[key] != 1:
            raise ValueError(f"resources.{key}={resources[key]!r} is not allowed: a run is one job on one node; use 1.")
    resources["custom_flags"] = [*resources.get("custom_flags", []), NEVER_TWICE[machine["batch_type"]]]
    # MPI of this environment starts its ranks itself; asking Slurm for job steps needs a Slurm that MPI knows.
    resources["envs"] = {"HYDRA_LAUNCHER": "fork"} | resources["envs"]
    return Profile(name, machine, resources, entry.get("python", sys.executable))


def _by(schema: Any, values: dict[str, Any]) -> dict[str, Any]:
    values = schema.normalize_value(values, allow_ref=False)
    try:
        schema.check_value(values, strict=True, allow_ref=False)
    except Exception as error:
        raise ValueError(f"in table {schema.name!r}: {error}") from error
    return values


def worker_command(profile: Profile, folder: str, restart: str = "") -> list[list[str]]:
    """Commands of the job, one after the other, each as a list of words: the same worker as on this machine."""
    worker = [profile.python, "-m", "lisi_nb.engine.worker", folder, *([restart] if restart else [])]
    return [["cd", str(paths.PROJECT)], worker]
