"""Representational similarity: how alike the distances between stimuli are in two sets of patterns.

Kriegeskorte, Mur & Bandettini 2008 (doi:10.3389/neuro.06.004.2008).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from layerwise.interfaces import Comparison, Distance
from layerwise.regression.order import ascending

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
    mean_sum : float
        Sum of the mean pattern over units.
    mean_square : float
        Product of the mean pattern with itself.
    units : int
        Their number.
    """

    gram: Tensor
    sums: Tensor
    products: Tensor
    mean_sum: float
    mean_square: float
    units: int

    @classmethod
    def of(cls, patterns: Tensor) -> "PatternProducts":
        """Multiply patterns [stimulus, unit], float64."""
        mean = patterns.mean(0)
        centred, mean_sum, mean_square = patterns - mean, float(mean.sum()), float(mean @ mean)
        sums, products = patterns.sum(1), (patterns * mean).sum(1)  # row by row: of stimuli given twice the same bits
        return cls(centred @ centred.T, sums, products, mean_sum, mean_square, patterns.shape[1])

    def keep(self, rows: Tensor) -> "PatternProducts":
        """Keep some stimuli; the mean pattern stays that of all, which changes no distance."""
        gram, sums, products = self.gram[rows][:, rows], self.sums[rows], self.products[rows]
        return PatternProducts(gram, sums, products, self.mean_sum, self.mean_square, self.units)

    def angles(self, about_mean: bool = False) -> Tensor:
        """Return 1 - the cosine of the angle between patterns, or between each less its mean over units.

        For patterns of lengths a and b it is (distance squared - (a - b) squared) / 2ab, in which what all patterns
        share counts in the divisor alone: where it outweighs what they differ in, 1 - cosine would be all rounding.

        Returns
        -------
        Tensor [stimulus, stimulus]
            NaN for patterns without a length.
        """
        square, ones = self.gram.diagonal(), torch.ones_like(self.sums)
        sums = (self.sums - self.mean_sum) / self.units**0.5 if about_mean else torch.zeros_like(self.sums)
        level = self.mean_sum / self.units**0.5 if about_mean else 0.0
        shared = max(0.0, self.mean_square - level**2)  # of the mean pattern, its square
        own = square - sums**2  # of each pattern less the mean pattern
        beyond = own + 2 * (self.products - self.mean_square - level * sums)  # square of a length, less `shared`
        lengths = beyond + shared
        lengths = lengths.masked_fill(lengths <= FLAT * (square + self.mean_square), torch.nan).sqrt_()
        longer = beyond / (lengths + shared**0.5)  # than the mean pattern
        rest = own - longer**2
        left = torch.stack([ones, rest, 2 * sums, 2 * longer], 1)
        apart = torch.addmm(self.gram, left, torch.stack([rest, ones, sums, longer]), beta=-2)
        return apart.div_(2 * lengths).div_(lengths[:, None])


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
        return squared.where(squared > FLAT * upper(sums), 0).sqrt_()  # the root of rounding would be large
    return upper(patterns.angles(about_mean=distance == "correlation")).clamp_(0, 2)


def upper(matrix: Tensor) -> Tensor:
    """Return what is above the diagonal of a matrix [stimulus, stimulus], row by row: [pair]."""
    if matrix.is_cuda:
        return matrix[torch.ones(matrix.shape, dtype=torch.bool, device=matrix.device).triu_(1)]
    n = len(matrix)  # on a processor it is much quicker to copy the ends of rows
    lengths = [length for row in range(n) for length in (row + 1, n - row - 1)]
    return torch.cat(torch.split(matrix.flatten(), lengths)[1::2])


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
        if self.comparison != "spearman":
            value = torch.dot(self.prepared, _COMPARISONS[self.comparison](pairs))
        elif varies(pairs):
            ranks, order = ordered_ranks(pairs)  # it is these distances that are brought into the order of ranks
            ranks -= (len(ranks) + 1) / 2
            value = torch.dot(ranks, self.prepared.take(order)) / torch.linalg.vector_norm(ranks)
        else:
            return float("nan")
        return float(value.clamp(-1, 1))


def average_ranks(values: Tensor) -> Tensor:
    """Rank values [value] from 1 on; those that are equal, or differ by rounding, share the mean of their ranks."""
    ranks, order = ordered_ranks(values)
    return torch.empty_like(values).scatter_(0, order, ranks)


def ordered_ranks(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the ranks of values [value] in ascending order, as of `average_ranks`, and that order."""
    # As where an image is among the stimuli twice: its distances from each other one are equal but for rounding.
    order, ties = ascending(values, FLAT * _largest(values))
    ranks = torch.arange(1, len(values) + 1, dtype=values.dtype, device=values.device)
    if len(ties):
        begins = torch.nn.functional.pad(ties.diff() > 1, (1, 0), value=True)
        first, last = ties[begins], ties[torch.nn.functional.pad(begins[1:], (0, 1), value=True)]
        ranks[ties] = ranks[ties + 1] = (1 + (first + last + 1) / 2).to(values.dtype)[begins.cumsum(0) - 1]
    return ranks, order


def _prepare_ranks(pairs: Tensor) -> Tensor:
    return _prepare_linear(average_ranks(pairs)) if varies(pairs) else torch.full_like(pairs, torch.nan)


def _prepare_linear(pairs: Tensor) -> Tensor:
    return _unit(pairs - pairs.mean()) if varies(pairs) else torch.full_like(pairs, torch.nan)


def _unit(pairs: Tensor) -> Tensor:
    # By the largest first: squares of tiny or huge distances would leave the range of float64.
    scaled = pairs / _largest(pairs)
    return scaled.div_(torch.linalg.vector_norm(scaled))


def _largest(values: Tensor) -> Tensor:
    """Return the largest size of any of the values, without a copy of them."""
    least, most = values.aminmax()
    return torch.maximum(most, -least)


def varies(pairs: Tensor) -> bool:
    """Whether distances are numbers, and differ by more than rounding."""
    least, most = pairs.aminmax()
    return bool(most - least > FLAT * torch.maximum(most, -least))


_COMPARISONS: dict[str, Callable[[Tensor], Tensor]] = {
    "spearman": _prepare_ranks,
    "pearson": _prepare_linear,
    "cosine": _unit,
}
