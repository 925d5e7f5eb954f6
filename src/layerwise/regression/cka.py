"""Centred kernel alignment of two sets of patterns with a linear kernel: how alike their Gram matrices are.

Kornblith, Norouzi, Lee & Hinton 2019 (arXiv:1905.00414). Debiased with the unbiased estimator of the Hilbert-Schmidt
independence criterion of Song, Smola, Gretton, Bedo & Borgwardt 2012 (JMLR 13:1393-1434): the plain value rises towards
1 with the number of units where these are many against the stimuli, whatever they represent (Murphy, Zylberberg & Fyshe
2024, arXiv:2405.01012).
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from layerwise.interfaces import counted
from layerwise.regression.checking import unit_scale

CENTRED = 1e-9  # of the largest product: means of products that are as small cost no digits
ROUNDING = 1e-13  # of the largest product: what is left by it is nothing
RANGE = 1e100  # of products
LEAST_STIMULI = 4  # of the unbiased estimator, which divides by n - 3


@dataclass(frozen=True)
class Kernel:
    """A Gram matrix, with what CKA needs of it beside its products with others: made once for all of these.

    Parameters
    ----------
    gram : Tensor [stimulus, stimulus]
        Nearly centred, float64; zeros where rounding alone is left.
    """

    gram: Tensor

    @classmethod
    def of(cls, gram: Tensor) -> "Kernel":
        """Accept products of patterns that are centred in any way, or not at all, [stimulus, stimulus].

        Raises
        ------
        ValueError
            There are fewer than 4 stimuli.
        """
        if len(gram) < LEAST_STIMULI:
            raise ValueError(
                f"{counted(len(gram), 'stimulus is', 'stimuli are')} given: CKA needs {LEAST_STIMULI} or more"
            )
        diagonal, means = gram.diagonal(), gram.mean(0)
        largest = float(diagonal.amax())
        if float(means.abs().amax()) > CENTRED * largest:
            gram = gram - means - (means[:, None] - means.mean())
            if float(gram.diagonal().amax()) <= ROUNDING * largest:
                return cls(torch.zeros_like(gram))
        # Squares of tiny or huge products would leave the range of float64.
        return cls(gram if 1 / RANGE < largest < RANGE else gram * unit_scale(gram.diagonal()))

    @cached_property
    def diagonal(self) -> Tensor:
        """Products of each stimulus with itself, [stimulus]."""
        return self.gram.diagonal().clone()

    @cached_property
    def sums(self) -> Tensor:
        """Sums of the rows, [stimulus]."""
        return self.gram.sum(0)

    @cached_property
    def square(self) -> Tensor:
        """Product with itself."""
        return self.times(self)

    def times(self, other: "Kernel") -> Tensor:
        """Sum the products of all entries."""
        return torch.dot(self.gram.flatten(), other.gram.flatten())


def linear_cka(gram: Tensor, other: Tensor, debiased: bool = False) -> float:
    """Compare two Gram matrices of the same stimuli.

    Parameters
    ----------
    gram, other : Tensor [stimulus, stimulus]
        Products of patterns that are centred in any way, or not at all; float64.
    debiased : bool
        Whether to correct for the number of units. The value may then be below 0.

    Returns
    -------
    float
        1 for patterns that differ by a rotation and a factor; NaN where one of them does not vary.

    Raises
    ------
    ValueError
        There are fewer than 4 stimuli, or the matrices are of different sizes.
    """
    if gram.shape != other.shape:
        raise ValueError(f"Gram matrices of {len(gram)} and {len(other)} stimuli are given: both need the same stimuli")
    return float(align(Kernel.of(gram), Kernel.of(other))[int(debiased)])


def align(one: Kernel, other: Kernel) -> Tensor:
    """Return CKA, and debiased CKA, of two Gram matrices of the same stimuli: [2]; NaN where one does not vary."""
    products = one.times(other), one.square, other.square
    pairs = (one, other), (one, one), (other, other)
    across, own, others = torch.stack(
        [_criteria(*pair, product) for pair, product in zip(pairs, products, strict=True)]
    )
    values: Tensor = (across / (own * others).sqrt()).where((own > 0) & (others > 0), torch.nan)
    return values


def _criteria(one: Kernel, other: Kernel, product: Tensor) -> Tensor:
    """Return the Hilbert-Schmidt independence criterion, and its unbiased estimator, up to factors: [2]."""
    n = len(one.sums)
    plain = product - _crossed(one.sums, other.sums, 2 / n, 1 / n**2)
    off = product - torch.dot(one.diagonal, other.diagonal)  # of the matrices with zeros on their diagonals
    sums = one.sums - one.diagonal, other.sums - other.diagonal
    return torch.stack([plain, off - _crossed(*sums, 2 / (n - 2), 1 / ((n - 1) * (n - 2)))])


def _crossed(one: Tensor, other: Tensor, each: float, all_: float) -> Tensor:
    return each * torch.dot(one, other) - all_ * one.sum() * other.sum()
