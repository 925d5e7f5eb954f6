"""Inverses of many positive definite matrices at once."""

import torch
from torch import Tensor

BLOCK, BLOCK_ON_GPU = 256, 128  # rows that are factored together; all else are products of matrices
WIDE = 1024  # columns of a product with a triangle, whose zeros above them are left out


def invert_definite(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Invert in place, by Cholesky decomposition.

    Nearly all of it are products, which a GPU computes of several matrices together at full speed. On a processor it
    takes as long as LAPACK.

    Parameters
    ----------
    matrices : Tensor [batch, n, n]
        Symmetric; of each the inverse takes its place.

    Returns
    -------
    inverses : Tensor [batch, n, n]
        The same memory; exactly symmetric but for blocks on the diagonal, which are so up to rounding.
    failed : Tensor [batch]
        Whether a matrix is not positive definite up to rounding: what took its place is of no use.
    """
    n, size = matrices.shape[-1], BLOCK_ON_GPU if matrices.is_cuda else BLOCK
    blocks = [slice(start, min(start + size, n)) for start in range(0, n, size)]
    triangle, failed = torch.zeros_like(matrices), []
    for block in blocks:
        failed.append(_factor(matrices, triangle, block))
    for block in blocks:  # the inverse is W'W, of the inverse W of the factor
        below, left = triangle[:, block.start :], slice(0, block.stop)
        matrices[:, block, left] = below[..., block].mT @ below[..., left]
        matrices[:, : block.start, block] = matrices[:, block, : block.start].mT
    return matrices, torch.stack(failed).any(0)


def _factor(matrices: Tensor, triangle: Tensor, block: slice) -> Tensor:
    """Go on with the factor, in the lower triangle of the matrices, and its inverse by a block of columns and rows."""
    done, below = slice(0, block.start), slice(block.stop, None)
    if block.start:
        column = matrices[:, block.start :, block]
        column -= matrices[:, block.start :, done] @ matrices[:, block, done].mT
    factor, info = torch.linalg.cholesky_ex(matrices[:, block, block])
    ones = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    inverse = torch.linalg.solve_triangular(factor, ones.expand_as(factor), upper=False)
    triangle[:, block, block] = inverse
    matrices[:, below, block] = matrices[:, below, block] @ inverse.mT
    for start in range(0, block.start, WIDE):
        columns, rows = slice(start, min(start + WIDE, block.start)), slice(start, block.start)
        triangle[:, block, columns] = inverse @ (matrices[:, block, rows] @ triangle[:, rows, columns]).neg_()
    failed: Tensor = info > 0
    return failed
