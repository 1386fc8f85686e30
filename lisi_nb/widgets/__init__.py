"""Forms, monitors and viewers for notebooks."""

from lisi_nb.widgets.form import form
from lisi_nb.widgets.monitor import Monitor, follow
from lisi_nb.widgets.runs import runs_browser
from lisi_nb.widgets.viewer import view
from lisi_nb.widgets.work import follow_sweep, follow_work

__all__ = ["Monitor", "follow", "follow_sweep", "follow_work", "form", "runs_browser", "view"]
