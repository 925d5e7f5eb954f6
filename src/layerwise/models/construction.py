"""Build a network of a study without trained weights."""

import logging

import torch
from torch import nn

from layerwise.interfaces import ModelSpec
from layerwise.models.adapters import ADAPTERS, Adapter
from layerwise.models.drawing import fill_lazy, require_drawn
from layerwise.models.preprocessing import resolve_preprocessing
from layerwise.models.seeds import seeded

log = logging.getLogger(__name__)


def construct(spec: ModelSpec) -> nn.Module:
    """Build a network whose weights are drawn under the seed, with the classifier that its library gives it.

    Raises
    ------
    ValueError
        It cannot be built, or `weights` are random and those of its factory do not follow the seed.
    """
    network = _draw(spec, spec.seed)
    if spec.library == "factory" and spec.weights == "random":
        require_drawn(network, _draw(spec, spec.seed + 1), spec.constructor)
    return network


def adapter_of(spec: ModelSpec) -> Adapter:
    """Find the adapter of a network's library.

    Raises
    ------
    ValueError
        There is none.
    """
    if spec.library not in ADAPTERS:
        raise ValueError(f"no library {spec.library!r}: networks come from {', '.join(ADAPTERS)}")
    return ADAPTERS[spec.library]


def _draw(spec: ModelSpec, seed: int) -> nn.Module:
    with seeded(seed):
        network = adapter_of(spec).build(spec)
        fill_lazy(network, lambda: resolve_preprocessing(spec).size)
    if any(value.is_floating_point() and value.dtype != torch.float32 for value in network.parameters()):
        log.info("%s is built in another precision, and runs in float32", spec.name)
        network.float()
    return network
