"""Is the correlation of one region with a measure larger than that of another? Both are of the same layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.statistics.choosing import choose_layers, why_no_interval
from layerwise.statistics.clusters import Clusters, draw_clusters, leave_one_out
from layerwise.statistics.intervals import DEFAULT, UNDEFINED, Interval, Sampling, fisher, jackknife, percentile
from layerwise.statistics.ranks import ClusteredRanks
from layerwise.statistics.rows import table_of


@dataclass(frozen=True)
class Comparison:
    """Two dependent correlations and their difference, over the layers that have all three values.

    Parameters
    ----------
    measure, region, other : str
        Columns of the table of layers.
    rho, rho_other : float
        Correlation of the measure with either region.
    difference : float
        rho - rho_other.
    z_difference, z_low, z_high : float
        Difference of Fisher's z, and its interval by the jackknife over clusters.
    difference_low, difference_high : float
        Interval of the difference from samples of whole clusters (percentiles).
    level : float
        Of the intervals.
    p : float
        Two-sided p value that they are equal, by the jackknife: t with degrees of freedom as for a correlation.
    p_bootstrap : float
        The same from the samples: twice the smaller share of differences beyond 0, on the scale of that t.
    cluster : str
        What is left out or drawn as a whole.
    n_layers, n_networks, n_undefined : int
        What was counted and what left out.
    reason : str
        Why something is NaN.
    """

    measure: str
    region: str
    other: str
    rho: float
    rho_other: float
    difference: float
    z_difference: float
    z_low: float
    z_high: float
    difference_low: float
    difference_high: float
    level: float
    p: float
    p_bootstrap: float
    cluster: str
    n_layers: int
    n_networks: int
    n_undefined: int
    reason: str


def compare_correlations(
    layers: pd.DataFrame, regions: Sequence[str], measures: Sequence[str], sampling: Sampling = DEFAULT
) -> pd.DataFrame:
    """Compare the correlations of every two regions with each measure.

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
        A row for each pair of regions and measure, with the fields of `Comparison`.
    """
    rows = [
        _compare(layers, second, first, measure, sampling)
        for measure in measures
        for first, second in combinations(regions, 2)
    ]
    return table_of(rows, Comparison)


def difference_of_rho(
    values: NDArray[np.float64], clusters: Clusters, sampling: Sampling
) -> tuple[NDArray[np.float64], Interval, Interval]:
    """Compare the correlations of two variables with a third.

    Parameters
    ----------
    values : float array [layer, 3]
        The two, and the third; without NaN.
    clusters : Clusters
        Of the layers.
    sampling : Sampling
        Level, draws and seed; without draws there is no second interval.

    Returns
    -------
    float array [2], Interval, Interval
        Both correlations; the interval of the difference of Fisher's z by the jackknife; that of the difference from
        samples of clusters.
    """
    ranks, pairs, n = ClusteredRanks(values, clusters), ((0, 2), (1, 2)), len(clusters)
    rho = ranks.correlate(np.ones((1, n)), pairs)[0]
    if n < 2 or np.isnan(rho).any():
        return rho, UNDEFINED, UNDEFINED
    left_out = fisher(ranks.correlate(leave_one_out(n), pairs))
    z = fisher(rho)
    jack = jackknife(float(z[0] - z[1]), left_out[:, 0] - left_out[:, 1], clusters.sizes, sampling.level)
    if not sampling.draws:
        return rho, jack, UNDEFINED
    drawn = ranks.correlate(draw_clusters(n, sampling.draws, sampling.seed), pairs)
    return rho, jack, percentile(drawn[:, 0] - drawn[:, 1], clusters.sizes, sampling.level)


def _compare(layers: pd.DataFrame, region: str, other: str, measure: str, sampling: Sampling) -> Comparison:
    chosen = choose_layers(layers, [region, other, measure], warn=False)
    clusters, reason = chosen.clusters(sampling.cluster), chosen.undefined_because()
    rho, jack, drawn = np.full(2, np.nan), UNDEFINED, UNDEFINED
    if not reason:
        rho, jack, drawn = difference_of_rho(chosen.values, clusters, sampling)
        reason = why_no_interval(len(clusters), sampling.cluster) if np.isnan(jack.low) else ""
    z = fisher(rho)
    return Comparison(
        measure=measure,
        region=region,
        other=other,
        rho=float(rho[0]),
        rho_other=float(rho[1]),
        difference=float(rho[0] - rho[1]),
        z_difference=float(z[0] - z[1]),
        z_low=jack.low,
        z_high=jack.high,
        difference_low=drawn.low,
        difference_high=drawn.high,
        level=sampling.level,
        p=jack.p,
        p_bootstrap=drawn.p,
        cluster=sampling.cluster,
        n_layers=chosen.n_layers,
        n_networks=chosen.n_networks,
        n_undefined=chosen.undefined,
        reason=reason,
    )
