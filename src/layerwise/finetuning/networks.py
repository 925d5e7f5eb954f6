"""A network as it is trained: one unit in place of its classes, and what of it learns."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from layerwise.interfaces.finetuning import FinetuneSettings
from layerwise.models import replace_head
from layerwise.models.seeds import seeded


def replace_by_one_unit(
    network: nn.Module, classifiers: str | Sequence[str], settings: FinetuneSettings, mean: float
) -> nn.Module:
    """Put a head of one unit in place of the classifier; its weights follow from the seed.

    Parameters
    ----------
    network : nn.Module
        Changed in place.
    classifiers : str or sequence of str
        Dotted name of its classifier, or of several (`find_classifiers`).
    settings : FinetuneSettings
        Seed, and whether the bias starts at the mean.
    mean : float
        Of the training scores.
    """
    with seeded(settings.seed):
        replace_head(network, classifiers, 1)
    names = (classifiers,) if isinstance(classifiers, str) else classifiers
    biases = [network.get_submodule(name).bias for name in names]
    with torch.no_grad():
        for bias in biases:
            if settings.centre and isinstance(bias, Tensor):
                bias.fill_(mean)  # of several heads networks take the mean
    return network


def skip_idle_pools(network: nn.Module) -> None:
    """Let adaptive pools pass on, as it is, what has their output's size already: each cell is the mean of itself.

    So it is in AlexNet and the VGGs at 224 pixels, and PyTorch has no deterministic gradient of such a pool on a GPU.
    """
    for module in network.modules():
        if isinstance(module, nn.AdaptiveAvgPool2d):
            _behave(module, _PoolIfNeeded)


def score_in_float32(network: nn.Module, classifiers: str | Sequence[str]) -> None:
    """Let heads compute in float32 where the rest of a network computes in bf16.

    Near .76 numbers of bf16 are .004 apart, so that many images would get equal scores.
    """
    for name in (classifiers,) if isinstance(classifiers, str) else classifiers:
        _behave(network.get_submodule(name), _InFloat32)


# Classes, as functions put on single layers would let every copy of a network be compiled anew.
class _PoolIfNeeded(nn.AdaptiveAvgPool2d):
    """An adaptive pool where it has anything to do."""

    def forward(self, x: Tensor) -> Tensor:
        size = self.output_size
        wanted = size if isinstance(size, tuple) else (size, size)
        given = tuple(x.shape[-2:])
        if all(one in (None, other) for one, other in zip(wanted, given, strict=True)):
            return x.clone()
        return super().forward(x)


class _InFloat32(nn.Module):
    """A head, outside autocast."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            given: Tensor = super().forward(x.float())
        return given


def _behave(module: nn.Module, more: Any) -> None:
    if not isinstance(module, more):
        layer: Any = type(module)
        module.__class__ = _with(more, layer)


@cache
def _with(more: Any, layer: Any) -> Any:
    """Return a class of layers that behave differently; one for all layers of a class."""
    return type(layer.__name__, (more, layer), {})


def set_training(network: nn.Module, settings: FinetuneSettings) -> None:
    """Bring a network into the mode in which it learns, with batch normalisations frozen or not."""
    network.train()
    if settings.batch_norms == "frozen":
        for norm in batch_norms(network):
            norm.eval()
            norm.requires_grad_(False)


def batch_norms(network: nn.Module) -> list[nn.Module]:
    """Return the layers whose output for an image depends on the others of its batch."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


def predict_scores(network: Callable[[Tensor], object], inputs: Tensor) -> Tensor:
    """Run a network: float32 [image], a score for each.

    Raises
    ------
    ValueError
        It does not give one number for each image.
    """
    output = network(inputs)
    if isinstance(output, Tensor) and output.numel() == len(inputs) == 1:
        output = output.reshape(1)  # some drop the axis of a single image
    if not isinstance(output, Tensor) or output.numel() != len(inputs) or len(output) != len(inputs):
        given = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"with a head of one unit the network gives {given} for {len(inputs)} images: it must give one number for "
            "each image, so name the layer that gives its classes"
        )
    return output.float().flatten()
