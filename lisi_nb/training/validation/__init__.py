"""What a potential is worth: computed properties beside DFT and experiment, errors, behaviour under abuse.

``lisi-nb potentials validate NAME`` runs every section (each is cached by the potential's hash), writes
``validation.md``, ``validation.json`` and pictures, and prints the tables.
"""

from lisi_nb.training.validation.findings import Finding
from lisi_nb.training.validation.report import REPORT, SECTIONS, into_card, note_in_card, validate

__all__ = ["REPORT", "SECTIONS", "Finding", "into_card", "note_in_card", "validate"]
