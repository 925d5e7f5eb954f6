"""Taking the outputs of layers while a network runs."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

Sink = Callable[[str, torch.Tensor], None]


class AllTaken(Exception):  # noqa: N818, it is no error
    """Ends a forward pass whose remaining layers are not wanted."""


class LayerTap:
    """Hooks on layers, for as long as the block of a ``with`` lasts.

    After a forward pass `outputs` holds what each layer gave in it. An output is copied at once, since a
    following in-place operation (the ReLU after a batch norm) would overwrite it; of a layer that runs
    several times the last output stays.

    Parameters
    ----------
    network : nn.Module
        Network.
    names : iterable of str
        Dotted names of its modules.
    sink : callable, optional
        Called with the name and the output [image, unit] at each run of a layer, in place of keeping a copy:
        it must copy what it keeps before it returns. So not all outputs are held in memory at once.

    Attributes
    ----------
    outputs : dict of str to tensor [image, unit]
        Flattened outputs of the last forward pass, on the network's device; empty with a sink.

    Raises
    ------
    ValueError
        The network has no such module; or, while it runs, a layer gives something other than a tensor.
    """

    def __init__(self, network: nn.Module, names: Iterable[str], sink: Sink | None = None) -> None:
        modules = dict(network.named_modules())
        self._modules: dict[str, nn.Module] = {}
        for name in names:
            if name not in modules:
                near = get_close_matches(name, modules, n=3)
                hint = f": did you mean {' or '.join(near)}?" if near else ""
                raise ValueError(f"the network has no layer {name!r}{hint}")
            self._modules[name] = modules[name]
        self._sink = sink or self._keep
        self._handles: list[RemovableHandle] = []
        self.outputs: dict[str, torch.Tensor] = {}

    def __enter__(self) -> Self:
        for name, module in self._modules.items():
            self._handles.append(module.register_forward_hook(self._hook(name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def take(module: nn.Module, inputs: Any, output: Any) -> None:
            del inputs
            if not isinstance(output, torch.Tensor) or output.ndim < 2:
                raise ValueError(f"the layer {name!r} ({type(module).__name__}) gives no tensor [image, ...]")
            self._sink(name, output.detach().flatten(1))

        return take

    def _keep(self, name: str, output: torch.Tensor) -> None:
        # clone always: flattening may or may not have copied, depending on the memory layout of the output.
        self.outputs[name] = output.clone()
