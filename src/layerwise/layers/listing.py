"""What counts as a layer of a network."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

import torch
from torch import nn

from layerwise.interfaces import LayerSpec
from layerwise.layers.manifest import Skipped
from layerwise.layers.running import run_network

MIN_UNITS = 25  # as many as there are latent variables
BATCHES = (2, 3)  # images: a module whose row count equals one of them by chance does not equal the other

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Survey:
    """What runs of a network showed.

    Parameters
    ----------
    layers : list of LayerSpec
        In order of depth.
    skipped : list of Skipped
        Modules that ran but give nothing that can be regressed on, in order of depth.
    """

    layers: list[LayerSpec]
    skipped: list[Skipped]


def list_layers(network: nn.Module, input_size: int, min_units: int = MIN_UNITS) -> list[LayerSpec]:
    """List the layers of a network; modules that had to be skipped are logged as a warning.

    Parameters and errors are those of `survey_layers`.
    """
    survey = survey_layers(network, input_size, min_units)
    if survey.skipped:
        reasons = Counter(module.reason for module in survey.skipped)
        text = "; ".join(f"{count} {reason}" for reason, count in reasons.items())
        names = ", ".join(module.layer for module in survey.skipped)
        log.warning("%d modules are left out: %s (%s)", len(survey.skipped), text, names)
    return survey.layers


def survey_layers(network: nn.Module, input_size: int, min_units: int = MIN_UNITS) -> Survey:
    """Run a network on zeros and see which of its modules are layers.

    A layer is a module without children that runs in eval mode and gives at least `min_units` values an
    image. It counts once, under its first name; if it runs several times, its last run counts. Weights do not
    matter. This is the definition whose count over the paper's 64 networks is 16,862, where the paper reports
    16,860.

    Parameters
    ----------
    network : nn.Module
        Its training flags are restored afterwards.
    input_size : int
        Side of the square input, pixels.
    min_units : int
        Fewest values for one image.

    Raises
    ------
    ValueError
        The network does not run on such an input, or has no layer.
    """
    first, second = (_run(network, n_images, input_size) for n_images in BATCHES)
    layers: list[LayerSpec] = []
    skipped: list[Skipped] = []
    for name, (kind, shape, reason) in first.items():
        problem = reason or _disagreement(shape, second.get(name))
        if problem:
            skipped.append(Skipped(name, kind, problem))
        elif prod(shape) >= min_units:
            layers.append(LayerSpec(name, kind, shape, prod(shape), len(layers) + 1))
    if not layers:
        raise ValueError(f"the network has no layer with at least {min_units} units")
    return Survey(layers, skipped)


def leave_out(layers: Sequence[LayerSpec], names: Collection[str]) -> list[LayerSpec]:
    """Leave layers out, and close the gaps in the depths of the others.

    Parameters
    ----------
    layers : sequence of LayerSpec
        In order of depth.
    names : collection of str
        Names of layers that do not count, such as modules that a library added after a study.

    Raises
    ------
    ValueError
        A name is no layer.
    """
    unknown = set(names) - {layer.name for layer in layers}
    if unknown:
        raise ValueError(f"cannot leave out {', '.join(sorted(unknown))}: no such layer")
    kept = [layer for layer in layers if layer.name not in names]
    return [replace(layer, depth=depth) for depth, layer in enumerate(kept, start=1)]


class _Seen(NamedTuple):
    """What a module gave when it ran last: its class, the shape for one image, and why it is no layer, or nothing."""

    kind: str
    shape: tuple[int, ...]
    reason: str


def _run(network: nn.Module, n_images: int, input_size: int) -> dict[str, _Seen]:
    """Run a network on black images, and return what its modules without children gave, in order of their last run."""
    seen: dict[str, _Seen] = {}

    def note(name: str, module: nn.Module, output: Any) -> None:
        seen.pop(name, None)
        reason = _unusable(output, n_images)
        seen[name] = _Seen(type(module).__name__, () if reason else tuple(output.shape[1:]), reason)

    with _evaluating(network), _listening(network, note), torch.inference_mode():
        parameter = next(network.parameters(), torch.empty(0))
        run_network(network, torch.zeros(n_images, 3, input_size, input_size, device=parameter.device))
    return seen


@contextmanager
def _listening(network: nn.Module, note: Callable[[str, nn.Module, Any], None]) -> Iterator[None]:
    handles = [
        module.register_forward_hook(lambda module, _, output, name=name: note(name, module, output))
        for name, module in network.named_modules()
        if name and next(module.children(), None) is None  # the whole network has no name
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _unusable(output: Any, n_images: int) -> str:
    if not isinstance(output, torch.Tensor):
        return f"gives {type(output).__name__} instead of a tensor"
    if output.ndim < 2 or output.shape[0] != n_images:
        return "does not give one row an image"
    if not output.dtype.is_floating_point:
        return f"gives {str(output.dtype).removeprefix('torch.')} instead of real numbers"
    return ""


def _disagreement(shape: tuple[int, ...], other: _Seen | None) -> str:
    """Return what is wrong with a module of this shape in one batch, given what was seen in one of another size."""
    if other is None:
        return "runs for some numbers of images only"
    return other.reason or ("" if other.shape == shape else "gives another shape for another number of images")


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
