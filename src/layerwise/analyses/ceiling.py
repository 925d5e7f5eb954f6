"""Ceilings: how well the responses of one half of the repetitions predict those of the other half."""

import numpy as np
import pandas as pd

from layerwise.interfaces import Recordings
from layerwise.regression import internal_consistency


def estimate_ceiling(recordings: Recordings, region: str, n_halves: int = 10, seed: int = 1) -> pd.DataFrame:
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

    Returns
    -------
    DataFrame
        Rows (half, neuroid): region, half, neuroid, ceiling. NaN throughout where there is one repetition only.
    """
    ceilings = internal_consistency(recordings.responses, n_halves=n_halves, seed=seed)
    halves, neuroids = ceilings.shape
    return pd.DataFrame(
        {
            "region": region,
            "half": np.repeat(np.arange(halves), neuroids),
            "neuroid": np.tile(recordings.neuroids, halves),
            "ceiling": ceilings.ravel(),
        }
    )
