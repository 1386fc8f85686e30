"""Form, monitor and runs browser leave in a saved notebook what they showed last."""

import nbformat
from nbclient import NotebookClient

from lisi_nb import reproduce

CELLS = [
    "import os\nfrom pathlib import Path\nfrom lisi_nb.engine.run import Run\n"
    "from lisi_nb.studies import interdiffusion\n"
    "from lisi_nb.widgets import Monitor, form, runs_browser\nos.environ['LISI_NB_DATA'] = {data!r}",
    "controls = form(interdiffusion.scaled('smoke'), interdiffusion)\ncontrols",
    "shown = Monitor(Run(Path({folder!r})), interdiffusion.live)\ndisplay(shown)\nshown.thread.join()",
    "browser = runs_browser()\nbrowser",
    "controls.controls['temperature_K'].value = 950.0\nbrowser.text.value = 'no-such-word'",
]


def test_the_last_values_text_picture_and_rows_stay(smoke_run, data_folder, tmp_path):
    cells = [cell.format(data=str(data_folder), folder=str(smoke_run.folder)) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    left = []
    for cell in notebook.cells[1:4]:
        widget, kept = cell.outputs
        assert reproduce.WIDGET_VIEW in widget.data
        left.append(kept.data)
    form, monitor, browser = left
    assert 'params = interdiffusion.scaled("smoke", temperature_K=950.0)' in form["text/plain"]
    assert "temperature_K=950.0" in form["text/html"]
    assert f"<b>{smoke_run.id}</b>" in monitor["text/html"]
    assert "<b>finished</b>" in monitor["text/html"]
    assert 'src="data:image/png;base64,iVBOR' in monitor["text/html"]
    assert monitor["text/plain"] == f"{smoke_run.id} finished"
    assert "No run here fits" in browser["text/html"]
    assert browser["text/plain"] == "no runs yet"
    assert [len(cell.outputs) for cell in reproduce.without_widgets(notebook).cells] == [0, 1, 1, 1, 0]
