"""Products of variables over layers, of all networks and without each of them: what regressions are made of."""

import numpy as np
from numpy.typing import NDArray

from layerwise.statistics.clusters import Clusters, leave_one_out
from layerwise.statistics.ranks import ClusteredRanks

ROUNDING = 1e-12  # of values, less than which they do not vary
EXPLAINED = 1e-9  # share of a variable's variance below which the others leave nothing but rounding


def rank_moments(
    values: NDArray[np.float64], clusters: Clusters, kinds: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Correlate the ranks of variables over all layers, and without each cluster, ranked anew.

    Parameters
    ----------
    values : float array [layer, variable]
        Without NaN.
    clusters : Clusters
        Of the layers.
    kinds : int array [layer], optional
        Kind of each layer, from 0: the mean rank of its kind is taken off each rank, which holds the kind fixed.

    Returns
    -------
    float array [1 + cluster, variable, variable]
        Sums of squares of ranks, and of their products, divided by those that ranks have before kinds are held fixed.
    """
    order = np.argsort(clusters.codes, kind="stable")  # of the ranks
    ranks, weights = ClusteredRanks(values, clusters), _all_and_without_each(len(clusters))
    sorted_codes, sorted_kinds = clusters.codes[order], None if kinds is None else kinds[order]
    return np.stack([_products(ranks.ranks(one), one[sorted_codes], sorted_kinds) for one in weights])


def value_moments(values: NDArray[np.float64], clusters: Clusters) -> NDArray[np.float64]:
    """Correlate variables themselves over all layers, and without each cluster: [1 + cluster, variable, variable]."""
    weights = _all_and_without_each(len(clusters))
    return np.stack([_products(values, one[clusters.codes], None) for one in weights])


def partial_correlations(
    moments: NDArray[np.float64], first: int, second: int, fixed: list[int]
) -> NDArray[np.float64]:
    """Correlate two variables, others held fixed.

    Parameters
    ----------
    moments : float array [..., variable, variable]
        Products of centred variables, of about unit size.
    first, second : int
        The two.
    fixed : list of int
        The others.

    Returns
    -------
    float array [...]
        NaN where the others leave nothing of one of the two.
    """
    pair = [first, second]
    left = moments[..., pair, :][..., pair]
    if fixed:
        across = moments[..., pair, :][..., fixed]
        inverse = np.linalg.pinv(moments[..., fixed, :][..., fixed], hermitian=True)
        left = left - across @ inverse @ np.swapaxes(across, -1, -2)
    squares = np.diagonal(left, axis1=-2, axis2=-1)
    varies = (squares > EXPLAINED).all(axis=-1)
    scale = np.sqrt(np.where(varies, squares.prod(axis=-1), 1))
    return np.where(varies, np.clip(left[..., 0, 1] / scale, -1, 1), np.nan)


def explained_variance(moments: NDArray[np.float64], target: int, by: list[int]) -> NDArray[np.float64]:
    """Share of the variance of a variable that others explain linearly, R squared: [...]; NaN where it has none."""
    if not by:
        return np.zeros(moments.shape[:-2])
    across = moments[..., by, target]
    inverse = np.linalg.pinv(moments[..., by, :][..., by], hermitian=True)
    explained, whole = np.einsum("...i,...ij,...j->...", across, inverse, across), moments[..., target, target]
    return np.where(whole > 0, explained / np.where(whole > 0, whole, 1), np.nan)


def _all_and_without_each(n: int) -> NDArray[np.float64]:
    return np.vstack([np.ones(n), leave_one_out(n)]) if n > 1 else np.ones((1, 1))


def _products(
    values: NDArray[np.float64], weights: NDArray[np.float64], kinds: NDArray[np.intp] | None
) -> NDArray[np.float64]:
    """Sum products of centred values [layer, variable] over layers with weights [layer]: [variable, variable]."""
    centred = values - np.average(values, axis=0, weights=weights)
    scale = np.sqrt((weights[:, None] * centred**2).sum(axis=0))
    # Of values that are all the same, rounding leaves something.
    varies = scale > ROUNDING * np.sqrt((weights[:, None] * values**2).sum(axis=0))
    scaled = np.where(varies, centred, 0) / np.where(varies, scale, 1)
    if kinds is not None:
        scaled = _without_means(scaled, weights, kinds)
    return np.asarray((weights[:, None] * scaled).T @ scaled)


def _without_means(
    values: NDArray[np.float64], weights: NDArray[np.float64], kinds: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Take off the mean of each kind."""
    counts = np.maximum(np.bincount(kinds, weights), 1e-300)  # of a kind that only the cluster left out has
    means = np.stack([np.bincount(kinds, weights * column) / counts for column in values.T], axis=1)
    return np.asarray(values - means[kinds])
