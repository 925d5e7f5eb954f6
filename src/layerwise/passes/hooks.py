"""Hooks on layers: what they are given and give, while a network runs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import nn

from layerwise.interfaces import LayerSpec
from layerwise.layers.outputs import taken

Take = Callable[[int, nn.Module, Any, Any], None]


@contextmanager
def hooked(network: nn.Module, layers: Sequence[LayerSpec], take: Take) -> Iterator[None]:
    """Show what layers are given and give, while the block runs a network: index, module, inputs, output.

    Of a container the output is the one tensor that it gives, and it is reduced as its layer says.

    Raises
    ------
    ValueError
        The network lacks a layer.
    """
    modules = dict(network.named_modules())
    unknown = [layer.name for layer in layers if layer.name not in modules]
    if unknown:
        raise ValueError(f"the network has no layer {unknown[0]!r}: the manifest is of another network")
    handles = [
        modules[layer.name].register_forward_hook(partial(_show, take, index, layer.reduced))
        for index, layer in enumerate(layers)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _show(take: Take, index: int, reduced: str, module: nn.Module, inputs: Any, output: Any) -> None:
    take(index, module, inputs, taken(output, reduced))
