"""Where a run lies: the path to copy, its files, and a link into JupyterLab's file browser where that can show it."""

from __future__ import annotations

import html
import json
import os
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir

from lisi_nb.engine.run import Run


def folder_html(run: Run) -> str:
    """Where the run lies (one click selects the path) and what is in it."""
    folder = run.folder.resolve()
    path = f'<code style="user-select:all">{html.escape(str(folder))}</code>'
    if not folder.exists():
        return f"{path} is gone."
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    listed = " · ".join(f"{html.escape(file.name)} {file.stat().st_size / 1000:.1f} kB" for file in files)
    return f'<div style="line-height:1.5">{path} (click and copy){_link(folder)}<br>{listed}</div>'


def _link(folder: Path) -> str:
    where = lab_path(folder)
    if where is None:
        return ""
    arguments = html.escape(json.dumps({"path": where}))
    # JupyterLab runs the command that a clicked element names.
    return (
        ' · <a href="#" style="text-decoration:underline" data-commandlinker-command="filebrowser:open-path" '
        f'data-commandlinker-args="{arguments}">open in the file browser</a>'
    )


def lab_path(folder: Path) -> str | None:
    """Path of `folder` in the file browser of the JupyterLab that this kernel belongs to; ``None`` if it has none."""
    server = Path(jupyter_runtime_dir()) / f"jpserver-{os.getppid()}.json"
    try:
        inside = folder.relative_to(Path(json.loads(server.read_text())["root_dir"]).resolve())
    except (OSError, ValueError, KeyError):  # another kind of server, or a folder outside its root
        return None
    hidden = any(part.startswith(".") for part in inside.parts)  # the server hides these
    return None if hidden else inside.as_posix()
