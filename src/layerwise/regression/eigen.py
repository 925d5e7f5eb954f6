"""Leading eigenvectors of a batch of symmetric positive semi-definite matrices.

Squaring the matrices until only the leading direction is left costs m³ a squaring, and near-equal leading
eigenvalues need many. A small block of directions, refined by products with the matrix and carried from one
component to the next, costs m² a product, and separates near-equal eigenvalues as long as they fit into the
block. So the block is taken, but for small matrices on a GPU, on which m³ costs little and each small operation its
launch. For large ones a GPU takes a wider block, whose products still take no longer than reading the matrix. How
much is enough depends on the data, so the residual decides, never a fixed count.
"""

from functools import lru_cache

import torch
from torch import Tensor

BLOCK, WIDE_BLOCK = 8, 32  # directions refined together; the second on a GPU
LEAST, MOST = 3, 40  # products with the matrix between two tests of the residual
GROWTH = 25.0  # largest logarithm of a filter's gain: with more, rounding would fill the block's smaller directions
ROUNDS = 20  # tests of the residual before a full decomposition takes over
SQUARED = 512  # largest m that a GPU squares
SQUARINGS = (9, 5, 5, 5, 5)  # before each test of the residual; 29 separate eigenvalues that differ by 1e-7
TOLERANCE = 1e-12  # of the residual |S v - l v| / l
UNSEEN = 1e6  # least gain of the first filter, which brings up a leading vector that the block has missed
FLOOR = 1e-8  # least upper end of the damped interval, relative to the leading eigenvalue: no overflow


def leading_eigenvectors(S: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Find the leading eigenvector of each matrix.

    Chebyshev-filtered subspace iteration (Zhou, Saad, Tiago & Chelikowsky 2006,
    doi:10.1016/j.jcp.2006.03.017), or squaring on a GPU, with a test of the residual; whatever does not converge, and
    any small matrix, is decomposed in full.

    Parameters
    ----------
    S : Tensor [batch, m, m]
        Symmetric positive semi-definite; all zeros is allowed.
    start : Tensor [batch, m, block], optional
        The block that a call for nearby matrices gave back.

    Returns
    -------
    vectors : Tensor [batch, m]
        Of unit length.
    values : Tensor [batch]
        Their eigenvalues.
    block : Tensor [batch, m, block] or None
        A start for the next call; None where the matrices are so small that none is of use.
    """
    if S.is_cuda and S.shape[-1] <= SQUARED:
        return *by_squaring(S), None
    if S.shape[-1] <= 2 * _width(S):
        values, vectors = torch.linalg.eigh(S)
        return vectors[..., -1], values[..., -1], None
    block, poor = (_first_block(S), 1) if start is None else (_renew(start), 2)
    for turn in range(ROUNDS):
        values, block, images = _rayleigh_ritz(S, block)
        excess = _excess(values, block, images)
        unconverged = excess > 1
        if turn == 0:
            # A block that is invariant already may miss the leading vector altogether.
            excess = excess.clamp(min=UNSEEN)
        elif not bool(unconverged.any()):
            return block[..., -1], values[:, -1], block
        bound = _bound(values[:, poor:])
        filtered = _filter(S, block, images, bound, _degree(values, bound, excess))
        ritz, block, poor = block, _orthonormal(filtered), 1
    return _decompose(S, unconverged, values, ritz)


def by_squaring(S: Tensor) -> tuple[Tensor, Tensor]:
    """Return leading vectors [batch, m] and values [batch]; only matrices that have not converged are squared on."""
    vectors, values = torch.zeros_like(S[..., 0]), torch.zeros_like(S[:, 0, 0])
    left, power = torch.arange(len(S), device=S.device), S
    for squarings in SQUARINGS:
        for _ in range(squarings):
            power = _normalise(power)
            power = power @ power
        matrices = S[left]
        found, leading, excess = _read_off(matrices, power)
        vectors[left], values[left] = found, leading
        unconverged = (excess > 1).nonzero()[:, 0]
        if not len(unconverged):
            return vectors, values
        left, power = left[unconverged], power[unconverged]
    exact_values, exact_vectors = torch.linalg.eigh(S[left])
    vectors[left], values[left] = exact_vectors[..., -1], exact_values[..., -1]
    return vectors, values


def _normalise(S: Tensor) -> Tensor:
    """Divide by the trace: the leading eigenvalue stays within 1/m and 1 of whatever power is taken next."""
    trace = S.diagonal(dim1=1, dim2=2).sum(1)
    return S / torch.where(trace > 0, trace, 1)[:, None, None]


def _read_off(S: Tensor, power: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the vectors that are left in a power of S, their values, and the excess of the residual."""
    largest = power.diagonal(dim1=1, dim2=2).argmax(1)
    column = power[torch.arange(len(S), device=S.device), :, largest]
    length = torch.linalg.vector_norm(column, dim=1, keepdim=True)
    vectors = column / torch.where(length > 0, length, 1)
    images = (S @ vectors[..., None])[..., 0]
    values = (vectors * images).sum(1)
    return vectors, values, _excess(values[:, None], vectors[..., None], images[..., None])


def _random(m: int, columns: int, like: Tensor) -> Tensor:
    return _draw(m, columns, like.dtype, like.device)


@lru_cache(maxsize=8)  # a GPU would wait for each
def _draw(m: int, columns: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    # A fixed seed, drawn on the CPU, so that every run and every device starts from the same block.
    generator = torch.Generator().manual_seed(0)
    return torch.randn(m, columns, generator=generator, dtype=dtype).to(device)


def _width(S: Tensor) -> int:
    return WIDE_BLOCK if S.is_cuda else BLOCK


def _first_block(S: Tensor) -> Tensor:
    return _orthonormal(S @ _random(S.shape[-1], _width(S), S))


def _renew(start: Tensor) -> Tensor:
    """Replace the least of the directions with one that the block may have missed.

    The former leading vector c stays. A deflation of PLS leaves S as it was on what is orthogonal to c, and couples c
    with it: the new leading vector has a part in c.
    """
    fresh = _random(start.shape[1], 1, start).expand(len(start), -1, 1)
    return _orthonormal(torch.cat([fresh, start[..., 1:]], 2))


def _orthonormal(block: Tensor) -> Tensor:
    """Return an orthonormal basis [batch, m, block] of what the columns of each block span."""
    if block.is_cuda:  # where decompositions of tall matrices are done one by one
        return shifted_cholesky_qr(block)
    basis: Tensor = torch.linalg.qr(block).Q
    return basis


def shifted_cholesky_qr(block: Tensor) -> Tensor:
    """Do as QR, by three Cholesky decompositions, of which the first is shifted until it exists.

    Parameters
    ----------
    block : Tensor [batch, m, k]
        Columns that add nothing to the others are replaced by some that do.

    Returns
    -------
    Tensor [batch, m, k]
        With orthonormal columns.

    References
    ----------
    Fukaya, Kannan, Nakatsukasa, Yamamoto & Yanagisawa 2020, doi:10.1137/18M1218212.
    """
    m, k = block.shape[1:]
    eps = torch.finfo(block.dtype).eps
    lengths = torch.linalg.vector_norm(block, dim=1, keepdim=True)
    basis: Tensor = block / lengths.clamp(min=torch.finfo(block.dtype).tiny)
    basis = basis + 50 * eps * _random(m, k, block)  # the decompositions exist up to a condition of 1e15
    for shift in (11 * (m * k + k * (k + 1)) * eps, 0.0, 0.0):
        products = basis.mT @ basis
        products.diagonal(dim1=1, dim2=2).add_(shift)
        factor = torch.linalg.cholesky_ex(products).L
        basis = torch.linalg.solve_triangular(factor.mT, basis, upper=True, left=False)
    return basis


def _rayleigh_ritz(S: Tensor, block: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return eigenvalues [batch, block] (ascending) and vectors as a block allows, and S @ vectors."""
    images = S @ block
    values, turn = torch.linalg.eigh(block.mT @ images)
    return values, block @ turn, images @ turn


def _excess(values: Tensor, block: Tensor, images: Tensor) -> Tensor:
    """Return the residual |S v - l v| of the leading vectors over what is tolerated: [batch]."""
    residual = images[..., -1] - values[:, -1:] * block[..., -1]
    tolerated = (TOLERANCE * values[:, -1]).clamp(min=torch.finfo(values.dtype).tiny)
    excess: Tensor = torch.linalg.vector_norm(residual, dim=-1) / tolerated
    return excess


def _bound(values: Tensor) -> Tensor:
    """Return the upper end of the damped interval [batch], the least of its values that are not mere guesses."""
    tiny = torch.finfo(values.dtype).tiny
    return torch.maximum(values[:, 0], FLOOR * values[:, -1]).clamp(min=tiny / FLOOR)


def _degree(values: Tensor, bound: Tensor, excess: Tensor) -> int:
    """Return the number of products after which the slowest of the residuals should be small enough."""
    # A Chebyshev polynomial grows by exp(arccosh(x)) a degree at x > 1, in units where the damped interval
    # ends at 1.
    rate = torch.acosh((2 * values[:, -1] / bound - 1).clamp(min=1 + 1e-6))
    wanted = ((excess.clamp(min=1).log() + 1) / rate).max()
    allowed = GROWTH / rate.max()
    return int(torch.minimum(wanted, allowed).ceil().clamp(LEAST, MOST))


def _filter(S: Tensor, block: Tensor, images: Tensor, bound: Tensor, degree: int) -> Tensor:
    """Apply a Chebyshev polynomial of S that is small on [0, bound] and grows steeply above."""
    scale = 4 / bound[:, None, None]
    before, now = block, images * (scale / 2) - block
    for _ in range(degree - 1):
        following = torch.baddbmm(before, S, now * scale, beta=-1)
        before, now = now, following.sub_(now, alpha=2)
    return now


def _decompose(S: Tensor, wanted: Tensor, values: Tensor, block: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Replace the leading pair of the matrices that are wanted [batch] by that of a full decomposition."""
    exact_values, exact_vectors = torch.linalg.eigh(S[wanted])
    vectors, leading = block[..., -1].clone(), values[:, -1].clone()
    vectors[wanted], leading[wanted] = exact_vectors[..., -1], exact_values[..., -1]
    return vectors, leading, block
