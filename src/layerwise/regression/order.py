"""The ascending order of millions of numbers."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MANY_ALIKE = 8  # of numbers, one: then keys tell too little


def ascending(values: Tensor, tolerance: Tensor) -> tuple[Tensor, Tensor]:
    """Order values, and tell which of them tie.

    Parameters
    ----------
    values : Tensor [value]
        Float64, finite, not all the same.
    tolerance : Tensor []
        Neighbours that differ by no more tie.

    Returns
    -------
    order : int64 Tensor [value]
        The places of ascending values.
    ties : int64 Tensor [tie]
        Positions in this order of values that tie with the next one, ascending.
    """
    if values.is_cuda:
        ordered, order = values.sort()
        return order, (torch.diff(ordered) <= tolerance).nonzero()[:, 0]
    found, near = _by_keys(values.numpy(), float(tolerance))
    order, places = torch.from_numpy(found), torch.from_numpy(near)
    steps = values[order[places + 1]] - values[order[places]]
    return order, places[steps <= tolerance]


def _by_keys(values: NDArray[np.float64], tolerance: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order, and positions after which a step may be within the tolerance.

    Integers with the value in their upper digits and its place in the lower ones are sorted three times as fast as
    places by values. Where the upper digits are alike, the values decide.
    """
    bits, least = len(values).bit_length(), values.min()
    with np.errstate(over="ignore"):
        scale = 2.0 ** (62 - bits) / (values.max() - least)
    if not np.isfinite(scale):
        return np.argsort(values), np.arange(len(values) - 1)
    keys = ((values - least) * scale).astype(np.int64)
    keys <<= bits
    keys |= np.arange(len(values))
    keys.sort()
    order = keys & (2**bits - 1)
    keys >>= bits
    steps = np.diff(keys)
    alike = np.flatnonzero(steps == 0)
    if len(alike) > len(values) // MANY_ALIKE:
        return np.argsort(values), np.arange(len(values) - 1)
    places = np.union1d(alike, alike + 1)
    some = order[places]
    order[places] = some[np.lexsort((values[some], keys[places]))]
    return order, np.flatnonzero(steps <= tolerance * scale + 2)
