"""Which of many penalties leaves the least error, of which only some are tried.

The error of ridge regression where each stimulus is left out once is, as a function of the logarithm of the penalty,
analytic within pi of the real axis: its poles, and the zeros of what it is divided by, are at negative penalties. So it
has no detail that is much finer than a factor of e, and between penalties that were tried it is known.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

FEW = 16  # penalties, of which all are tried
APART = 1.5  # in logarithms, those that are tried first
MORE = 2  # of each split, that are tried next; in each round after it as many times as many

Errors = NDArray[np.float64]
Chosen = NDArray[np.intp]


def search(penalties: Errors, n_splits: int, measure: Callable[[Errors], Errors]) -> Errors:
    """Try penalties until no other can have the least error of any split.

    Others are told from a cubic spline of logarithms. What it is trusted to is how far it misses, at either side of
    such a penalty, the error that was measured there, where this one is left out: twice as far apart, it misses
    more. Where an error is not a positive number, all penalties are tried.

    Parameters
    ----------
    penalties : float64 array [penalty]
        Positive, ascending.
    n_splits : int
        Number of splits that have errors of their own.
    measure : callable
        Returns errors [split, penalty] of some penalties; infinite where a fit failed.

    Returns
    -------
    float64 array [split, penalty]
        Errors; infinite of those that were not tried.
    """
    logs, tried = np.log(penalties), np.zeros(len(penalties), dtype=bool)
    errors = np.full((n_splits, len(penalties)), np.inf)
    chosen = np.arange(len(penalties)) if len(penalties) <= FEW else np.array(_apart(logs))
    count = MORE
    while len(chosen):
        errors[:, chosen], tried[chosen] = measure(penalties[chosen]), True
        chosen, count = _promising(logs, errors, tried, count), MORE * count
    return errors


def _apart(logs: Errors) -> list[int]:
    """Choose of ascending numbers the first, the last, and between them as few as are no further apart than allowed."""
    chosen = [0]
    for index in range(1, len(logs) - 1):
        if logs[index + 1] - logs[chosen[-1]] > APART:
            chosen.append(index)
    return [*chosen, len(logs) - 1]


def _promising(logs: Errors, errors: Errors, tried: NDArray[np.bool_], count: int) -> Chosen:
    """Choose those that may have a smaller error than any that was tried, so many of each split."""
    left, known = np.flatnonzero(~tried), errors[:, tried]
    if not (len(left) and np.isfinite(known).all() and (known > 0).all()):
        return left
    nodes, values = logs[tried], np.log(known)
    sides = np.searchsorted(nodes, logs[left])
    missed = _missed(nodes, values)
    least = CubicSpline(nodes, values, axis=1)(logs[left]) - np.maximum(missed[:, sides - 1], missed[:, sides])
    least[least > values.min(1, keepdims=True)] = np.inf
    best = np.argsort(least, axis=1)[:, :count]
    found: Chosen = left[np.unique(best[np.isfinite(np.take_along_axis(least, best, 1))])]
    return found


def _missed(nodes: Errors, values: Errors) -> Errors:
    """Return how far a spline through the others is from values [split, node] at each node."""
    others = ((np.delete(nodes, one), np.delete(values, one, 1)) for one in range(len(nodes)))
    told = [CubicSpline(*pair, axis=1)(node) for pair, node in zip(others, nodes, strict=True)]
    return np.abs(np.stack(told, 1) - values)
