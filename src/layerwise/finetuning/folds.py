"""Fine-tuning of one network on one split: training, then the predictions of its validation and test images."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from layerwise.files import hash_arrays, hash_object
from layerwise.finetuning.augmentation import Augmentation
from layerwise.finetuning.history import Epoch, best_epoch
from layerwise.finetuning.images import ResidentImages, StreamedImages
from layerwise.finetuning.networks import replace_by_one_unit
from layerwise.finetuning.parts import Fold, Part
from layerwise.finetuning.precision import arithmetic
from layerwise.finetuning.predictions import Predictions, predict
from layerwise.finetuning.state import Reached, State, hash_network
from layerwise.finetuning.stopping import Stop, never
from layerwise.finetuning.training import PREDICT_AT_ONCE, Report, Trainer, log_epoch
from layerwise.interfaces import Pixels, Preprocessing
from layerwise.interfaces.finetuning import FinetuneSettings


@dataclass(frozen=True, eq=False)
class FineTuned:
    """What fine-tuning of a network on a split gives.

    Parameters
    ----------
    weights : dict of str to Tensor
        Parameters and buffers after the best epoch, on the CPU.
    history : tuple of Epoch
        All epochs.
    best_epoch : int
        Number of the best, from 1.
    validation, test : Predictions
        Of the best epoch, computed with products of 32 bits, so that weights and predictions belong together
        on any device.
    """

    weights: dict[str, Tensor]
    history: tuple[Epoch, ...]
    best_epoch: int
    validation: Predictions
    test: Predictions


def fine_tune(
    network: nn.Module,
    classifiers: str | Sequence[str],
    pixels: Pixels,
    preprocessing: Preprocessing,
    fold: Fold,
    settings: FinetuneSettings,
    device: torch.device,
    state: str | Path | None = None,
    depends_on: Mapping[str, str] | None = None,
    resident: bool = True,
    stop: Stop = never,
    report: Report = log_epoch,
    record: bool = True,
) -> FineTuned:
    """Fine-tune a network on one split.

    The images of its test part are read once training has ended, and not before.

    Parameters
    ----------
    network : nn.Module
        With its pretrained weights; it is changed, and holds the best weights afterwards.
    classifiers : str or sequence of str
        Dotted names of what turns its penultimate representation into classes (`find_classifiers`).
    pixels : Pixels
        Decoded images, at least as large as the network's input.
    preprocessing : Preprocessing
        Of the network.
    fold : Fold
        Images and scores of the split.
    settings : FinetuneSettings
        All choices.
    device : torch.device
        Where to train.
    state : path, optional
        File from which a run that was stopped is resumed. It stays: remove it (`State.remove`) once the result is kept.
    depends_on : mapping of str to str, optional
        What else a state depends on, such as hashes of code and versions of libraries.
    resident : bool
        Keep all pixels on the device; else they are read while it computes.
    stop : callable
        Asked after each step; what it returns, if anything, is why to stop.
    report : callable
        Told of each epoch.
    record : bool
        Whether to record the step as a CUDA graph, on a GPU.

    Raises
    ------
    StoppedError
        It was asked to stop.
    ValueError
        The loss is no longer finite (`DivergedError`), the state is of something else, pixels are too small, or the
        network gives no score for each image.
    """
    replace_by_one_unit(network, classifiers, settings, float(fold.train.scores.mean()))
    network.to(device)
    if device.type == "cuda":
        network.to(memory_format=torch.channels_last)
    augmentation = Augmentation(preprocessing, device)
    kept = State(state, _key(network, pixels, preprocessing, fold, settings, depends_on)) if state else None
    hold = ResidentImages if resident else StreamedImages
    seen = hold(pixels, np.concatenate([fold.train.images, fold.validation.images]), device)
    reached = Trainer(
        network, seen, fold.train, fold.validation, augmentation, settings, device,
        state=kept, stop=stop, report=report, names=pixels.ids, record=record,
    ).run()  # fmt: skip
    del seen
    network.load_state_dict(reached.best)
    at_once = PREDICT_AT_ONCE * -(-settings.batch_size // reached.accumulate)

    def predict_part(part: Part) -> Predictions:
        images = hold(pixels, part.images, device)
        with arithmetic("float32", settings.deterministic):
            predicted = predict(network, images, part, augmentation, at_once, "float32")
        return Predictions(fold.split, part.images, part.scores, predicted)

    return _result(reached, settings, predict_part(fold.validation), predict_part(fold.test))


def _result(reached: Reached, settings: FinetuneSettings, validation: Predictions, test: Predictions) -> FineTuned:
    best = best_epoch(reached.history, settings)
    return FineTuned(reached.best, tuple(reached.history), best, validation, test)


def _key(
    network: nn.Module,
    pixels: Pixels,
    preprocessing: Preprocessing,
    fold: Fold,
    settings: FinetuneSettings,
    depends_on: Mapping[str, str] | None,
) -> dict[str, str]:
    trained = (fold.train.images, fold.train.scores, fold.validation.images, fold.validation.scores)
    return {
        "network": hash_network(network),
        "preprocessing": hash_object(asdict(preprocessing)),
        "set of pixels": pixels.content_hash,
        "split or scores": hash_arrays(np.array(fold.split), *trained),
        **{f"value of `{name}`": repr(value) for name, value in asdict(settings).items()},
        **(depends_on or {}),
    }
