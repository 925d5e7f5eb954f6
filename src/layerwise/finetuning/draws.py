"""Random numbers that follow from a seed, an epoch and an image, so that no state of a generator has to be saved.

They come from numpy's Philox, which turns a key (seed, epoch, purpose) and a counter (image) into numbers.

References
----------
Salmon, Moraes, Dror & Shaw (2011). Parallel random numbers: as easy as 1, 2, 3. SC '11.
https://doi.org/10.1145/2063384.2063405
"""

import random
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

BLOCK = 4  # numbers that Philox makes of one counter


class Purpose(IntEnum):
    """What numbers are drawn for: those of one purpose tell nothing about those of another."""

    ORDER = 0
    CROP = 1
    DROPOUT = 2
    HOLD_OUT = 3


def draw(seed: int, epoch: int, purpose: Purpose, images: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Draw numbers for images, of which each depends on its own index alone.

    Parameters
    ----------
    seed, epoch : int
        From 0.
    purpose : Purpose
        What for.
    images : int64 array [image]
        Indices, in any order.
    count : int
        Numbers for each image.

    Returns
    -------
    float64 array [image, count]
        From 0 to below 1.
    """
    blocks = -(-count // BLOCK)
    if not len(images):
        return np.zeros((0, count))
    raw = _philox(seed, epoch, purpose).random_raw((int(images.max()) + 1) * blocks * BLOCK)
    chosen = raw.reshape(-1, blocks * BLOCK)[images, :count]
    return (chosen >> np.uint64(11)).astype(np.float64) * 2.0**-53


def order_images(seed: int, epoch: int, images: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the images in the order of an epoch: int64 [image]. It does not depend on the order that they come in."""
    return images[np.lexsort((images, draw(seed, epoch, Purpose.ORDER, images, 1)[:, 0]))]


def step_seed(seed: int, epoch: int, step: int) -> int:
    """Return the seed of the generator that dropout and its like draw from in one step."""
    return int(_philox(seed, epoch, Purpose.DROPOUT, step).random_raw()) >> 1


def seed_others(seed: int) -> None:
    """Seed the generators of Python and NumPy, from which a network of the user's own may draw what it skips."""
    random.seed(seed)
    np.random.seed(seed % 2**32)


def _philox(seed: int, epoch: int, purpose: Purpose, counter: int = 0) -> np.random.Philox:
    return np.random.Philox(key=np.array([seed, epoch * len(Purpose) + purpose], np.uint64), counter=counter)
