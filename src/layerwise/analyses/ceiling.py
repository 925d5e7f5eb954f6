"""Ceilings: how well one half of the repetitions, or of the raters, predicts the other half."""

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from layerwise.data.content import content_hash
from layerwise.files import hash_arrays
from layerwise.interfaces import DegenerateWarning, Distances, Recordings
from layerwise.regression import internal_consistency


def estimate_ceiling(
    recordings: Recordings, region: str, n_halves: int = 10, seed: int = 1, whole: Recordings | None = None
) -> pd.DataFrame:
    """Estimate the internal consistency of every neuroid of a region.

    Parameters
    ----------
    recordings : Recordings
        Responses [repetition, stimulus, neuroid] of the region's neuroids alone.
    region : str
        Name of the region in the study.
    n_halves : int
        Number of random halvings.
    seed : int
        Seed of the halvings.
    whole : Recordings, optional
        What they are a part of, whose hash the table carries, as scores do; default: themselves.

    Returns
    -------
    DataFrame
        Rows (half, neuroid): region, half, neuroid, ceiling. NaN throughout where there is one repetition only.
    """
    ceilings = internal_consistency(recordings.responses, n_halves=n_halves, seed=seed)
    halves, neuroids = ceilings.shape
    table = pd.DataFrame(
        {
            "region": region,
            "half": np.repeat(np.arange(halves), neuroids),
            "neuroid": np.tile(recordings.neuroids, halves),
            "ceiling": ceilings.ravel(),
        }
    )
    table.attrs["data"] = {region: {"recordings": content_hash(whole or recordings)}}
    return table


def no_ceiling(distances: Distances, region: str) -> pd.DataFrame:
    """Give distances between stimuli, which come without repetitions, the rows of `estimate_ceiling`: one NaN."""
    table = pd.DataFrame({"region": [region], "half": 0, "neuroid": "", "ceiling": np.nan})
    table.attrs["data"] = {region: {"recordings": content_hash(distances)}}
    return table


def estimate_consistency(raters: NDArray[np.floating], measure: str) -> pd.DataFrame:
    """Estimate how consistent the mean scores of a measure are over raters.

    Parameters
    ----------
    raters : float array [rater, image]
        NaN where a rater did not see an image.
    measure : str
        What the scores measure.

    Returns
    -------
    DataFrame
        Rows (half): measure, half, ceiling, as `rating_consistency` gives.

    Warns
    -----
    DegenerateWarning
        Halvings leave the consistency undefined: theirs is NaN.
    """
    ceilings = rating_consistency(raters)
    undefined = int(np.isnan(ceilings).sum())
    if undefined:
        warnings.warn(
            f"{measure}: in {undefined} of {len(ceilings)} halvings of the raters they share fewer than three images, "
            "or one half scores all alike: no consistency",
            DegenerateWarning,
            stacklevel=2,
        )
    table = pd.DataFrame({"measure": measure, "half": np.arange(len(ceilings)), "ceiling": ceilings})
    table.attrs["data"] = {measure: {"raters": hash_arrays(raters)}}
    return table


def rating_consistency(raters: NDArray[np.floating], n_halves: int = 100, seed: int = 1) -> NDArray[np.float64]:
    """Estimate how consistent the mean scores of images are over raters.

    Parameters
    ----------
    raters : float array [rater, image]
        NaN where a rater did not see an image.
    n_halves : int
        Number of random halvings of the raters.
    seed : int
        Seed of the halvings.

    Returns
    -------
    float64 array [half]
        Spearman's rho between the mean scores of two halves, over the images that both have seen, corrected to all
        raters (Spearman-Brown); NaN where fewer than three images are left, or a half scores all of them alike.

    Raises
    ------
    ValueError
        There are fewer than two raters.
    """
    if len(raters) < 2:
        raise ValueError(f"consistency over raters needs two or more, and there are {len(raters)}")
    rng = np.random.default_rng(seed)
    rho = np.full(n_halves, np.nan)
    for half in range(n_halves):
        order = rng.permutation(len(raters))
        first, second = (_mean_score(raters[part]) for part in np.array_split(order, 2))
        both = np.isfinite(first) & np.isfinite(second)
        if both.sum() > 2 and np.ptp(first[both]) > 0 and np.ptp(second[both]) > 0:
            rho[half] = spearmanr(first[both], second[both]).statistic
    return np.where(rho > -1, 2 * rho / np.where(rho > -1, 1 + rho, 1), np.nan)


def _mean_score(raters: NDArray[np.floating]) -> NDArray[np.float64]:
    counts = (~np.isnan(raters)).sum(axis=0)
    return np.where(counts > 0, np.nansum(raters, axis=0) / np.maximum(counts, 1), np.nan)
