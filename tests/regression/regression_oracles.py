"""Slow and plain ways to the same numbers, and data to try them on."""

import numpy as np
from sklearn.cross_decomposition import PLSRegression

from layerwise.interfaces import Split


def simulate(rng, n_stimuli, n_units, n_neuroids, noise=1.0):
    """Units and neuroids that share causes of falling strength."""
    strength = 1 / np.arange(1, 13)
    causes = rng.standard_normal((n_stimuli, 12))
    units = (causes * strength) @ rng.standard_normal((12, n_units)) + 0.3 * rng.standard_normal((n_stimuli, n_units))
    neuroids = causes @ rng.standard_normal((12, n_neuroids)) + noise * rng.standard_normal((n_stimuli, n_neuroids))
    return units, neuroids


def converged(X, Y, splits, n_components):
    """scikit-learn's PLS with its iterations run to the end: predictions of each split."""
    models = [
        PLSRegression(n_components, scale=False, tol=1e-14, max_iter=20000).fit(X[split.train], Y[split.train])
        for split in splits
    ]
    return [
        model.predict(X[split.test]).reshape(len(split.test), -1) for model, split in zip(models, splits, strict=True)
    ]


def nipals_free(X, Y, n_components):
    """PLS coefficients by singular vectors of X'Y and plain deflation of both: [unit, target]."""
    X, Y = X - X.mean(0), Y - Y.mean(0)
    Xa, weights, loadings, slopes = X.copy(), [], [], []
    for _ in range(n_components):
        w = np.linalg.svd(Xa.T @ Y, full_matrices=False)[0][:, 0]
        t = Xa @ w
        p, q = Xa.T @ t / (t @ t), Y.T @ t / (t @ t)
        Xa, Y = Xa - np.outer(t, p), Y - np.outer(t, q)
        weights.append(w)
        loadings.append(p)
        slopes.append(q)
    W, P, Q = (np.array(part).T for part in (weights, loadings, slopes))
    return W @ np.linalg.inv(P.T @ W) @ Q.T


def loop_predictions(X, Y, splits, n_components):
    """Fit and predict one split at a time with `nipals_free`."""
    found = []
    for split in splits:
        train, test = split.train, split.test
        coefficients = nipals_free(X[train], Y[train], n_components)
        found.append((X[test] - X[train].mean(0)) @ coefficients + Y[train].mean(0))
    return found


def plain_r(predictions, Y, splits):
    """Correlate with numpy, one neuroid at a time."""
    return np.array(
        [
            [np.corrcoef(p[:, j], Y[split.test][:, j])[0, 1] for j in range(Y.shape[1])]
            for p, split in zip(predictions, splits, strict=True)
        ]
    )


def random_splits(rng, n_stimuli, n_splits=3, n_train=None):
    """Splits of different sizes."""
    splits = []
    for index in range(n_splits):
        order = rng.permutation(n_stimuli)
        size = n_train or int(0.7 * n_stimuli) + index
        splits.append(Split(np.sort(order[:size]), np.sort(order[size:])))
    return splits
