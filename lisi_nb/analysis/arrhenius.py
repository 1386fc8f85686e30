"""Arrhenius fit ``D(T) = D0 exp(-Ea / kB T)`` with its confidence band and extrapolation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import kB
from scipy import stats

from lisi_nb.errors import check_range
from lisi_nb.units import Measured

Array = np.ndarray
UNIT = "cm^2/s"


@dataclass(frozen=True)
class Arrhenius:
    """A fitted line ``ln D = ln D0 - Ea / kB T``, or the plain statement why there is none.

    `Ea_eV` and `ln_D0` carry standard errors; `covariance` (2, 2) is that of (ln D0, Ea) and `freedom` the degrees
    of freedom of its estimate (infinite when it comes from the errors of the D alone).
    """

    Ea_eV: Measured
    ln_D0: Measured
    covariance: Array
    freedom: float
    temperatures_K: Array
    left_out_K: Array
    statement: str

    @property
    def fitted(self) -> bool:
        """Whether there is a line."""
        return bool(np.isfinite(self.Ea_eV.value))

    def D_cm2_s(self, temperature_K: float | Array) -> Array:
        """D on the line at one or more temperatures; NaN without a line."""
        return np.asarray(np.exp(self.ln_D0.value - self.Ea_eV.value / (kB * np.asarray(temperature_K, dtype=float))))

    def sigma_ln_D(self, temperature_K: float | Array) -> Array:
        """Standard error of ln D on the line."""
        temperature = np.atleast_1d(np.asarray(temperature_K, dtype=float))
        row = np.stack([np.ones_like(temperature), -1 / (kB * temperature)])
        sigma = np.sqrt(np.einsum("ik,ij,jk->k", row, self.covariance, row))
        return sigma.reshape(np.shape(temperature_K))

    def band_cm2_s(self, temperature_K: float | Array, level: float = 0.95) -> tuple[Array, Array]:
        """Lower and upper end of the confidence band of the line (not symmetric: the line is one of ln D)."""
        check_range("level", level, 0.01, 0.9999)
        factor = np.exp(stats.t.ppf(0.5 + level / 2, self.freedom) * self.sigma_ln_D(temperature_K))
        D = self.D_cm2_s(temperature_K)
        return D / factor, D * factor

    def at(self, temperature_K: float = 300.0) -> Measured:
        """D with standard error at a temperature; an extrapolation outside `temperatures_K`."""
        D = float(self.D_cm2_s(temperature_K))
        return Measured(D, D * float(self.sigma_ln_D(temperature_K)), UNIT)


def arrhenius(temperatures_K: Sequence[float], D: Sequence[Measured]) -> Arrhenius:
    """Weighted least squares of ln D against 1 / kB T.

    Weights are ``(D / error)^2``. When the points scatter more than their errors say, all errors are scaled by
    ``sqrt(chi^2 / (n - 2))`` (as the Particle Data Group does) and the band uses Student's t; when any point has no
    error, all weigh the same and the scatter alone decides.

    Parameters
    ----------
    temperatures_K : (n,) sequence
        Temperatures, 1 to 10 000 K.
    D : (n,) sequence of Measured
        In cm^2/s; NaN for series that are not diffusive: they are left out and named in the statement.

    Returns
    -------
    Arrhenius
        Without a line, and saying so, for fewer than three diffusive temperatures.

    Raises
    ------
    ValueError
        Sequences of different length, temperatures out of range, D that are negative or zero.
    """
    if len(temperatures_K) != len(D):
        raise ValueError(f"{len(temperatures_K)} temperatures and {len(D)} D came. Give one D for each temperature.")
    for each in temperatures_K:
        check_range("temperature_K", float(each), 1.0, 10_000.0, "K")
    temperature = np.array(temperatures_K, dtype=float)
    value, error = np.array([d.value for d in D]), np.array([d.error for d in D])
    good = np.isfinite(value)
    if (value[good] <= 0).any():
        raise ValueError(f"D={value[good].min():.3g} cm²/s has no logarithm. Leave out what is not diffusive (NaN).")
    left_out = temperature[~good]
    named = f" Not diffusive and left out: {', '.join(f'{t:g} K' for t in left_out)}." if len(left_out) else ""
    x = 1 / (kB * temperature[good])
    n = len(np.unique(x))
    if n < 3:
        nan = float("nan")
        return Arrhenius(
            Measured(nan, nan, "eV"), Measured(nan, nan, "1"), np.full((2, 2), nan), nan, temperature[good], left_out,
            f"no Arrhenius line: {n} diffusive temperatures, three are needed.{named}",
        )  # fmt: skip
    y, sigma = np.log(value[good]), error[good] / value[good]
    weighted = bool(np.isfinite(sigma).all() and (sigma > 0).all())
    design = np.stack([np.ones_like(x), -x], axis=1) / (sigma[:, None] if weighted else 1.0)
    target = y / sigma if weighted else y
    solution, *_ = np.linalg.lstsq(design, target, rcond=None)
    covariance = np.linalg.inv(design.T @ design)
    chi2 = float(((target - design @ solution) ** 2).sum()) / (len(x) - 2)
    scaled = chi2 > 1 or not weighted
    covariance = covariance * chi2 if scaled else covariance
    e_ln, e_Ea = np.sqrt(np.diag(covariance))
    Ea = Measured(float(solution[1]), float(e_Ea), "eV")
    span = f"{temperature[good].min():g} to {temperature[good].max():g} K"
    return Arrhenius(
        Ea, Measured(float(solution[0]), float(e_ln), "1"), covariance, float(len(x) - 2) if scaled else np.inf,
        temperature[good], left_out, f"Ea = {Ea} from {len(x)} temperatures, {span}.{named}",
    )  # fmt: skip
