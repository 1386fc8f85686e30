"""Bulk LixSi: how lithium moves, and what the silicon does (Artrith, Urban, Wang, Ceder, arXiv:1901.09272).

One run is one composition at one temperature; across runs come Arrhenius lines, Table I of the paper, and its claims.
Energies of crystals and relaxed structures at 0 K are in `thermodynamics`, where lithium is best taken out in
`orderings`, barriers of its hops in `migration`, foreign atoms in silicon clusters in `dopants`.
"""

from lisi_nb.studies.lixsi import dopants, migration, orderings, thermodynamics
from lisi_nb.studies.lixsi.across import arrhenius_of, by_composition, lines, table_1
from lisi_nb.studies.lixsi.analyse import Result, analyse, analyse_each
from lisi_nb.studies.lixsi.build import build, check, expected_segments, expected_steps, n_atoms, plan, preparation
from lisi_nb.studies.lixsi.charts import figures, live
from lisi_nb.studies.lixsi.compare import at_paper_conditions, claims, compare
from lisi_nb.studies.lixsi.measure import coolest_structures
from lisi_nb.studies.lixsi.params import PAPER_X, SCALES, TEMPERATURES_K, Params, name, scaled, variants

NAME = "lixsi"
NOTEBOOK = "02_nanoparticle_delithiation"
__all__ = [
    "NAME",
    "NOTEBOOK",
    "PAPER_X",
    "SCALES",
    "TEMPERATURES_K",
    "Params",
    "Result",
    "analyse",
    "analyse_each",
    "arrhenius_of",
    "at_paper_conditions",
    "build",
    "by_composition",
    "check",
    "claims",
    "compare",
    "coolest_structures",
    "dopants",
    "expected_segments",
    "expected_steps",
    "figures",
    "lines",
    "live",
    "migration",
    "n_atoms",
    "name",
    "orderings",
    "plan",
    "preparation",
    "scaled",
    "table_1",
    "thermodynamics",
    "variants",
]
