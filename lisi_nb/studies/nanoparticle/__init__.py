"""Delithiation of LixSi nanoparticles (Artrith, Urban, Wang, Ceder, doi:10.48550/arXiv.1901.09272).

A sphere of crystalline Li15Si4 or of an amorphous alloy loses its outermost lithium, step by step, with molecular
dynamics between. Which particle is most stable, and where does silicon bond to silicon?
"""

from lisi_nb.studies.nanoparticle.analyse import Result, analyse, analyse_each
from lisi_nb.studies.nanoparticle.build import build, check, expected_segments, expected_steps, n_atoms, plan
from lisi_nb.studies.nanoparticle.charts import figures, live
from lisi_nb.studies.nanoparticle.compare import at_paper_conditions, claims, compare
from lisi_nb.studies.nanoparticle.params import FAMILIES, SCALES, Params, quick, scaled, variants

NAME = "nanoparticle"
NOTEBOOK = "02_nanoparticle_delithiation"
__all__ = [
    "FAMILIES",
    "NAME",
    "NOTEBOOK",
    "SCALES",
    "Params",
    "Result",
    "analyse",
    "analyse_each",
    "at_paper_conditions",
    "build",
    "check",
    "claims",
    "compare",
    "expected_segments",
    "expected_steps",
    "figures",
    "live",
    "n_atoms",
    "plan",
    "quick",
    "scaled",
    "variants",
]
