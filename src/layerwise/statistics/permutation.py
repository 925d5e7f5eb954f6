"""A permutation test that moves networks as a whole, for layers that are not independent."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from layerwise.statistics.clusters import Clusters


def permute_clusters(
    x: NDArray[np.float64], y: NDArray[np.float64], clusters: Clusters, draws: int, seed: int
) -> float:
    """Test whether Spearman's rho of two variables is more than chance, clusters being what is independent.

    Networks have different numbers of layers, so that their scores as such cannot change places. The mid-ranks of y
    are therefore divided into the mean of each cluster and the profile around it. A draw permutes the means over
    clusters, and turns the profile of each cluster upside down, or not, with equal chance; x stays. If x and y have
    nothing to do with each other this leaves the distribution of rho as it is, provided that the means of y are
    exchangeable over clusters, whatever their sizes, and that its profiles are as likely upside down as not.

    Parameters
    ----------
    x, y : float array [layer]
        Without NaN.
    clusters : Clusters
        Of the layers.
    draws : int
        Number of draws.
    seed : int
        Of the draws.

    Returns
    -------
    float
        Two-sided p value, at least 1 / (draws + 1); NaN with fewer than two clusters, or without variation.
    """
    if len(clusters) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    rng = np.random.default_rng(seed)
    means_x, within_x = _divide(rankdata(x), clusters)
    means_y, within_y = _divide(rankdata(y), clusters)
    between = rng.permuted(np.broadcast_to(means_y, (draws, len(clusters))), axis=1)
    signs = rng.choice([-1.0, 1.0], (draws, len(clusters)))
    products, squares = clusters.sum(within_x * within_y), float((within_y**2).sum())

    def correlate(means: NDArray[np.float64], turned: NDArray[np.float64]) -> NDArray[np.float64]:
        # That of x varies alike in all draws, and is left out.
        centred = means - (means @ clusters.sizes / clusters.sizes.sum())[:, None]
        spread = np.sqrt((centred**2) @ clusters.sizes + squares)
        return np.asarray((centred @ (clusters.sizes * means_x) + turned @ products) / spread)

    observed = abs(correlate(means_y[None], np.ones((1, len(clusters))))[0])
    # What differs by rounding alone is as large as what was observed.
    beyond = int((np.abs(correlate(between, signs)) >= observed * (1 - 1e-12)).sum())
    return (1 + beyond) / (1 + draws)


def _divide(ranks: NDArray[np.float64], clusters: Clusters) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Divide ranks [layer] into means [cluster], less that of all layers, and what is around them [layer]."""
    means = clusters.mean(ranks)
    return means - ranks.mean(), ranks - means[clusters.codes]
