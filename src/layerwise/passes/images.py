"""Pixels on their way to a device: all of them once, or batch by batch while a network runs."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LOADED_AT_ONCE = 1024  # images read from the file in one piece on their way

Read = Callable[[int, int], Tensor]


class Source(Protocol):
    """Where images are read from, such as `layerwise.interfaces.Pixels`."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return images, uint8 [image, height, width, 3]."""


def bring(source: Source, start: int, stop: int, device: torch.device) -> Tensor:
    """Read the images from `start` up to, not including, `stop`, and send them to a device.

    Returns
    -------
    uint8 Tensor [image, height, width, 3]
        On a GPU it may still be on its way: what follows in the stream waits for it.
    """
    return send(torch.from_numpy(source.read(start, stop)), device)


def send(batch: Tensor, device: torch.device) -> Tensor:
    """Send a batch to a device; to a GPU through locked memory, without waiting until it has arrived."""
    if device.type != "cuda":
        return batch
    with torch.cuda.device(device):  # a thread begins with the first GPU, which may be another job's
        return batch.pin_memory().to(device, non_blocking=True)


def load_all(source: Source, device: torch.device) -> Tensor:
    """Bring all images to a device, in pieces, so that they are there once only: uint8 [image, height, width, 3]."""
    first = source.read(0, 1)
    everything = torch.empty(len(source), *first.shape[1:], dtype=torch.uint8, device=device)
    for start in range(0, len(source), LOADED_AT_ONCE):
        stop = min(start + LOADED_AT_ONCE, len(source))
        everything[start:stop] = torch.from_numpy(source.read(start, stop)).to(device)
    return everything


class ReadAhead:
    """Reads batches of images; while one is used, a thread brings the next, of as many images.

    If another batch than the next is asked for, the one that was brought is dropped.

    Parameters
    ----------
    source : Source
        All images.
    device : torch.device
        Where they go.
    """

    def __init__(self, source: Source, device: torch.device) -> None:
        self._source, self._device = source, device
        self._reader = ThreadPoolExecutor(1)
        self._coming: dict[tuple[int, int], Future[Tensor]] = {}  # one batch at most

    def __len__(self) -> int:
        return len(self._source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._coming = {}
        self._reader.shutdown()

    def read(self, start: int, stop: int) -> Tensor:
        """Return the images from `start` up to, not including, `stop`: uint8 [image, height, width, 3]."""
        coming, self._coming = self._coming, {}
        batch = (coming.get((start, stop)) or self._submit(start, stop)).result()
        following = stop, min(2 * stop - start, len(self))
        if stop < len(self):
            self._coming = {following: self._submit(*following)}
        return batch

    def _submit(self, start: int, stop: int) -> Future[Tensor]:
        return self._reader.submit(bring, self._source, start, stop, self._device)


class Images:
    """All images of a stimulus set, as a device sees them.

    Parameters
    ----------
    source : Source
        Where they are read from.
    device : torch.device
        Where they go.
    resident : bool
        Keep all on the device, read once; else a thread reads the next batch while this one is used.
    """

    def __init__(self, source: Source, device: torch.device, resident: bool = False) -> None:
        self.source, self.device = source, device
        self._all = load_all(source, device) if resident else None

    def __len__(self) -> int:
        return len(self.source)

    def first(self, size: int, start: int = 0, padded: bool = False) -> Tensor:
        """Return the first batch that `batches` gives, without its number."""
        stop = min(start + size, len(self))
        batch = bring(self.source, start, stop, self.device) if self._all is None else self._all[start:stop]
        return _fill(batch, size) if padded else batch

    def batches(self, size: int, start: int = 0, padded: bool = False) -> Iterator[tuple[int, Tensor]]:
        """Yield batches in their order, each with the number of its first image.

        Parameters
        ----------
        size : int
            Images in a batch.
        start : int
            Number of the first image.
        padded : bool
            Fill the last batch up with its last image.
        """
        with self._reading() as read:
            for first in range(start, len(self), size):
                batch = read(first, min(first + size, len(self)))
                yield first, _fill(batch, size) if padded else batch

    @contextmanager
    def _reading(self) -> Iterator[Read]:
        everything = self._all
        if everything is not None:
            yield lambda start, stop: everything[start:stop]
            return
        with ReadAhead(self.source, self.device) as ahead:
            yield ahead.read


def padded_length(n_images: int, batch_size: int) -> int:
    """Return the number of images of all batches, if the last one is filled up."""
    return -(-n_images // batch_size) * batch_size


def _fill(batch: Tensor, size: int) -> Tensor:
    missing = size - len(batch)
    return torch.cat([batch, batch[-1:].expand(missing, -1, -1, -1)]) if missing else batch
