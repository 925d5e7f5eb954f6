"""Blocks of layers: the unit of work of a job. Without torch: the workflow plans with it."""

import re
from collections.abc import Iterable, Sequence

from layerwise.interfaces import LayerSpec


def distinct(layers: Iterable[LayerSpec]) -> list[LayerSpec]:
    """Return the layers that give values of their own, in the order given: those of the others are copied."""
    return [layer for layer in layers if not layer.same_as]


def blocks(n_layers: int, layers_per_job: int) -> list[str]:
    """Cut the layers of a network, in order of depth, into blocks.

    Parameters
    ----------
    n_layers : int
        Number of layers.
    layers_per_job : int
        Largest number of layers in a block.

    Returns
    -------
    list of str
        First and last rank, from 1: ``["001-032", "033-052"]``; a block of one layer is ``"007"``.

    Raises
    ------
    ValueError
        A number is below 1.
    """
    if n_layers < 1 or layers_per_job < 1:
        raise ValueError(f"cannot cut {n_layers} layers into blocks of {layers_per_job}: both must be 1 or more")
    starts = range(1, n_layers + 1, layers_per_job)
    return [name_block(start, min(start + layers_per_job - 1, n_layers), n_layers) for start in starts]


def in_block(layers: Sequence[LayerSpec], block: str) -> list[LayerSpec]:
    """Return the layers of a block, in order of depth; those that repeat another one are in no block.

    Parameters
    ----------
    layers : sequence of LayerSpec
        All layers of the network.
    block : str
        A name that `blocks` gives.

    Raises
    ------
    ValueError
        The name is none of a block, or reaches beyond the layers.
    """
    match = re.fullmatch(r"(\d{3,})(?:-(\d{3,}))?", block)
    if match is None:
        raise ValueError(f"no block {block!r}: it looks like 001-032, or 007 for one layer")
    first, last = int(match[1]), int(match[2] or match[1])
    own = distinct(layers)
    if not 1 <= first <= last <= len(own):
        raise ValueError(f"no block {block!r}: the network has the layers 1 to {len(own)}")
    return sorted(own, key=lambda layer: layer.depth)[first - 1 : last]


def name_block(first: int, last: int, n_layers: int) -> str:
    """Name the block from one rank to another, both from 1 and both in it, of a network with `n_layers` layers."""
    width = max(3, len(str(n_layers)))
    return f"{first:0{width}d}" if first == last else f"{first:0{width}d}-{last:0{width}d}"
