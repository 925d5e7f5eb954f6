"""What is tried before training: the parts of a batch that fit, and the quickest way to run a step."""

import logging

import torch
from torch import Tensor, nn

from layerwise.files import ran_out
from layerwise.finetuning.choosing import Choice, Prepared, free, run_aside
from layerwise.finetuning.networks import batch_norms, set_training
from layerwise.finetuning.step import PlainStep
from layerwise.finetuning.undoing import Undo
from layerwise.interfaces.finetuning import FinetuneSettings
from layerwise.passes.devices import current_device

__all__ = ["Prepared", "prepare_step"]
log = logging.getLogger(__name__)


def prepare_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    settings: FinetuneSettings,
    inputs: Tensor,
    targets: Tensor,
    accumulate: int | None = None,
    record: bool = True,
    steps: int = 0,
) -> Prepared:
    """Try steps on a batch, find how many parts of it fit into memory, and on a GPU record a graph, compiled or not.

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
    steps : int
        That training takes at least; "auto" compiles where they last.

    Raises
    ------
    ValueError
        The network gives no score for each image, has no deterministic way to compute, or learns what its weights lack.
    MemoryError
        Not even single images, or pairs for batch normalisations, fit into memory.
    """
    set_training(network, settings)
    undo = Undo(network, optimiser)
    plain = PlainStep(network, optimiser, settings, accumulate or settings.accumulate or 1)
    with current_device(inputs.device), undo, torch.random.fork_rng(_gpus(inputs.device)):
        _find_parts(plain, settings, inputs, targets, undo)
        _tell_of_idle(network, settings)
        _require_saved(undo)
        replaced = undo.replaced()
        undo()
        if record and inputs.is_cuda and replaced:
            log.warning(
                "the network puts other tensors in place of its buffers (first: %s), which a CUDA graph would read as "
                "they were once and for all: its step runs call by call",
                replaced[0],
            )
        elif record and inputs.is_cuda:
            return Choice(plain, inputs, targets, undo).quickest(steps)
    return Prepared(plain, plain, plain.accumulate, False)


def _require_saved(undo: Undo) -> None:
    """Refuse a network that learns what its file would lack, and a state too."""
    unsaved = sorted(undo.unsaved())
    if unsaved:
        raise ValueError(
            f"the network changes {unsaved[0]} as it learns, and does not give it away with its weights: register it "
            "as a buffer that is persistent"
        )


def _find_parts(plain: PlainStep, settings: FinetuneSettings, inputs: Tensor, targets: Tensor, undo: Undo) -> None:
    """Double the parts of a batch until a step fits into memory."""
    smallest = 2 if settings.batch_norms == "learn" and batch_norms(plain.network) else 1
    while True:
        try:
            run_aside(plain, inputs, targets)
            return
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                f"a part of a batch is a single image with `accumulate: {plain.accumulate}`, of which a batch "
                "normalisation has no variance: set fewer parts, or `batch_norms: frozen`"
            ) from error
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
                asked = settings.accumulate is not None and len(inputs) // (2 * plain.accumulate) >= smallest
                advice = "set `accumulate` to more parts" if asked else "use a GPU with more memory"
                raise MemoryError(
                    f"{-(-len(inputs) // plain.accumulate)} images of a batch do not fit into memory at once, and "
                    f"fewer {'are not allowed' if asked else 'cannot be trained on'}: {advice}"
                ) from error
        undo()
        free(inputs.device)
        plain.accumulate = parts
        log.warning(
            "a batch of %d images does not fit into memory: gradients of %d parts of it are added up%s",
            len(inputs), parts, ", and batch normalisations see these parts" if smallest == 2 else "",
        )  # fmt: skip


def _tell_of_idle(network: nn.Module, settings: FinetuneSettings) -> None:
    """Warn of parameters that a step gave no gradient: training is meant to be end to end."""
    frozen = batch_norms(network) if settings.batch_norms == "frozen" else []
    meant = {id(parameter) for norm in frozen for parameter in norm.parameters()}
    named = {name: parameter for name, parameter in network.named_parameters() if id(parameter) not in meant}
    idle = {name: parameter for name, parameter in named.items() if parameter.grad is None}
    if idle:
        share = sum(map(Tensor.numel, idle.values())) / sum(map(Tensor.numel, named.values()))
        log.warning(
            "%d of %d parameters of the network, %.0f %% of its weights, got no gradient in a first step (first: %s), "
            "and will not learn unless the network skips them at random",
            len(idle), len(named), 100 * share, next(iter(idle)),
        )  # fmt: skip


def _more_parts(parts: int, settings: FinetuneSettings, images: int, smallest: int) -> int | None:
    more = parts * 2
    return more if settings.accumulate is None and images // more >= smallest else None


def _gpus(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
