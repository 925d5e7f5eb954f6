"""Smaller batches where the memory of a device runs out."""

import gc
import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

log = logging.getLogger(__name__)


@dataclass
class BatchSize:
    """Images in a forward pass, halved whenever the device runs out of memory.

    Parameters
    ----------
    images : int
        As many as are tried next.
    """

    images: int

    def run(
        self, work: Callable[[int], Generator[Item, None, Result]], then: str = "continuing"
    ) -> Generator[Item, None, Result]:
        """Do some work in batches, and again from where it stands in batches of half the size, until they fit.

        Parameters
        ----------
        work : callable
            Takes the number of images in a batch; does what is left to do, and yields something for each image.
        then : str
            What is said to happen: "continuing", or "starting again" for work that keeps nothing of what it did.

        Returns
        -------
        generator
            Yields what the work yields, and returns what it returns.

        Raises
        ------
        OutOfMemoryError
            A single image is too many.
        """
        while True:
            try:
                return (yield from work(self.images))
            except torch.OutOfMemoryError:
                if self.images == 1:
                    raise
            # Outside the except clause: there the traceback still holds the tensors of the batch, and afterwards hooks
            # and graphs that refer to each other.
            gc.collect()
            torch.cuda.empty_cache()
            self.images //= 2
            log.warning("the device is out of memory: %s with %d images a batch", then, self.images)
