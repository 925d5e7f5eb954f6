"""Training rows of many splits at once, as masks over all stimuli, so that the splits share one matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from layerwise.interfaces import Split


@dataclass(frozen=True)
class Training:
    """Which stimuli each split trains on.

    Parameters
    ----------
    mask : Tensor [split, stimulus]
        1 for training stimuli, 0 for all others, float64.
    """

    mask: Tensor

    @classmethod
    def of(cls, splits: Sequence[Split], n_stimuli: int, device: torch.device) -> "Training":
        """Mark the training stimuli of each split."""
        mask = torch.zeros(len(splits), n_stimuli, dtype=torch.float64)
        for row, split in zip(mask, splits, strict=True):
            row[torch.as_tensor(split.train)] = 1
        return cls(mask.to(device))

    @cached_property
    def counts(self) -> Tensor:
        """Number of training stimuli, [split, 1]."""
        return self.mask.sum(1, keepdim=True)

    @cached_property
    def inside(self) -> list[Tensor]:
        """Indices of each split's training stimuli."""
        return [mask.nonzero()[:, 0] for mask in self.mask]

    @cached_property
    def outside(self) -> list[Tensor]:
        """Indices of the stimuli that each split leaves out."""
        return [(mask == 0).nonzero()[:, 0] for mask in self.mask]

    def centre(self, rows: Tensor) -> Tensor:
        """Subtract the training stimuli's mean from rows [..., split, stimulus]; zero off training."""
        centred = rows * self.mask
        return centred.sub_(self.mask * (centred.sum(-1, keepdim=True) / self.counts))

    def mean(self, columns: Tensor) -> Tensor:
        """Average columns [..., stimulus, column] over each split's training stimuli: [..., split, column]."""
        average: Tensor = self.mask @ columns / self.counts
        return average


@dataclass(frozen=True)
class Targets:
    """What is predicted: the same for all splits, or each split's own.

    Parameters
    ----------
    values : Tensor [stimulus, target] or [split, stimulus, target]
        Finite; what lies outside of a split's training stimuli is never used by its fit.
    """

    values: Tensor

    @property
    def shared(self) -> bool:
        """Whether all splits have the same targets."""
        return self.values.ndim == 2

    def of_split(self, index: int) -> Tensor:
        """Return one split's targets [stimulus, target]."""
        return self.values if self.shared else self.values[index]

    def mean(self, training: Training) -> Tensor:
        """Average over each split's training stimuli: [split, target]."""
        return training.mean(self.values) if self.shared else self.project(training.mask) / training.counts

    def project(self, rows: Tensor) -> Tensor:
        """Sum targets weighted by rows [..., split, stimulus]: [..., split, target]."""
        if self.shared:
            return rows @ self.values
        return (rows[..., None, :] @ self.values)[..., 0, :]

    def combine(self, weights: Tensor) -> Tensor:
        """Weight targets by weights [..., split, target] into one variable: [..., split, stimulus]."""
        if self.shared:
            return weights @ self.values.T
        return (self.values @ weights[..., None])[..., 0]


def cross_products(features: Tensor, targets: Targets, training: Training) -> list[Tensor]:
    """Multiply features' with each split's centred training targets.

    With targets that all splits share, one product over all stimuli serves every split: what a split leaves
    out is subtracted (Engstrøm & Jensen 2025, doi:10.1002/cem.70008), unless it leaves out more than it
    trains on.

    Parameters
    ----------
    features : Tensor [..., stimulus, feature]
        Shifted, like the targets, so that the values are not large against their spread.
    targets : Targets
        Of the same stimuli.
    training : Training
        Of all splits.

    Returns
    -------
    list of Tensor [..., feature, target]
        One a split.
    """
    sums, means = training.mask @ features, targets.mean(training)
    whole = _multiply(features, targets.values) if targets.shared else None
    products = []
    for index, (inside, outside) in enumerate(zip(training.inside, training.outside, strict=True)):
        values = targets.of_split(index)
        if whole is not None and len(inside) > len(outside):
            product = whole - _multiply(features[..., outside, :], values[outside])
            products.append(product.sub_(sums[..., index, :, None] * means[index]))
        else:
            products.append(_multiply(features[..., inside, :], values[inside] - means[index]))
    return products


def _multiply(features: Tensor, values: Tensor) -> Tensor:
    """Return features' values [..., feature, target] for values [stimulus, target] that all layers share."""
    # Expanded, or else matmul would copy the features to fold their first dimensions into one.
    return features.mT @ values.expand(*features.shape[:-2], *values.shape)
