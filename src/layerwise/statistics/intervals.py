"""Intervals and tests from samples of whole clusters."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Method = Literal["jackknife", "percentile"]
Unit = Literal["network", "family"]

NEAREST = 1 - 1e-15  # to 1 that Fisher's z is finite
ENOUGH = 0.95  # of the draws of a bootstrap, that must leave the value defined


@dataclass(frozen=True)
class Sampling:
    """How uncertainty is estimated.

    Parameters
    ----------
    level : float
        Of intervals: the share of studies whose interval should hold the true value.
    draws : int
        Samples of the bootstrap and of permutations.
    seed : int
        Of both.
    interval : {"jackknife", "percentile"}
        The interval that is given first.
    cluster : {"network", "family"}
        What is left out, drawn or permuted as a whole.
    """

    level: float = 0.95
    draws: int = 2000
    seed: int = 0
    interval: Method = "jackknife"
    cluster: Unit = "network"


DEFAULT = Sampling()


@dataclass(frozen=True)
class Interval:
    """An interval, and the test whether it holds 0.

    Parameters
    ----------
    low, high : float
        Its ends; NaN where it is undefined.
    p : float
        Two-sided p value of the hypothesis that the value is 0.
    error : float
        Standard error, on the scale on which the interval is symmetric.
    """

    low: float
    high: float
    p: float
    error: float


UNDEFINED = Interval(np.nan, np.nan, np.nan, np.nan)


def fisher(rho: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fisher's z of correlations, finite also for those of 1."""
    return np.arctanh(np.clip(rho, -NEAREST, NEAREST))


def jackknife(value: float, left_out: NDArray[np.float64], level: float) -> Interval:
    """Take the interval of a value from those without each of G clusters: t with G - 1 degrees of freedom.

    Parameters
    ----------
    value : float
        Of all clusters.
    left_out : float array [cluster]
        Without each cluster.
    level : float
        Of the interval.

    Returns
    -------
    Interval
        Undefined with one cluster, or where a value is NaN.
    """
    n = len(left_out)
    if n < 2 or not (np.isfinite(value) and np.isfinite(left_out).all()):
        return UNDEFINED
    error = float(np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum()))
    half = error * student(level, n)
    return Interval(value - half, value + half, _p_of_t(value, error, n - 1), error)


def student(level: float, n_clusters: int) -> float:
    """Return the quantile of t that bounds an interval over clusters."""
    return float(stats.t.ppf((1 + level) / 2, n_clusters - 1))


def jackknife_rho(rho: float, left_out: NDArray[np.float64], level: float) -> Interval:
    """Take the interval of a correlation in the same way, on the scale of Fisher's z (that of `error`)."""
    z = jackknife(float(fisher(np.asarray(rho))), fisher(left_out), level)
    return Interval(float(np.tanh(z.low)), float(np.tanh(z.high)), z.p, z.error)


def percentile(drawn: NDArray[np.float64], level: float) -> Interval:
    """Take the interval that holds the middle share of bootstrapped values.

    Parameters
    ----------
    drawn : float array [draw]
        NaN where a draw left the value undefined; with more than one in twenty of these, so is the interval.
    level : float
        Of the interval.
    """
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < max(2, ENOUGH * len(drawn)):
        return UNDEFINED
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    beyond = min((defined <= 0).sum(), (defined >= 0).sum())
    p = min(1.0, 2 * (1 + float(beyond)) / (1 + len(defined)))
    return Interval(float(low), float(high), p, float(defined.std(ddof=1)))


def _p_of_t(value: float, error: float, freedom: int) -> float:
    if error == 0:
        return 0.0 if value else 1.0
    return float(2 * stats.t.sf(abs(value) / error, freedom))
