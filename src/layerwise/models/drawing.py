"""Checks that random weights follow the seed, and weights of lazy modules."""

import logging
from collections.abc import Callable, Iterator
from itertools import chain

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from layerwise.files import reraise_memory
from layerwise.interfaces.failures import describe_failure
from layerwise.models.states import name_some

log = logging.getLogger(__name__)


def require_drawn(network: nn.Module, other: nn.Module, name: str) -> None:
    """Refuse an untrained control whose weights are not drawn.

    Values that are the same under another seed were loaded, or drawn from a generator that the seed does not reach;
    constants, as of biases and normalisations, are neither. Parameters that need no gradient may be fixed by design:
    a few of them are told in a warning.

    Parameters
    ----------
    network, other : nn.Module
        Built in the same way under two seeds.
    name : str
        Of the factory, for the message.

    Raises
    ------
    ValueError
        Weights do not follow the seed, of which the message names some; or there are none that could.
    """
    values = dict(_learned(network))
    same = {key for key, value in _learned(other) if key in values and _is_fixed(values[key], value)}
    learned = [key for key in same if not isinstance(values[key], nn.Parameter) or values[key].requires_grad]
    fixed, total = (sum(values[key].numel() for key in keys) for keys in (same, values))
    if learned or 2 * fixed > total:
        raise ValueError(
            f"the factory {name!r} gives the same weights whatever the seed ({name_some(sorted(same))}): it loads "
            "them, or seeds itself, so that with `weights: random` the control would be no untrained network; let it "
            "take an option that leaves them untrained, and keep what is fixed by design in buffers or without gradient"
        )
    if all(key in values and _equal(values[key], value) for key, value in _learned(other)):
        raise ValueError(
            f"the factory {name!r} gives a network in which nothing follows the seed: with `weights: random` it would "
            "be no untrained control; keep what is drawn in parameters, or leave `weights` out"
        )
    if same:
        log.warning("%s: the same whatever the seed, taken for fixed by design: %s", name, name_some(sorted(same)))


def require_repeated(network: nn.Module, again: nn.Module, name: str) -> None:
    """Refuse weights that are others at each call: each job of the workflow builds its network anew.

    Parameters
    ----------
    network, again : nn.Module
        Built in the same way under the same seed.
    name : str
        Of the factory, for the message.

    Raises
    ------
    ValueError
        Their weights differ; the message names them.
    """
    one, other = network.state_dict(), again.state_dict()
    differing = [key for key in one if key not in other or not _equal(one[key], other[key])]
    if differing:
        raise ValueError(
            f"{name!r} gives other weights at each call, under the same seed: {name_some(differing)}; each job would "
            "run another network: let it draw from the global generators of torch, numpy or random"
        )


def fill_lazy(network: nn.Module, size: Callable[[], int]) -> None:
    """Fill the weights of lazy modules by running two black images.

    Parameters
    ----------
    network : nn.Module
        Changed in place, and set to eval mode, if it has lazy modules.
    size : callable
        Returns the side of the input, pixels.

    Raises
    ------
    ValueError
        The network raises something, or a lazy module does not run.
    """
    if not _lazy(network):
        return
    side = size()
    try:
        with torch.no_grad():  # inference mode would leave weights that cannot be changed any more
            network.eval()(torch.zeros(2, 3, side, side))
    except Exception as error:
        reraise_memory(error, f"running the network on 2 images of {side} pixels")
        raise ValueError(
            f"the network has lazy modules, and does not run on 2 images of {side} pixels: {describe_failure(error)}"
        ) from error
    if _lazy(network):
        raise ValueError(f"lazy modules of the network do not run, and have no weights: {name_some(_lazy(network))}")


def _lazy(network: nn.Module) -> list[str]:
    values = chain(network.named_parameters(), network.named_buffers())
    return [name for name, value in values if is_lazy(value)]


def _learned(network: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield parameters, and the statistics that normalisations learn."""
    yield from network.named_parameters()
    for name, value in network.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            yield name, value


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())


def _is_fixed(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape or not torch.equal(one, other):
        return False
    return one.numel() > 0 and bool(one.min() < one.max())
