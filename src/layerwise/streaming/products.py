"""The two products of a pass with the activations of a fusion of layers, in PyTorch's own operations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from layerwise.streaming.fused import Relation

AT_ONCE = 2**22  # values of which a temporary copy is made

Project = Callable[[Tensor, Relation, Sequence[Tensor], Sequence[Tensor], Tensor, Sequence[Tensor], Tensor], None]
Accumulate = Callable[[Tensor, Relation, Tensor, Sequence[Tensor]], None]


@dataclass(frozen=True)
class Products:
    """How the products are computed.

    Parameters
    ----------
    project : callable
        As `project`.
    accumulate : callable
        As `accumulate`.
    """

    project: Project
    accumulate: Accumulate


def project(
    activations: Tensor,
    relation: Relation,
    directions: Sequence[Tensor],
    offsets: Sequence[Tensor],
    mask: Tensor,
    scores: Sequence[Tensor],
    training_scores: Tensor,
) -> None:
    """Project images on directions.

    Parameters
    ----------
    activations : Tensor [image, unit]
        Of the fusion's root, for a batch.
    relation : Relation
        Makes those of each layer from them.
    directions : Tensor [split, unit] for each layer
        Of unit length.
    offsets : Tensor [split] for each layer
        Subtracted from the projections.
    mask : Tensor [image, split]
        1 for training images.
    scores : Tensor [image, split] for each layer
        Written: the projections.
    training_scores : Tensor [layer, image, split]
        Written: those of training images alone, zero for the others; of the first layers, if there are more.
    """
    layers = zip(relation.values(activations), directions, offsets, scores, training_scores, strict=False)
    for (values, scale), direction, offset, score, training in layers:
        torch.sub(values @ (direction if scale is None else direction * scale).T, offset, out=score)
        torch.mul(score, mask, out=training)


def accumulate(activations: Tensor, relation: Relation, weights: Tensor, totals: Sequence[Tensor]) -> None:
    """Add the weighted sums of images to totals.

    Parameters
    ----------
    activations : Tensor [image, unit]
        Of the fusion's root, for a batch.
    relation : Relation
        Makes those of each layer from them.
    weights : Tensor [layer, image, row]
        Weights of the images; of the first layers, if there are more.
    totals : Tensor [row, unit] for each layer
        Changed in place.
    """
    for (values, scale), own, total in zip(relation.values(activations), weights, totals, strict=False):
        if scale is None:
            total.addmm_(own.T, values)
        else:
            total.addcmul_(own.T @ values, scale)


PLAIN = Products(project, accumulate)


def project_wide(
    activations: Tensor,
    relation: Relation,
    directions: Sequence[Tensor],
    offsets: Sequence[Tensor],
    mask: Tensor,
    scores: Sequence[Tensor],
    training_scores: Tensor,
) -> None:
    """Do as `project` in float64 with activations of float32, for fusions of one layer."""
    scores[0].copy_(-offsets[0].expand_as(scores[0]))
    for units in _slices(activations):
        scores[0].addmm_(activations[:, units].double().sub_(relation.shift[units]), directions[0][:, units].T)
    torch.mul(scores[0], mask, out=training_scores[0])


def accumulate_wide(activations: Tensor, relation: Relation, weights: Tensor, totals: Sequence[Tensor]) -> None:
    """Do as `accumulate` in float64 with activations of float32, for fusions of one layer."""
    for units in _slices(activations):
        totals[0][:, units].addmm_(weights[0].T, activations[:, units].double().sub_(relation.shift[units]))


WIDE = Products(project_wide, accumulate_wide)


def add_squares(activations: Tensor, relation: Relation, weights: Tensor, totals: Sequence[Tensor]) -> None:
    """Add the weighted sums of squares of images to totals.

    Parameters
    ----------
    activations : Tensor [image, unit]
        Of the fusion's root, for a batch.
    relation : Relation
        Makes those of each layer from them.
    weights : Tensor [image]
        Weights of the images.
    totals : Tensor [unit] for each layer
        Changed in place.
    """
    rows = max(1, AT_ONCE // activations.shape[1])
    for part, own in zip(torch.split(activations, rows), torch.split(weights, rows), strict=True):
        for (values, scale), total in zip(relation.values(part), totals, strict=True):
            sums = own @ values.square()
            total.add_(sums if scale is None else sums * scale.square())


def _slices(activations: Tensor) -> list[slice]:
    """Divide the units, so that a copy of a part in float64 is small beside the activations of a large layer."""
    n_rows, n_units = activations.shape
    width = max(1, AT_ONCE // n_rows)
    return [slice(start, start + width) for start in range(0, n_units, width)]


def choose_products(device: torch.device, dtype: torch.dtype, n_splits: int) -> Products:
    """Give the fastest products for a device: kernels of our own on a GPU, see benchmarks/streaming.md."""
    if device.type == "cuda" and dtype == torch.float32:
        from layerwise.streaming import kernels

        if n_splits == kernels.SPLITS:
            return Products(kernels.project, kernels.accumulate)
    return PLAIN
