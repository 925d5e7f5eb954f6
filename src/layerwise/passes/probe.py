"""Trying a network on a few images before it is run on all."""

import logging
from collections.abc import Sequence

import torch
from torch import nn

from layerwise.interfaces import LayerSpec, Pixels, Preprocessing
from layerwise.layers.probing import N_PROBES, probes, require_own_outputs
from layerwise.models.normalisation import normalise
from layerwise.passes.images import bring
from layerwise.passes.precision import full_precision

log = logging.getLogger(__name__)


def probe_network(
    network: nn.Module, layers: Sequence[LayerSpec], pixels: Pixels, preprocessing: Preprocessing, device: str = "cpu"
) -> None:
    """Refuse a network whose output for an image depends on anything but the image.

    Parameters
    ----------
    network : nn.Module
        Moved to `device`, and set to eval mode.
    layers : sequence of LayerSpec
        Wanted layers.
    pixels : Pixels
        Decoded stimuli; the first are tried, and noise.
    preprocessing : Preprocessing
        What the network expects.
    device : str
        "cpu" or "cuda".

    Raises
    ------
    ValueError
        It depends on the run, on the place of the image in its batch, or on other images; or the network raises
        something.
    """
    place = torch.device(device)
    images = normalise(probes(bring(pixels, 0, min(N_PROBES, len(pixels)), place)), preprocessing)
    try:
        # In full precision: with less, rounding would look like a dependence.
        with full_precision():
            require_own_outputs(network.to(place).eval(), layers, images)
    except torch.OutOfMemoryError:
        log.warning("the device has no room for %d images: whether one depends on others is not tried", N_PROBES)
    if place.type == "cuda":
        torch.cuda.empty_cache()
