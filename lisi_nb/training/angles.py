"""Angles between bonds to silicon, to which the descriptor ``se_e2_a`` is nearly blind.

``se_e2_a`` contracts sums over neighbours of ``g(r) (1, x/r, y/r, z/r)`` with themselves: the density around an atom in
its angular parts l = 0 and 1 (Zhang et al., NeurIPS 31 (2018), arXiv:1805.09003). Around an atom of diamond the l = 1
sums vanish, and the shear C' leaves the four bonds alike, so that only second neighbours resist it. ``se_e3`` beside it
sums functions of ``cos(theta)`` over pairs of neighbours.

Its cost grows with the square of the neighbours, and lithium's are many. Their one slot is therefore muted: the trainer
divides what is in it by `MUTED`, and `unmute` makes that an exact zero for the backend that runs MD, whose
``exclude_types`` does not know ``se_e3``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from lisi_nb import paths
from lisi_nb.errors import RunFailed

MUTED = 1e10
SLOTS = 1  # of lithium, which is the first element: DeePMD-kit divides by their number
_SCALE = "descrpt_list.1.seat.stddev"  # of the second descriptor; (elements, slots, 4)


def mute(checkpoint: Path, python: Path) -> None:
    """Mute lithium in the angles of a PyTorch checkpoint, with the `python` of ``make reference``."""
    command = [str(python), "-m", "lisi_nb.training.angles", str(checkpoint)]
    environment = os.environ | {"PYTHONPATH": str(paths.PROJECT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunFailed(f"`{' '.join(command[1:])}` ended with code {done.returncode}:\n{done.stderr[-2000:]}")


def unmute(model: dict[str, Any]) -> None:
    """Give a portable model (``.dp``) ordinary scales again, and networks of muted pairs that are zero.

    Raises
    ------
    ValueError
        The first layer of such a network adds its input, so that zero weights do not make it zero.
    """
    for descriptor in model["descriptor"].get("list", []):
        if descriptor["type"] != "se_e3":
            continue
        scale = np.asarray(descriptor["@variables"]["dstd"])
        if not np.all(scale[:, :SLOTS] == MUTED):
            continue
        if descriptor["neuron"][0] <= 2:
            raise ValueError(f"se_e3 with neurons {descriptor['neuron']}: the first layer needs 3 or more.")
        scale[:, :SLOTS] = scale[:, SLOTS : SLOTS + 1]
        networks, n_types = descriptor["embeddings"]["networks"], descriptor["embeddings"]["ntypes"]
        for number, network in enumerate(networks):
            if 0 in divmod(number, n_types):
                for layer in network["layers"]:
                    for name in ("w", "b"):
                        layer["@variables"][name][:] = 0.0


def main(checkpoint: Path) -> None:
    """Command line, in the environment that trains: mute a checkpoint in place."""
    import torch

    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    (name,) = (key for key in saved["model"] if key.endswith(_SCALE))
    saved["model"][name][:, :SLOTS] = MUTED
    torch.save(saved, checkpoint)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
