"""Charts of the study; `lisi_nb.plots` draws them."""

from collections.abc import Mapping

import numpy as np

from lisi_nb.charts import Chart, Curve
from lisi_nb.engine.run import Run
from lisi_nb.studies.template.analyse import Result, volume


def volume_chart(series: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Chart:
    """Name -> time (ps) and volume per atom (A^3)."""
    curves = tuple(Curve(*each, name, dash=k) for k, (name, each) in enumerate(series.items()))
    return Chart("Volume", "time (ps)", "volume (Å³/atom)", curves)


def live(run: Run) -> tuple[Chart, ...]:
    """For the monitor, while the run goes on (empty until there is something)."""
    return (volume_chart({"this run": volume(run)}),) if run.thermo() else ()


def figures(results: Mapping[str, Result]) -> dict[str, tuple[Chart, ...]]:
    """Figures of the report: name -> charts drawn side by side."""
    return {"volume": (volume_chart({name: (r.time_ps, r.volume_A3) for name, r in results.items()}),)}
