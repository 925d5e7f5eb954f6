"""What an adapter of a library provides."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from layerwise.interfaces import ModelSpec
from layerwise.interfaces.failures import describe_failure
from layerwise.models.states import State

UNFORESEEN = (LookupError, AssertionError, AttributeError, ArithmeticError)  # adapters explain the others
Transform = Callable[[Image], torch.Tensor]  # a photograph to [channel, height, width]


def no_transform(constructor: str) -> Transform:
    """Refuse: no preparation is stated."""
    raise ValueError(f"nobody states how a photograph is prepared for {constructor!r}")


def usual_transform(resize: int, size: int, interpolation: str) -> Transform:
    """Return the preparation of ImageNet's usual training code: resize, centre crop, usual mean and spread."""
    from torchvision import transforms

    filters = {mode.value: mode for mode in transforms.InterpolationMode}
    steps: Transform = transforms.Compose(
        [
            transforms.Resize(resize, filters[interpolation]),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    return steps


def as_published(constructor: str, state: State) -> State:
    """Leave the official weights of a network as they are."""
    del constructor
    return state


@dataclass(frozen=True)
class Adapter:
    """One library of networks; the library itself is imported when a network is asked for.

    Parameters
    ----------
    build : callable
        Builds a network without trained weights.
    pretrained : callable
        Builds a network that the registry does not hold, with the library's own official weights; they are
        kept in the folder given. Raises ValueError where the library offers none.
    adapt : callable
        Makes of official weights what fits the network called so, as the library does when it loads them:
        old names, left-over parts, a class too many.
    transform : callable
        Returns the library's own preparation of a photograph for the network called so, to compare ours with.
        Raises ValueError where the library has none.
    documented : bool
        No code of the library makes `transform`: it is written out here as the library's documentation has it.
    """

    build: Callable[[ModelSpec], nn.Module]
    pretrained: Callable[[ModelSpec, Path | None], nn.Module]
    adapt: Callable[[str, State], State] = as_published
    transform: Callable[[str], Transform] = no_transform
    documented: bool = False


def call_constructor(constructor: Callable[..., Any], spec: ModelSpec, **options: Any) -> nn.Module:
    """Call a constructor with the options of a study.

    Raises
    ------
    ValueError
        It does not take those options, or gives something other than a torch network.
    """
    try:
        network = constructor(**options, **spec.options)
    except TypeError as error:
        raise ValueError(f"{spec.constructor!r} cannot be built with the options {spec.options}: {error}") from error
    except UNFORESEEN as error:
        raise ValueError(
            f"{spec.constructor!r} cannot be built with the options {spec.options}: {describe_failure(error)}"
        ) from error
    network = bare(network)
    if isinstance(network, torch.jit.ScriptModule):
        raise ValueError(f"{spec.constructor!r} gave a TorchScript program, whose layers cannot be looked into")
    if not isinstance(network, nn.Module):
        raise ValueError(f"{spec.constructor!r} gave {type(network).__name__}, not a torch.nn.Module")
    return network


def bare(network: Any) -> Any:
    """Unwrap a network from modules that distribute, average or compile it: alone it computes the same."""
    while True:
        if isinstance(network, nn.DataParallel | DistributedDataParallel | AveragedModel):
            network = network.module
        elif isinstance(network, nn.Module) and isinstance(getattr(network, "_orig_mod", None), nn.Module):
            network = network._orig_mod
        else:
            return network


def nothing_official(library: str) -> Callable[[ModelSpec, Path | None], nn.Module]:
    """Make the `pretrained` of a library whose verified weights are all in the registry."""

    def refuse(spec: ModelSpec, folder: Path | None) -> nn.Module:
        del folder
        raise ValueError(
            f"no verified weights are known for {library}'s {spec.constructor!r}: give the path of a file, or `random`"
        )

    return refuse


def unknown(library: str, name: str, known: list[str]) -> ValueError:
    """Make the error for a name that a library does not have, with the nearest names that it has."""
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f": did you mean {' or '.join(near)}?" if near else ""
    return ValueError(f"{library} has no network {name!r}{hint}")
