"""Work beside the cells, so that no widget makes a cell wait."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from threading import Thread


def in_thread(work: Callable[[], None]) -> Thread:
    """Start `work` in a thread that ends with the kernel."""
    # With the context of this cell, which tells the kernel to which cell an output belongs.
    thread = Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    thread.start()
    return thread
