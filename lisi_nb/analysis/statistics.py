"""Error bars: of a trend's end, of a slope, and over seeds."""

from __future__ import annotations

import numpy as np

from lisi_nb.units import Measured

Array = np.ndarray


def end_of_trend(values: Array, unit: str, share: float = 0.3) -> Measured:
    """Value at the end of a slowly changing series, from a straight line through its last part.

    Parameters
    ----------
    values : (n,) array
        Equally spaced in time; each is a block average. NaN are left out.
    unit : str
        Unit of the values.
    share : float
        Last part of the series that is fitted (at least four points).

    Returns
    -------
    Measured
        Value of the line at the last point, with the standard error of that prediction (residuals of the
        blocks about the line). With fewer than four points: the last value without an error.
    """
    good = values[~np.isnan(values)]
    if len(good) == 0:
        return Measured(float("nan"), float("nan"), unit)
    n = max(4, round(share * len(good)))
    if len(good) < n:
        return Measured(float(good[-1]), float("nan"), unit)
    y = good[-n:]
    x = np.arange(n) - (n - 1.0)  # zero at the last point
    slope, intercept = np.polyfit(x, y, 1)
    variance = ((y - slope * x - intercept) ** 2).sum() / (n - 2)
    error = np.sqrt(variance * (1 / n + x.mean() ** 2 / ((x - x.mean()) ** 2).sum()))
    return Measured(float(intercept), float(error), unit)


def block_mean(values: Array, unit: str, n_blocks: int = 5) -> Measured:
    """Mean of a stationary series with the standard error of `n_blocks` block means."""
    good = values[~np.isnan(values)]
    if len(good) < 2 * n_blocks:
        return Measured(float(good.mean()) if len(good) else float("nan"), float("nan"), unit)
    blocks = np.array([b.mean() for b in np.array_split(good, n_blocks)])
    return Measured(float(good.mean()), float(blocks.std(ddof=1) / np.sqrt(n_blocks)), unit)


def over_seeds(values: list[Measured]) -> Measured:
    """Mean over independent runs with its standard error; a single run keeps its own error."""
    if len(values) == 1:
        return values[0]
    units = {v.unit for v in values}
    if len(units) != 1:
        raise ValueError(f"The runs have different units: {sorted(units)}. Average like with like.")
    numbers = np.array([v.value for v in values])
    numbers = numbers[~np.isnan(numbers)]
    if len(numbers) < 2:
        return Measured(float(numbers[0]) if len(numbers) else float("nan"), float("nan"), units.pop())
    return Measured(float(numbers.mean()), float(numbers.std(ddof=1) / np.sqrt(len(numbers))), units.pop())
