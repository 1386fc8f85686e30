"""Names for screen readers where ipywidgets gives none, an empty one, or one that other controls have too."""

from __future__ import annotations

from typing import Any

import anywidget
import ipywidgets as w

NAMED = "lisi-named"  # class of a button whose tooltip belongs to its name
DECADES = "lisi-decades"  # class of a logarithmic slider

_SCRIPT = """
const PICTURES = { 'fa-play': 'Play', 'fa-pause': 'Pause', 'fa-stop': 'Stop', 'fa-retweet': 'Repeat',
  'jupyter-ovito-toolbtn': 'Show all atoms' };

function name(root) {
  for (const label of root.querySelectorAll('.jupyter-widgets > label')) {
    const box = label.parentElement;
    const boxes = [...box.querySelectorAll('input, select, .widget-readout')];
    const handles = [...box.querySelectorAll('.noUi-handle')];
    const words = [label, ...boxes].map(e => e.title).find(t => t && t !== 'null') || label.textContent;
    if (!words) continue;
    box.querySelector('.widget-readout')?.setAttribute('role', 'textbox');
    boxes.forEach(control => control.setAttribute('aria-label', words));
    handles.forEach((handle, k) =>
      handle.setAttribute('aria-label', words + (handles.length > 1 ? [', from', ', to'][k] : '')));
  }
  for (const button of root.querySelectorAll('button')) {
    const picture = Object.keys(PICTURES).find(c => button.matches('.' + c) || button.querySelector('.' + c));
    const words = button.textContent.trim() || PICTURES[picture];
    button.setAttribute('aria-label', button.matches('.lisi-named') ? `${words}: ${button.title}` : words);
  }
  for (const handle of root.querySelectorAll('.lisi-decades .noUi-handle')) {
    const power = handle.getAttribute('aria-valuetext');  // the slider says the power of ten that it stands for
    if (power === handle.dataset.said) continue;
    handle.dataset.said = `${Number((10 ** power).toPrecision(3))}`;
    handle.setAttribute('aria-valuetext', handle.dataset.said);
  }
}

export default {
  render({ el }) {
    let watcher;
    function start() {  // the neighbours are there once this is on the page
      if (!el.isConnected) return setTimeout(start, 100);
      const root = el.parentElement;
      name(root);
      watcher = new MutationObserver(() => name(root));
      watcher.observe(root,
        { subtree: true, childList: true, characterData: true, attributeFilter: ['title', 'class', 'aria-valuetext'] });
    }
    start();
    return () => watcher?.disconnect();
  },
};
"""


class Names(anywidget.AnyWidget):
    """Invisible; names boxes and sliders (by their tooltip) and buttons of the widget that it is a child of."""

    _esm = _SCRIPT

    def __init__(self) -> None:
        super().__init__(layout=w.Layout(display="none"))


def named(button: Any) -> Any:
    """`button`, read out with its tooltip: for those that share their words with others."""
    button.add_class(NAMED)
    return button
