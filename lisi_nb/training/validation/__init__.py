"""What a potential is worth: computed properties beside DFT and experiment, errors, behaviour under abuse.

``lisi-nb potentials validate NAME`` runs every section (each is cached by the potential's hash), writes
``validation.md``, ``validation.json`` and pictures, and prints the tables.
"""

from lisi_nb.training.validation.findings import Finding
from lisi_nb.training.validation.report import SECTIONS, into_card, validate

__all__ = ["SECTIONS", "Finding", "into_card", "validate"]
