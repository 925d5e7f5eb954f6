"""Fine-tuning of one network on one split: training, then the predictions of its validation and test images."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from layerwise.files import hash_arrays, hash_object
from layerwise.finetuning.augmentation import Augmentation
from layerwise.finetuning.compiling import as_before
from layerwise.finetuning.history import Epoch, best_epoch
from layerwise.finetuning.images import Images, ResidentImages, StreamedImages
from layerwise.finetuning.networks import replace_by_one_unit, score_in_float32, skip_idle_pools
from layerwise.finetuning.parts import Fold, Part
from layerwise.finetuning.precision import arithmetic
from layerwise.finetuning.predictions import Predictions, predict
from layerwise.finetuning.state import Reached, State, copy_values, hash_network
from layerwise.finetuning.training import PREDICT_AT_ONCE, Report, Trainer, log_epoch
from layerwise.interfaces import Pixels, Preprocessing, Stop, never
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
    diverged : str
        What was no longer finite, if training diverged. Then weights and predictions are NaN, there is no best epoch
        (0), and the last of the history, in which it happened, has no values.
    """

    weights: dict[str, Tensor]
    history: tuple[Epoch, ...]
    best_epoch: int
    validation: Predictions
    test: Predictions
    diverged: str = ""


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
    job = Job(classifiers, pixels, preprocessing, settings, device, depends_on, resident, stop, record)
    seen = job.hold(images_seen([fold]))
    reached = job.trainer(network, fold, seen, state, report).run()
    del seen
    return job.result(network, reached, fold)


@dataclass(frozen=True, eq=False)
class Job:
    """What the splits of a network share; the parameters are those of `fine_tune`."""

    classifiers: str | Sequence[str]
    pixels: Pixels
    preprocessing: Preprocessing
    settings: FinetuneSettings
    device: torch.device
    depends_on: Mapping[str, str] | None
    resident: bool
    stop: Stop
    record: bool

    def hold(self, images: NDArray[np.int64]) -> Images:
        """Make images ready for the device, by their indices."""
        return (ResidentImages if self.resident else StreamedImages)(self.pixels, images, self.device)

    def trainer(
        self,
        network: nn.Module,
        fold: Fold,
        seen: Images,
        state: str | Path | None,
        report: Report,
        like: Reached | None = None,
    ) -> Trainer:
        """Bring a network with its new head to the device; what was tried for a split `like` it is taken over."""
        settings, device = self.settings, self.device
        replace_by_one_unit(network, self.classifiers, settings, float(fold.train.scores.mean()))
        score_in_float32(network, self.classifiers)
        skip_idle_pools(network)
        network.to(device)
        if device.type == "cuda":
            network.to(memory_format=torch.channels_last)
        key = _key(network, self.pixels, self.preprocessing, fold, settings, self.depends_on) if state else {}
        return Trainer(
            network, seen, fold.train, fold.validation, Augmentation(self.preprocessing, device),
            replace(as_before(settings, like.compiled), accumulate=like.accumulate) if like else settings, device,
            state=State(state, key) if state else None, stop=self.stop, report=report, names=self.pixels.ids,
            record=self.record,
        )  # fmt: skip

    def result(self, network: nn.Module, reached: Reached, fold: Fold) -> FineTuned:
        """Predict the validation and test images of a split with the best weights."""
        copy_values(network.state_dict(), reached.best)
        validation, test = (
            self._predict(network, fold.split, part, reached.accumulate) for part in (fold.validation, fold.test)
        )
        best = best_epoch(reached.history, self.settings)
        return FineTuned(reached.best, tuple(reached.history), best, validation, test)

    def diverged(self, network: nn.Module, history: Sequence[Epoch], fold: Fold, what: str) -> FineTuned:
        """Return the result of a split whose training diverged: NaN in place of each value."""
        weights = {name: _nan_like(tensor) for name, tensor in network.state_dict().items()}
        validation, test = (
            Predictions(fold.split, part.images, part.scores, np.full(len(part), np.nan))
            for part in (fold.validation, fold.test)
        )
        return FineTuned(weights, tuple(history), 0, validation, test, what)

    def _predict(self, network: nn.Module, split: int, part: Part, accumulate: int) -> Predictions:
        at_once = PREDICT_AT_ONCE * -(-self.settings.batch_size // accumulate)
        images, augmentation = self.hold(part.images), Augmentation(self.preprocessing, self.device)
        with arithmetic("float32", self.settings.deterministic):
            predicted = predict(network, images, part, augmentation, at_once, "float32")
        return Predictions(split, part.images, part.scores, predicted)


def _nan_like(tensor: Tensor) -> Tensor:
    """Return NaN on the CPU; of whole numbers, such as counts of batches, their values."""
    if tensor.is_floating_point() or tensor.is_complex():
        return torch.full(tensor.shape, float("nan"), dtype=tensor.dtype)
    return tensor.detach().cpu().clone()


def images_seen(folds: Sequence[Fold]) -> NDArray[np.int64]:
    """Return the indices of the images that train a network on some of these splits, or are watched there."""
    return np.unique(np.concatenate([part.images for fold in folds for part in (fold.train, fold.validation)]))


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
