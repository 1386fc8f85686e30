"""All runs in a table: filter, follow one with a click wherever it was started, compare two or more."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from threading import Lock
from types import ModuleType

import ipywidgets as w

from lisi_nb import palette, plots
from lisi_nb.charts import Chart, overlay
from lisi_nb.engine.run import Run
from lisi_nb.tables import Table
from lisi_nb.units import duration
from lisi_nb.widgets import catalogue
from lisi_nb.widgets.catalogue import Row
from lisi_nb.widgets.kept import Kept
from lisi_nb.widgets.monitor import Monitor
from lisi_nb.widgets.names import Names, named
from lisi_nb.widgets.reading import Unreadable

PAGE = 20  # rows shown at once
_COLUMNS = ("study", "label", "status", "progress", "ns/day", "time left", "device", "potential")
_GRID = (
    '<div style="display:grid;grid-template-columns:100fr 130fr 74fr 80fr 54fr 68fr 98fr 72fr;gap:6px;'
    'line-height:28px;white-space:nowrap">{}</div>'
)
_BOX = w.Layout(flex="0 0 28px", width="28px", margin="0")
_ROW, _BUTTON = w.Layout(flex="0 1 720px", min_width="0"), w.Layout(flex="0 0 70px")
_CELL = '<span style="min-width:0;overflow:hidden;text-overflow:ellipsis" title="{0}">{0}</span>'
NOTE = (
    "An error says how well this one run fixes its number. Another seed can differ by more: before you call two "
    "settings different, run each with several seeds."
)


class Line(w.HBox):
    """A run in the table: a box to select it, its columns, a button to follow it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.box = w.Checkbox(value=False, indent=False, layout=_BOX, tooltip=f"Select {name} for a comparison.")
        self.cells = w.HTML(layout=_ROW)
        self.button = named(w.Button(layout=_BUTTON))
        super().__init__([self.box, self.cells, self.button], layout=w.Layout(align_items="center"))

    def show(self, row: Row) -> None:
        """Put the present state of the run into the columns."""
        self.cells.value = _cells(row)
        self.button.description = "Follow" if row.state in ("queued", "running") else "Show"
        self.button.tooltip = f"{self.button.description} {self.name} below."


class RunsBrowser(Kept):
    """The table, and below it what was asked for: the monitor of a run or a comparison."""

    def __init__(self, study: ModuleType | None = None) -> None:
        self.study = study
        self.charts: tuple[Chart, ...] = ()
        self.text = w.Text(
            placeholder="words such as 110, lisi, temperature_K=900", layout=w.Layout(width="330px"),
            description="Filter",
        )  # fmt: skip
        states = [("any status", ""), *((state, state) for state in catalogue.STATES)]
        self.state = w.Dropdown(options=states, tooltip="Status", layout=w.Layout(width="130px"))
        self.refresh = w.Button(description="Refresh", icon="refresh", layout=w.Layout(width="100px"))
        self.compare = w.Button(description="Compare selected", icon="columns", layout=w.Layout(width="160px"))
        self.more = w.Button(description="Show more", layout=w.Layout(width="100px"))
        self.refresh.tooltip, self.more.tooltip = "Read all runs again.", f"Show {PAGE} more runs."
        self.compare.tooltip = "Put the ticked runs side by side."
        self.note, self.table, self.below = w.HTML(), w.VBox(), w.VBox()
        self._head, self._lines = _head(), dict[str, Line]()
        self.selected: dict[str, Run] = {}
        self.shown: list[Row] = []
        self._limit, self._loading = PAGE, Lock()
        self.text.observe(lambda _: self.load(), "value")
        self.state.observe(lambda _: self.load(), "value")
        self.refresh.on_click(lambda _: self.load())
        self.compare.on_click(lambda _: self._compare())
        self.more.on_click(lambda _: self._more())
        head = w.HBox([self.text, self.state, self.refresh, self.compare], layout=w.Layout(flex_flow="row wrap"))
        super().__init__([head, self.table, w.HBox([self.more, self.note]), self.below, Names()], self._kept_html)
        self.load()

    def __repr__(self) -> str:
        return "\n".join(f"{row.run.id}  {row.state}  {100 * row.share:.0f} %" for row in self.shown) or "no runs yet"

    def _kept_html(self) -> str:
        """The runs shown last."""
        return f"{self.note.value}<pre>{html.escape(repr(self))}</pre>"

    def load(self) -> None:
        """Read all runs again; what was selected stays selected."""
        with self._loading:
            self._load()

    def _load(self) -> None:
        found = catalogue.rows(self.study.NAME if self.study else None, self.text.value, self.state.value)
        self.shown = found[: self._limit]
        old, self._lines = self._lines, {row.run.id: self._line(row) for row in self.shown}
        self.table.children = (self._head, *self._lines.values())
        for name in old.keys() - self._lines:
            _close(old[name])
        self.more.layout.display = None if len(found) > self._limit else "none"
        some = f"{len(self.shown)} of {len(found)} runs, newest first" if found else "No run here fits."
        self.note.value = f"{some}; as of {time.strftime('%H:%M:%S')}"
        self.keep()

    def _line(self, row: Row) -> Line:
        """The line of a run, kept for as long as it is shown: a tick made while the table is read again is not lost."""
        line = self._lines.get(row.run.id)
        if line is None:
            line = Line(row.run.id)
            line.box.observe(lambda change: self._select(row.run, change["new"]), "value")
            line.button.on_click(lambda _: self.follow(row.run))
            line.box.value = row.run.id in self.selected
        line.show(row)
        return line

    def _select(self, run: Run, chosen: bool) -> None:
        if chosen:
            self.selected[run.id] = run
        else:
            self.selected.pop(run.id, None)

    def _more(self) -> None:
        self._limit += PAGE
        self.load()

    def follow(self, run: Run) -> None:
        """Show the monitor of a run below the table, wherever it was started."""
        mine = self.study is not None and run.folder.parent.name == self.study.NAME
        self._show(Monitor(run, self.study.live if mine and self.study else None, self.load))

    def _compare(self) -> None:
        if len(self.selected) < 2:
            self._show(w.HTML(f"Select two or more runs first; {len(self.selected)} selected."))
            return
        self._show(w.HTML("Comparing ..."))
        try:
            self._show(*self._comparison(list(self.selected.values())))
        except (OSError, ValueError, KeyError, Unreadable) as error:
            self._show(w.HTML(f"These runs cannot be compared: {html.escape(str(error))} Refresh and select again."))

    def _comparison(self, chosen: Sequence[Run]) -> list[w.Widget]:
        inputs, measured = catalogue.differing_inputs(chosen), catalogue.quantities(chosen)
        found = _table(measured) + NOTE if measured.rows else "Nothing yet: no selected run has finished."
        return [
            w.HTML(f"<b>What differs</b>{_table(inputs)}"),
            self._overlay(chosen),
            w.HTML(f"<b>What was measured</b>{found}"),
        ]

    def _overlay(self, chosen: Sequence[Run]) -> w.Widget:
        if self.study is None:
            return w.HTML("Charts need the study: <code>runs_browser(study)</code>.")
        drawn = {name: self.study.live(run) for name, run in zip(catalogue.names(chosen), chosen, strict=True)}
        self.charts = overlay(drawn)
        if not self.charts:
            return w.HTML("No charts yet: the runs have written too few frames.")
        picture = plots.png(plots.draw(self.charts, width=5.0, columns=2))
        return w.Image(value=picture, layout=w.Layout(max_width="100%", object_fit="contain", align_self="flex-start"))

    def _show(self, *parts: w.Widget) -> None:
        old, self.below.children = self.below.children, parts
        for part in old:
            _close(part)


def _close(widget: w.Widget) -> None:
    """Close a widget and what it holds, so that nothing of it stays in the kernel."""
    for child in getattr(widget, "children", ()):
        _close(child)
    widget.close()


def _table(table: Table) -> str:
    """A table of texts with room between its columns."""

    def line(tag: str, texts: tuple[str, ...]) -> str:
        style = 'style="text-align:left;padding:1px 22px 1px 0;line-height:1.35;font-variant-numeric:tabular-nums"'
        return f"<tr>{''.join(f'<{tag} {style}>{html.escape(text)}</{tag}>' for text in texts)}</tr>"

    return f"<table>{line('th', table.columns)}{''.join(line('td', row) for row in table.rows)}</table>"


def _head() -> w.HBox:
    names = "".join(_CELL.format(name).replace("span", "b") for name in _COLUMNS)
    return w.HBox([w.Box(layout=_BOX), w.HTML(_GRID.format(names), layout=_ROW), w.Box(layout=_BUTTON)])


def _cells(row: Row) -> str:
    percent = f"{100 * row.share:.0f} %"
    progress = (
        f'<span title="{percent}" style="background:linear-gradient(to right,{palette.ACCENT}55 {percent[:-2]}%,'
        f'#8883 {percent[:-2]}%);border-radius:4px;height:20px;line-height:20px;margin-top:4px;text-align:center">'
        f"{percent}</span>"
    )
    speed = f"{row.ns_per_day:.3g}" if row.ns_per_day else catalogue.NONE
    left = duration(row.left_s) if row.state == "running" and row.left_s is not None else catalogue.NONE
    before = [_CELL.format(html.escape(text)) for text in (row.study, row.label, row.state)]
    after = [_CELL.format(html.escape(text)) for text in (speed, left, row.device, row.potential)]
    return _GRID.format("".join([*before, progress, *after]))


def runs_browser(study: ModuleType | None = None) -> RunsBrowser:
    """Show all runs, newest first: filter, follow or open one with a click, compare two or more.

    Parameters
    ----------
    study : module, optional
        Shows its runs only, and adds its ``live(run)`` charts to the monitor and, laid over each other, to a
        comparison (also as ``.charts``, which have ``to_csv``).
    """
    return RunsBrowser(study)
