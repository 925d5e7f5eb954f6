"""Training of one network on one split, with early stopping; no test image or score ever comes here."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from layerwise.finetuning.augmentation import Augmentation
from layerwise.finetuning.compiling import as_before
from layerwise.finetuning.crops import draw_crops
from layerwise.finetuning.draws import order_images, seed_others, step_seed
from layerwise.finetuning.history import Epoch, best_epoch, ends
from layerwise.finetuning.images import Images
from layerwise.finetuning.networks import set_training
from layerwise.finetuning.optimisers import learning_rate, make_optimiser, set_learning_rate
from layerwise.finetuning.parts import Part
from layerwise.finetuning.precision import arithmetic
from layerwise.finetuning.predictions import predict, rank_correlation
from layerwise.finetuning.preparing import Prepared, prepare_step
from layerwise.finetuning.state import Reached, State, put_back
from layerwise.finetuning.stopping import DivergedError
from layerwise.interfaces import Stop, StoppedError, counted, never
from layerwise.interfaces.finetuning import FinetuneSettings
from layerwise.models.seeds import seeded
from layerwise.passes.devices import current_device

CHECK_EVERY = 50  # steps between looks at the losses: each look makes the GPU wait
SHOWN = 8  # images named in a message
PREDICT_AT_ONCE = 4  # times the images of a part of a batch: without gradients each takes far less memory
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """How quick an epoch was.

    Parameters
    ----------
    images_per_second : float
        Trained on, without the validation.
    seconds : float
        Of the epoch with its validation and its state.
    memory : int
        Bytes of the GPU at most, of all that this process did; 0 on a CPU.
    """

    images_per_second: float
    seconds: float
    memory: int


Report = Callable[[Epoch, Pace], None]


def log_epoch(epoch: Epoch, pace: Pace, which: str = "") -> None:
    """Write a line to the log."""
    log.info(
        "%sepoch %d: loss %.5f, validation loss %.5f, rho %.4f; %.0f images/s, %.0f s, %.1f GB",
        which, epoch.number, epoch.training_loss, epoch.validation_loss, epoch.rho,
        pace.images_per_second, pace.seconds, pace.memory / 1e9,
    )  # fmt: skip


class Batches:
    """Batches of training images, epoch by epoch: their order and crops follow from the seed, the epoch and the image.

    Parameters
    ----------
    images : Images
        With those of the part.
    part : Part
        Training images.
    augmentation : Augmentation
        Of the network.
    settings : FinetuneSettings
        Batch size, seed, crops.
    device : torch.device
        Where the pixels are.
    """

    def __init__(
        self, images: Images, part: Part, augmentation: Augmentation, settings: FinetuneSettings, device: torch.device
    ) -> None:
        self._images, self._part, self._augmentation, self._settings = images, part, augmentation, settings
        self._scores = dict(zip(part.images.tolist(), part.scores.tolist(), strict=True))
        self._device = device

    @property
    def steps(self) -> int:
        """Number of batches of an epoch."""
        full, rest = divmod(len(self._part), self._settings.batch_size)
        return full + (self._settings.last_batch == "keep" and rest > 1)

    def images_of(self, epoch: int, step: int) -> NDArray[np.int64]:
        """Return the indices of the images of a batch."""
        size = self._settings.batch_size
        return order_images(self._settings.seed, epoch, self._part.images)[step * size : (step + 1) * size]

    def epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs and targets of each batch of an epoch, counted from 0, from some step on."""
        settings, images = self._settings, self._images
        order = order_images(settings.seed, epoch, self._part.images)
        crops = self._augmentation.place(
            draw_crops(settings, epoch, order, images.height, images.width, self._augmentation.size)
        )
        targets = torch.tensor([self._scores[image] for image in order.tolist()], dtype=torch.float32)
        targets = targets.to(self._device)
        size = settings.batch_size
        ranges = [slice(step * size, (step + 1) * size) for step in range(first, self.steps)]
        batches = images.batches([order[chosen] for chosen in ranges])
        for chosen, (pixels, rows) in zip(ranges, batches, strict=True):
            yield self._cut(pixels, rows, crops[:, chosen]), targets[chosen]

    def _cut(self, pixels: Tensor, rows: Tensor, crops: Tensor) -> Tensor:
        if self._settings.crop == "resize-crop":
            inputs = self._augmentation.crop(pixels, rows, crops)
        else:
            with arithmetic("float32"):  # its matrix products are no part of the network
                inputs = self._augmentation.resize_crop(pixels, rows, crops)
        on_gpu = self._device.type == "cuda"
        return inputs.contiguous(memory_format=torch.channels_last if on_gpu else torch.contiguous_format)


@contextmanager
def surroundings(settings: FinetuneSettings, device: torch.device) -> Iterator[None]:
    """Set the arithmetic, the GPU and a random state of its own for training, of one network or of several in turns."""
    devices = [device] if device.type == "cuda" else []
    chosen = arithmetic(settings.precision, settings.deterministic)
    with current_device(device), chosen, torch.random.fork_rng(devices), seeded(settings.seed):
        yield


class Trainer:
    """Trains a network until early stopping.

    Parameters
    ----------
    network : nn.Module
        With its head of one unit, on the device; it is changed.
    images : Images
        With those of both parts, and no others.
    train, validation : Part
        Of one split.
    augmentation : Augmentation
        Of the network.
    settings : FinetuneSettings
        All choices.
    device : torch.device
        Where everything is.
    state : State, optional
        Where training is saved after each epoch, and resumed from; None saves nothing.
    stop : callable
        Asked after each step.
    report : callable
        Told of each epoch.
    names : tuple of str
        Ids of all images, for messages.
    record : bool
        Whether to record the step as a CUDA graph, on a GPU.
    """

    def __init__(
        self,
        network: nn.Module,
        images: Images,
        train: Part,
        validation: Part,
        augmentation: Augmentation,
        settings: FinetuneSettings,
        device: torch.device,
        state: State | None = None,
        stop: Stop = never,
        report: Report = log_epoch,
        names: tuple[str, ...] = (),
        record: bool = True,
    ) -> None:
        self.network, self.settings, self.device = network, settings, device
        self._images, self._validation, self._augmentation = images, validation, augmentation
        self._batches = Batches(images, train, augmentation, settings, device)
        self._state, self._stop, self._report, self._names = state, stop, report, names
        self._record = record
        self.reached = Reached(torch.full((self._batches.steps,), float("nan"), device=device))

    def run(self) -> Reached:
        """Train to the end, and return what was reached, the best weights among it.

        Raises
        ------
        StoppedError
            It was asked to stop; the state is saved.
        DivergedError
            The loss or the predictions are no longer finite.
        """
        with surroundings(self.settings, self.device):
            for _ in self.steps():
                pass
        return self.reached

    def steps(self) -> Iterator[None]:
        """Train to the end, and pause when all is prepared and after each step, within `surroundings`."""
        step = self._prepare()
        yield
        while not ends(self.reached.history, self.settings):
            yield from self._train_epoch(step)
        log.info("training ended %s", ends(self.reached.history, self.settings))

    def halt(self, reason: str) -> NoReturn:
        """Save the state, and raise `StoppedError`."""
        self._check_losses()
        saved = self._state is not None and self._save()
        kept = f"its state is in {self._state.path}" if self._state and saved else "no state was saved"
        raise StoppedError(
            f"{reason}: training stopped after {self._where()}, and {kept}; start it again to resume", advanced=saved
        )

    def _where(self) -> str:
        return f"{counted(len(self.reached.history), 'epoch')} and {counted(self.reached.step, 'step')}"

    def broken_off(self) -> Epoch:
        """Return the epoch in which training diverged: nothing is known of it."""
        reached, nan = self.reached, float("nan")
        number = len(reached.history) + 1
        rate = learning_rate(self.settings, number - 1)
        return Epoch(number, rate, nan, nan, nan, reached.accumulate, reached.compiled)

    def _prepare(self) -> Prepared:
        """Make the optimiser and the step, and resume from the state if there is one."""
        set_training(self.network, self.settings)
        self._optimiser = make_optimiser(self.network.parameters(), self.settings)
        content = self._state.load() if self._state else None
        inputs, targets = next(self._batches.epoch(0))
        known = content["reached"]["accumulate"] if content else None
        settings = as_before(self.settings, content["reached"]["compiled"]) if content else self.settings
        step = prepare_step(
            self.network, self._optimiser, settings, inputs, targets, known, self._record, self._least_steps()
        )
        if content is not None:
            put_back(content, self.network, self._optimiser, self.reached)
            log.info("resuming after %s", self._where())
        self.reached.accumulate, self.reached.compiled = step.accumulate, step.compiled
        return step

    def _least_steps(self) -> int:
        return self._batches.steps * self.settings.fewest_epochs

    def _train_epoch(self, step: Prepared) -> Iterator[None]:
        start, done = time.perf_counter(), self.reached.step
        epoch = len(self.reached.history)
        set_learning_rate(self._optimiser, learning_rate(self.settings, epoch))
        set_training(self.network, self.settings)
        yield from self._train_batches(step, epoch)
        self._check_losses()
        trained = time.perf_counter()
        self._finish_epoch(epoch)
        images = (self._batches.steps - done) * self.settings.batch_size
        memory = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else 0
        pace = Pace(images / (trained - start), time.perf_counter() - start, memory)
        self._report(self.reached.history[-1], pace)

    def _train_batches(self, step: Prepared, epoch: int) -> Iterator[None]:
        reached, settings = self.reached, self.settings
        for inputs, targets in self._batches.epoch(epoch, reached.step):
            run = step.step if len(inputs) == settings.batch_size else step.plain
            seed = step_seed(settings.seed, epoch, reached.step)
            seed_others(seed)
            reached.losses[reached.step] = run(inputs, targets, seed)
            reached.step += 1
            if reached.step % CHECK_EVERY == 0:
                self._check_losses()
            self._stop_if_asked()
            yield

    def _finish_epoch(self, epoch: int) -> None:
        reached, settings = self.reached, self.settings
        predicted = self._predict_validation()
        scores = self._validation.scores
        errors = predicted - scores
        done = Epoch(
            number=epoch + 1,
            learning_rate=learning_rate(settings, epoch),
            training_loss=float(reached.losses.double().mean()),
            validation_loss=float(np.mean(errors**2 if settings.loss == "mse" else np.abs(errors))),
            rho=rank_correlation(scores, predicted),
            accumulate=reached.accumulate,
            compiled=reached.compiled,
        )
        history = [*reached.history, done]
        if best_epoch(history, settings) == done.number:
            reached.best = {name: tensor.detach().cpu().clone() for name, tensor in self.network.state_dict().items()}
        reached.history, reached.step = history, 0
        reached.losses.fill_(float("nan"))
        self._save()

    def _predict_validation(self) -> NDArray[np.float64]:
        settings = self.settings
        at_once = PREDICT_AT_ONCE * -(-settings.batch_size // self.reached.accumulate)
        predicted = predict(
            self.network, self._images, self._validation, self._augmentation, at_once, settings.precision,
            self._stop_if_asked,
        )  # fmt: skip
        wrong = predicted[~np.isfinite(predicted)]
        if len(wrong):
            epoch = len(self.reached.history) + 1
            raise DivergedError(
                f"after epoch {epoch} the network predicts {wrong[0]} for {counted(len(wrong), 'validation image')}",
                self._advice(),
            )
        return predicted

    def _check_losses(self) -> None:
        """Look for a loss that is not finite, before anything is saved that comes after it."""
        losses = self.reached.losses[: self.reached.step].cpu()
        wrong = (~losses.isfinite()).nonzero()
        if len(wrong):
            epoch, step = len(self.reached.history), int(wrong[0])
            images = self._batches.images_of(epoch, step)
            names = ", ".join(self._names[image] if self._names else str(image) for image in images[:SHOWN])
            more = f" and {len(images) - SHOWN} more" if len(images) > SHOWN else ""
            raise DivergedError(
                f"the loss of step {step + 1} of epoch {epoch + 1} is {float(losses[step])}, of the images "
                f"{names}{more}",
                self._advice(),
            )

    def _advice(self) -> str:
        epochs = len(self.reached.history)
        kept = f"; the state in {self._state.path} is the last good one" if self._state and epochs else ""
        return (
            f": training stops with {counted(epochs, 'good epoch')}{kept}; set a lower `learning_rate`, or `precision: "
            "float32`, and check the scores"
        )

    def _stop_if_asked(self) -> None:
        reason = self._stop()
        if reason:
            self.halt(reason)

    def _save(self) -> bool:
        if self._state is None:
            return False
        reached = replace(self.reached, losses=self.reached.losses.cpu())
        return self._state.save(reached, self.network, self._optimiser)
