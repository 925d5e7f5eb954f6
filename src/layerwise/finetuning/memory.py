"""The memory that a step of training takes, counted without running it.

PyTorch's fake tensors have shapes and no values. The step itself runs on them, and each storage counts from where it is
made to where nothing holds it: weights, gradients, the optimiser's memory, what autograd keeps, and what lies between.
Not counted is what libraries take inside of their kernels, and what an allocator cannot fill.
"""

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from layerwise.finetuning.networks import set_training
from layerwise.finetuning.optimisers import make_optimiser
from layerwise.finetuning.step import PlainStep
from layerwise.interfaces.finetuning import FinetuneSettings

BLOCK = 512  # bytes: PyTorch's allocator on a GPU gives out no less


def step_memory(network: nn.Module, size: int, settings: FinetuneSettings) -> int:
    """Return the bytes that a step of training takes at most, of which none are allocated.

    Parameters
    ----------
    network : nn.Module
        With its head of one unit, on the device "meta" (`build_empty`). It is changed: its tensors are fake afterwards.
    size : int
        Side of the square input, pixels.
    settings : FinetuneSettings
        Optimiser, precision, images of a batch, and parts into which it is divided.
    """
    counted = _Counted()
    with FakeTensorMode(allow_non_fake_inputs=True), counted:
        _make_fake(network)
        set_training(network, settings)
        optimiser = make_optimiser(network.parameters(), settings)
        _take_memory_of(optimiser, network)
        inputs, targets = torch.empty(settings.batch_size, 3, size, size), torch.empty(settings.batch_size)
        counted.most = counted.now
        PlainStep(network, optimiser, settings, settings.accumulate or 1).compute(inputs, targets)
    return counted.most


def _make_fake(network: nn.Module) -> None:
    """Put tensors of the CPU, which autocast knows, in place of those of "meta", which have no values either."""
    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(_like(parameter), parameter.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = _like(buffer)


def _like(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype)


def _take_memory_of(optimiser: torch.optim.Optimizer, network: nn.Module) -> None:
    """Let the optimiser make what it remembers, as after a first step, and update in place, as it does on a GPU."""
    for group in optimiser.param_groups:
        group["fused"], group["foreach"] = True, False
    for parameter in network.parameters():
        parameter.grad = torch.empty_like(parameter) if parameter.requires_grad else None
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


class _Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all storages that are alive.

    Attributes
    ----------
    now, most : int
        Bytes.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._known = weakref.WeakSet[torch.UntypedStorage]()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_iter(made):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:  # of a view, or of what was changed in place
            return
        self._known.add(storage)
        size = -(-storage.nbytes() // BLOCK) * BLOCK
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._release, size)

    def _release(self, size: int) -> None:
        self.now -= size
