"""Leave out neuroids whose responses to the same image differ too much between repetitions."""

import warnings
from dataclasses import replace

import numpy as np

from layerwise.interfaces import DegenerateWarning, Recordings, agreeing
from layerwise.regression import internal_consistency


def keep_reliable(recordings: Recordings, minimum: float, n_halves: int = 10, seed: int = 1) -> Recordings:
    """Keep the neuroids whose internal consistency, averaged over halvings, is at least the minimum.

    Parameters
    ----------
    recordings : Recordings
        Responses [repetition, stimulus, neuroid].
    minimum : float
        Least consistency; a neuroid that has none (it never changes) is left out too.
    n_halves : int
        Number of random halvings.
    seed : int
        Seed of the halvings.

    Returns
    -------
    Recordings
        With a warning that counts the neuroids left out.

    Raises
    ------
    ValueError
        There is one repetition only, or no neuroid is left.
    """
    n_repetitions, _, n_neuroids = recordings.responses.shape
    if n_repetitions < 2:
        raise ValueError("with one repetition no reliability is defined: leave `min_reliability` out of the config")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateWarning)  # those without a ceiling are counted below
        ceilings = internal_consistency(recordings.responses, n_halves=n_halves, seed=seed).mean(axis=0)
    kept = np.flatnonzero(ceilings >= minimum)
    if not len(kept):
        best = "undefined" if np.isnan(ceilings).all() else f"{np.nanmax(ceilings):.3f}"
        raise ValueError(
            f"none of {n_neuroids} neuroids has a reliability of {minimum:g} (the best has {best}): lower "
            "`min_reliability`"
        )
    if len(kept) < n_neuroids:
        lost = n_neuroids - len(kept)
        word = agreeing(lost, "has", "have")
        message = f"{lost} of {n_neuroids} neuroids {word} a reliability below {minimum:g}: left out"
        warnings.warn(message, DegenerateWarning, stacklevel=2)
    return replace(
        recordings,
        responses=recordings.responses[:, :, kept],
        neuroids=tuple(recordings.neuroids[place] for place in kept),
        regions=tuple(recordings.regions[place] for place in kept),
        animals=tuple(recordings.animals[place] for place in kept) if recordings.animals else (),
    )
