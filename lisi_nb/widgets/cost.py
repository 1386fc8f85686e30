"""Where a run shall compute, and atoms, time, disk and memory of the parameters chosen; kept current beside a form."""

from __future__ import annotations

import html
from threading import Lock, Thread
from types import ModuleType
from typing import Any

import ipywidgets as w

from lisi_nb import potentials
from lisi_nb.engine import devices, estimate, probe
from lisi_nb.params import Params
from lisi_nb.widgets.threads import in_thread

_TEXT = '<div style="line-height:1.4;white-space:pre-line"><b>Estimate:</b> {}</div>'
UNMEASURED = "These are upper bounds: the speed of this machine has not been measured yet."
MEASURING = "Measuring with two short runs ..."


class Cost(w.VBox):
    """The estimate of the last parameters shown; a thread makes it, because looking for a GPU may take seconds.

    Attributes
    ----------
    device : Dropdown
        Where to run, as `lisi_nb.engine.devices.choose` takes it.
    """

    def __init__(self, study: ModuleType) -> None:
        self._study = study
        self._lock = Lock()
        self._params: Any = None
        self._wanted: tuple[Params, str] | None = None
        self.thread: Thread | None = None
        self.text = w.HTML()
        self.device = w.Dropdown(
            options=[("automatic", "auto")], description="Run on", tooltip="Where LAMMPS computes: cores or a GPU."
        )
        self.device.layout.width, self.device.style.description_width = "420px", "initial"
        self.device.observe(lambda _: self._params and self.show(self._params), "value")
        self.looking = in_thread(self._look)
        self.measure = w.Button(
            description="Measure the speed here (20 s)", tooltip="Two short runs; the result is kept.", icon="clock-o"
        )
        self.measure.layout.width, self.measure.layout.display = "240px", "none"
        self.measure.on_click(lambda _: in_thread(self._measure))  # else other clicks would wait for it
        super().__init__([self.device, self.text, self.measure])

    def show(self, params: Params) -> None:
        """Estimate `params` and show it as soon as it is known, unless others are asked for meanwhile."""
        with self._lock:
            self._params, self._wanted = params, (params, self.device.value)
            if self.thread is None:
                self.thread = in_thread(self._work)

    def say(self, words: str) -> None:
        """Show `words` in place of an estimate, which there is none to measure for."""
        with self._lock:
            self._params = self._wanted = None
            self.measure.layout.display = "none"
            self.text.value = _TEXT.format(html.escape(words))

    def _look(self) -> None:
        self.device.options = list(devices.offered().items())

    def _work(self) -> None:
        while wanted := self._next():
            words, unmeasured = self._words(*wanted)
            with self._lock:
                if self._wanted is wanted:
                    self._wanted = None
                    self.text.value = _TEXT.format(html.escape(words))
                    self.measure.layout.display = None if unmeasured else "none"

    def _next(self) -> tuple[Params, str] | None:
        with self._lock:
            if self._wanted is None:
                self.thread = None
            return self._wanted

    def _words(self, params: Params, device: str) -> tuple[str, bool]:
        try:
            cost = estimate.unmeasured(self._study, params, device)
        except Exception as error:  # in a thread it would vanish
            return str(error), False
        if cost.speed_known:
            return "\n".join([str(cost), *estimate.problems([cost])]), False
        return f"{cost}\n{UNMEASURED}", True

    def _measure(self) -> None:
        self.measure.disabled = True
        params = self._params
        self.say(MEASURING)
        try:
            potential = potentials.get(params.potential)
            probe.speed(potential, devices.choose(self.device.value))
        except Exception as error:  # in a thread it would vanish
            self.say(f"The speed could not be measured: {error}")
            self._params, self.measure.layout.display = params, None
        else:
            self.show(params)
        self.measure.disabled = False
