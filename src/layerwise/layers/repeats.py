"""Modules that pass on the output of a layer before them, unchanged: its values are in the study already.

Identity, dropout in eval mode and views give what they are given. That is seen from where a tensor lies in memory, and
from the count of changes that PyTorch keeps of it, not from its values: two layers may agree on a few images, or with
some weights, alone. A copy of the same values, such as a pooling of one pixel makes, is not found.
"""

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from layerwise.layers.outputs import sole_tensor
from layerwise.layers.running import run_network

Place = tuple[Any, ...]


def find_repeats(
    network: nn.Module, names: Collection[str], images: Tensor, taken: Mapping[str, Hashable] | None = None
) -> dict[str, str]:
    """Run a network, and find the layers that give what another one gave before.

    Parameters
    ----------
    network : nn.Module
        In eval mode.
    names : collection of str
        Names of its layers.
    images : Tensor [image, channel, height, width]
        On its device; their values do not matter.
    taken : mapping of str to hashable, optional
        What is taken of a layer's output; default: the whole. Layers of which other parts are taken do not repeat each
        other.

    Returns
    -------
    dict of str to str
        For each layer that repeats one, the first that gave the same. As everywhere, the last run of a layer counts.
    """
    seen: dict[str, Place] = {}
    kept: list[StorageWeakRef] = []  # the number of a storage is not given away while a reference is held

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def take(_module: nn.Module, _inputs: Any, output: Any) -> None:
            seen.pop(name, None)
            place = _place(sole_tensor(output), kept)
            if place is not None:
                seen[name] = (*place, (taken or {}).get(name))

        return take

    handles = [network.get_submodule(name).register_forward_hook(note(name)) for name in names]
    try:
        with torch.no_grad():  # in inference mode PyTorch does not count changes
            run_network(network, images)
    finally:
        for handle in handles:
            handle.remove()
    return _repeats(seen)


def _place(output: Tensor | None, kept: list[StorageWeakRef]) -> Place | None:
    """Say where the values of a tensor lie, and how often they were changed; None where that is not known."""
    if output is None or output.layout != torch.strided or output.is_inference():
        return None
    kept.append(StorageWeakRef(output.untyped_storage()))  # type: ignore[no-untyped-call]
    # The order of the units: that of the memory, or, where that is another one, given by shape and strides.
    order = output.numel() if output.is_contiguous() else (tuple(output.shape), output.stride())
    return kept[-1].cdata, output._version, output.storage_offset(), output.dtype, order


def _repeats(seen: dict[str, Place]) -> dict[str, str]:
    first: dict[Place, str] = {}
    for name, place in seen.items():
        first.setdefault(place, name)
    return {name: first[place] for name, place in seen.items() if first[place] != name}
