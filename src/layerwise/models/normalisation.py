"""From decoded pixels to the numbers that a network sees."""

import torch

from layerwise.interfaces import Preprocessing


def normalise(pixels: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Scale, order and standardise the channels of decoded images.

    Parameters
    ----------
    pixels : uint8 tensor [image, height, width, 3]
        RGB, on any device; the result stays there.
    preprocessing : Preprocessing
        Of the network; its sizes are not looked at.

    Returns
    -------
    float32 tensor [image, 3, height, width]

    Raises
    ------
    ValueError
        The pixels have another shape or type.
    """
    if pixels.ndim != 4 or pixels.shape[-1] != 3 or pixels.dtype != torch.uint8:
        raise ValueError(f"pixels must be uint8 [image, height, width, 3], not {pixels.dtype} {tuple(pixels.shape)}")
    planes = pixels.permute(0, 3, 1, 2)
    if preprocessing.channels == "BGR":
        planes = planes.flip(1)
    scaled = planes.contiguous().to(torch.float32).div_(255 / preprocessing.maximum)
    return scaled.sub_(_column(preprocessing.mean, scaled)).div_(_column(preprocessing.std, scaled))


def _column(values: tuple[float, float, float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(3, 1, 1)
