"""Frames drawn by OVITO: read and sent one by one, so atoms, cells and colours may change from frame to frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import ipywidgets as w
import numpy as np

from lisi_nb.palette import RADII_A
from lisi_nb.widgets.frames import Look

HEIGHT = "300px"
PIXELS = (900, 300)
# Direction of view and what is up, for the cameras of `lisi_nb.plots.CAMERAS`.
CAMERAS = {"side": ((0, -1, 0), (1, 0, 0)), "top": ((0, 0, -1), (0, 1, 0))}

# OVITO always clears its canvas to black. This filter makes black transparent, and nothing else: atoms and the lines
# of the cell are shaded, and so never quite black. What is behind the canvas is white.
STYLE = """
<svg width="0" height="0" style="position:absolute" aria-hidden="true">
<filter id="lisi-no-black" color-interpolation-filters="sRGB">
<feColorMatrix values="1 0 0 0 0  0 1 0 0 0  0 0 1 0 0  20 20 20 0 0"/></filter></svg>
<style>
.lisi-ovito { background: white }
.lisi-ovito canvas { filter: url(#lisi-no-black) }
.lisi-ovito .jupyter-ovito-toolbtn { filter: invert(0.8) }
</style>
"""


class OvitoScene:
    """The canvas. Widget messages arrive in another thread (ipykernel 7), where OVITO would take the kernel down:
    `show`, `turn` and `paint` forward their work to the thread that made the scene.
    """

    name = "OVITO"
    style = STYLE

    def __init__(self, look: Look, failed: Callable[[Exception], None]) -> None:
        import ovito
        from ovito.gui import create_ipywidget
        from ovito.pipeline import Pipeline, StaticSource
        from ovito.vis import Viewport

        self.look, self._failed, self._index, self._loop = look, failed, 0, _loop()
        self._source = StaticSource(data=self._data())
        private = ovito.Scene()  # else two views would share one scene
        private.pipelines.append(Pipeline(source=self._source))
        self._port: Any = Viewport(scene=private.scene_root, type=Viewport.Type.Ortho)  # type: ignore[call-arg]
        self._aim("side")
        self.widget: Any = create_ipywidget(self._port, layout=w.Layout(width="100%", height=HEIGHT))
        self.widget.add_class("lisi-ovito")
        self.widget.unobserve_all("_camera_params")  # what the mouse does stays in the browser
        self._pin_orbit_center()
        self._private = private

    def _pin_orbit_center(self) -> None:
        """Send the centre of turning with a new view only: jupyter-ovito's script fails at a change of it."""
        sends = self.widget._should_send_property
        self.widget._should_send_property = lambda name, value: name != "_orbit_center" and sends(name, value)

    def show(self, index: int) -> None:
        """Go to frame `index`."""
        self._index = index
        self.later(self._redraw)

    def turn(self, camera: str) -> None:
        """Look from a camera of `lisi_nb.plots.CAMERAS`."""

        def aim() -> None:
            self._aim(camera)
            self.widget.send_camera()
            self.widget.refresh()

        self.later(aim)

    def paint(self) -> None:
        """Draw the atoms of the slab in their colours."""
        self.later(self._redraw)

    def _redraw(self) -> None:
        try:
            self._source.data = self._data()
        except Exception as error:  # the event loop would swallow it
            self._failed(error)
            return
        self.widget.refresh()

    def _aim(self, camera: str) -> None:
        self._port.camera_dir, self._port.camera_up = CAMERAS[camera]
        self._port.zoom_all(PIXELS)

    def _data(self) -> Any:
        from ovito.io.ase import ase_to_ovito

        atoms, values = self.look.frame(self._index)
        data = ase_to_ovito(atoms)
        radii = np.array([RADII_A[s] for s in atoms.get_chemical_symbols()], dtype=float)
        data.particles_.create_property("Color", data=self.look.rgb(atoms, values))
        data.particles_.create_property("Radius", data=radii)
        if data.cell is not None:
            data.cell_.vis.rendering_color = (0.6, 0.6, 0.6)
        return data

    def later(self, work: Callable[[], None]) -> None:
        """Do `work` in the thread that made the scene."""
        if self._loop is None:
            work()
        else:
            self._loop.call_soon_threadsafe(work)


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
