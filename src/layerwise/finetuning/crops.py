"""Which part of each image a network sees, and which way round."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerwise.finetuning.draws import Purpose, draw
from layerwise.interfaces.finetuning import FinetuneSettings

TRIES = 10  # of a size and shape that fit into the image, as torchvision's


@dataclass(frozen=True)
class Crops:
    """A rectangle of each image, and whether it is mirrored.

    Parameters
    ----------
    top, left, height, width : int64 array [image]
        Pixels.
    flip : bool array [image]
        Whether left and right change places.
    """

    top: NDArray[np.int64]
    left: NDArray[np.int64]
    height: NDArray[np.int64]
    width: NDArray[np.int64]
    flip: NDArray[np.bool_]


def centre_crops(count: int, height: int, width: int, size: int) -> Crops:
    """Return the square in the middle of each of so many images of one size, where torchvision puts it."""
    check_size(height, width, size)
    top, left = round((height - size) / 2), round((width - size) / 2)
    side = np.full(count, size)
    return Crops(np.full(count, top), np.full(count, left), side, side, np.zeros(count, bool))


def draw_crops(
    settings: FinetuneSettings, epoch: int, images: NDArray[np.int64], height: int, width: int, size: int
) -> Crops:
    """Draw the crops of an epoch.

    Parameters
    ----------
    settings : FinetuneSettings
        Seed and kind of crop.
    epoch : int
        From 0.
    images : int64 array [image]
        Indices.
    height, width : int
        Of all images, pixels.
    size : int
        Side of the network's input.

    Raises
    ------
    ValueError
        The images are smaller than the input.
    """
    check_size(height, width, size)
    resized = settings.crop == "random-resized-crop"
    numbers = draw(settings.seed, epoch, Purpose.CROP, images, 3 + 2 * TRIES * resized)
    flip = (numbers[:, 0] < 0.5) & settings.flip
    if resized:
        top, left, tall, wide = resized_rectangles(numbers[:, 1:], height, width, settings.scale, settings.ratio)
        return Crops(top, left, tall, wide, flip)
    side = np.full(len(images), size)
    return Crops(_below(numbers[:, 1], height - side + 1), _below(numbers[:, 2], width - side + 1), side, side, flip)


def check_size(height: int, width: int, size: int) -> None:
    """Check that a crop fits.

    Raises
    ------
    ValueError
        It does not.
    """
    if min(height, width) < size:
        raise ValueError(
            f"the pixels are {height} x {width}, and the network sees {size} x {size}: pack the images at a larger size"
        )


def resized_rectangles(
    numbers: NDArray[np.float64], height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[NDArray[np.int64], ...]:
    """Turn numbers into rectangles as torchvision's RandomResizedCrop does.

    Parameters
    ----------
    numbers : float64 array [image, 2 + 2 * tries]
        From 0 to 1: for top and left, then for the area and the ratio of each try.
    height, width : int
        Of the images.
    scale, ratio : pair of float
        Limits of the area's share, and of width over height.

    Returns
    -------
    tuple of four int64 arrays [image]
        Top, left, height, width.
    """
    areas = height * width * (scale[0] + (scale[1] - scale[0]) * numbers[:, 2::2])
    low, high = np.log(ratio[0]), np.log(ratio[1])
    ratios = np.exp(low + (high - low) * numbers[:, 3::2])
    wide, tall = np.rint(np.sqrt(areas * ratios)), np.rint(np.sqrt(areas / ratios))
    fits = (wide > 0) & (wide <= width) & (tall > 0) & (tall <= height)
    first, rows = fits.argmax(1), np.arange(len(numbers))
    fitting = fits[rows, first]
    whole = _largest(height, width, ratio)
    tall = np.where(fitting, tall[rows, first], whole[0]).astype(np.int64)
    wide = np.where(fitting, wide[rows, first], whole[1]).astype(np.int64)
    top = np.where(fitting, _below(numbers[:, 0], height - tall + 1), (height - tall) // 2)
    left = np.where(fitting, _below(numbers[:, 1], width - wide + 1), (width - wide) // 2)
    return top, left, tall, wide


def _largest(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int]:
    """Return height and width of the largest rectangle within the ratios, for an image that no try fitted."""
    if width / height < ratio[0]:
        return round(width / ratio[0]), width
    if width / height > ratio[1]:
        return height, round(height * ratio[1])
    return height, width


def _below(numbers: NDArray[np.float64], limits: NDArray[np.int64]) -> NDArray[np.int64]:
    return (numbers * limits).astype(np.int64)
