"""Pixels on their way to the device: all of them once, or batch by batch while the device computes."""

from collections.abc import Iterator

import torch
from torch import Tensor

from layerwise.activations.ahead import ReadAhead, bring
from layerwise.activations.resident import load_all
from layerwise.interfaces import Pixels


class Batches:
    """Batches of equal size in the same order at each iteration; the last is filled up with its last image.

    Parameters
    ----------
    pixels : Pixels
        All images.
    batch_size : int
        Images in a batch.
    device : torch.device
        Where they go.
    resident : bool
        Keep all on the device, read once; else a thread reads the next batch while this one is used.
    """

    def __init__(self, pixels: Pixels, batch_size: int, device: torch.device, resident: bool) -> None:
        self.pixels, self.batch_size, self.device = pixels, batch_size, device
        self._all = load_all(pixels, device) if resident else None

    @property
    def n_padded(self) -> int:
        """Number of images of all batches."""
        return -(-len(self.pixels) // self.batch_size) * self.batch_size

    def first(self) -> Tensor:
        """Give the first batch."""
        stop = min(self.batch_size, len(self.pixels))
        return self._fill(bring(self.pixels, 0, stop, self.device) if self._all is None else self._all[:stop])

    def __iter__(self) -> Iterator[Tensor]:
        starts = range(0, len(self.pixels), self.batch_size)
        if self._all is not None:
            yield from (self._fill(self._all[start : start + self.batch_size]) for start in starts)
            return
        with ReadAhead(self.pixels, self.device) as images:
            for start in starts:
                yield self._fill(images.read(start, min(start + self.batch_size, len(images))))

    def _fill(self, batch: Tensor) -> Tensor:
        missing = self.batch_size - len(batch)
        return torch.cat([batch, batch[-1:].expand(missing, -1, -1, -1)]) if missing else batch
