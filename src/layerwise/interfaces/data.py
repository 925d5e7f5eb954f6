"""Images, the responses of neuroids to them, and people's scores of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from layerwise.interfaces.images import Pixels, Preprocessing


@dataclass(frozen=True, eq=False)
class Split:
    """Which stimuli a model is trained on, which it is tested on, and which decide when training stops.

    No stimulus is in two parts. It is no tuple, so that code must say which part it means.

    Parameters
    ----------
    train, test : int64 array [stimulus]
        Indices of the stimuli, sorted.
    validation : int64 array [stimulus]
        Likewise, for early stopping: neither trained nor tested on. Empty where a split has no such part. PLS leaves
        these stimuli out.
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    validation: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class StimulusSet:
    """Images with the ids that every later result carries.

    Parameters
    ----------
    name : str
        Name in the study.
    ids : tuple of str
        Unique ids, sorted.
    paths : tuple of Path
        One image file an id.
    """

    name: str
    ids: tuple[str, ...]
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Recordings:
    """Responses of neuroids to stimuli, repetition by repetition.

    Parameters
    ----------
    responses : float array [repetition, stimulus, neuroid]
        NaN where a stimulus was not shown in a repetition.
    stimuli : tuple of str
        Ids, sorted (Brain-Score sorts them, and draws its splits on the sorted order).
    neuroids, regions : tuple of str
        Id and region of each neuroid.
    columns : mapping of str to array [stimulus]
        Other properties of the stimuli, by which splits are stratified or grouped.
    units : str
        Unit of the responses, for people.
    animals : tuple of str
        Animal (or person) of each neuroid; empty where the file does not say.
    varying : mapping of str to str
        Properties of presentations that differ between those of one stimulus, such as a session, each with a sentence
        that says where: nothing can be split by them.
    """

    responses: NDArray[np.floating]
    stimuli: tuple[str, ...]
    neuroids: tuple[str, ...]
    regions: tuple[str, ...]
    columns: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    units: str = ""
    animals: tuple[str, ...] = ()
    varying: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances between each two stimuli in a region: a representational dissimilarity matrix (RDM).

    Parameters
    ----------
    stimuli : tuple of str
        Ids, sorted.
    matrix : float64 array [stimulus, stimulus]
        Symmetric, finite, zero on the diagonal.
    """

    stimuli: tuple[str, ...]
    matrix: NDArray[np.float64]


@dataclass(frozen=True)
class Ratings:
    """Behavioural scores of images, with the splits they are predicted on.

    Parameters
    ----------
    stimuli : tuple of str
        Ids, sorted.
    scores : float64 array [split, stimulus]
        A score belongs to a (split, image): in LaMem the same image has another score in each split. NaN where
        an image is in no part of a split.
    splits : sequence of Split
        As many as `scores` has rows.
    """

    stimuli: tuple[str, ...]
    scores: NDArray[np.float64]
    splits: Sequence[Split]


@dataclass(frozen=True)
class RatedImages:
    """Decoded images and what is to be predicted of them.

    Parameters
    ----------
    pixels : Pixels
        Decoded images.
    preprocessing : Preprocessing
        What the network that is shown them expects.
    scores : float64 array [split, image]
        The target; NaN where an image is not used by a split.
    splits : sequence of Split
        Training and test images, as many as `scores` has rows.
    """

    pixels: Pixels
    preprocessing: Preprocessing
    scores: NDArray[np.float64]
    splits: Sequence[Split]
