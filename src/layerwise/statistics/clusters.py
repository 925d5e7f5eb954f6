"""Which layers belong together: layers of a network, and networks of a family, are not independent of each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Clusters:
    """The cluster of each layer, clusters numbered from 0 in the order in which they first come.

    Parameters
    ----------
    codes : int array [layer]
        Number of the layer's cluster.
    names : tuple of str
        Name of each cluster.
    """

    codes: NDArray[np.intp]
    names: tuple[str, ...]

    @classmethod
    def of(cls, labels: "Sequence[str] | pd.Series[str] | NDArray[np.generic]") -> "Clusters":
        """Number the clusters that labels [layer] name."""
        codes, names = pd.factorize(np.asarray(labels, dtype=object))
        return cls(codes, tuple(map(str, names)))

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def sizes(self) -> NDArray[np.intp]:
        """Layers of each cluster [cluster]."""
        return np.bincount(self.codes, minlength=len(self))

    def sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum values [layer] within clusters: [cluster]."""
        return np.asarray(np.bincount(self.codes, weights=values, minlength=len(self)), float)

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average values [layer] within clusters: [cluster]."""
        return self.sum(values) / self.sizes


def draw_clusters(n_clusters: int, draws: int, seed: int) -> NDArray[np.float64]:
    """Draw clusters with replacement: how often each is in each draw, [draw, cluster]."""
    return np.random.default_rng(seed).multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), draws).astype(float)


def leave_one_out(n_clusters: int) -> NDArray[np.float64]:
    """Weights [draw, cluster] that leave out each cluster in turn."""
    return 1 - np.eye(n_clusters)
