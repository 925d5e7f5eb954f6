"""One step of training: gradients of a batch and the optimiser's update, call by call or as one CUDA graph.

At 32 images a GPU waits for Python, which starts some thousand kernels a step; a graph starts them all at once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from layerwise.finetuning.compiling import Forward
from layerwise.finetuning.networks import predict_scores
from layerwise.finetuning.precision import autocast
from layerwise.interfaces.finetuning import FinetuneSettings
from layerwise.passes.graphs import recording

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
    forward : callable, optional
        The network's forward pass, where it is compiled.
    """

    def __init__(
        self,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        settings: FinetuneSettings,
        accumulate: int = 1,
        forward: Forward | None = None,
    ) -> None:
        self.network, self.optimiser, self.accumulate = network, optimiser, accumulate
        self._forward: Forward = network if forward is None else forward
        self._loss, self.settings = _LOSSES[settings.loss], settings

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
        at_once = -(-self.settings.batch_size // self.accumulate)
        parts = -(-len(inputs) // at_once)
        if at_once > 1:
            parts = max(1, min(parts, len(inputs) // 2))  # of the images left over, none by itself: it has no variance
        for part, wanted in zip(inputs.tensor_split(parts), targets.tensor_split(parts), strict=True):
            with autocast(inputs.device, self.settings.precision):
                predicted = predict_scores(self._forward, part)
            loss = self._loss(predicted, wanted) * (len(wanted) / len(targets))
            if not loss.requires_grad:
                raise ValueError(
                    "no parameter of the network gets a gradient: its code runs under `torch.no_grad()` or the like or "
                    "detaches what it gives; let gradients through"
                )
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
        self._plain = plain  # with the kernels of a compilation, which the graph runs
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
