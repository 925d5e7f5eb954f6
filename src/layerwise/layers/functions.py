"""Functions that a network's own code calls between its modules: what they give is no layer, but is named."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from layerwise.layers.manifest import Skipped
from layerwise.layers.outputs import tensors_in
from layerwise.layers.running import run_network


def find_functions(network: nn.Module, images: Tensor) -> list[Skipped]:
    """Run a network, and list the functions that give new values for each image, outside modules without children.

    What compiled code (TorchScript) calls is not seen.

    Parameters
    ----------
    network : nn.Module
        In eval mode.
    images : Tensor [image, channel, height, width]
        On its device; their values do not matter.

    Returns
    -------
    list of Skipped
        A row for each module and function, in the order of their first call. The name is that of the module whose code
        calls the function, a colon, and the function's; of the whole network's own code, the function's alone.
    """
    calls = _Calls(len(images))
    with torch.no_grad(), _watching(network, calls), calls:
        run_network(network, images)
    return [
        Skipped(f"{module}:{function}" if module else function, "function", f"is no module, but a function{_often(n)}")
        for (module, function), n in calls.found.items()
    ]


class _Calls(TorchFunctionMode):
    """Counts the calls of functions by the module whose code calls them."""

    def __init__(self, n_images: int) -> None:
        super().__init__()
        self.inside: list[str | None] = []  # modules that run; None is one without children
        self.found: Counter[tuple[str, str]] = Counter()
        self._n_images = n_images

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        given = kwargs or {}
        before = [_state(one) for one in (*args, *given.values())]
        output = function(*args, **given)
        where = self.inside[-1] if self.inside else None
        if where is not None and any(self._is_new(tensor, before) for tensor in tensors_in(output)):
            self.found[where, _name(function)] += 1
        return output

    def _is_new(self, output: Tensor, before: Sequence[Any]) -> bool:
        """Return whether a function gave values of each image, other than a view of what it was given."""
        of_images = output.ndim > 1 and len(output) == self._n_images
        return of_images and output.is_floating_point() and _state(output) not in before


@contextmanager
def _watching(network: nn.Module, calls: _Calls) -> Iterator[None]:
    """Tell which module runs, while the block runs the network."""

    def enter(name: str | None) -> Callable[[nn.Module, Any], None]:
        return lambda _module, _inputs: calls.inside.append(name)

    def leave(_module: nn.Module, _inputs: Any, _output: Any) -> None:
        calls.inside.pop()

    handles = []
    for name, module in network.named_modules():
        is_leaf = bool(name) and next(module.children(), None) is None
        handles.append(module.register_forward_pre_hook(enter(None if is_leaf else name)))
        handles.append(module.register_forward_hook(leave))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _state(value: Any) -> tuple[int, int] | None:
    """Say where a tensor's values lie, and how often they were changed."""
    if not isinstance(value, Tensor) or value.is_inference() or value.layout != torch.strided:
        return None
    return value.untyped_storage()._cdata, value._version


def _name(function: Any) -> str:
    name: str = resolve_name(function) or getattr(function, "__name__", repr(function))
    return name.rpartition(".")[2].strip("_")


def _often(times: int) -> str:
    return "" if times == 1 else f" that is called {times} times"
