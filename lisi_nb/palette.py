"""The colours of every figure, viewer, light and message, in one place; told apart by colour-blind readers too.

Curves use the colours of Okabe and Ito (Color Universal Design, 2008). Elements keep theirs in every figure and
viewer. Nothing relies on colour alone: curves also differ in dash, lights carry a word, errors carry a sign.
"""

from __future__ import annotations

CYCLE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#999933")
MARKERS = ("o", "s", "^", "v", "P")  # of points; diamonds are the papers'
DASHES = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
COLOURS = {
    "Li": "#9467bd", "Si": "#e69f00", "H": "#d9d9d9", "C": "#444444", "N": "#0072b2", "O": "#d03030", "F": "#66c2a5",
    "P": "#b15928", "S": "#f0e442", "Al": "#a6a6c8", "Cu": "#c07840",
    "paper": "#555555",
}  # fmt: skip
# Spheres small enough to see past: about two thirds of the metallic or covalent radius.
RADII_A = {
    "Li": 1.2, "Si": 1.0, "H": 0.4, "C": 0.6, "N": 0.6, "O": 0.6, "F": 0.6, "P": 0.9, "S": 0.9, "Al": 1.1, "Cu": 1.1,
}  # fmt: skip
# Crystal phases, as `lisi_nb.widgets.phases` tells them apart; a name ends with its element.
PHASES = {
    "diamond Si": "#0072b2", "edge of diamond Si": "#8fd3ff", "other Si": "#e69f00",
    "bcc Li": "#a0522d", "close-packed Li": "#f0e442", "other Li": "#cc79a7", "other element": "#777777",
}  # fmt: skip
LIGHTS = {"green": "#009e73", "amber": "#e69f00", "red": "#d03030", "unknown": "#999999"}
ERROR = "#d03030"
ACCENT = "#0072b2"


def rgb(colour: str) -> tuple[float, float, float]:
    """``#rrggbb`` as three numbers in 0-1."""
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return red, green, blue
