"""What a potential is worth: computed properties beside DFT and experiment, errors, behaviour under abuse.

``python -m lisi_nb.training.validation NAME`` runs every section (each is cached by the potential's hash), writes
``validation.md``, ``validation.json`` and pictures beside the model card, and prints the table.
"""

from lisi_nb.training.validation.findings import Finding
from lisi_nb.training.validation.report import SECTIONS, validate

__all__ = ["SECTIONS", "Finding", "validate"]
