"""``lisi-nb label``: label frames with a reference engine, in shards if wanted, and join what the shards made."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from ase.io import write

from lisi_nb import paths
from lisi_nb.commands.common import Answer, say
from lisi_nb.errors import RunFailed
from lisi_nb.training import label


def command_label(options: argparse.Namespace) -> Answer:
    """``lisi-nb label``: label frames with a reference engine; goes on where it stopped."""
    frames, labels = Path(options.frames).resolve(), Path(options.labels).resolve()
    if options.join:
        return _join(frames, labels, [Path(part) for part in options.join])
    weights = Path(options.weights).resolve() if options.weights else None
    asked = (frames, labels, options.reference, options.shard, options.shards, weights)
    label.waiting(*asked)  # bad input is told before an engine starts
    _run(label.labelling(*asked))
    n_labels, apart = len(label.read_frames(labels)), label.failed_file(labels)
    n_apart = len(label.read_frames(apart))
    say(f"{n_labels} labels in {labels}" + (f"; {n_apart} set apart, why is in {apart}" if n_apart else ""))
    return 0, {"labels": str(labels), "labelled": n_labels, "set_apart": n_apart}


def _run(command: list[str]) -> None:
    """Run the queue and pass on what it says; its last words are the reason when it fails."""
    last = ""
    with subprocess.Popen(
        command, cwd=paths.PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as job:
        for last in job.stdout or ():
            say(last, end="")
    if job.returncode:
        raise RunFailed(f"Labelling was cut short (code {job.returncode}); run again to go on. {last.strip()}")


def _join(frames: Path, labels: Path, parts: list[Path]) -> Answer:
    if labels.exists():
        raise ValueError(f"{labels} exists. Give another file, or delete it if the parts hold its labels.")
    if missing := [str(part) for part in parts if not part.exists()]:
        raise FileNotFoundError(f"There is no {', '.join(missing)}. Give the label files that the shards wrote.")
    found, n_frames = label.joined(frames, parts), len(label.distinct(frames))
    write(labels, found, format="extxyz")
    say(f"{len(found)} of {n_frames} frames are labelled in {labels}")
    return 0, {"labels": str(labels), "labelled": len(found), "missing": n_frames - len(found)}


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Options of the command."""
    sub.add_argument("frames", metavar="FRAMES", help="what to label (extxyz)")
    sub.add_argument("labels", metavar="LABELS", help="where the labels go (extxyz); what is in it is not made again")
    how = sub.add_mutually_exclusive_group(required=True)
    how.add_argument("--reference", default="", metavar="NAME", help="the engine; see `lisi-nb references`")
    how.add_argument("--join", nargs="+", default=[], metavar="PART", help="join label files of shards as LABELS")
    sub.add_argument("--weights", default="", metavar="FILE", help="of a fine-tuned SevenNet, instead of its own")
    sub.add_argument("--shard", type=int, default=0, metavar="K", help="label every N-th frame, from K = 0 to N - 1")
    sub.add_argument("--shards", type=int, default=1, metavar="N", help="give each shard its own LABELS")
