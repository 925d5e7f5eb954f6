"""Pixels on their way to a device while a network runs."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import torch
from torch import Tensor

from layerwise.interfaces import Pixels


def bring(pixels: Pixels, start: int, stop: int, device: torch.device) -> Tensor:
    """Read the images from `start` up to, not including, `stop`, and send them to a device.

    Returns
    -------
    uint8 Tensor [image, height, width, 3]
        On a GPU it may still be on its way: what follows in the stream waits for it.
    """
    batch = torch.from_numpy(pixels.read(start, stop))
    if device.type != "cuda":
        return batch
    with torch.cuda.device(device):  # a thread begins with the first GPU, which may be another job's
        return batch.pin_memory().to(device, non_blocking=True)


class ReadAhead:
    """Gives batches of images; while one is used, a thread brings the next, of as many images.

    Where another batch is asked for, as after one that was too large for the device, what was brought is dropped.

    Parameters
    ----------
    pixels : Pixels
        All images.
    device : torch.device
        Where they go.
    """

    def __init__(self, pixels: Pixels, device: torch.device) -> None:
        self._pixels, self._device = pixels, device
        self._reader = ThreadPoolExecutor(1)
        self._coming: dict[tuple[int, int], Future[Tensor]] = {}  # one batch at most

    def __len__(self) -> int:
        return len(self._pixels)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._coming = {}
        self._reader.shutdown()

    def read(self, start: int, stop: int) -> Tensor:
        """Give the images from `start` up to, not including, `stop`: uint8 [image, height, width, 3]."""
        coming, self._coming = self._coming, {}
        batch = (coming.get((start, stop)) or self._submit(start, stop)).result()
        following = stop, min(2 * stop - start, len(self))
        if stop < len(self):
            self._coming = {following: self._submit(*following)}
        return batch

    def _submit(self, start: int, stop: int) -> Future[Tensor]:
        return self._reader.submit(bring, self._pixels, start, stop, self._device)
