"""The penultimate representation, and another head in place of the classifier."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from types import TracebackType
from typing import Any, Self, cast

import torch
from torch import nn

from layerwise.interfaces import ModelSpec
from layerwise.models.registry import row_of

AUXILIARIES = ("aux1", "aux2", "AuxLogits")  # of GoogLeNet and Inception


class PenultimateTap:
    """A hook on the input of the classifier, for as long as the block of a ``with`` lasts.

    Many networks have no module that gives the penultimate representation (DenseNet pools it in a function,
    DPN too), but in all of them it is what the classifier receives.

    Parameters
    ----------
    network : nn.Module
        Network.
    classifier : str
        Dotted name of its classifier (`find_classifier`).

    Attributes
    ----------
    output : tensor [image, unit] or None
        Of the last forward pass. What a convolution as a classifier receives [image, unit, height, width] is
        averaged over the positions, as its scores are.

    Raises
    ------
    ValueError
        The network has no such module.
    """

    def __init__(self, network: nn.Module, classifier: str) -> None:
        self._classifier = _module(network, classifier)
        self.output: torch.Tensor | None = None

    def __enter__(self) -> Self:
        self._handle = self._classifier.register_forward_pre_hook(self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.remove()

    def _take(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        received = inputs[0].detach()
        self.output = received.mean((2, 3)) if received.ndim == 4 else received.flatten(1).clone()


def find_classifier(network: nn.Module, spec: ModelSpec, input_size: int) -> str:
    """Give the name of the module that turns the penultimate representation into classes.

    The registry knows it, timm states it; of a factory's network it is the linear layer or 1x1 convolution that
    runs last, if it gives as many values as the network does.

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
        There is none, or there are several.
    """
    row = row_of(spec)
    if row is not None:
        return row.classifier
    if spec.library == "timm":
        return _stated(network, spec)
    return _last_to_run(network, input_size)


def replace_head(network: nn.Module, classifier: str, outputs: int = 1) -> nn.Module:
    """Put a new linear head in place of the classifier.

    A convolution as a classifier (SqueezeNet, DPN) becomes a convolution; the ReLU that follows SqueezeNet's,
    which would clip the output at zero, is taken out. Auxiliary classifiers (GoogLeNet, Inception) are taken
    out, so that the network gives one output in training, too.

    Parameters
    ----------
    network : nn.Module
        Changed in place.
    classifier : str
        Dotted name of its classifier.
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


def _module(network: nn.Module, name: str) -> nn.Module:
    modules: dict[str, nn.Module] = dict(network.named_modules())
    if not name or name not in modules:
        near = get_close_matches(name, modules, n=3)
        hint = f": did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"the network has no module {name!r}{hint}")
    return modules[name]


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


def _stated(network: nn.Module, spec: ModelSpec) -> str:
    stated = getattr(network, "pretrained_cfg", {}).get("classifier")
    if isinstance(stated, list | tuple):
        raise ValueError(
            f"{spec.constructor!r} averages {len(stated)} classifiers ({', '.join(stated)}), so it has no single "
            "penultimate representation"
        )
    if not isinstance(stated, str) or not _can_be_replaced(dict(network.named_modules()).get(stated)):
        raise ValueError(f"{spec.constructor!r} has no classifier that is a linear layer or a 1x1 convolution")
    return stated


def _last_to_run(network: nn.Module, input_size: int) -> str:
    ran: list[tuple[str, torch.Tensor]] = []
    parameter = next(network.parameters(), torch.empty(0))
    with _noting(network, ran), torch.inference_mode():
        scores = network(torch.zeros(2, 3, input_size, input_size, device=parameter.device))
    if not ran:
        raise ValueError("no linear layer or 1x1 convolution runs in the network: it has no classifier")
    name, output = ran[-1]
    if not isinstance(scores, torch.Tensor) or scores.shape[:2] != output.shape[:2]:
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
