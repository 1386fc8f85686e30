"""The bar of what is followed, with words below it."""

from __future__ import annotations

import html
from collections.abc import Sequence

from lisi_nb import palette


def progress_bar(name: str, share: float, lines: Sequence[str]) -> str:
    """Name, bar of a `share` in 0-1, and lines of HTML."""
    name, percent = html.escape(name), f"{100 * share:.4g}"
    return (
        f'<div style="line-height:1.5"><b>{name}</b><div role="progressbar" aria-label="{name}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{percent}" style="background:#8883;height:10px;border-radius:5px;'
        f'max-width:900px"><div style="background:{palette.ACCENT};height:10px;border-radius:5px;width:{percent}%">'
        f"</div></div>{'<br>'.join(lines)}</div>"
    )
