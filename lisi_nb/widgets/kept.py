"""What a widget leaves in a saved notebook: a second output of its cell, hidden for as long as the widget lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as w
from IPython.display import DisplayHandle, display

ALIVE = "lisi-alive"  # class of a widget that is followed by such an output
# Without a kernel there is no widget, and so nothing hides the output that follows it.
HIDING = f"""<style>
.jp-OutputArea-child:has(> .jp-OutputArea-output > .{ALIVE}) + .jp-OutputArea-child {{ display: none }}
</style>"""
# Then JupyterLab says "model not found", which helps nobody, in an output without anything else.
UNSAID = """<style>
.jp-OutputArea-child:has(> .jupyter-widgets):not(:has(> .jupyter-widgets > *)):has(+ .jp-OutputArea-child .lisi-kept)
{ display: none }
</style>"""


class Kept(w.VBox):
    """A box that leaves HTML in a saved notebook: what `left` gives is read where the widget is no more."""

    def __init__(self, parts: list[Any], left: Callable[[], str], **look: Any) -> None:
        self._handles: list[DisplayHandle] = []
        self._html = left
        super().__init__(parts, **look)
        self.add_class(ALIVE)

    def keep(self) -> None:
        """Bring what is left up to date."""
        for handle in self._handles:
            handle.update(self._left(), raw=True)

    def _left(self) -> dict[str, str]:
        return {
            "text/html": f'{HIDING}{UNSAID}<div class="lisi-kept">{self._html()}</div>',
            "text/plain": repr(self),
        }

    def _ipython_display_(self) -> None:
        display(self._repr_mimebundle_(), raw=True)
        handle = DisplayHandle()
        handle.display(self._left(), raw=True)
        self._handles.append(handle)
        self.keep()  # a thread may have changed it meanwhile
