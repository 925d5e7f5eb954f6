"""Ceilings: how well one half of the repetitions predicts the other."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import ShuffleSplit

from layerwise.interfaces import DegenerateWarning, agreeing
from layerwise.regression.checking import Array, to_numpy


def internal_consistency(responses: Array, n_halves: int = 10, seed: int = 1) -> NDArray[np.float64]:
    """Correlate the means of random halves of the repetitions, corrected to the full number of repetitions.

    Parameters
    ----------
    responses : array [repetition, stimulus, neuroid]
        NaN where a stimulus was not shown in a repetition. A stimulus that a half never saw is left out of
        that half's correlation, neuroid by neuroid.
    n_halves : int
        Random halvings.
    seed : int
        Of the halvings; 1 gives Brain-Score's.

    Returns
    -------
    float64 array [half, neuroid]
        Spearman-Brown corrected Pearson r, 2 r / (1 + r). NaN, with a warning, if there is one repetition
        only, and for a neuroid whose mean response is the same for all stimuli or that was recorded for
        fewer than two.

    Raises
    ------
    ValueError
        There are no three dimensions.

    References
    ----------
    Schrimpf et al. 2018, doi:10.1101/407007 (internal consistency of neuroids).
    """
    values = to_numpy(responses)
    if values.ndim != 3:
        raise ValueError(f"responses have shape {values.shape}: give [repetition, stimulus, neuroid]")
    n_repetitions, _, n_neuroids = values.shape
    if n_repetitions < 2:
        message = f"a ceiling needs two repetitions, but there is {n_repetitions}: all {n_neuroids} are NaN"
        warnings.warn(message, DegenerateWarning, stacklevel=2)
        return np.full((n_halves, n_neuroids), np.nan)
    halvings = ShuffleSplit(n_splits=n_halves, train_size=0.5, random_state=seed).split(np.arange(n_repetitions))
    r = np.array([_correlate(_mean(values[first]), _mean(values[second])) for first, second in halvings])
    undefined = int(np.isnan(r).any(0).sum())
    if undefined:
        word = agreeing(undefined, "has", "have")
        message = f"{undefined} of {n_neuroids} neuroids {word} no ceiling: constant, or under two stimuli in a half"
        warnings.warn(message, DegenerateWarning, stacklevel=2)
    # r = -1 gives -infinity; there the halves contradict each other and no ceiling is defined.
    return np.where(r > -1, 2 * r / np.where(r > -1, 1 + r, 1), np.nan)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average [repetition, stimulus, neuroid] over repetitions, skipping NaN; NaN where there is none."""
    counts = (~np.isnan(values)).sum(0)
    mean: NDArray[np.float64] = np.where(counts > 0, np.nansum(values, 0) / np.maximum(counts, 1), np.nan)
    return mean


def _correlate(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlate two arrays [stimulus, neuroid] over the stimuli that both have: [neuroid]."""
    both = ~(np.isnan(first) | np.isnan(second))
    count = both.sum(0)
    x, y = (_centre(part, both) for part in (first, second))
    lengths = np.linalg.norm(x, axis=0) * np.linalg.norm(y, axis=0)
    defined = (count > 1) & (lengths > 0)
    r: NDArray[np.float64] = np.where(defined, (x * y).sum(0) / np.where(defined, lengths, 1), np.nan)
    return r


def _centre(values: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Subtract each column's mean over the stimuli present; zero elsewhere, and for a constant column.

    The largest is brought to 1: squares of tiny or huge responses would leave the range of float64.
    """
    filled = np.where(present, values, 0)
    mean = filled.sum(0) / np.maximum(present.sum(0), 1)
    low = np.where(present, values, np.inf).min(0)
    high = np.where(present, values, -np.inf).max(0)
    centred: NDArray[np.float64] = np.where(present & (high > low), filled - mean, 0)
    largest = np.abs(centred).max(0, initial=0)
    return centred / np.where(largest > 0, largest, 1)
