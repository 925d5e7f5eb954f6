"""The penultimate representation, and another head in place of the classifier."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from types import TracebackType
from typing import Any, Self, cast

import torch
from torch import nn

from layerwise.interfaces import ModelSpec
from layerwise.models.construction import construct
from layerwise.models.registry import row_of

SUM_TOLERANCE = 1e-4  # of the scores, in single precision
AUXILIARIES = ("aux1", "aux2", "AuxLogits")  # of GoogLeNet and Inception


class PenultimateTap:
    """A hook on the input of the classifier, for as long as the block of a ``with`` lasts.

    Many networks have no module that gives the penultimate representation (DenseNet pools it in a function,
    DPN too), but in all of them it is what the classifier receives. Where the scores of several classifiers are added
    up, it is what these receive, one after the other: the scores are one linear function of that.

    Parameters
    ----------
    network : nn.Module
        Network.
    classifiers : str or sequence of str
        Dotted name of its classifier, or of several (`find_classifiers`).

    Raises
    ------
    ValueError
        The network has no such module.
    """

    def __init__(self, network: nn.Module, classifiers: str | Sequence[str]) -> None:
        self._classifiers = [_module(network, name) for name in _names(classifiers)]
        self._received: dict[nn.Module, torch.Tensor] = {}

    @property
    def output(self) -> torch.Tensor | None:
        """What the classifiers received in the last forward pass: float tensor [image, unit]; None before it.

        What one receives at several positions (a convolution [image, unit, height, width], a linear layer
        [image, ..., unit]) is averaged over these, as its scores are.
        """
        if len(self._received) < len(self._classifiers):
            return None
        return torch.cat([self._received[classifier] for classifier in self._classifiers], 1)

    def __enter__(self) -> Self:
        self._handles = [module.register_forward_pre_hook(self._take) for module in self._classifiers]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def _take(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._received[module] = _over_positions(inputs[0].detach(), module)


def find_classifiers(network: nn.Module, spec: ModelSpec, input_size: int) -> tuple[str, ...]:
    """Return the names of the modules that turn the penultimate representation into classes: one, in most networks.

    The registry knows it, timm states it; of a factory's network it is the linear layer or 1x1 convolution that
    runs last, if it gives as many values as the network does. Where timm states several, or other modules give as
    many values, a network of this kind is built and run, to see that its scores are a fixed sum of those stated.

    Parameters
    ----------
    network : nn.Module
        Built from `spec`.
    spec : ModelSpec
        What it was built from.
    input_size : int
        Side of the square input, pixels.

    Raises
    ------
    ValueError
        There is none, or the scores are not simply added up from those of the classifiers.
    """
    row = row_of(spec)
    if row is not None:
        return (row.classifier,)
    if spec.library != "timm":
        return (_last_to_run(network, input_size),)
    stated = _stated(network, spec)
    if len(stated) > 1 or _others_score(network, stated, input_size):
        _prove_sum(stated, spec, input_size)
    return stated


def replace_head(network: nn.Module, classifiers: str | Sequence[str], outputs: int = 1) -> nn.Module:
    """Put a new linear head in place of the classifier, or of each of several.

    A convolution as a classifier (SqueezeNet, DPN) becomes a convolution; the ReLU that follows SqueezeNet's,
    which would clip the output at zero, is taken out. Auxiliary classifiers (GoogLeNet, Inception) are taken
    out, so that the network gives one output in training, too.

    Parameters
    ----------
    network : nn.Module
        Changed in place.
    classifiers : str or sequence of str
        Dotted name of its classifier, or of several (`find_classifiers`).
    outputs : int
        Units of the new head; its weights are drawn from torch's random state.

    Returns
    -------
    nn.Module
        The network.

    Raises
    ------
    ValueError
        The network has no such module, or it is neither a linear layer nor a 1x1 convolution.
    """
    if outputs < 1:
        raise ValueError(f"a head has 1 output or more, not {outputs}")
    for classifier in _names(classifiers):
        old = _module(network, classifier)
        parent_name, _, name = classifier.rpartition(".")
        parent = network.get_submodule(parent_name)
        setattr(parent, name, _new_head(old, classifier, outputs))
        if isinstance(parent, nn.Sequential):
            _take_out_following_relu(parent, name)
    for auxiliary in AUXILIARIES:
        if getattr(network, auxiliary, None) is not None:
            setattr(network, auxiliary, None)
            network.aux_logits = False  # type: ignore[assignment]
    return network


def _names(classifiers: str | Sequence[str]) -> tuple[str, ...]:
    return (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)


def _module(network: nn.Module, name: str) -> nn.Module:
    modules: dict[str, nn.Module] = dict(network.named_modules())
    if not name or name not in modules:
        near = get_close_matches(name, modules, n=3)
        hint = f": did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"the network has no module {name!r}{hint}")
    return modules[name]


def _over_positions(values: torch.Tensor, classifier: nn.Module) -> torch.Tensor:
    """Average what a classifier receives or gives at several positions: float tensor [image, unit]."""
    unit = 1 if isinstance(classifier, nn.Conv2d) else -1
    return values.movedim(unit, 1).flatten(2).mean(2) if values.ndim > 2 else values.clone()


def _can_be_replaced(module: nn.Module | None) -> bool:
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1))


def _new_head(old: nn.Module, name: str, outputs: int) -> nn.Module:
    if not _can_be_replaced(old):
        raise ValueError(f"{name!r} is {type(old).__name__}, not a linear layer or a 1x1 convolution")
    parameter = next(old.parameters())
    where: dict[str, Any] = {"device": parameter.device, "dtype": parameter.dtype}
    if isinstance(old, nn.Conv2d):
        return nn.Conv2d(old.in_channels, outputs, 1, **where).train(old.training)
    return nn.Linear(cast(nn.Linear, old).in_features, outputs, **where).train(old.training)


def _take_out_following_relu(parent: nn.Sequential, name: str) -> None:
    names = [child for child, _ in parent.named_children()]
    after = names[names.index(name) + 1 :][:1]
    if after and isinstance(parent.get_submodule(after[0]), nn.ReLU):
        setattr(parent, after[0], nn.Identity())


def _stated(network: nn.Module, spec: ModelSpec) -> tuple[str, ...]:
    names = _names(getattr(network, "pretrained_cfg", {}).get("classifier") or ())
    modules = dict(network.named_modules())
    if not names or not all(_can_be_replaced(modules.get(name)) for name in names):
        raise ValueError(f"{spec.constructor!r} has no classifier that is a linear layer or a 1x1 convolution")
    return names


def _prove_sum(names: Sequence[str], spec: ModelSpec, input_size: int) -> None:
    network = construct(replace(spec, weights="random")).eval()
    generator = torch.Generator().manual_seed(spec.seed)
    for name in names:  # which some networks start at zero, where every sum is right
        for parameter in network.get_submodule(name).parameters():
            nn.init.normal_(parameter, std=0.1, generator=generator)
    ran: list[tuple[str, torch.Tensor]] = []
    with _noting(network, ran), torch.inference_mode():
        scores = network(torch.randn(2, 3, input_size, input_size, generator=generator))
    given = [output for name, output in ran if name in names]
    if len(given) != len(names) or any(output.shape != scores.shape for output in given) or not _sums(given, scores):
        raise ValueError(
            f"timm states {', '.join(names)} as the classifier of {spec.constructor!r}, but its scores are no "
            "fixed sum of what that gives: they are no linear function of any penultimate representation"
        )


def _sums(terms: Sequence[torch.Tensor], total: torch.Tensor) -> bool:
    columns, wanted = torch.stack([term.flatten() for term in terms], 1).double(), total.flatten().double()
    left = wanted - columns @ torch.linalg.lstsq(columns, wanted[:, None]).solution[:, 0]
    return bool(left.norm() <= SUM_TOLERANCE * wanted.norm())


def _others_score(network: nn.Module, names: Sequence[str], input_size: int) -> bool:
    scores, ran = _run(network, input_size)
    return any(output.shape == scores.shape for name, output in ran if name not in names)


def _run(network: nn.Module, input_size: int) -> tuple[Any, list[tuple[str, torch.Tensor]]]:
    ran: list[tuple[str, torch.Tensor]] = []
    parameter = next(network.parameters(), torch.empty(0))
    with _noting(network, ran), torch.inference_mode():
        scores = network(torch.zeros(2, 3, input_size, input_size, device=parameter.device))
    return scores, ran


def _last_to_run(network: nn.Module, input_size: int) -> str:
    scores, ran = _run(network, input_size)
    if not ran:
        raise ValueError("no linear layer or 1x1 convolution runs in the network: it has no classifier")
    name, output = ran[-1]
    given = _over_positions(output, network.get_submodule(name))
    if not isinstance(scores, torch.Tensor) or scores.shape[:2] != given.shape:
        raise ValueError(f"{name!r} runs last, but does not give as many values as the network: it is no classifier")
    return name


@contextmanager
def _noting(network: nn.Module, ran: list[tuple[str, torch.Tensor]]) -> Iterator[None]:
    def hook(name: str) -> Any:
        return lambda module, inputs, output: ran.append((name, output))

    handles = [
        module.register_forward_hook(hook(name)) for name, module in network.named_modules() if _can_be_replaced(module)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
