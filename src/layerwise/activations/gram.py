"""Products of activations that are kept instead of them, summed over slices of units."""

import torch

from layerwise.activations.parts import BLOCK

PARTS = 4  # of the rows of a product: 5/8 of a symmetric matrix is computed


def add_gram(total: torch.Tensor, activations: torch.Tensor, patterns: torch.Tensor | None = None) -> None:
    """Add the Gram matrix of some units, centred over stimuli, to that of others.

    With what `patterns` holds, the products of the activations that are not centred can be told, too, and so the
    correlation of one stimulus with another over units.

    Products are taken and summed in float64. In float32 their rounding would hide all components of a layer that are
    smaller than 3e-4 of its largest, and PLS takes 25 of them: layers of low rank, or with a steep spectrum, would be
    scored by noise. On GPUs with float64 tensor cores this costs nothing against float32.

    Parameters
    ----------
    total : float64 tensor [stimulus, stimulus]
        Changed in place; its upper triangle, with the diagonal, is what counts.
    activations : float32 tensor [stimulus, unit]
        Not changed.
    patterns : float64 tensor [2, stimulus], optional
        Changed in place: the sum of each stimulus over units, and its product with the mean over stimuli.
    """
    rows = -(-len(total) // PARTS)
    for block in torch.split(activations, BLOCK, dim=1):
        block = block.to(torch.float64)
        mean = block.mean(dim=0)
        if patterns is not None:
            patterns[0] += block.sum(dim=1)
            patterns[1] += (block * mean).sum(dim=1)  # row by row: of images that are there twice the same to the bit
        block -= mean
        for start in range(0, len(total), rows):
            total[start : start + rows, start:].addmm_(block[start : start + rows], block[start:].T)
