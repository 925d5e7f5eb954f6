"""What of a module's output is a layer: the one tensor in it, and what it is reduced to."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def taken(output: Any, reduced: str) -> Any:
    """Return what of a module's output is its layer; the output itself where it holds no one tensor.

    Parameters
    ----------
    output : Any
        Of the module: a tensor [image, ...], or a tuple or mapping with one in it.
    reduced : str
        As `LayerSpec.reduced` says.
    """
    found = sole_tensor(output)
    if found is None:
        return output
    return reduce(found, reduced) if reduced else found


def sole_tensor(output: Any) -> Tensor | None:
    """Return the tensor that an output is, or the only one that it holds; None where there are none or several."""
    if isinstance(output, Tensor):
        return output
    found = list(tensors_in(output))
    return found[0] if len(found) == 1 else None


def reduce(output: Tensor, reduced: str) -> Tensor:
    """Reduce an output.

    Parameters
    ----------
    output : Tensor [image, ...]
        Whole.
    reduced : str
        ``token 0``: the first token of [token, channel]; ``tokens 1-``: the mean over those from the second on;
        ``mean 2 3`` or ``max 2 3``: over these dimensions, the images being dimension 0.

    Returns
    -------
    Tensor [image, channel]
    """
    how, _, where = reduced.partition(" ")
    if how == "token":
        return output[:, int(where)]
    if how == "tokens":
        return output[:, int(where.removesuffix("-")) :].mean(1)
    dimensions = tuple(int(dimension) for dimension in where.split())
    return output.mean(dimensions) if how == "mean" else output.amax(dimensions)


def reduced_shape(shape: tuple[int, ...], reduced: str) -> tuple[int, ...]:
    """Return the shape for one image of an output of this shape once it is reduced."""
    if not reduced:
        return shape
    return tuple(reduce(torch.empty(1, *shape, device="meta"), reduced).shape[1:])


def tensors_in(output: Any) -> Iterator[Tensor]:
    """Find the tensors in what a module or function gives, within tuples, lists and mappings."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for part in output.values():
            yield from tensors_in(part)
    elif isinstance(output, list | tuple):
        for part in output:
            yield from tensors_in(part)
