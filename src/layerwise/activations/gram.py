"""Gram matrices of centred activations, summed over slices of units."""

import torch

BLOCK = 2048  # units in one product
PARTS = 4  # of the rows of a product: 5/8 of a symmetric matrix is computed


def add_gram(total: torch.Tensor, activations: torch.Tensor) -> None:
    """Add the Gram matrix of some units, centred over stimuli, to that of others.

    The mean is removed before the products, which are taken in float32 and summed in float64: centring a Gram
    matrix afterwards would lose the digits that a large mean takes up. What the rounding of the mean leaves is the
    same for all stimuli, and falls out when a regression centres its training stimuli.

    Parameters
    ----------
    total : float64 tensor [stimulus, stimulus]
        Changed in place; its upper triangle, with the diagonal, is what counts.
    activations : float32 tensor [stimulus, unit]
        Overwritten.
    """
    rows = -(-len(total) // PARTS)
    for block in torch.split(activations, BLOCK, dim=1):
        block -= block.mean(dim=0)
        for start in range(0, len(total), rows):
            total[start : start + rows, start:] += block[start : start + rows] @ block[start:].T
