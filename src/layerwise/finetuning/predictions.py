"""Scores that a network predicts, and how well they are in order."""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import nn

from layerwise.files import ran_out
from layerwise.finetuning.augmentation import Augmentation
from layerwise.finetuning.crops import centre_crops
from layerwise.finetuning.images import Images
from layerwise.finetuning.networks import predict_scores
from layerwise.finetuning.parts import Part
from layerwise.finetuning.precision import Precision, autocast
from layerwise.interfaces import DegenerateWarning
from layerwise.interfaces.finetuning import FEWEST

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predicted scores of one part of one split.

    Parameters
    ----------
    split : int
        From 0; with the image it is the key of a score, since an image may have another score in each split.
    images : int64 array [image]
        Indices.
    scores, predicted : float64 array [image]
        Given and predicted.
    """

    split: int
    images: NDArray[np.int64]
    scores: NDArray[np.float64]
    predicted: NDArray[np.float64]

    @property
    def rho(self) -> float:
        """Spearman correlation; NaN, with a warning, where it is not defined."""
        return rank_correlation(self.scores, self.predicted)


def rank_correlation(scores: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Return the Spearman correlation; NaN, with a warning, for fewer than three images or values that do not vary."""
    if len(scores) < FEWEST or np.ptp(scores) == 0 or np.ptp(predicted) == 0:
        message = f"scores or predictions of {len(scores)} images do not vary, or they are too few: rho is NaN"
        warnings.warn(message, DegenerateWarning, stacklevel=2)
        return float("nan")
    return float(spearmanr(scores, predicted).statistic)


def predict(
    network: nn.Module,
    images: Images,
    part: Part,
    augmentation: Augmentation,
    batch_size: int,
    precision: Precision,
    between: Callable[[], None] = lambda: None,
) -> NDArray[np.float64]:
    """Predict the scores of images, cropped at the centre, with the network in eval mode (in which it stays).

    Where memory runs out, half as many images are tried at once: a recorded step keeps all that training takes.

    Parameters
    ----------
    network : nn.Module
        On the images' device.
    images : Images
        With those of the part.
    part : Part
        Images wanted.
    augmentation : Augmentation
        Of the network.
    batch_size : int
        Images at once, at most.
    precision : {"tf32", "bf16", "float32"}
        "bf16" runs the network in it; the other two are set around this call (`arithmetic`).
    between : callable
        Called before each batch.

    Returns
    -------
    float64 array [image]
    """
    network.eval()
    while True:
        try:
            return _predict(network, images, part, augmentation, batch_size, precision, between)
        except RuntimeError as error:
            if batch_size == 1 or not ran_out(error):
                raise
        batch_size //= 2
        log.warning("predictions do not fit into memory: %d images are tried at once", batch_size)
        torch.cuda.empty_cache()


def _predict(
    network: nn.Module,
    images: Images,
    part: Part,
    augmentation: Augmentation,
    batch_size: int,
    precision: Precision,
    between: Callable[[], None],
) -> NDArray[np.float64]:
    wanted = [part.images[start : start + batch_size] for start in range(0, len(part), batch_size)]
    crops = augmentation.place(centre_crops(batch_size, images.height, images.width, augmentation.size))
    predicted = []
    with torch.inference_mode():
        for pixels, rows in images.batches(wanted):
            between()
            inputs = augmentation.crop(pixels, rows, crops[:, : len(rows)])
            with autocast(inputs.device, precision):
                predicted.append(predict_scores(network, inputs))
        return torch.cat(predicted).double().cpu().numpy()
