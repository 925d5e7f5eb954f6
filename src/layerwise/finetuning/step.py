"""One step of training: gradients of a batch and the optimiser's update, call by call or as one CUDA graph.

At 32 images a GPU waits for Python, which starts some thousand kernels a step; a graph starts them all at once.
"""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from layerwise.files import ran_out
from layerwise.finetuning.networks import batch_norms, predict_scores, set_training
from layerwise.finetuning.optimisers import state_tensors
from layerwise.finetuning.precision import autocast
from layerwise.interfaces.finetuning import FinetuneSettings
from layerwise.passes.devices import current_device
from layerwise.passes.graphs import recording, warm_up

WARM_UPS = 3  # steps before a recording, in which libraries choose their algorithms
TOLERANCE = 2e-2  # between the losses of a graph and of plain steps: bf16 rounds to 4e-3
log = logging.getLogger(__name__)

_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": nn.functional.mse_loss,
    "l1": nn.functional.l1_loss,
}


class Step(Protocol):
    """Trains on one batch."""

    def __call__(self, inputs: Tensor, targets: Tensor, seed: int) -> Tensor:
        """Train on a batch, with dropout drawn from a seed; return its loss, which the next step may overwrite."""
        ...


class PlainStep:
    """A step as PyTorch's own functions run it.

    Parameters
    ----------
    network : nn.Module
        In the mode in which it learns (`set_training`).
    optimiser : torch.optim.Optimizer
        Of its parameters.
    settings : FinetuneSettings
        Loss and precision.
    accumulate : int
        Parts into which a batch is divided; their gradients are added up, each with its share of the images.
    """

    def __init__(
        self, network: nn.Module, optimiser: torch.optim.Optimizer, settings: FinetuneSettings, accumulate: int = 1
    ) -> None:
        self.network, self.optimiser, self.accumulate = network, optimiser, accumulate
        self._loss, self._settings = _LOSSES[settings.loss], settings

    def __call__(self, inputs: Tensor, targets: Tensor, seed: int) -> Tensor:
        """Train on a batch.

        Parameters
        ----------
        inputs : float32 Tensor [image, 3, height, width]
            On the network's device.
        targets : float32 Tensor [image]
            Scores.
        seed : int
            Of dropout and its like.

        Returns
        -------
        float32 Tensor []
            Loss.
        """
        _seed(inputs.device, seed)
        return self.compute(inputs, targets)

    def compute(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Train on a batch, with dropout drawn from the generator as it is."""
        self.optimiser.zero_grad(set_to_none=True)
        total = torch.zeros((), device=inputs.device)
        at_once = -(-self._settings.batch_size // self.accumulate)
        parts = -(-len(inputs) // at_once)
        for part, wanted in zip(inputs.tensor_split(parts), targets.tensor_split(parts), strict=True):
            with autocast(inputs.device, self._settings.precision):
                predicted = predict_scores(self.network, part)
            loss = self._loss(predicted, wanted) * (len(wanted) / len(targets))
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        self.optimiser.step()
        return total


class RecordedStep:
    """A step as a CUDA graph, for batches of one size.

    Parameters
    ----------
    plain : PlainStep
        What is recorded, after it ran in another stream than the default one, as graphs want it.
    inputs, targets : Tensor
        A batch; its shapes and memory formats are those of all batches.
    """

    def __init__(self, plain: PlainStep, inputs: Tensor, targets: Tensor) -> None:
        self._inputs, self._targets = inputs.clone(), targets.clone()
        self._graph = torch.cuda.CUDAGraph()
        plain.optimiser.zero_grad(set_to_none=True)  # or gradients would lie outside the graph's memory
        with _own_generator(inputs.device) as self._generator, recording(self._graph):
            self._loss = plain.compute(self._inputs, self._targets)

    def __call__(self, inputs: Tensor, targets: Tensor, seed: int) -> Tensor:
        """Train on a batch, as `PlainStep`."""
        self._inputs.copy_(inputs)
        self._targets.copy_(targets)
        self._generator.manual_seed(seed)  # each replay asks it for its seed
        self._graph.replay()
        return self._loss


@contextmanager
def _own_generator(device: torch.device) -> Iterator[torch.Generator]:
    """Let what is recorded draw from a generator of its own.

    Graphs that ran at once would overwrite the seed of a common one, and a recording that broke off leaves its
    generator unable to draw.
    """
    default = torch.cuda.default_generators[_index(device)]
    before, own = default.graphsafe_get_state(), default.clone_state()
    default.graphsafe_set_state(own)
    try:
        yield own
    finally:
        default.graphsafe_set_state(before)


def _seed(device: torch.device, seed: int) -> None:
    # Not torch.manual_seed: it would seed every GPU too, on which others may train.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[_index(device)].manual_seed(seed)


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index


@dataclass(frozen=True)
class Prepared:
    """A step that was tried.

    Parameters
    ----------
    step : Step
        For batches of full size.
    plain : PlainStep
        For batches of any size.
    accumulate : int
        Parts into which a batch is divided.
    recorded : bool
        Whether the step is a CUDA graph.
    """

    step: Step
    plain: PlainStep
    accumulate: int
    recorded: bool


def prepare_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    settings: FinetuneSettings,
    inputs: Tensor,
    targets: Tensor,
    accumulate: int | None = None,
    record: bool = True,
) -> Prepared:
    """Try steps on a batch, find how many parts of it fit into memory, and record a graph on a GPU.

    Parameters and buffers are the same afterwards; what the optimiser remembers is there, and zero.

    Parameters
    ----------
    network, optimiser, settings
        As for `PlainStep`.
    inputs, targets : Tensor
        A batch of full size.
    accumulate : int, optional
        Parts to begin with; default: the settings'.
    record : bool
        Whether to record a graph, where there is a GPU.

    Raises
    ------
    ValueError
        The network gives no score for each image, or has no deterministic way to compute.
    MemoryError
        Not even single images, or pairs for batch normalisations, fit into memory.
    """
    set_training(network, settings)
    undo = _Undo(network, optimiser)
    plain = PlainStep(network, optimiser, settings, accumulate or settings.accumulate or 1)
    with current_device(inputs.device), undo, torch.random.fork_rng(_gpus(inputs.device)):
        _find_parts(plain, settings, inputs, targets, undo)
        undo()
        recorded = _record(plain, inputs, targets, undo) if record and inputs.is_cuda else None
    return Prepared(recorded or plain, plain, plain.accumulate, recorded is not None)


class _Undo:
    """Puts parameters and buffers back in place, and the optimiser's memory to zero, as it is before a first step."""

    def __init__(self, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self._optimiser = optimiser
        self._tensors = [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
        self._kept = [tensor.clone() for tensor in self._tensors]

    def __call__(self) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            for tensor, kept in zip(self._tensors, self._kept, strict=True):
                tensor.copy_(kept)
            for tensor in state_tensors(self._optimiser).values():
                tensor.zero_()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self()


def _find_parts(plain: PlainStep, settings: FinetuneSettings, inputs: Tensor, targets: Tensor, undo: _Undo) -> None:
    """Double the parts of a batch until a step fits into memory."""
    smallest = 2 if settings.batch_norms == "learn" and batch_norms(plain.network) else 1
    while True:
        try:
            _warm_up(plain, inputs, targets)
            return
        except RuntimeError as error:
            if "deterministic" in str(error):
                raise ValueError(
                    f"the network has no deterministic way to compute on this device ({error}): set "
                    "`deterministic: false`"
                ) from error
            if not ran_out(error):
                raise
            parts = _more_parts(plain.accumulate, settings, len(inputs), smallest)
            if parts is None:
                raise MemoryError(
                    f"{-(-len(inputs) // plain.accumulate)} images of a batch do not fit into memory at once, and "
                    "fewer cannot be trained on: use a GPU with more memory"
                ) from error
        undo()
        _free(inputs.device)
        plain.accumulate = parts
        log.warning(
            "a batch of %d images does not fit into memory: gradients of %d parts of it are added up%s",
            len(inputs), parts, ", and batch normalisations see these parts" if smallest == 2 else "",
        )  # fmt: skip


def _more_parts(parts: int, settings: FinetuneSettings, images: int, smallest: int) -> int | None:
    more = parts * 2
    return more if settings.accumulate is None and images // more >= smallest else None


def _warm_up(plain: PlainStep, inputs: Tensor, targets: Tensor) -> None:
    if not inputs.is_cuda:
        plain(inputs, targets, 0)
        return
    warm_up(lambda: [plain(inputs, targets, 0) for _ in range(WARM_UPS)])
    torch.cuda.synchronize()


def _record(plain: PlainStep, inputs: Tensor, targets: Tensor, undo: _Undo) -> RecordedStep | None:
    """Return the step as a graph, or None and say why."""
    wanted = _losses(plain, inputs, targets, undo)  # before the graph takes its memory
    try:
        recorded = RecordedStep(plain, inputs, targets)
    except (RuntimeError, ValueError) as error:
        undo()
        _free(inputs.device)
        first = str(error).partition("\n")[0]
        log.warning("the step of this network cannot be recorded as a CUDA graph (%s): it runs call by call", first)
        return None
    undo()
    for given, loss in zip(_losses(recorded, inputs, targets, undo), wanted, strict=True):
        if abs(given - loss) > TOLERANCE * abs(loss):
            log.warning(
                "the graph of this network's step gives other losses than the step itself (%.6g, not %.6g): it draws "
                "random numbers outside PyTorch's generator or depends on the images, so it runs call by call",
                given, loss,
            )  # fmt: skip
            return None
    return recorded


def _losses(step: Step, inputs: Tensor, targets: Tensor, undo: _Undo) -> list[float]:
    """Run a step with different images and seeds, so that anything frozen into a graph shows."""
    losses = []
    for seed in (1, 2):
        losses += [float(step(inputs, targets, seed)), float(step(inputs.flip(3), targets, seed + 2))]
        undo()
    return losses


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        with suppress(RuntimeError):  # after a recording that broke off
            torch.cuda.synchronize(device)
        torch.cuda.empty_cache()


def _gpus(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
