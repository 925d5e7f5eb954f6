"""Spearman's rho of many samples of whole clusters at once, ties and all, without a loop over samples.

A sample takes each cluster some number of times (its weight). The mid-rank of layer i in the sample is then
``sum_h w_h C_ih``, C_ih being the layers of cluster h below layer i (those with the same value count half); with half
the size of h taken off C_ih, mid-ranks are centred in every sample. So the sum of products of two variables' ranks over
the sample is ``sum_ghk w_g w_h w_k T_ghk``, where T_ghk, the sum of ``C_ih C'_ik`` over the layers i of g, is the same
for all samples: layers are gone through once, whatever the number of samples.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from layerwise.statistics.clusters import Clusters

FEW = 160  # clusters up to which T, of as many numbers to the third, is made; 33 MB
AT_ONCE = 2**22  # numbers in an array of a chunk of samples: 34 MB

Pair = tuple[int, int]


def count_below(values: NDArray[np.float64], clusters: Clusters) -> NDArray[np.float64]:
    """Count the layers of each cluster below each layer, ties half, less half of the cluster.

    Parameters
    ----------
    values : float array [layer]
        Without NaN.
    clusters : Clusters
        Of the layers.

    Returns
    -------
    float array [layer, cluster]
        Its sum over clusters is the layer's mid-rank, less the mean of all.
    """
    distinct, places = np.unique(values, return_inverse=True)
    shape = len(distinct), len(clusters)
    cells = np.bincount(places * shape[1] + clusters.codes, minlength=shape[0] * shape[1]).reshape(shape)
    return (np.cumsum(cells, axis=0) - cells / 2)[places] - clusters.sizes / 2


class ClusteredRanks:
    """Ranks of variables over layers, in any sample of whole clusters.

    Parameters
    ----------
    values : float array [layer, variable]
        Without NaN.
    clusters : Clusters
        Of the layers.
        The counts are kept: 8 bytes for each layer, cluster and variable.
    few : int
        Clusters up to which T is made; beyond, ranks [layer, sample] are, in chunks of samples.
    """

    def __init__(self, values: NDArray[np.float64], clusters: Clusters, few: int = FEW) -> None:
        order = np.argsort(clusters.codes, kind="stable")
        self.clusters = Clusters(clusters.codes[order], clusters.names)
        self._counts = [count_below(column, self.clusters) for column in np.asarray(values, float)[order].T]
        self._few = few
        self._products: dict[Pair, NDArray[np.float64]] = {}

    def ranks(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Centred mid-ranks [layer, variable] in one sample, whose weights are [cluster]; layers by cluster."""
        return np.stack([counts @ weights for counts in self._counts], axis=1)

    def correlate(self, weights: NDArray[np.float64], pairs: Sequence[Pair] = ((0, 1),)) -> NDArray[np.float64]:
        """Correlate pairs of variables in samples.

        Parameters
        ----------
        weights : float array [sample, cluster]
            How often each cluster is in each sample.
        pairs : sequence of (int, int)
            Numbers of the variables.

        Returns
        -------
        float array [sample, pair]
            Spearman's rho; NaN where one of the two does not vary in the sample.
        """
        needed = {(min(pair), max(pair)) for pair in pairs} | {(one, one) for pair in pairs for one in pair}
        sums = {pair: self._sum(weights, pair) for pair in needed}
        columns = [_divide(sums[min(a, b), max(a, b)], sums[a, a], sums[b, b]) for a, b in pairs]
        return np.stack(columns, axis=1)

    def _sum(self, weights: NDArray[np.float64], pair: Pair) -> NDArray[np.float64]:
        """Sum the products of two variables' centred ranks over each sample: [sample]."""
        add = self._sum_by_clusters if len(self.clusters) <= self._few else self._sum_by_layers
        return np.concatenate([add(chunk, pair) for chunk in self._chunks(weights)])

    def _chunks(self, weights: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
        widest = len(self.clusters) ** 2 if len(self.clusters) <= self._few else len(self.clusters.codes)
        step = max(1, AT_ONCE // max(1, widest))
        for start in range(0, len(weights), step):
            yield weights[start : start + step]

    def _sum_by_clusters(self, weights: NDArray[np.float64], pair: Pair) -> NDArray[np.float64]:
        n = len(self.clusters)
        inner = (weights @ self._tensor(pair).reshape(n, n * n)).reshape(-1, n, n)
        summed: NDArray[np.float64] = (np.matmul(inner, weights[:, :, None])[:, :, 0] * weights).sum(axis=1)
        return summed

    def _sum_by_layers(self, weights: NDArray[np.float64], pair: Pair) -> NDArray[np.float64]:
        first, second = (self._counts[variable] @ weights.T for variable in pair)
        summed: NDArray[np.float64] = np.einsum("ls,ls,ls->s", first, second, weights.T[self.clusters.codes])
        return summed

    def _tensor(self, pair: Pair) -> NDArray[np.float64]:
        if pair not in self._products:
            first, second = (self._counts[variable] for variable in pair)
            ends = np.cumsum(self.clusters.sizes)
            parts = [slice(end - size, end) for end, size in zip(ends, self.clusters.sizes, strict=True)]
            self._products[pair] = np.stack([first[part].T @ second[part] for part in parts])
        return self._products[pair]


def _divide(
    products: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    # Ranks are whole or half numbers: those of a constant are 0 up to rounding, and a pair's squares add up to 1/2.
    varies = (first > 0.1) & (second > 0.1)
    rho = products / np.sqrt(np.where(varies, first * second, 1))
    return np.where(varies, np.clip(rho, -1, 1), np.nan)
