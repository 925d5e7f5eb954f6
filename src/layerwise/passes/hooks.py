"""Hooks on layers: what they are given and give, while a network runs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import nn

from layerwise.interfaces import LayerSpec


@contextmanager
def hooked(
    network: nn.Module, layers: Sequence[LayerSpec], take: Callable[[int, nn.Module, Any, Any], None]
) -> Iterator[None]:
    """Show what layers are given and give, while the block runs a network: index, module, inputs, output.

    Raises
    ------
    ValueError
        The network lacks a layer.
    """
    modules = dict(network.named_modules())
    unknown = [layer.name for layer in layers if layer.name not in modules]
    if unknown:
        raise ValueError(f"the network has no layer {unknown[0]!r}: the manifest is of another network")
    handles = [modules[layer.name].register_forward_hook(partial(take, index)) for index, layer in enumerate(layers)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
