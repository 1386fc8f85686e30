"""Si | Li interdiffusion at four interfaces (Fu et al., npj Comput. Mater. 2024, doi:10.1038/s41524-024-01327-1).

Silicon (amorphous, or crystalline with a (100), (110) or (111) face) below molten lithium, vacuum above.
How far do they mix, which front moves, and how much silicon leaves the slab?
"""

from lisi_nb.studies.interdiffusion.analyse import Result, analyse
from lisi_nb.studies.interdiffusion.build import build, check, n_atoms, plan, preparation
from lisi_nb.studies.interdiffusion.charts import figures, live
from lisi_nb.studies.interdiffusion.compare import at_paper_conditions, claims, compare
from lisi_nb.studies.interdiffusion.params import INTERFACES, SCALES, Params, scaled, variants

NAME = "interdiffusion"
NOTEBOOK = "01_interdiffusion"
__all__ = [
    "INTERFACES",
    "NAME",
    "NOTEBOOK",
    "SCALES",
    "Params",
    "Result",
    "at_paper_conditions",
    "analyse",
    "build",
    "check",
    "claims",
    "compare",
    "figures",
    "live",
    "n_atoms",
    "plan",
    "preparation",
    "scaled",
    "variants",
]
