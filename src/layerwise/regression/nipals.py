"""PLS by scikit-learn's own iterations, for parity with published Brain-Score results.

The power iteration stops at a loose tolerance, so its result differs from the converged one by about 5e-4 in
the median r; to repeat a published score the same iterates are needed, rounding apart.
"""

import torch
from torch import Tensor

TOLERANCE = 1e-6  # of the squared change of the weights
ITERATIONS = 500
EPSILON = torch.finfo(torch.float64).eps


def fit_nipals(X: Tensor, Y: Tensor, n_components: int) -> tuple[Tensor, int]:
    """Fit PLSRegression(scale=False) as scikit-learn 1.9 does by default.

    Parameters
    ----------
    X : Tensor [stimulus, unit]
        Centred training activations, float64.
    Y : Tensor [stimulus, target]
        Centred training targets, float64.
    n_components : int
        Components wanted; as in scikit-learn, the fit stops when Y's residual is constant. It also stops
        when X's is zero, where scikit-learn would divide by zero.

    Returns
    -------
    coefficients : Tensor [unit, target]
        Zeros without any component.
    found : int
        Number of components.

    References
    ----------
    Wegelin 2000, A survey of partial least squares (PLS) methods, section 4.1.
    """
    X, Y = X.clone(), Y.clone()
    weights, loadings, slopes = [], [], []
    for _ in range(n_components):
        Y[:, (Y.abs() < 10 * EPSILON).all(0)] = 0
        weight = _power_iteration(X, Y)
        score = X @ weight
        square = score @ score
        if not bool(square > 0):
            break
        loading, slope = (score @ X) / square, (score @ Y) / square
        X.addr_(score, loading, alpha=-1)
        Y.addr_(score, slope, alpha=-1)
        weights.append(weight)
        loadings.append(loading)
        slopes.append(slope)
    if not weights:
        return X.new_zeros(X.shape[1], Y.shape[1]), 0
    W, P, Q = (torch.stack(parts) for parts in (weights, loadings, slopes))
    return W.T @ (torch.linalg.pinv(P @ W.T) @ Q), len(weights)


def _power_iteration(X: Tensor, Y: Tensor) -> Tensor:
    """Give the weights [unit] of one component: zeros if no target varies."""
    varies = (Y.abs() > EPSILON).any(0)
    weight = X.new_zeros(X.shape[1])
    if not bool(varies.any()):
        return weight
    y_score = Y[:, int(varies.nonzero()[0, 0])]
    for iteration in range(ITERATIONS):
        old, weight = weight, X.T @ y_score / (y_score @ y_score)
        weight = weight / (torch.linalg.vector_norm(weight) + EPSILON)
        score = X @ weight
        y_weight = Y.T @ score / (score @ score)
        y_score = Y @ y_weight / (y_weight @ y_weight + EPSILON)
        change = weight - old
        # The first weights have nothing to be compared with.
        if Y.shape[1] == 1 or (iteration and bool(change @ change < TOLERANCE)):
            break
    return weight
