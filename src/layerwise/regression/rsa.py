"""Representational similarity: how alike the distances between stimuli are in two sets of patterns.

Kriegeskorte, Mur & Bandettini 2008 (doi:10.3389/neuro.06.004.2008).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from layerwise.interfaces import Comparison, Distance

FLAT = 1e-13  # variation, relative, that is rounding


@dataclass(frozen=True)
class PatternProducts:
    """All that distances between patterns depend on, whatever the number of units behind them.

    Parameters
    ----------
    gram : Tensor [stimulus, stimulus]
        Of the patterns less their mean over stimuli, float64.
    sums : Tensor [stimulus]
        Sum of each pattern over units.
    products : Tensor [stimulus]
        Product of each pattern with the mean pattern.
    mean_square : float
        Product of the mean pattern with itself.
    units : int
        Their number.
    """

    gram: Tensor
    sums: Tensor
    products: Tensor
    mean_square: float
    units: int

    @classmethod
    def of(cls, patterns: Tensor) -> "PatternProducts":
        """Multiply patterns [stimulus, unit], float64."""
        mean = patterns.mean(0)
        centred, square = patterns - mean, float(mean @ mean)
        return cls(centred @ centred.T, patterns.sum(1), patterns @ mean, square, patterns.shape[1])

    def keep(self, rows: Tensor) -> "PatternProducts":
        """Keep some stimuli; the mean pattern stays that of all, which changes no distance."""
        gram = self.gram[rows][:, rows]
        return PatternProducts(gram, self.sums[rows], self.products[rows], self.mean_square, self.units)

    def raw(self) -> Tensor:
        """Return the products of the patterns themselves, [stimulus, stimulus]."""
        return self.gram + self.products + (self.products[:, None] - self.mean_square)


def distances(patterns: PatternProducts, distance: Distance) -> Tensor:
    """Return the distances between each two stimuli, row by row of the upper triangle.

    Parameters
    ----------
    patterns : PatternProducts
        Of all stimuli.
    distance : {"correlation", "euclidean", "cosine"}
        1 - Pearson's r over units; the root of the summed squared differences; 1 - the cosine of the angle.

    Returns
    -------
    Tensor [pair]
        NaN for pairs with a pattern that is constant over units (correlation) or zero (cosine).
    """
    square = patterns.gram.diagonal()
    if distance == "euclidean":
        sums = square + square[:, None]
        squared = upper(sums - 2 * patterns.gram)
        return squared.where(squared > FLAT * upper(sums), 0).sqrt()  # the root of rounding would be large
    raw, rounding = patterns.raw(), FLAT * (square + patterns.mean_square)
    if distance == "correlation":
        raw -= patterns.sums * (patterns.sums[:, None] / patterns.units)
    lengths = raw.diagonal().clone()
    lengths[lengths <= rounding] = torch.nan
    root = lengths.sqrt()
    return 1 - upper(raw / root / root[:, None]).clamp(-1, 1)


def upper(matrix: Tensor) -> Tensor:
    """Return what is above the diagonal of a matrix [stimulus, stimulus], row by row: [pair]."""
    above = torch.ones(matrix.shape, dtype=torch.bool, device=matrix.device).triu_(1)
    return matrix[above]


@dataclass(frozen=True)
class Reference:
    """Distances that others are held against: prepared once.

    Parameters
    ----------
    prepared : Tensor [pair]
        Ranked, centred or neither, of length 1; NaN where the comparison is undefined.
    comparison : {"spearman", "pearson", "cosine"}
        Rank correlation (the usual), correlation, or cosine of the two vectors of distances.
    """

    prepared: Tensor
    comparison: Comparison = "spearman"

    @classmethod
    def of(cls, pairs: Tensor, comparison: Comparison = "spearman") -> "Reference":
        """Prepare distances [pair]."""
        return cls(_COMPARISONS[comparison](pairs), comparison)

    def similarity(self, pairs: Tensor) -> float:
        """Compare distances [pair] with these; NaN where either has a NaN, or does not vary."""
        value = float(torch.dot(self.prepared, _COMPARISONS[self.comparison](pairs)))
        return value if math.isnan(value) else min(1.0, max(-1.0, value))


def average_ranks(values: Tensor) -> Tensor:
    """Rank values [value] from 1 on; those that are equal, or differ by rounding, share the mean of their ranks."""
    ordered, order = values.sort()
    begins = torch.ones_like(ordered, dtype=torch.bool)
    # As where an image is among the stimuli twice: its distances from each other one are equal but for rounding.
    begins[1:] = ordered[1:] - ordered[:-1] > FLAT * values.abs().amax()
    group = begins.cumsum(0) - 1
    counts = torch.bincount(group)
    ranks = counts.cumsum(0) - (counts - 1) / 2
    return torch.empty_like(values).scatter_(0, order, ranks.to(values.dtype)[group])


def _prepare_ranks(pairs: Tensor) -> Tensor:
    return _prepare_linear(average_ranks(pairs)) if _varies(pairs) else torch.full_like(pairs, torch.nan)


def _prepare_linear(pairs: Tensor) -> Tensor:
    return _unit(pairs - pairs.mean()) if _varies(pairs) else torch.full_like(pairs, torch.nan)


def _unit(pairs: Tensor) -> Tensor:
    # By the largest first: squares of tiny or huge distances would leave the range of float64.
    scaled = pairs / pairs.abs().amax()
    unit: Tensor = scaled / torch.linalg.vector_norm(scaled)
    return unit


def _varies(pairs: Tensor) -> bool:
    """Whether distances are numbers, and differ by more than rounding."""
    return bool(pairs.amax() - pairs.amin() > FLAT * pairs.abs().amax())


_COMPARISONS: dict[str, Callable[[Tensor], Tensor]] = {
    "spearman": _prepare_ranks,
    "pearson": _prepare_linear,
    "cosine": _unit,
}
