"""Where things lie: the data folder, runs and caches (``LISI_NB_DATA`` moves runs and caches)."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DATA = PROJECT / "data"


def _writable() -> Path:
    return Path(os.environ.get("LISI_NB_DATA", DATA))


def runs() -> Path:
    """Folder of all runs."""
    return _writable() / "runs"


def cache() -> Path:
    """Folder of things that can be made again: compressed models, quenched structures, training."""
    return _writable() / "cache"


def own_potentials() -> Path:
    """Folder of the potentials a user brought or trained."""
    return _writable() / "potentials"
