"""Run a network that may be a user's own code."""

from typing import Any

import torch
from torch import nn

from layerwise.files import ran_out
from layerwise.interfaces.failures import describe_failure, raised_inside
from layerwise.layers.tap import AllTaken

_OF_SHAPES = (RuntimeError, AssertionError, ValueError)
HOOKED = ("layers", "passes", "activations", "streaming", "sketching")  # rooms whose hooks run within a network


def run_network(network: nn.Module, images: torch.Tensor) -> Any:
    """Run a network; an error of its own code becomes one sentence that says where.

    Parameters
    ----------
    network : nn.Module
        Network.
    images : tensor [image, channel, height, width]
        On its device.

    Raises
    ------
    ValueError
        The network's code raised something; the message names the file and the line. Lack of memory, and what our hooks
        raise, pass as they are.
    """
    try:
        return network(images)
    except (AllTaken, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if ran_out(error) or raised_inside(error, *HOOKED):
            raise
        n_images, _, height, width = images.shape
        size = f"{width}" if height == width else f"{height} x {width}"
        hint = "; `preprocessing: {size: ...}` sets another size" if isinstance(error, _OF_SHAPES) else ""
        raise ValueError(
            f"the network does not run on {n_images} images of {size} pixels: {describe_failure(error)}{hint}"
        ) from error
