"""Scores that several fine-tuned networks predict of the same images, each of which is decoded once."""

from collections.abc import Generator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from layerwise.finetuning.augmentation import Augmentation
from layerwise.finetuning.crops import centre_crops
from layerwise.finetuning.images import StreamedImages
from layerwise.finetuning.networks import predict_scores
from layerwise.finetuning.precision import arithmetic
from layerwise.interfaces import Pixels, Preprocessing, Progress, no_progress
from layerwise.passes.devices import current_device
from layerwise.passes.halving import BatchSize


def predict_with_all(
    networks: Sequence[nn.Module],
    pixels: Pixels,
    preprocessing: Preprocessing,
    device: torch.device,
    batch_size: int = 32,
    progress: Progress = no_progress,
) -> NDArray[np.float64]:
    """Predict the scores of images, cropped at the centre, with products of 32 bits, as `fine_tune` does in the end.

    Parameters
    ----------
    networks : sequence of nn.Module
        In eval mode; all of them are brought to the device.
    pixels : Pixels
        Images of one size, as those that were trained on; read by several threads, while the networks compute.
    preprocessing : Preprocessing
        Of the networks.
    device : torch.device
        Where to compute.
    batch_size : int
        Images at once; halved, with a log message, whenever the device runs out of memory.
    progress : Progress
        Shows how far it has come, image by image.

    Returns
    -------
    float64 array [image, network]
    """
    run = _Run([network.to(device) for network in networks], pixels, Augmentation(preprocessing, device), device)
    with current_device(device), arithmetic("float32"), torch.inference_mode():
        for _ in progress(BatchSize(batch_size).run(run.predict), "predicting", len(pixels)):
            pass
    return np.concatenate(run.predicted)


class _Run:
    """Predictions of the images up to some point; a batch that does not fit the device is tried again from there."""

    def __init__(
        self, networks: Sequence[nn.Module], pixels: Pixels, augmentation: Augmentation, device: torch.device
    ) -> None:
        self._networks, self._augmentation = networks, augmentation
        self._images, self._count = StreamedImages(pixels, np.arange(len(pixels)), device), len(pixels)
        self.predicted: list[NDArray[np.float64]] = []

    def predict(self, batch_size: int) -> Generator[int]:
        """Run the images that are not done, and yield the number of each that is."""
        done = sum(map(len, self.predicted))
        wanted = [
            np.arange(start, min(start + batch_size, self._count)) for start in range(done, self._count, batch_size)
        ]
        for batch, (pixels, rows) in zip(wanted, self._images.batches(wanted), strict=True):
            self.predicted.append(self._run(pixels, rows))
            yield from batch.tolist()

    def _run(self, pixels: Tensor, rows: Tensor) -> NDArray[np.float64]:
        size = self._augmentation.size
        crops = self._augmentation.place(centre_crops(len(rows), self._images.height, self._images.width, size))
        inputs = self._augmentation.crop(pixels, rows, crops)
        return torch.stack([predict_scores(network, inputs) for network in self._networks], 1).double().cpu().numpy()
