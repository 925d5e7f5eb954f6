"""Pixels of chosen images for a network: kept on the device, or read while it computes.

Both ways give the images that they were made for and no others: whoever trains gets no pixel of a test image.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerwise.interfaces import Pixels
from layerwise.passes.images import send

AT_ONCE = 1024  # images read in one piece, at most
READERS = 4  # threads, of which each reads an image
AHEAD = 2  # batches on their way

Batch = tuple[Tensor, Tensor]  # uint8 [stored image, height, width, 3], and which of them are wanted, int64 [image]


class Images(Protocol):
    """Pixels of chosen images."""

    height: int
    width: int

    def batches(self, wanted: Sequence[NDArray[np.int64]]) -> Iterator[Batch]:
        """Yield pixels on the device, batch by batch, of the images of these indices."""


class _Chosen:
    """Where each image is among those that were chosen."""

    def __init__(self, pixels: Pixels, images: NDArray[np.int64]) -> None:
        self.images = np.unique(images)
        if not len(self.images) or self.images[0] < 0 or self.images[-1] >= len(pixels):
            raise ValueError(f"images must be chosen by their indices in the {len(pixels)} that there are")

    def places(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        return _places(self.images, wanted)


class ResidentImages:
    """All chosen images on the device, read once.

    Parameters
    ----------
    pixels : Pixels
        All images; only the chosen ones are read.
    images : int64 array [image]
        Indices of those that may be asked for.
    device : torch.device
        Where they go.
    """

    def __init__(self, pixels: Pixels, images: NDArray[np.int64], device: torch.device) -> None:
        self._chosen, self._device = _Chosen(pixels, images), device
        first = int(self._chosen.images[0])
        _, self.height, self.width, _ = pixels.read(first, first + 1).shape
        shape = (len(self._chosen.images), self.height, self.width, 3)
        self._all = torch.empty(shape, dtype=torch.uint8, device=device)
        place = 0
        for start, stop in _runs(self._chosen.images):
            self._all[place : place + stop - start] = torch.from_numpy(pixels.read(start, stop)).to(device)
            place += stop - start

    def batches(self, wanted: Sequence[NDArray[np.int64]]) -> Iterator[Batch]:
        """Yield the stored pixels of all images, and the places of a batch in them."""
        if not wanted:
            return
        places = torch.from_numpy(self._chosen.places(np.concatenate(wanted))).to(self._device)
        for rows in torch.split(places, [len(batch) for batch in wanted]):
            yield self._all, rows


class StreamedImages:
    """Chosen images that are read while the device computes, for those that do not fit into its memory.

    Parameters are those of `ResidentImages`.
    """

    def __init__(self, pixels: Pixels, images: NDArray[np.int64], device: torch.device) -> None:
        self._pixels, self._chosen, self._device = pixels, _Chosen(pixels, images), device
        _, self.height, self.width, _ = self._read(int(self._chosen.images[0])).shape

    def batches(self, wanted: Sequence[NDArray[np.int64]]) -> Iterator[Batch]:
        """Yield the pixels of each batch; threads read the next ones meanwhile."""
        for batch in wanted:
            self._chosen.places(batch)
        with ThreadPoolExecutor(READERS) as readers:
            coming = [[readers.submit(self._read, int(image)) for image in batch] for batch in wanted[:AHEAD]]
            for number in range(len(wanted)):
                images = torch.from_numpy(np.concatenate([image.result() for image in coming.pop(0)]))
                following = wanted[number + AHEAD : number + AHEAD + 1]
                coming += [[readers.submit(self._read, int(image)) for image in batch] for batch in following]
                yield send(images, self._device), torch.arange(len(images), device=self._device)

    def _read(self, image: int) -> NDArray[np.uint8]:
        return self._pixels.read(image, image + 1)


class SomeImages:
    """Some of the images that are kept for several splits, and no others: each split sees its own.

    Parameters
    ----------
    images : Images
        Of all the splits.
    allowed : int64 array [image]
        Indices of those that may be asked for.
    """

    def __init__(self, images: Images, allowed: NDArray[np.int64]) -> None:
        self._images, self._allowed = images, np.unique(allowed)
        self.height, self.width = images.height, images.width

    def batches(self, wanted: Sequence[NDArray[np.int64]]) -> Iterator[Batch]:
        """Yield what the images that are kept give for these batches."""
        for batch in wanted:
            _places(self._allowed, batch)
        return self._images.batches(wanted)


def _places(images: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each index is among those of the images that may be asked for, which are sorted."""
    places = np.searchsorted(images, wanted)
    if not np.array_equal(images[np.minimum(places, len(images) - 1)], wanted):
        raise ValueError("an image was asked for that this part of the computation must not see")
    return places


def _runs(images: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield first index and end of each run of indices that follow each other, in pieces."""
    ends = np.flatnonzero(np.diff(images) != 1) + 1
    for run in np.split(images, ends):
        for start in range(int(run[0]), int(run[-1]) + 1, AT_ONCE):
            yield start, min(start + AT_ONCE, int(run[-1]) + 1)
