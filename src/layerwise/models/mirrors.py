"""Weights under timm's names, for networks of other libraries: the same tensors in the same order."""

from pathlib import Path

import torch
from torch import nn

from layerwise.models.registry import Mirror
from layerwise.models.states import State


def timm_names(network: str) -> list[str]:
    """Return the names of the tensors of a timm network, in its order; no weights are made."""
    import timm

    with torch.device("meta"):
        return list(timm.create_model(network).state_dict())


def rename_from_timm(network: nn.Module, state: State, mirror: Mirror, source: str | Path) -> State:
    """Rename tensors from timm's names to those that the network has at the same place.

    Parameters
    ----------
    network : nn.Module
        Of another library than timm.
    state : dict of str to tensor
        Under timm's names, in any order.
    mirror : Mirror
        Says which timm network it is. That the order of tensors gives their meaning is proven by
        `layerwise.models.equivalence`, pair by pair.
    source : path
        Where the weights come from, for the message.

    Raises
    ------
    ValueError
        The weights are not those of that timm network.
    """
    theirs, ours = timm_names(mirror.network), list(network.state_dict())
    lacking = [name for name in theirs if name not in state and not name.endswith(".num_batches_tracked")]
    if lacking or len(theirs) != len(ours) or not state.keys() <= set(theirs):
        raise ValueError(f"{source} has the name of the weights of timm's {mirror.network}, but does not hold them")
    return {our: state[their] for our, their in zip(ours, theirs, strict=True) if their in state}
