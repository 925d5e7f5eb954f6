"""The memory that a forward pass needs, and groups of layers that fit what is left of it. Without torch."""

from collections.abc import Callable, Sequence

from layerwise.interfaces import LayerSpec
from layerwise.layers.blocks import name_block

VALUE = 4  # bytes of a float32
NETWORK = 15 * 10**8  # weights, the CUDA context and the workspaces of convolutions
INPUT = 4 * 3 * 331**2  # values of an image on its way into the network, of the largest input that there is
OPEN_LAYERS = 6  # outputs as large as the largest that a network holds at once: a dense block keeps several


def working(layers: Sequence[LayerSpec], batch_size: int) -> int:
    """Give the bytes that a forward pass through a network needs, whatever is kept of its layers."""
    largest = max(layer.units for layer in layers)
    return NETWORK + VALUE * batch_size * (OPEN_LAYERS * largest + INPUT)


def largest_batch(layers: Sequence[LayerSpec], batch_size: int, room: int) -> int:
    """Halve a batch until a forward pass through a network fits the room, or nothing is left to halve."""
    while batch_size > 1 and working(layers, batch_size) > room:
        batch_size //= 2
    return batch_size


def group_layers(layers: Sequence[LayerSpec], fits: Callable[[Sequence[LayerSpec]], bool]) -> list[str]:
    """Make one group of layers after another as large as it may be, in order of depth.

    The end of a group is found by halving what is left. No group ends before one that `fits` if each of its first
    layers do as well.

    Parameters
    ----------
    layers : sequence of LayerSpec
        In order of depth; each fits alone.
    fits : callable
        Tells whether some neighbours can be one group.

    Returns
    -------
    list of str
        Names of blocks, as `layerwise.layers.blocks.in_block` reads them.
    """
    names, start = [], 0
    while start < len(layers):
        fitting, too_many = start + 1, len(layers) + 1
        end = len(layers)
        while too_many - fitting > 1:
            fitting, too_many = (end, too_many) if fits(layers[start:end]) else (fitting, end)
            end = (fitting + too_many) // 2
        names.append(name_block(start + 1, fitting, len(layers)))
        start = fitting
    return names
