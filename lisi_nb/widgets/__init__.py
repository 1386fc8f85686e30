"""Forms, monitors and viewers for notebooks."""

from lisi_nb.widgets.form import form
from lisi_nb.widgets.monitor import follow
from lisi_nb.widgets.viewer import view

__all__ = ["follow", "form", "view"]
