"""Total, between-network and within-network rank correlation: do networks go together, or the layers of each?

The three population values are those that Tu, Li & Shepherd define ("Between- and within-cluster Spearman rank
correlations", Statistics in Medicine 2025, doi:10.1002/sim.10326), as far as the abstract, the manual of their R
package (rankCorr) and the theory of probability-scale residuals tell: the total one is Spearman's rho of all layers;
the between one that of the medians of clusters; the within one the partial Spearman correlation given the cluster,
which is the correlation of probability-scale residuals, P(X < x | cluster) - P(X > x | cluster), pooled over layers.

What is theirs and not ours: they estimate the distribution within a cluster, and its median, by a cumulative
probability model in which clusters shift one common distribution. Here each cluster has its own, empirical one, so
residuals are the layer's mid-rank in its network and the median is that of the sample; nothing is assumed to be common,
at a loss of efficiency for clusters of few layers. Intervals are ours: the jackknife over networks in place of their
large-sample ones. Their weights "obs" are taken (a layer counts once) for the total and the within correlation, and
each network counts once in the between one. The paper's text could not be read here, and numbers of rankCorr not be
compared; the tests hold the estimates against those of Gaussian variables, for which all three are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.statistics.choosing import choose_layers, why_no_interval
from layerwise.statistics.clusters import Clusters
from layerwise.statistics.correlation import bound_rho
from layerwise.statistics.intervals import DEFAULT, UNDEFINED, Interval, Sampling, jackknife_rho, percentile
from layerwise.statistics.ranks import count_below
from layerwise.statistics.rows import table_of

PARTS = ("total", "between", "within")


@dataclass(frozen=True)
class Part:
    """One of the three rank correlations of clustered layers.

    Parameters
    ----------
    region, measure : str
        Columns of the table of layers.
    part : str
        "total", "between" or "within".
    rho, low, high, level, p : float
        The correlation, its interval by the jackknife over clusters, and the p value of the hypothesis that it is 0.
    percentile_low, percentile_high : float
        The interval from samples of whole clusters.
    icc_region, icc_measure : float
        Rank intraclass correlation of either: the share of the variance of ranks that lies between networks.
    combined : float
        What the between and within correlations make of the total one (weights are from the intraclass correlations);
        the authors' approximation, beside which the total one stands.
    n_layers, n_networks, n_undefined : int
        What was counted and what left out.
    reason : str
        Why something is NaN.
    """

    region: str
    measure: str
    part: str
    rho: float
    low: float
    high: float
    level: float
    p: float
    percentile_low: float
    percentile_high: float
    icc_region: float
    icc_measure: float
    combined: float
    n_layers: int
    n_networks: int
    n_undefined: int
    reason: str


def divide_correlations(
    layers: pd.DataFrame, regions: Sequence[str], measures: Sequence[str], sampling: Sampling = DEFAULT
) -> pd.DataFrame:
    """Divide the correlation of every region with every measure into that between and that within networks.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer: model, maybe family, the regions and the measures.
    regions, measures : sequence of str
        Names of the columns.
    sampling : Sampling
        How uncertainty is estimated.

    Returns
    -------
    DataFrame
        Three rows for each pair, with the fields of `Part`.
    """
    rows = [row for measure in measures for region in regions for row in _parts(layers, region, measure, sampling)]
    return table_of(rows, Part)


def between_rho(
    x: NDArray[np.float64], y: NDArray[np.float64], clusters: Clusters, sampling: Sampling
) -> tuple[float, Interval, Interval]:
    """Correlate the medians of clusters: rho, the jackknife's interval and the percentile one; NaN below three."""
    if len(clusters) < 3:
        return float("nan"), UNDEFINED, UNDEFINED
    medians = [np.asarray(pd.Series(values).groupby(clusters.codes).median(), float) for values in (x, y)]
    each = Clusters(np.arange(len(clusters)), clusters.names)
    bounds = bound_rho(medians[0], medians[1], each, sampling)
    return bounds.rho, bounds.jackknife, bounds.percentile


def within_rho(
    x: NDArray[np.float64], y: NDArray[np.float64], clusters: Clusters, sampling: Sampling
) -> tuple[float, Interval, Interval]:
    """Correlate what is left of two variables within clusters: rho and its two intervals."""
    residuals = [within_residuals(values, clusters) for values in (x, y)]
    pairs = ((0, 1), (0, 0), (1, 1))
    sums = np.stack([clusters.sum(residuals[a] * residuals[b]) for a, b in pairs])
    rho, left_out = _ratio(sums.sum(axis=1)), _ratio(sums.sum(axis=1)[:, None] - sums)
    rng = np.random.default_rng(sampling.seed)
    weights = rng.multinomial(len(clusters), np.full(len(clusters), 1 / len(clusters)), max(1, sampling.draws))
    if len(clusters) < 2 or np.isnan(rho):
        return float(rho), UNDEFINED, UNDEFINED
    drawn = percentile(_ratio(sums @ weights.T), clusters.sizes, sampling.level) if sampling.draws else UNDEFINED
    return float(rho), jackknife_rho(float(rho), left_out, clusters.sizes, sampling.level), drawn


def within_residuals(values: NDArray[np.float64], clusters: Clusters) -> NDArray[np.float64]:
    """Probability-scale residuals of layers given their cluster's own empirical distribution: [layer], in (-1, 1)."""
    below = pd.Series(values).groupby(clusters.codes).rank().to_numpy() - 0.5
    return 2 * below / clusters.sizes[clusters.codes] - 1


def rank_icc(values: NDArray[np.float64], clusters: Clusters) -> float:
    """Rank intraclass correlation: that of the ranks of two layers of a cluster, each layer counted once.

    Clusters of one layer tell nothing of it, and are left out of the covariance.
    """
    whole = Clusters(np.zeros(len(values), np.intp), ("",))
    ranks = count_below(values, whole)[:, 0]
    sums, squares, n = clusters.sum(ranks), clusters.sum(ranks**2), clusters.sizes
    several = n > 1
    if not several.any() or not squares.sum():
        return float("nan")
    between = (sums**2 - squares)[several] / (n - 1)[several]  # the mean over pairs, times the cluster's layers
    return float((between.sum() / n[several].sum()) / (squares.sum() / n.sum()))


def _ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make correlations of sums of products [3, ...]: of both, and of each with itself."""
    varies = (sums[1] > 1e-9) & (sums[2] > 1e-9)
    return np.where(varies, sums[0] / np.sqrt(np.where(varies, sums[1] * sums[2], 1)), np.nan)


def _parts(layers: pd.DataFrame, region: str, measure: str, sampling: Sampling) -> list[Part]:
    chosen = choose_layers(layers, [region, measure], warn=False)
    clusters, reason = chosen.clusters(), chosen.undefined_because()
    nan = float("nan")
    found: dict[str, tuple[float, Interval, Interval]] = dict.fromkeys(PARTS, (nan, UNDEFINED, UNDEFINED))
    icc, combined = (nan, nan), nan
    if not reason:
        x, y = chosen.values.T
        total = bound_rho(x, y, clusters, sampling)
        between, within = between_rho(x, y, clusters, sampling), within_rho(x, y, clusters, sampling)
        found = {"total": (total.rho, total.jackknife, total.percentile), "between": between, "within": within}
        icc = rank_icc(x, clusters), rank_icc(y, clusters)
        combined = _combine(between[0], within[0], icc)
    return [
        Part(
            region=region,
            measure=measure,
            part=part,
            rho=rho,
            low=jack.low,
            high=jack.high,
            level=sampling.level,
            p=jack.p,
            percentile_low=drawn.low,
            percentile_high=drawn.high,
            icc_region=icc[0],
            icc_measure=icc[1],
            combined=combined,
            n_layers=chosen.n_layers,
            n_networks=chosen.n_networks,
            n_undefined=chosen.undefined,
            reason=reason or _reason(part, rho, jack, clusters),
        )
        for part, (rho, jack, drawn) in found.items()
    ]


def _combine(between: float, within: float, icc: tuple[float, float]) -> float:
    """Approximate the total correlation: each part weighted by the geometric mean of its share of either's variance."""
    a, b = np.clip(icc, 0, 1)
    return float(between * np.sqrt(a * b) + within * np.sqrt((1 - a) * (1 - b)))


def _reason(part: str, rho: float, interval: Interval, clusters: Clusters) -> str:
    if np.isnan(rho) and part == "between":
        return f"three networks are needed, whose medians differ; there are {len(clusters)}"
    if np.isnan(rho):
        return "one of the two does not vary within networks"
    return why_no_interval(len(clusters), "network") if np.isnan(interval.low) else ""
