"""What counts as a layer of a network."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

import torch
from torch import nn

from layerwise.interfaces import LayerChoice, LayerSpec, counted
from layerwise.layers.choosing import Reducer, choose_names, require_matched
from layerwise.layers.functions import find_functions
from layerwise.layers.manifest import Skipped
from layerwise.layers.outputs import reduced_shape, sole_tensor, tensors_in
from layerwise.layers.repeats import find_repeats
from layerwise.layers.running import run_network

MIN_UNITS = 25  # as many as there are latent variables
BATCHES = (2, 3)  # images: a module whose row count equals one of them by chance does not equal the other

LEAVES = LayerChoice()

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Survey:
    """What runs of a network showed.

    Parameters
    ----------
    layers : list of LayerSpec
        In order of depth.
    skipped : list of Skipped
        Modules that were chosen and ran but give nothing that can be regressed on, in order of depth.
    others : list of Skipped
        What else runs and is no layer: modules that were not chosen, of too few units or repeated; and functions.
    """

    layers: list[LayerSpec]
    skipped: list[Skipped]
    others: list[Skipped]


def list_layers(network: nn.Module, input_size: int, min_units: int = MIN_UNITS) -> list[LayerSpec]:
    """List the layers of a network; modules that had to be skipped are logged as a warning.

    Parameters and errors are those of `survey_layers`.
    """
    survey = survey_layers(network, input_size, min_units)
    if survey.skipped:
        reasons = Counter(module.reason for module in survey.skipped)
        text = "; ".join(f"{count} {reason}" for reason, count in reasons.items())
        names = ", ".join(module.layer for module in survey.skipped)
        log.warning("%s left out: %s (%s)", counted(len(survey.skipped), "module is", "modules are"), text, names)
    return survey.layers


def survey_layers(
    network: nn.Module,
    input_size: int,
    min_units: int = MIN_UNITS,
    choice: LayerChoice = LEAVES,
    strict: bool = True,
) -> Survey:
    """Run a network on zeros and see which of its modules are layers.

    A layer is a module without children, or one that was chosen, that runs in eval mode and gives at least `min_units`
    values an image. It counts once, under its first name; if it runs several times, its last run counts. Weights do
    not matter. Without a choice, this is the definition whose count over the paper's 64 networks is 16,862, where the
    paper reports 16,860.

    Parameters
    ----------
    network : nn.Module
        Its training flags are restored afterwards.
    input_size : int
        Side of the square input, pixels.
    min_units : int
        Fewest values for one image.
    choice : LayerChoice
        Which modules, and what of their outputs; default: modules without children, whole.
    strict : bool
        Whether each pattern of the choice must give a layer.

    Raises
    ------
    ValueError
        The network does not run on such an input, or has no layer; or a pattern of the choice gives none.
    """
    with _evaluating(network):
        survey = _survey(network, input_size, min_units, choice, strict)
        images = _zeros(network, BATCHES[0], input_size)
        taken = {layer.name: (layer.reduced, layer.reduced and layer.shape) for layer in survey.layers}
        repeats = find_repeats(network, list(taken), images, taken)
        survey.others.extend(_functions(network, images))
    layers = [replace(layer, same_as=repeats.get(layer.name, "")) for layer in survey.layers]
    if choice.repeated == "keep":
        return replace(survey, layers=layers)
    others = [Skipped(one.name, one.kind, f"gives the same as {one.same_as}") for one in layers if one.same_as]
    return Survey(leave_out_repeated(layers), survey.skipped, survey.others + others)


def _survey(network: nn.Module, input_size: int, min_units: int, choice: LayerChoice, strict: bool) -> Survey:
    """Find the layers of a network, without asking which give the same."""
    chosen, unpacked = choose_names(network, choice), choice.which != "leaves"
    first, second = (_run(network, n_images, input_size, unpacked) for n_images in BATCHES)
    reducer = Reducer(network, choice, (seen.shape for seen in first.values()))
    survey = Survey([], [], [])
    for name, seen in first.items():
        kept, problem = name in chosen, seen.reason or _disagreement(seen.shape, second.get(name))
        if problem or not kept:
            told = survey.skipped if kept else survey.others
            told.append(Skipped(name, seen.kind, problem if kept else seen.unchosen))
            continue
        reduced = reducer.of(seen.shape)
        shape = reduced_shape(seen.shape, reduced)
        if prod(shape) >= min_units:
            depth = len(survey.layers) + 1
            survey.layers.append(LayerSpec(name, seen.kind, shape, prod(shape), depth, reduced=reduced))
        else:
            few = f"gives {prod(shape)} values an image, fewer than {min_units}"
            survey.others.append(Skipped(name, seen.kind, few))
    if strict:
        reasons = {one.layer: one.reason for one in survey.skipped + survey.others}
        require_matched(network, choice, {layer.name for layer in survey.layers}, reasons)
    if not survey.layers:
        raise ValueError(f"the network has no layer with at least {min_units} units")
    _warn_of_whole([layer.name for layer in survey.layers if reducer.leaves_whole(layer)])
    return survey


def _functions(network: nn.Module, images: torch.Tensor) -> list[Skipped]:
    try:
        return find_functions(network, images)
    except ValueError as error:  # such as of code that overrides PyTorch's functions itself; no layer depends on it
        log.warning("which functions run between modules is not listed: %s", error)
        return []


def _warn_of_whole(names: Sequence[str]) -> None:
    if names:
        log.warning(
            "`tokens` leaves %s whole, of which the first side is not the network's number of tokens: %s",
            counted(len(names), "layer"),
            ", ".join(names[:3]) + (", ..." if len(names) > 3 else ""),
        )


def leave_out_repeated(layers: Sequence[LayerSpec]) -> list[LayerSpec]:
    """Leave out the layers that give the same as one before them."""
    return leave_out(layers, {layer.name for layer in layers if layer.same_as})


def leave_out(layers: Sequence[LayerSpec], names: Collection[str]) -> list[LayerSpec]:
    """Leave layers out, and close the gaps in the depths of the others.

    Parameters
    ----------
    layers : sequence of LayerSpec
        In order of depth.
    names : collection of str
        Names of layers that do not count, such as modules that a library added after a study.

    Raises
    ------
    ValueError
        A name is no layer.
    """
    unknown = set(names) - {layer.name for layer in layers}
    if unknown:
        raise ValueError(f"cannot leave out {', '.join(sorted(unknown))}: no such layer")
    kept = [layer for layer in layers if layer.name not in names]
    first: dict[str, str] = {}  # of the layers that gave the same as one that is left out, the one that is kept first
    for layer in kept:
        if layer.same_as in names:
            first.setdefault(layer.same_as, layer.name)
    origins = {layer.name: first.get(layer.same_as, layer.same_as) for layer in kept}
    return [
        replace(layer, depth=depth, same_as=origins[layer.name] if origins[layer.name] != layer.name else "")
        for depth, layer in enumerate(kept, start=1)
    ]


class _Seen(NamedTuple):
    """What a module gave when it ran last: its class, the shape for one image, and why it is no layer, or nothing.

    `unchosen` is what to say of it if it was not chosen.
    """

    kind: str
    shape: tuple[int, ...]
    reason: str
    unchosen: str


def _run(network: nn.Module, n_images: int, input_size: int, unpacked: bool) -> dict[str, _Seen]:
    """Run a network on black images, and return what its modules gave, in order of their last run.

    Of tuples and mappings with one tensor, `unpacked` takes that.
    """
    seen: dict[str, _Seen] = {}

    def note(name: str, module: nn.Module, output: Any) -> None:
        seen.pop(name, None)
        found = sole_tensor(output) if unpacked else output
        reason = _unusable(output, found, n_images, unpacked)
        shape = () if reason or found is None else tuple(found.shape[1:])
        holds = (
            "is not chosen by `layers`" if _is_leaf(module) else "holds other modules, and is not chosen by `layers`"
        )
        seen[name] = _Seen(type(module).__name__, shape, reason, holds)

    with _listening(network, note), torch.inference_mode():
        run_network(network, _zeros(network, n_images, input_size))
    return seen


def _zeros(network: nn.Module, n_images: int, input_size: int) -> torch.Tensor:
    parameter = next(network.parameters(), torch.empty(0))
    return torch.zeros(n_images, 3, input_size, input_size, device=parameter.device)


def _is_leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None


@contextmanager
def _listening(network: nn.Module, note: Callable[[str, nn.Module, Any], None]) -> Iterator[None]:
    handles = [
        module.register_forward_hook(lambda module, _, output, name=name: note(name, module, output))
        for name, module in network.named_modules()
        if name  # the whole network has none
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _unusable(output: Any, found: Any, n_images: int, unpacked: bool) -> str:
    """Say why an output is no layer, given the tensor that was found in it."""
    if not isinstance(found, torch.Tensor):
        several = len(list(tensors_in(output))) if unpacked else 0
        held = f"of {several} tensors " if several > 1 else ""
        return f"gives {type(output).__name__} {held}instead of a tensor"
    if found.ndim < 2 or found.shape[0] != n_images:
        return "does not give one row an image"
    if not found.dtype.is_floating_point:
        return f"gives {str(found.dtype).removeprefix('torch.')} instead of real numbers"
    return ""


def _disagreement(shape: tuple[int, ...], other: _Seen | None) -> str:
    """Return what is wrong with a module of this shape in one batch, given what was seen in one of another size."""
    if other is None:
        return "runs for some numbers of images only"
    return other.reason or ("" if other.shape == shape else "gives another shape for another number of images")


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
