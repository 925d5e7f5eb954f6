"""Pixels that stay on a device, read once."""

import torch

from layerwise.interfaces import Pixels

LOADED_AT_ONCE = 1024  # images read from the file in one piece on their way


def load_all(pixels: Pixels, device: torch.device) -> torch.Tensor:
    """Bring all images to a device, in pieces, so that they are there once only: uint8 [image, height, width, 3]."""
    first = pixels.read(0, 1)
    everything = torch.empty(len(pixels), *first.shape[1:], dtype=torch.uint8, device=device)
    for start in range(0, len(pixels), LOADED_AT_ONCE):
        stop = min(start + LOADED_AT_ONCE, len(pixels))
        everything[start:stop] = torch.from_numpy(pixels.read(start, stop)).to(device)
    return everything
