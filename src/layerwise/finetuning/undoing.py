"""Puts a network and its optimiser back to where they were before steps that are no training."""

import torch
from torch import Tensor, nn

from layerwise.finetuning.optimisers import state_tensors


class Undo:
    """Puts parameters and buffers back in place, and the optimiser's memory to zero, as it is before a first step."""

    def __init__(self, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self._network, self._optimiser = network, optimiser
        self._buffers = dict(network.named_buffers())
        self._tensors = [tensor.detach() for tensor in (*self._buffers.values(), *network.parameters())]
        self._kept = [tensor.clone() for tensor in self._tensors]

    def replaced(self) -> list[str]:
        """Name the buffers in whose place the network has put other tensors, as an assignment does."""
        now = dict(self._network.named_buffers())
        return [name for name, buffer in self._buffers.items() if now.get(name) is not buffer]

    def unsaved(self) -> list[str]:
        """Name the buffers that have changed and are not given away with the network's weights."""
        before = dict(zip(self._buffers, self._kept, strict=False))
        saved, now = self._network.state_dict().keys(), dict(self._network.named_buffers())
        return [name for name in now.keys() - saved if name not in before or not _same(now[name], before[name])]

    def __call__(self) -> None:
        """Put all back."""
        self._optimiser.zero_grad(set_to_none=True)
        for name in self.replaced():
            owner, _, last = name.rpartition(".")
            self._network.get_submodule(owner)._buffers[last] = self._buffers[name]
        with torch.no_grad():
            for tensor, kept in zip(self._tensors, self._kept, strict=True):
                tensor.copy_(kept)
            for tensor in state_tensors(self._optimiser).values():
                tensor.zero_()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self()


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())
