"""What counts as a layer of a network."""

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import torch
from torch import nn

from layerwise.files import reraise_memory
from layerwise.interfaces import LayerSpec
from layerwise.layers.manifest import Skipped

MIN_UNITS = 25  # as many as there are latent variables
BATCH = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Survey:
    """What one run of a network showed.

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
    """Run a network once on zeros and see which of its modules are layers.

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
    record = _Record()
    try:
        with _evaluating(network), record.listening(network), torch.inference_mode():
            parameter = next(network.parameters(), torch.empty(0))
            network(torch.zeros(BATCH, 3, input_size, input_size, device=parameter.device))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        reraise_memory(error, f"running the network on {BATCH} images of {input_size} pixels")
        raise ValueError(f"the network does not run on {BATCH} images of {input_size} pixels: {error}") from error
    layers = [
        LayerSpec(name, kind, shape, prod(shape), depth)
        for depth, (name, (kind, shape)) in enumerate(
            ((name, found) for name, found in record.found.items() if prod(found[1]) >= min_units), start=1
        )
    ]
    if not layers:
        raise ValueError(f"the network has no layer with at least {min_units} units")
    return Survey(layers, list(record.skipped.values()))


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


@dataclass
class _Record:
    """Modules in the order of their last run."""

    found: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    skipped: dict[str, Skipped] = field(default_factory=dict)

    @contextmanager
    def listening(self, network: nn.Module) -> Iterator[None]:
        handles = [
            module.register_forward_hook(lambda module, _, output, name=name: self.note(name, module, output))
            for name, module in network.named_modules()
            if name and next(module.children(), None) is None  # the whole network has no name to be asked for by
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def note(self, name: str, module: nn.Module, output: Any) -> None:
        self.found.pop(name, None)
        self.skipped.pop(name, None)
        reason = _unusable(output)
        if reason:
            self.skipped[name] = Skipped(name, type(module).__name__, reason)
        else:
            self.found[name] = (type(module).__name__, tuple(output.shape[1:]))


def _unusable(output: Any) -> str:
    if not isinstance(output, torch.Tensor):
        return f"gives {type(output).__name__} instead of a tensor"
    if output.ndim < 2 or output.shape[0] != BATCH:
        return "does not give one row an image"
    if not output.dtype.is_floating_point:
        return f"gives {str(output.dtype).removeprefix('torch.')} instead of real numbers"
    return ""


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
