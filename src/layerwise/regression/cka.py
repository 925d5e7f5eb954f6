"""Centred kernel alignment of two sets of patterns with a linear kernel: how alike their Gram matrices are.

Kornblith, Norouzi, Lee & Hinton 2019 (arXiv:1905.00414). Debiased with the unbiased estimator of the Hilbert-Schmidt
independence criterion of Song, Smola, Gretton, Bedo & Borgwardt 2012 (JMLR 13:1393-1434): the plain value rises towards
1 with the number of units where these are many against the stimuli, whatever they represent (Murphy, Zylberberg & Fyshe
2024, arXiv:2405.01012).
"""

import math

import torch
from torch import Tensor

LEAST_STIMULI = 4  # of the unbiased estimator, which divides by n - 3


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
    if len(gram) < LEAST_STIMULI:
        raise ValueError(f"{len(gram)} stimuli are given: CKA needs {LEAST_STIMULI} or more")
    prepare = _u_centred if debiased else _centred
    one, two = prepare(gram), prepare(other)
    own = _product(one, one), _product(two, two)
    return _product(one, two) / math.sqrt(own[0] * own[1]) if min(own) > 0 else math.nan


def _product(one: Tensor, two: Tensor) -> float:
    return float(torch.dot(one.flatten(), two.flatten()))


def _centred(gram: Tensor) -> Tensor:
    """Return products of patterns less their mean, the largest about 1; zeros where rounding alone is left."""
    mean = gram.mean(0)
    centred = gram - mean - mean[:, None] + mean.mean()
    return _scaled(centred, gram)


def _u_centred(gram: Tensor) -> Tensor:
    """Return the matrix whose products with another such are, up to a factor, the unbiased estimator."""
    n = len(gram)
    centred = _centred(gram)  # which the next does not see; it keeps digits
    centred.fill_diagonal_(0)
    sums = centred.sum(0) / (n - 2)
    centred = centred - sums - sums[:, None] + sums.sum() / (n - 1)
    return centred.fill_diagonal_(0)


def _scaled(centred: Tensor, gram: Tensor) -> Tensor:
    largest = float(centred.diagonal().amax())
    if largest <= 1e-13 * float(gram.diagonal().abs().amax()):
        return torch.zeros_like(centred)
    return centred / largest
