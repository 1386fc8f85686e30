"""Our numbers beside the published ones in ``data/published.csv``, and claims judged by error bars."""

from collections.abc import Mapping

from lisi_nb import published
from lisi_nb.studies.template.analyse import Result
from lisi_nb.verdicts import Claim, Row, greater


def at_paper_conditions(result: Result) -> str:
    """Empty at the paper's conditions; otherwise what differs."""
    kelvin = result.params["temperature_K"]
    return "" if abs(kelvin - 298) < 1 else f"{kelvin:g} K, not 298 K"


def compare(result: Result) -> list[Row]:
    """The table *quantity, ours ± error, paper, agrees?*."""
    paper = published.value("reference", "volume_per_atom", "Li_bcc_experiment_298K")
    ours = result.quantities["volume_per_atom"]
    near = "yes" if abs(ours.value - paper.value) <= 2 * ours.error else "no"
    agrees = "other conditions" if at_paper_conditions(result) else near
    return [Row("volume_per_atom", "Li", ours, paper.value, paper.unit, paper.place, agrees)]


def claims(results: Mapping[str, Result]) -> list[Claim]:
    """Claims that need several variants: true, false or undecided, and the numbers why."""
    cold, *_, warm = (r.quantities["volume_per_atom"] for r in results.values())
    return [Claim("Lithium swells when it gets warm.", greater(warm, cold), f"{warm} after {cold}")]
