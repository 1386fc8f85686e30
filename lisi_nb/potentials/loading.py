"""Load a DeePMD model for ASE without the engine's start-up messages, which nobody can act on."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms


def load(path: Path, elements: tuple[str, ...]) -> Any:
    """ASE calculator of one frozen model; asked once, because the engine also talks at the first call."""
    logging.getLogger("deepmd").setLevel(logging.ERROR)
    with kept_back():
        from deepmd.calculator import DP

        calculator = DP(model=str(path))
        far_apart = np.arange(len(elements))[:, None] * np.array([[3.0, 0.0, 0.0]])
        Atoms(elements, positions=far_apart, calculator=calculator).get_forces()
    return calculator


@contextmanager
def kept_back() -> Iterator[None]:
    """Keep back what native libraries write to stderr; where an exception leaves the block, it is shown after all."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(stderr, 2)
            held.seek(0)
            sys.stderr.write(held.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
