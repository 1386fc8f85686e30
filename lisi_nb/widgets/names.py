"""Names for screen readers where ipywidgets gives none: sliders, and buttons that share their words with others."""

from __future__ import annotations

from typing import Any

import anywidget
import ipywidgets as w

NAMED = "lisi-named"  # class of a button whose tooltip belongs to its name

_SCRIPT = """
function name(root) {
  for (const slider of root.querySelectorAll('.widget-slider')) {
    const label = slider.querySelector('label');
    const words = label.title || label.textContent;
    const handles = [...slider.querySelectorAll('.noUi-handle')];
    handles.forEach((handle, k) =>
      handle.setAttribute('aria-label', words + (handles.length > 1 ? [', from', ', to'][k] : '')));
    const readout = slider.querySelector('.widget-readout');
    readout?.setAttribute('role', 'textbox');
    readout?.setAttribute('aria-label', words);
  }
  for (const button of root.querySelectorAll('button.lisi-named'))
    button.setAttribute('aria-label', `${button.textContent}: ${button.title}`);
}

export default {
  render({ el }) {
    const watcher = new MutationObserver(() => name(el.parentElement));
    function start() {  // the neighbours are there once this is on the page
      if (!el.isConnected) return setTimeout(start, 100);
      name(el.parentElement);
      watcher.observe(el.parentElement,
        { subtree: true, childList: true, characterData: true, attributeFilter: ['title'] });
    }
    start();
    return () => watcher.disconnect();
  },
};
"""


class Names(anywidget.AnyWidget):
    """Invisible; names the sliders and the `NAMED` buttons of the box that it is a child of, and keeps them named."""

    _esm = _SCRIPT

    def __init__(self) -> None:
        super().__init__(layout=w.Layout(display="none"))


def named(button: Any) -> Any:
    """`button`, read out with its tooltip: for those that share their words with others."""
    button.add_class(NAMED)
    return button
