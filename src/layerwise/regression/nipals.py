"""PLS by scikit-learn's own iterations, for parity with published Brain-Score results.

The power iteration stops at a loose tolerance, so its result differs from the converged one by about 5e-4 in
the median r; to repeat a published score the same iterates are needed, rounding apart.
"""

import torch
from torch import Tensor

from layerwise.regression.checking import unit_scale
from layerwise.regression.components import EXPLAINED

TOLERANCE = 1e-6  # of the squared change of the weights
ITERATIONS = 500
USUAL = (
    1e10  # scikit-learn compares residuals with absolute limits: sizes beyond this, or its inverse, are brought to 1
)
EPSILON = torch.finfo(torch.float64).eps


def fit_nipals(X: Tensor, Y: Tensor, n_components: int, precision: float = 0.0) -> tuple[Tensor, int]:
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
    precision : float
        Share of X's sum of squares that is rounding: a score that is no larger ends the fit.

    Returns
    -------
    coefficients : Tensor [unit, target]
        Zeros without any component.
    found : int
        Number of components; as many as wanted where the targets needed no more.

    References
    ----------
    Wegelin 2000, A survey of partial least squares (PLS) methods, section 4.1.
    """
    scales = unit_scale(X, USUAL), unit_scale(Y, USUAL)
    coefficients, found = _fit(X * scales[0], Y * scales[1], n_components, precision)
    return coefficients * scales[0] / scales[1], found


def _fit(X: Tensor, Y: Tensor, n_components: int, precision: float) -> tuple[Tensor, int]:
    rounding, variance = precision * X.square().sum(), Y.square().sum()
    weights, loadings, slopes = [], [], []
    for _ in range(n_components):
        Y[:, (Y.abs() < 10 * EPSILON).all(0)] = 0
        weight = _power_iteration(X, Y)
        score = X @ weight
        square = score @ score
        if not bool(square > rounding):
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
    explained = bool(Y.square().sum() <= EXPLAINED * variance)
    return W.T @ (torch.linalg.pinv(P @ W.T) @ Q), n_components if explained else len(weights)


def _power_iteration(X: Tensor, Y: Tensor) -> Tensor:
    """Return the weights [unit] of one component: zeros if no target varies."""
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
