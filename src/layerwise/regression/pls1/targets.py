"""The targets of PLS, one for each split: which images train, and what is to be predicted of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import frexp

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerwise.interfaces import Split


@dataclass(frozen=True)
class Targets:
    """Targets of all splits, filled up to whole batches with images that no split trains on.

    Parameters
    ----------
    mask : float64 Tensor [image, split]
        1 for training images.
    values : float64 Tensor [image, split]
        Centred over the training images, zero for all others; times the scale.
    means : float64 Tensor [split]
        What was subtracted.
    scale : float
        A power of two that brings the largest target near 1: products in float32 hold neither 1e-40 nor 1e40.
    """

    mask: Tensor
    values: Tensor
    means: Tensor
    scale: float

    @classmethod
    def of(cls, scores: NDArray[np.float64], splits: Sequence[Split], n_padded: int, device: torch.device) -> "Targets":
        """Centre the scores [split, image] of each split's training images.

        Raises
        ------
        ValueError
            The splits are not those of the scores, or a training image has no score.
        """
        if len(scores) != len(splits) or not len(splits):
            raise ValueError(
                f"scores of {len(scores)} splits were given for {len(splits)} splits: give as many of each"
            )
        mask, centred = np.zeros((n_padded, len(splits))), np.zeros((n_padded, len(splits)))
        means = np.array([row[split.train].mean() for row, split in zip(scores, splits, strict=True)])
        lacking = int((~np.isfinite(means)).sum())
        if lacking:
            raise ValueError(f"in {lacking} of {len(splits)} splits training images have no score: leave them out")
        for index, split in enumerate(splits):
            mask[split.train, index] = 1
            centred[split.train, index] = scores[index, split.train] - means[index]
        scale = _unit_scale(float(np.abs(centred).max()))
        masks, scaled, offsets = (torch.as_tensor(part, device=device) for part in (mask, centred * scale, means))
        return cls(masks, scaled, offsets, scale)

    def unscaled(self, predictions: Tensor) -> Tensor:
        """Turn predictions [..., split] of the targets into scores."""
        return predictions / self.scale + self.means

    @property
    def counts(self) -> Tensor:
        """Number of training images, [split]."""
        return self.mask.sum(0)

    @property
    def n_splits(self) -> int:
        """Number of splits."""
        return self.mask.shape[1]


def _unit_scale(largest: float) -> float:
    return 2.0 ** -min(max(frexp(largest)[1], -1000), 1000)


def check_targets(
    n_layers: int,
    n_images: int,
    scores: NDArray[np.float64],
    splits: Sequence[Split],
    batch_size: int,
    n_components: int,
) -> None:
    """Accept what is to be fitted, before any pass over the images.

    Raises
    ------
    ValueError
        The scores [split, image] are not those of the splits and images, a number is not positive, or there are fewer
        training images than components.
    """
    if n_layers < 1 or batch_size < 1 or n_components < 1:
        raise ValueError(
            f"{n_layers} layers, batches of {batch_size} images and {n_components} components were asked for: all "
            "must be 1 or more"
        )
    if scores.shape != (len(splits), n_images):
        raise ValueError(
            f"the scores have shape {scores.shape}: give one row for each of {len(splits)} splits and one column for "
            f"each of {n_images} images"
        )
    least = min(len(split.train) for split in splits)
    if least < n_components:
        raise ValueError(f"{least} training images are too few for {n_components} components")
