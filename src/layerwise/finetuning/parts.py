"""The parts of a split, with the scores that its images have in it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerwise.finetuning.draws import Purpose, draw
from layerwise.interfaces.finetuning import FEWEST, FinetuneSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Part:
    """Images of one part of one split.

    Parameters
    ----------
    images : int64 array [image]
        Indices into the pixels.
    scores : float64 array [image]
        In this split: an image may have another score in each.
    """

    images: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class Fold:
    """One split of the images.

    Parameters
    ----------
    split : int
        Its number, from 0.
    train, validation, test : Part
        No image is in two of them.
    """

    split: int
    train: Part
    validation: Part
    test: Part


def make_fold(
    split: int,
    scores: NDArray[np.float64],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    test: NDArray[np.int64],
    settings: FinetuneSettings,
) -> Fold:
    """Put the scores of a split to the images of its parts; hold images out where there is no validation part.

    Parameters
    ----------
    split : int
        From 0.
    scores : float64 array [image]
        Of this split; NaN where an image is in none of its parts.
    train, validation, test : int64 array [image]
        Indices.
    settings : FinetuneSettings
        Batch size, and the share to hold out.

    Raises
    ------
    ValueError
        An image is twice in the split or has no score, there is nothing to watch, or there are too few images.
    """
    name = f"split {split + 1}"
    _check_parts(name, scores, (train, validation, test))
    if not len(validation):
        train, validation = _hold_out(name, train, settings)
    parts = (Part(part.astype(np.int64), scores[part].astype(np.float64)) for part in (train, validation, test))
    fold = Fold(split, *parts)
    _check_counts(name, fold, settings)
    return fold


def _check_parts(name: str, scores: NDArray[np.float64], parts: Sequence[NDArray[np.int64]]) -> None:
    images = np.concatenate(parts)
    twice = len(images) - len(np.unique(images))
    if twice:
        raise ValueError(
            f"{twice} images are more than once in {name}: each image is in one of training, validation and test"
        )
    missing = int((~np.isfinite(scores[images])).sum())
    if missing:
        raise ValueError(f"{missing} of {len(images)} images of {name} have no score: give each image a finite number")


def _hold_out(
    name: str, train: NDArray[np.int64], settings: FinetuneSettings
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if not settings.hold_out:
        raise ValueError(
            f"{name} has no validation images for early stopping to watch: give it some, or set `hold_out` to the "
            "share of its training images that are watched instead, such as 0.1"
        )
    numbers = draw(settings.seed, 0, Purpose.HOLD_OUT, train, 1)[:, 0]
    held = np.zeros(len(train), bool)
    held[np.argsort(numbers, kind="stable")[: settings.count_held(len(train))]] = True
    log.info(
        "%s has no validation images: %d of its %d training images are watched by early stopping instead, and are not "
        "trained on",
        name, held.sum(), len(train),
    )  # fmt: skip
    return train[~held], train[held]


def _check_counts(name: str, fold: Fold, settings: FinetuneSettings) -> None:
    train, validation = fold.train, fold.validation
    if len(train) < settings.batch_size:
        raise ValueError(
            f"{name} has {len(train)} training images, and a batch has {settings.batch_size}: give more images or set "
            "a smaller `batch_size` under `finetuning`"
        )
    if len(validation) < FEWEST or np.ptp(validation.scores) == 0:
        raise ValueError(
            f"{name} has {len(validation)} validation images, which must be {FEWEST} or more with scores that differ: "
            "early stopping watches their rank correlation"
        )
    if not len(fold.test):
        raise ValueError(f"{name} has no test images: give it some")
