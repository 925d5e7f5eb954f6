"""Layers whose values follow, unit by unit, from those of another: read once, they serve for all.

A batch normalisation in eval mode scales and moves each channel of the convolution before it, and a ReLU clamps what
it is given. Reading activations is what products cost on a GPU, and in most networks half of them need not be read.

What happens between two layers is not seen, and may touch few images: an in-place clamp above what most of them reach,
say. So two images only propose a fusion, and the first pass holds it to what the layers give for every image.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import torch
from torch import Tensor, nn

from layerwise.interfaces import LayerSpec
from layerwise.layers.running import run_network
from layerwise.passes.hooks import hooked

Affine = tuple[Tensor, Tensor]  # scale and bias, [channel] each
Expected = tuple[Affine | None, Tensor | None, float | None]  # affine, its magnitude, upper end of a clamp

CAPS: dict[type[nn.Module], float] = {nn.ReLU: inf, nn.ReLU6: 6.0}
ROUNDINGS = 32  # of the terms of a normalisation: PyTorch's ways to compute it differ by a few; a ReLU rounds nothing
AT_ONCE = 2**24  # values that are compared at once, for memory's sake


@dataclass(frozen=True)
class Fusion:
    """One to three layers: the first as it is, one that scales it, and one that clamps the last of these.

    Parameters
    ----------
    root : int
        Index of the layer whose activations are read.
    scaled : int or None
        Index of the layer whose activations are scale * root + bias.
    clamped : int or None
        Index of the layer whose activations are those of `scaled`, or of the root if there is none, clamped.
    affine : tuple of Tensor [channel] or None
        Scale and bias of the scaled layer.
    cap : float
        The clamped values lie between 0 and this.
    magnitude : Tensor [channel] or None
        Size of the two terms that make the bias, which may cancel: what the scaled values are rounded by.
    """

    root: int
    scaled: int | None = None
    clamped: int | None = None
    affine: Affine | None = None
    cap: float = inf
    magnitude: Tensor | None = None

    @property
    def members(self) -> list[int]:
        """Indices of the layers: the root, the scaled, the clamped."""
        return [index for index in (self.root, self.scaled, self.clamped) if index is not None]

    @property
    def followers(self) -> list[int]:
        """Indices of the layers that are not read: the scaled, the clamped."""
        return self.members[1:]

    def expected(self, member: int) -> Expected:
        """Say how a follower is made from the root."""
        return self.affine, self.magnitude, self.cap if member == self.clamped else None

    def without(self, broken: Collection[int]) -> list["Fusion"]:
        """Return this fusion without the layers that are no part of it, and these alone.

        Without its scaled layer, a clamped one would have to be looked at anew: it is alone, too.
        """
        if self.scaled in broken:
            return [Fusion(member) for member in self.members]
        if self.clamped in broken:
            kept = replace(self, clamped=None, cap=inf)
            return [kept, *(Fusion(member) for member in self.members if member not in kept.members)]
        return [self]


@dataclass(frozen=True)
class Relation:
    """How the values of a fusion's layers are made from the activations of its root.

    Parameters
    ----------
    shift : Tensor [unit]
        Subtracted from the root's activations; in the scaled layer it becomes scale * shift + bias.
    scale, bias : Tensor [unit] or None
        Of the scaled layer.
    clamped_shift : Tensor [unit] or None
        Subtracted from the values of the clamped layer.
    cap : float
        Upper end of the clamped values.
    """

    shift: Tensor
    scale: Tensor | None = None
    bias: Tensor | None = None
    clamped_shift: Tensor | None = None
    cap: float = inf

    def values(self, activations: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Give the shifted values of each layer as a tensor [image, unit] and what they are still to be scaled by."""
        shifted = activations - self.shift
        yield shifted, None
        if self.scale is not None:
            yield shifted, self.scale
        if self.clamped_shift is not None:
            yield self.clamp(activations).sub_(self.clamped_shift), None

    def clamp(self, activations: Tensor) -> Tensor:
        """Give the values of the clamped layer, not shifted."""
        if self.scale is None or self.bias is None:
            return activations.clamp(0, self.cap)
        return torch.addcmul(self.bias, activations, self.scale).clamp_(0, self.cap)


def find_fusions(network: nn.Module, layers: Sequence[LayerSpec], images: Tensor) -> list[Fusion]:
    """Run a network, and see which of its layers follow from others.

    A layer is proposed to follow only if it gave what the others' values predict: an operation between the two that
    is not a layer, as the sum of a residual block, is seen by that. Whether it does for all images, `Check` finds out.

    Parameters
    ----------
    network : nn.Module
        In eval mode.
    layers : sequence of LayerSpec
        Wanted layers; what none of them gives is not used.
    images : Tensor [image, channel, height, width]
        Two that have little in common: in one alone a sum may vanish, or all values lie on one side of a clamp.

    Returns
    -------
    list of Fusion
        Each layer is in one; most are alone in networks without batch normalisation and ReLU.

    Raises
    ------
    ValueError
        The network lacks a layer.
    """
    watch = _Watch(layers)
    with hooked(network, layers, watch.note):
        run_network(network, images)
    return watch.fusions()


class Check:
    """Holds fusions to what their layers give, for all images that a network is given.

    Nothing is read from the device while it runs, so that it can be part of a CUDA graph.

    Parameters
    ----------
    fusions : sequence of Fusion
        As proposed.
    device : torch.device
        Of the network.
    """

    def __init__(self, fusions: Sequence[Fusion], device: torch.device) -> None:
        self.fusions = fusions
        self.followers = [(number, member) for number, fusion in enumerate(fusions) for member in fusion.followers]
        self._holds = torch.ones(len(self.followers), dtype=torch.bool, device=device)
        self._given: dict[int, Tensor] = {}  # of roots whose followers are still to come, in this batch

    def note(self, index: int, output: Tensor) -> None:
        """Take the output of a layer in its last run of a batch.

        Parameters
        ----------
        index : int
            Of the root of a fusion; or, from their number on, of a follower.
        output : Tensor [image, channel, ...]
            Before a following operation can change it.
        """
        if index < len(self.fusions):
            if self.fusions[index].followers:
                self._given[index] = output.clone()
            return
        which = index - len(self.fusions)
        number, member = self.followers[which]
        fusion = self.fusions[number]
        given = self._given.pop(number, None) if member == fusion.members[-1] else self._given.get(number)
        if given is None:  # it ran before its root
            self._holds[which].zero_()
        else:
            self._holds[which].logical_and_(_follows(given, output, fusion.expected(member)))

    def broken(self) -> list[int]:
        """Return the layers that gave something else for some image."""
        return [member for (_, member), holds in zip(self.followers, self._holds.tolist(), strict=True) if not holds]


@dataclass
class _Link:
    """What a layer was seen to follow from, in one run: a root, in its so many-th run."""

    root: int
    run: int
    parent: int
    affine: Affine | None
    magnitude: Tensor | None
    cap: float | None


class _Watch:
    """Notes what layers give while a network runs."""

    def __init__(self, layers: Sequence[LayerSpec]) -> None:
        self._units = [layer.units for layer in layers]
        self._runs = [0] * len(layers)
        self._given: dict[int, Tensor] = {}  # of roots; of the others it can be computed
        self._links: dict[int, _Link] = {}
        self._at: dict[int, int] = {}  # the layer that last gave what lies at an address

    def note(self, index: int, module: nn.Module, inputs: Any, output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        self._runs[index] += 1
        parent = self._parent(index, inputs, output)
        link = None if parent is None else self._link(parent, module)
        self._links.pop(index, None)
        if link and self._predicts(link, output):
            self._links[index] = link
        else:
            self._given[index] = output.clone()
        self._at[output.data_ptr()] = index

    def _parent(self, index: int, inputs: Sequence[Any], output: Tensor) -> int | None:
        """Give the layer whose output a layer was given, if it may give as many values; None for named arguments."""
        source = inputs[0] if inputs else None
        if not isinstance(source, Tensor) or source.shape != output.shape:
            return None
        parent = self._at.get(source.data_ptr())
        return parent if parent is not None and self._units[parent] == self._units[index] else None

    def _link(self, parent: int, module: nn.Module) -> _Link | None:
        before = self._links.get(parent)
        if before is None and type(module) is nn.BatchNorm2d and module.running_mean is not None:
            return _Link(parent, self._runs[parent], parent, *_affine(module), None)
        cap = CAPS.get(type(module))
        if cap is None or (before is not None and before.cap is not None):
            return None
        if before is None:
            return _Link(parent, self._runs[parent], parent, None, None, cap)
        return replace(before, parent=parent, cap=cap)

    def _predicts(self, link: _Link, output: Tensor) -> bool:
        given = self._given.get(link.root)
        return given is not None and bool(_follows(given, output, (link.affine, link.magnitude, link.cap)))

    def fusions(self) -> list[Fusion]:
        """Join what was seen in the last run of each layer."""
        found: dict[int, Fusion] = {}
        for index in sorted(range(len(self._units)), key=self._generation):
            link = self._links.get(index)
            fusion = found.get(link.root) if link and link.run == self._runs[link.root] else None
            joined = _join(fusion, index, link) if fusion and link else None
            if joined:
                found[joined.root] = joined
            else:
                found[index] = Fusion(index)
        return list(found.values())

    def _generation(self, index: int) -> int:
        link = self._links.get(index)
        return 0 if link is None else 1 + (link.cap is not None)


def _join(fusion: Fusion, index: int, link: _Link) -> Fusion | None:
    """Take a layer into the fusion of its root, if there is a place for it."""
    if link.cap is None:
        free = fusion.scaled is None and fusion.clamped is None
        return Fusion(fusion.root, scaled=index, affine=link.affine, magnitude=link.magnitude) if free else None
    last = fusion.root if fusion.scaled is None else fusion.scaled
    free = fusion.clamped is None and last == link.parent
    return replace(fusion, clamped=index, cap=link.cap) if free else None


def _follows(given: Tensor, output: Tensor, expected: Expected) -> Tensor:
    """Tell whether an output [image, channel, ...] is what its root gave, scaled and clamped: one truth value.

    Values that are not finite follow from nothing.
    """
    if given.shape != output.shape:
        return torch.zeros((), dtype=torch.bool, device=output.device)
    images = max(1, AT_ONCE * len(given) // max(1, given.numel()))
    parts = zip(torch.split(given, images), torch.split(output, images), strict=True)
    return torch.stack([_follow(*part, expected) for part in parts]).all()


def _follow(given: Tensor, output: Tensor, expected: Expected) -> Tensor:
    affine, magnitude, cap = expected
    made, allowed = given, torch.zeros_like(given)
    if affine is not None and magnitude is not None:
        scale, bias, size = (part.view(1, -1, *(1,) * (output.ndim - 2)) for part in (*affine, magnitude))
        allowed = (given * scale).abs_().add_(size).mul_(ROUNDINGS * torch.finfo(output.dtype).eps)
        made = given * scale + bias
    difference = (made if cap is None else made.clamp(0, cap)).sub(output).abs_()
    # Infinity would allow anything.
    return (difference <= allowed.nan_to_num_(0, posinf=0)).all()


def _affine(module: nn.BatchNorm2d) -> tuple[Affine, Tensor]:
    """Return scale and bias [channel] of a batch normalisation in eval mode, and the size of the bias's terms."""
    mean, variance = module.running_mean.double(), module.running_var.double()  # type: ignore[union-attr]
    scale = (variance + module.eps).rsqrt()
    if module.weight is not None:
        scale = scale * module.weight.double()
    bias, magnitude = -mean * scale, (mean * scale).abs()
    if module.bias is not None:
        bias, magnitude = bias + module.bias.double(), magnitude + module.bias.double().abs()
    dtype = module.running_mean.dtype  # type: ignore[union-attr]
    return (scale.to(dtype), bias.to(dtype)), magnitude.to(dtype)
