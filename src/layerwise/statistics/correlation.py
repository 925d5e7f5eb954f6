"""Do layers that predict the brain well predict memorability well? (figure 2 of the paper)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from layerwise.statistics.choosing import FEWEST, choose_layers, why_no_interval
from layerwise.statistics.clusters import Clusters, draw_clusters, leave_one_out
from layerwise.statistics.intervals import DEFAULT, UNDEFINED, Interval, Sampling, jackknife_rho, percentile
from layerwise.statistics.permutation import permute_clusters
from layerwise.statistics.ranks import ClusteredRanks
from layerwise.statistics.rows import table_of
from layerwise.statistics.scores import Widened, widen


@dataclass(frozen=True)
class Correlation:
    """Spearman correlation over layers of brain similarity and a behavioural measure.

    Parameters
    ----------
    region, measure : str
        Columns of the table of layers.
    rho : float
        Spearman's rho over all layers; NaN if it is undefined.
    low, high : float
        Its interval, by the method that `interval` names.
    level : float
        Of the intervals.
    interval : str
        "jackknife": Fisher's z, the error from leaving out each cluster, t with `freedom`. "percentile": the middle of
        rho in samples of whole clusters, drawn with replacement, as much of it as that t asks for.
    cluster : str
        What is left out or drawn as a whole: "network" or "family".
    p : float
        Two-sided p value of the hypothesis that rho is 0, by the same method.
    p_permutation : float
        The same from moving clusters as a whole (`permute_clusters`).
    p_independent : float
        The same if layers were independent, which they are not: what the paper reports.
    jackknife_low, jackknife_high, percentile_low, percentile_high : float
        Both intervals.
    family_low, family_high : float
        The jackknife's with whole families left out, whatever `cluster` is.
    error : float
        Standard error of Fisher's z, by the jackknife.
    freedom : float
        Degrees of freedom of t: one fewer than clusters that have as many layers as each other, else less, as few large
        ones then decide.
    wide_low, wide_high : float
        The jackknife's interval, widened by neuroid_error; NaN without samples of neuroids (`statistics.neuroids`).
    neuroid_error : float
        Standard deviation of Fisher's z over samples of the region's neuroids; of the scores' error this is the part
        that all networks share.
    n_layers, n_networks, n_families : int
        What has both values.
    n_undefined : int
        Layers left out because one value is NaN.
    reason : str
        Why rho, or its interval, is NaN; empty where both are defined.
    """

    region: str
    measure: str
    rho: float
    low: float
    high: float
    level: float
    interval: str
    cluster: str
    p: float
    p_permutation: float
    p_independent: float
    jackknife_low: float
    jackknife_high: float
    percentile_low: float
    percentile_high: float
    family_low: float
    family_high: float
    error: float
    freedom: float
    wide_low: float
    wide_high: float
    neuroid_error: float
    n_layers: int
    n_networks: int
    n_families: int
    n_undefined: int
    reason: str


@dataclass(frozen=True)
class Bounds:
    """A correlation with both its intervals.

    Parameters
    ----------
    rho : float
        The correlation.
    jackknife, percentile : Interval
        Both undefined with one cluster.
    """

    rho: float
    jackknife: Interval
    percentile: Interval


def bound_rho(x: NDArray[np.float64], y: NDArray[np.float64], clusters: Clusters, sampling: Sampling) -> Bounds:
    """Correlate two variables over layers, with intervals that take clusters as what is independent.

    Parameters
    ----------
    x, y : float array [layer]
        Without NaN.
    clusters : Clusters
        Of the layers.
    sampling : Sampling
        Level, draws and seed; without draws there is no percentile interval.
    """
    ranks = ClusteredRanks(np.stack([x, y], axis=1), clusters)
    n = len(clusters)
    rho = float(ranks.correlate(np.ones((1, n)))[0, 0])
    if n < 2 or np.isnan(rho):
        return Bounds(rho, UNDEFINED, UNDEFINED)
    left_out = ranks.correlate(leave_one_out(n))[:, 0]
    middle = UNDEFINED
    if sampling.draws:
        drawn = ranks.correlate(draw_clusters(n, sampling.draws, sampling.seed))[:, 0]
        middle = percentile(drawn, clusters.sizes, sampling.level)
    return Bounds(rho, jackknife_rho(rho, left_out, clusters.sizes, sampling.level), middle)


def correlate_layers(
    layers: pd.DataFrame,
    regions: Sequence[str],
    measures: Sequence[str],
    sampling: Sampling = DEFAULT,
    drawn: Mapping[str, NDArray[np.float64]] | None = None,
) -> pd.DataFrame:
    """Correlate every region with every measure over all layers of all networks.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer: model, maybe family, a column for each region and each measure.
    regions, measures : sequence of str
        Names of the columns.
    sampling : Sampling
        How uncertainty is estimated.
    drawn : mapping of str to float array [draw, layer], optional
        The scores of each region in samples of its neuroids (`draw_scores`).

    Returns
    -------
    DataFrame
        A row for each pair, with the fields of `Correlation`.

    Warns
    -----
    DegenerateWarning
        Layers lack a value, and are left out.
    """
    known = drawn or {}
    rows = [
        _correlate(layers, region, measure, sampling, known.get(region)) for measure in measures for region in regions
    ]
    return table_of(rows, Correlation)


def _correlate(
    layers: pd.DataFrame, region: str, measure: str, sampling: Sampling, drawn: NDArray[np.float64] | None
) -> Correlation:
    chosen = choose_layers(layers, [region, measure])
    clusters, reason = chosen.clusters(sampling.cluster), chosen.undefined_because()
    (x, y), nan = chosen.values.T, float("nan")
    bounds, family, permuted, independent = Bounds(nan, UNDEFINED, UNDEFINED), UNDEFINED, nan, nan
    if not reason:
        bounds = bound_rho(x, y, clusters, sampling)
        family = bound_rho(x, y, chosen.clusters("family"), Sampling(sampling.level, draws=0)).jackknife
        permuted = permute_clusters(x, y, clusters, sampling.draws, sampling.seed)
        independent = spearman(x, y)[1]
        reason = why_unbounded(clusters, bounds, sampling)
    first = bounds.jackknife if sampling.interval == "jackknife" else bounds.percentile
    wide = Widened(nan, nan, nan)
    if drawn is not None and np.isfinite(bounds.jackknife.error):
        drawn_rho = correlate_drawn(drawn[:, layers.index.get_indexer(chosen.table.index)], y)
        wide = widen(bounds.rho, bounds.jackknife, drawn_rho, sampling.level)
    return Correlation(
        region=region,
        measure=measure,
        rho=bounds.rho,
        low=first.low,
        high=first.high,
        level=sampling.level,
        interval=sampling.interval,
        cluster=sampling.cluster,
        p=first.p,
        p_permutation=permuted,
        p_independent=independent,
        jackknife_low=bounds.jackknife.low,
        jackknife_high=bounds.jackknife.high,
        percentile_low=bounds.percentile.low,
        percentile_high=bounds.percentile.high,
        family_low=family.low,
        family_high=family.high,
        error=bounds.jackknife.error,
        freedom=bounds.jackknife.freedom,
        wide_low=wide.low,
        wide_high=wide.high,
        neuroid_error=wide.error,
        n_layers=chosen.n_layers,
        n_networks=chosen.n_networks,
        n_families=chosen.n_families,
        n_undefined=chosen.undefined,
        reason=reason,
    )


def why_unbounded(clusters: Clusters, bounds: Bounds, sampling: Sampling) -> str:
    """Say why the interval of a correlation that is defined is NaN; empty where it is defined."""
    first = bounds.jackknife if sampling.interval == "jackknife" else bounds.percentile
    if not np.isnan(first.low):
        return ""
    if len(clusters) > 1 and sampling.interval == "percentile":
        return f"rho is undefined in samples of the {len(clusters)} clusters"
    return why_no_interval(len(clusters), sampling.cluster)


def correlate_points(table: pd.DataFrame, x: str, y: str, cluster: str = "model") -> tuple[float, Interval]:
    """Correlate two columns over the rows of a table, with the interval of 95 % that leaves out each cluster.

    Parameters
    ----------
    table : DataFrame
        A row for each network: both columns, and the cluster.
    x, y : str
        Columns; rows without one of their values are left out.
    cluster : str
        Column that says what is left out as a whole.

    Returns
    -------
    float, Interval
        Spearman's rho; NaN and undefined with fewer than three rows, or where a column does not vary. The interval is
        also undefined where rho is the same whichever cluster is left out, as of points in perfect order.
    """
    pairs = table.dropna(subset=[x, y])
    values = pairs[[x, y]].to_numpy(float)
    if len(pairs) < FEWEST or (np.ptp(values, axis=0) == 0).any():
        return float("nan"), UNDEFINED
    first, second = values.T
    bounds = bound_rho(first, second, Clusters.of(pairs[cluster]), Sampling(draws=0))
    known = bounds.jackknife.error > 0  # else it would be a single point, and p 0: so it is of a third of three points
    return bounds.rho, bounds.jackknife if known else UNDEFINED


def correlate_drawn(drawn: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlate scores in samples of neuroids [draw, layer] with a measure [layer]: Spearman's rho [draw].

    A layer without a score in a sample is left out of that one.
    """
    defined = np.isfinite(drawn)
    return np.array([spearman(x[keep], y[keep])[0] for x, keep in zip(drawn, defined, strict=True)])


def spearman(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Spearman correlation and its p value; both NaN where undefined (fewer than three pairs, or no variation).

    Parameters
    ----------
    x, y : array [item]
        Without NaN.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(x) < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan"), float("nan")
    result = stats.spearmanr(x, y)
    return float(result.statistic), float(result.pvalue)
