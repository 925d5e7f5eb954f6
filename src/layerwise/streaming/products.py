"""The two products of a pass with the activations of a family of layers, in PyTorch's own operations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from layerwise.streaming.families import Relation

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
        Of the family's root, for a batch.
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
        Of the family's root, for a batch.
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


def choose_products(device: torch.device, dtype: torch.dtype, n_splits: int) -> Products:
    """Give the fastest products for a device: kernels of our own on a GPU, see benchmarks/streaming.md."""
    if device.type == "cuda" and dtype == torch.float32:
        from layerwise.streaming import kernels

        if n_splits == kernels.SPLITS:
            return Products(kernels.project, kernels.accumulate)
    return PLAIN
