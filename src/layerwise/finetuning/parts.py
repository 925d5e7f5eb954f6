"""The parts of a split, with the scores that its images have in it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerwise.finetuning.draws import Purpose, draw
from layerwise.interfaces import agreeing, counted
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
    held = not len(validation)
    if held:
        train, validation = _hold_out(name, train, settings)
    parts = (Part(part.astype(np.int64), scores[part].astype(np.float64)) for part in (train, validation, test))
    fold = Fold(split, *parts)
    _check_counts(name, fold, settings, held)
    return fold


def warn_of_copies(fold: Fold, alike: NDArray[np.int64], names: Sequence[str]) -> None:
    """Warn of test images that are trained on, or watched, under another name.

    Parameters
    ----------
    fold : Fold
        The split.
    alike : int64 array [image]
        For each image the index of the first one that has the same pixels.
    names : sequence of str
        Ids of all images.
    """
    seen = np.concatenate([fold.train.images, fold.validation.images])
    copies = fold.test.images[np.isin(alike[fold.test.images], alike[seen])]
    if not len(copies):
        return
    other = seen[alike[seen] == alike[copies[0]]][0]
    log.warning(
        "split %d: of %d test images, %s the same pixels as images that are trained on or watched (first: %s and %s), "
        "which makes rho too high: keep one of each, or have them in one fold",
        fold.split + 1, len(fold.test), counted(len(copies), "has", "have"), names[copies[0]], names[other],
    )  # fmt: skip


def _check_parts(name: str, scores: NDArray[np.float64], parts: Sequence[NDArray[np.int64]]) -> None:
    images = np.concatenate(parts)
    twice = len(images) - len(np.unique(images))
    if twice:
        raise ValueError(
            f"{counted(twice, 'image is', 'images are')} more than once in {name}: each is to be in one of training, "
            "validation and test"
        )
    missing = int((~np.isfinite(scores[images])).sum())
    if missing:
        word = agreeing(missing, "has", "have")
        raise ValueError(f"{missing} of {len(images)} images of {name} {word} no score: give each a finite number")


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


def _check_counts(name: str, fold: Fold, settings: FinetuneSettings, held: bool) -> None:
    train, validation = fold.train, fold.validation
    if len(train) < settings.batch_size:
        left, or_less = (f", as {len(validation)} are held out", " or a smaller `hold_out`") if held else ("", "")
        raise ValueError(
            f"{name} has {len(train)} training images{left}, and a batch has {settings.batch_size}: give more images "
            f"or set a smaller `finetuning.batch_size`{or_less}"
        )
    if len(validation) < FEWEST or np.ptp(validation.scores) == 0:
        raise ValueError(
            f"{name} has {len(validation)} validation images, which must be {FEWEST} or more with scores that differ: "
            "early stopping watches their rank correlation"
        )
    if not len(fold.test):
        raise ValueError(f"{name} has no test images: give it some")
