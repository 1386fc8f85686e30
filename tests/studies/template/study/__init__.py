"""How much does lithium swell when it gets warm? Replace this line by your question and the paper's DOI."""

from lisi_nb.studies.template.analyse import Result, analyse
from lisi_nb.studies.template.build import build, check, n_atoms, plan
from lisi_nb.studies.template.charts import figures, live
from lisi_nb.studies.template.compare import at_paper_conditions, claims, compare
from lisi_nb.studies.template.params import SCALES, Params, scaled, variants

NAME, NOTEBOOK = "template", "99_template"
__all__ = [
    "NAME", "NOTEBOOK", "SCALES", "Params", "Result", "analyse", "at_paper_conditions", "build", "check", "claims",
    "compare", "figures", "live", "n_atoms", "plan", "scaled", "variants",
]  # fmt: skip
