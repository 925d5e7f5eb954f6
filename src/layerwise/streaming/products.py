"""The two products of a pass with the activations of a layer, in PyTorch's own operations."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


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

    project: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], None]
    accumulate: Callable[[Tensor, Tensor, Tensor, Tensor], None]


def project(
    activations: Tensor,
    shift: Tensor,
    directions: Tensor,
    offsets: Tensor,
    mask: Tensor,
    scores: Tensor,
    training_scores: Tensor,
) -> None:
    """Project images on directions.

    Parameters
    ----------
    activations : Tensor [image, unit]
        Of a batch.
    shift : Tensor [unit]
        Subtracted from them.
    directions : Tensor [split, unit]
        Of unit length.
    offsets : Tensor [split]
        Subtracted from the projections.
    mask : Tensor [image, split]
        1 for training images.
    scores, training_scores : Tensor [image, split]
        Written: the projections, and those of training images alone, zero for the others.
    """
    torch.sub((activations - shift) @ directions.T, offsets, out=scores)
    torch.mul(scores, mask, out=training_scores)


def accumulate(activations: Tensor, shift: Tensor, weights: Tensor, total: Tensor) -> None:
    """Add the weighted sums of images to a total.

    Parameters
    ----------
    activations : Tensor [image, unit]
        Of a batch.
    shift : Tensor [unit]
        Subtracted from them.
    weights : Tensor [image, row]
        Weights of the images.
    total : Tensor [row, unit]
        Changed in place.
    """
    total.addmm_(weights.T, activations - shift)


PLAIN = Products(project, accumulate)


def choose_products(device: torch.device, dtype: torch.dtype, n_splits: int) -> Products:
    """Give the fastest products for a device: kernels of our own on a GPU, see benchmarks/streaming.md."""
    if device.type == "cuda" and dtype == torch.float32:
        from layerwise.streaming import kernels

        if n_splits == kernels.SPLITS:
            return Products(kernels.project, kernels.accumulate)
    return PLAIN
