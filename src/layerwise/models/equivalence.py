"""Proof that the network of a mirror is ours: equal parameters give equal outputs of every layer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from layerwise.models.building import build
from layerwise.models.mirrors import rename_from_timm
from layerwise.models.registry import RegistryRow
from layerwise.models.states import load_state

TOLERANCE = 1e-5  # of the largest absolute output of a layer

Sink = Callable[[str, torch.Tensor], None]


def prove_equivalence(row: RegistryRow, seed: int = 0) -> int:
    """Run a network and its mirror on one image with the same random parameters, and compare every layer.

    Parameters, running means and running variances are all drawn anew, so that nothing is equal by being left
    at its initial value. The tensors travel as those of a fetched mirror do. Compared are all modules that
    hold parameters, in the order in which they run, and the scores.

    Parameters
    ----------
    row : RegistryRow
        With a mirror.
    seed : int
        Of the parameters and of the image.

    Returns
    -------
    int
        Number of layers that are equal.

    Raises
    ------
    ValueError
        The row has no mirror, or the two differ; the message says where first.
    """
    import timm

    if row.mirror is None or row.preprocessing is None:
        raise ValueError(f"{row.name!r} has no mirror")
    generator = torch.Generator().manual_seed(seed)
    theirs = timm.create_model(row.mirror.network).eval()
    _draw(theirs, generator)
    ours = build(row.name)
    load_state(ours, rename_from_timm(ours, theirs.state_dict(), row.mirror, row.mirror.network), row.name)
    return compare_layers(ours, theirs, row.preprocessing.size, generator)


def compare_layers(ours: nn.Module, theirs: nn.Module, size: int, generator: torch.Generator) -> int:
    """Compare the outputs of two networks whose tensors come in the same order, in double precision.

    Parameters
    ----------
    ours, theirs : nn.Module
        Networks; they are left in double precision.
    size : int
        Side of the square input, pixels.
    generator : torch.Generator
        Draws the image.

    Returns
    -------
    int
        Number of layers that are equal.

    Raises
    ------
    ValueError
        They differ.
    """
    pairs = dict(zip(_owners(theirs), _owners(ours), strict=True))
    image = torch.randn(1, 3, size, size, generator=generator, dtype=torch.float64)
    expected: list[tuple[str, torch.Tensor]] = []
    with torch.inference_mode():
        with _listening(ours, list(pairs.values()), lambda name, output: expected.append((name, output))):
            scores = ours.double()(image)
        waiting = iter(expected)
        with _listening(
            theirs,
            list(pairs),
            lambda name, output: _compare_next(waiting, pairs[name], output, theirs, name),
        ):
            their_scores = theirs.double()(image)
    left = next(waiting, None)
    if left is not None:
        raise ValueError(f"{left[0]!r} runs in ours alone")
    _compare("the scores", scores, their_scores)
    return len(expected)


def _draw(network: nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("running_var") or (value.ndim == 1 and name.endswith("weight")):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.is_floating_point():
                spread = value[0].numel() ** -0.5 if value.ndim > 1 else 0.1
                value.normal_(0, spread, generator=generator)


def _owners(network: nn.Module) -> list[str]:
    """Name the modules that hold tensors, in the order of these."""
    return list(dict.fromkeys(name.rpartition(".")[0] for name in network.state_dict()))


@contextmanager
def _listening(network: nn.Module, names: Sequence[str], sink: Sink) -> Iterator[None]:
    def hook(name: str) -> Any:
        return lambda module, inputs, output: sink(name, output.to(torch.float32, copy=True))

    handles = [network.get_submodule(name).register_forward_hook(hook(name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _compare_next(
    waiting: Iterator[tuple[str, torch.Tensor]],
    name: str,
    output: torch.Tensor,
    theirs: nn.Module,
    their: str,
) -> None:
    ours, expected = next(waiting, ("nothing", output))
    if ours != name:
        raise ValueError(f"after the layers so far, {ours!r} runs in ours and {their!r} in the mirror")
    activation = getattr(theirs.get_submodule(their), "act", None)  # timm's norms may hold the ReLU that follows
    _compare(repr(name), expected if activation is None else activation(expected.clone()), output)


def _compare(what: str, ours: torch.Tensor, theirs: torch.Tensor) -> None:
    if ours.shape != theirs.shape:
        raise ValueError(f"{what} gives {tuple(ours.shape)} in ours and {tuple(theirs.shape)} in the mirror")
    difference = float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1e-30))
    if not difference <= TOLERANCE:
        raise ValueError(f"{what} differs by {difference:.2g} of its largest value")
