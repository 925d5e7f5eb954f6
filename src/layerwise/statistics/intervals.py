"""Intervals and tests from samples of whole clusters, whose layers are not equally many.

Where each layer counts once, a network of 1,323 layers weighs 66 times as much as one of 20, and an error that is
estimated over the paper's 64 networks is as uncertain as one over a dozen that weigh the same. So t has the degrees of
freedom of the jackknife's variance (Satterthwaite's; Bell & McCaffrey 2002; Pustejovsky & Tipton 2018,
doi:10.1080/07350015.2016.1247004) in a working model that nothing is estimated for: layers of a network go together,
and the means of networks vary alike. They are about the effective number of clusters less one (Carter, Schnepel &
Steigerwald 2017, doi:10.1162/REST_a_00639), and of clusters that weigh the same their number less one.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from layerwise.statistics.clusters import leave_one_out

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
    freedom : float
        Degrees of freedom of t, by which the interval is wider than a normal one.
    """

    low: float
    high: float
    p: float
    error: float
    freedom: float


UNDEFINED = Interval(*(np.nan,) * 5)


def fisher(rho: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fisher's z of correlations, finite also for those of 1."""
    return np.arctanh(np.clip(rho, -NEAREST, NEAREST))


def jackknife(value: float, left_out: NDArray[np.float64], sizes: NDArray[np.intp], level: float) -> Interval:
    """Take the interval of a value from those without each cluster: t with `degrees_of_freedom`.

    Parameters
    ----------
    value : float
        Of all clusters.
    left_out : float array [cluster]
        Without each cluster.
    sizes : int array [cluster]
        How much each cluster weighs: its layers, where each of them counts once.
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
    error, freedom = float(np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())), degrees_of_freedom(sizes)
    half = error * student(level, freedom)
    return Interval(value - half, value + half, _p_of_t(value, error, freedom), error, freedom)


def degrees_of_freedom(sizes: NDArray[np.intp]) -> float:
    """Return how many degrees of freedom the jackknife's variance of a weighted mean of independent clusters has.

    Parameters
    ----------
    sizes : int array [cluster]
        How much each cluster weighs.

    Returns
    -------
    float
        Satterthwaite's, twice its squared expectation over its variance, the means of clusters being normal and of one
        variance: one fewer than clusters where all weigh the same, else less; 1 of two.
    """
    return _satterthwaite(tuple(sizes.tolist()))


@cache  # many intervals are over the same clusters
def _satterthwaite(sizes: tuple[int, ...]) -> float:
    weights = leave_one_out(len(sizes)) * np.array(sizes)
    weights /= weights.sum(axis=1, keepdims=True)  # of clusters [left out, cluster] in the mean of the rest
    centred = weights - weights.mean(axis=0)
    form = centred.T @ centred
    return float(np.trace(form) ** 2 / (form**2).sum())


def student(level: float, freedom: float) -> float:
    """Return the quantile of t that bounds an interval."""
    return float(stats.t.ppf((1 + level) / 2, freedom))


def jackknife_rho(rho: float, left_out: NDArray[np.float64], sizes: NDArray[np.intp], level: float) -> Interval:
    """Take the interval of a correlation in the same way, on the scale of Fisher's z (that of `error`)."""
    z = jackknife(float(fisher(np.asarray(rho))), fisher(left_out), sizes, level)
    return Interval(float(np.tanh(z.low)), float(np.tanh(z.high)), z.p, z.error, z.freedom)


def percentile(drawn: NDArray[np.float64], sizes: NDArray[np.intp], level: float) -> Interval:
    """Take the interval that holds a middle share of bootstrapped values, larger than `level` for samples that are few.

    The share is that of the expanded percentile interval (Hesterberg 2015, doi:10.1080/00031305.2015.1089789): of a
    normal distribution it leaves out what t leaves out beyond `level`, values of samples varying too little as well
    (`bootstrap_shrinkage`). The p value belongs to it.

    Parameters
    ----------
    drawn : float array [draw]
        NaN where a draw left the value undefined; with more than one in twenty of these, so is the interval.
    sizes : int array [cluster]
        How much each cluster weighs.
    level : float
        Of the interval.
    """
    defined = drawn[np.isfinite(drawn)]
    if len(sizes) < 2 or len(defined) < max(2, ENOUGH * len(drawn)):
        return UNDEFINED
    freedom, shrinkage = degrees_of_freedom(sizes), bootstrap_shrinkage(sizes)
    tail = stats.norm.sf(student(level, freedom) / shrinkage)
    low, high = np.quantile(defined, [tail, 1 - tail])
    beyond = min((defined <= 0).sum(), (defined >= 0).sum())
    share = min(1.0, 2 * (1 + float(beyond)) / (1 + len(defined)))
    p = float(2 * stats.t.sf(stats.norm.isf(share / 2) * shrinkage, freedom))
    return Interval(float(low), float(high), p, float(defined.std(ddof=1)), freedom)


def bootstrap_shrinkage(sizes: NDArray[np.intp]) -> float:
    """Return the standard deviation of a weighted mean in samples of clusters, relative to its standard error.

    Below 1, since samples vary around the mean that is itself of these clusters: the root of 1 - 1/G for G clusters
    that weigh the same. In the working model of `degrees_of_freedom`.
    """
    shares = sizes / sizes.sum()
    squares = (shares**2).sum()
    return float(np.sqrt(1 - 2 * (shares**3).sum() / squares + squares))


def _p_of_t(value: float, error: float, freedom: float) -> float:
    if error == 0:
        return 0.0 if value else 1.0
    return float(2 * stats.t.sf(abs(value) / error, freedom))
