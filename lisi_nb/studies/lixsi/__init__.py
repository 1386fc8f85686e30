"""Bulk LixSi."""

from lisi_nb.studies.lixsi.build import build, check, expected_steps, n_atoms, plan
from lisi_nb.studies.lixsi.params import SCALES, Params, scaled, variants

NAME = "lixsi"
