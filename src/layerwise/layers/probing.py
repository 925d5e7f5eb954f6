"""Whether the output of a network for an image depends on that image alone.

Scores are of one value for each unit and image. A network that draws random numbers, keeps something from call to call,
or mixes the images of a batch has no such value: what is measured of it would change with the run and the batch size.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from layerwise.interfaces import LayerSpec
from layerwise.layers.outputs import sole_tensor
from layerwise.layers.running import run_network

N_PROBES = 3
LARGEST = 2**14  # units of a layer that are compared
# A difference counts that is beyond rounding, as a share of the largest value, and a part of what tells images apart.
# Kernels sum in another order for batches of another size, which on a CPU moves outputs by 1e-6 of either.
ROUNDING = 1e-5
SHARE = 1e-2
SHARE_REPEATED = 1e-4  # where the same batch is run again: its sums have the same order
EPSILONS = 8  # both are at least as many steps of the coarsest type that the network has computed in

log = logging.getLogger(__name__)


def probes(images: Tensor) -> Tensor:
    """Add images of noise until there are enough to probe a network.

    Parameters
    ----------
    images : uint8 tensor [image, height, width, 3]
        None or more, of which the first are used.

    Returns
    -------
    uint8 tensor [image, height, width, 3]
        On the device of the images; the last is always noise, since images of a study may be alike.
    """
    used = images[: N_PROBES - 1]
    return torch.cat([used, noise(images.shape[1], N_PROBES - len(used)).to(images.device)])


def noise(size: int, n_images: int = N_PROBES) -> Tensor:
    """Draw images of noise, always the same.

    Returns
    -------
    uint8 tensor [image, height, width, 3]
    """
    shape = n_images, size, size, 3
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def require_own_outputs(network: nn.Module, layers: Sequence[LayerSpec], images: Tensor) -> None:
    """Refuse a network of which a layer's output for an image depends on anything but the image.

    Two images are run, run again, run in the other order, and run among others. Networks that draw random numbers
    without effect on these runs are logged as a warning.

    Parameters
    ----------
    network : nn.Module
        In eval mode, as far as it obeys.
    layers : sequence of LayerSpec
        Wanted layers.
    images : float tensor [3, channel, height, width]
        On the network's device, normalised.

    Raises
    ------
    ValueError
        The output of a layer differs; the message names the first that does, and what it depends on. Or the network
        raises something.
    """
    one, two, three = (image[None] for image in images)
    generators = _generators(images.device)
    recorder = _Recorder(network, {layer.name for layer in layers})
    before = [generator.get_state() for generator in generators]
    reference = recorder.run(torch.cat([one, two]))
    _require_repeats(reference, layers)
    drew = any(not torch.equal(state, new.get_state()) for state, new in zip(before, generators, strict=True))
    for batch, places, depends, share in (
        ([one, two], [0, 1], _RUN, SHARE_REPEATED),
        ([two, one], [1, 0], _PLACE, SHARE),
        ([three, two, one], [2, 1], _OTHERS, SHARE),
    ):
        differing = _first_difference(reference, recorder.run(torch.cat(batch)), places, share)
        if differing is not None:
            raise ValueError(_message(network, differing, depends))
    if drew:
        log.warning(
            "the network draws random numbers when it runs, though runs of a probe agree: if its outputs can depend on "
            "them, its scores are of one draw"
        )


def require_same_outputs(network: nn.Module, again: nn.Module, layers: Sequence[LayerSpec], images: Tensor) -> None:
    """Refuse a network that, built again with the same weights, gives other outputs: each job builds it anew.

    Parameters
    ----------
    network, again : nn.Module
        The same network, built twice; in eval mode.
    layers, images
        As in `require_own_outputs`.

    Raises
    ------
    ValueError
        The output of a layer differs; the message names the first that does.
    """
    names = {layer.name for layer in layers}
    first, second = (_Recorder(one, names).run(images) for one in (network, again))
    differing = _first_difference(first, second, range(len(images)), SHARE_REPEATED)
    if differing is not None:
        raise ValueError(_message(network, differing, _BUILT))


_BUILT = (
    "differs when the network is built again with the same weights: it keeps random values beside its weights; let it "
    "draw them from the global generators of torch, numpy or random, or keep them as buffers"
)
_RUN = (
    "differs from run to run of the same images: it draws random numbers (a dropout that is on in eval mode?) or keeps "
    "something from call to call; scores would be of one draw"
)
_PLACE = "depends on the place of an image in its batch: scores would change with compute.batch_size"
_OTHERS = (
    "depends on the other images of its batch (a normalisation that uses the batch's own statistics in eval mode?): "
    "scores would change with compute.batch_size"
)


@dataclass
class _Recorder:
    """Runs a network, and keeps a part of what each wanted layer gives at each of its runs, in the order of these."""

    network: nn.Module
    names: Collection[str]
    seen: list[tuple[str, Tensor]] = field(default_factory=list)

    def run(self, images: Tensor) -> list[tuple[str, Tensor]]:
        self.seen = []
        modules = [(name, module) for name, module in self.network.named_modules() if name in self.names]
        handles = [module.register_forward_hook(self._hook(name, len(images))) for name, module in modules]
        try:
            with torch.inference_mode():
                run_network(self.network, images)
        finally:
            for handle in handles:
                handle.remove()
        return self.seen

    def _hook(self, name: str, n_images: int) -> Any:
        def take(_module: nn.Module, _inputs: Any, output: Any) -> None:
            found = sole_tensor(output)
            if found is not None and _is_layers(found, n_images):
                rows = found.detach().flatten(1)
                stride = -(-rows.shape[1] // LARGEST) or 1
                self.seen.append((name, rows[:, ::stride].clone()))

        return take


def _is_layers(output: Tensor, n_images: int) -> bool:
    """Return whether a module gave a row an image; what else it may give is checked by those who use it."""
    return output.ndim > 1 and len(output) == n_images and output.is_floating_point()


def _require_repeats(seen: Sequence[tuple[str, Tensor]], layers: Sequence[LayerSpec]) -> None:
    """Refuse a list of layers that calls two the same which are not, to the bit, in the last run of each."""
    last = dict(seen)
    for layer in layers:
        ours, theirs = last.get(layer.name), last.get(layer.same_as)
        if ours is not None and theirs is not None and not _equal(ours, theirs):
            raise ValueError(
                f"the layer {layer.name!r} does not give the same as {layer.same_as!r}, as the list of layers says: it "
                "is of another network; list the layers again"
            )


def _equal(ours: Tensor, theirs: Tensor) -> bool:
    return ours.shape == theirs.shape and bool(((ours == theirs) | (ours.isnan() & theirs.isnan())).all())


def _first_difference(
    reference: Sequence[tuple[str, Tensor]], others: Sequence[tuple[str, Tensor]], places: Sequence[int], share: float
) -> str | None:
    """Name the first layer whose rows at these places are not those of the reference."""
    coarsest = 0.0
    for (name, ours), (other, theirs) in zip(reference, others, strict=False):
        if name != other:
            return name
        coarsest = max(coarsest, torch.finfo(ours.dtype).eps)
        if _differ(ours, theirs[list(places)], EPSILONS * coarsest, share):
            return name
    longer = max(reference, others, key=len)[min(len(reference), len(others)) :]
    return longer[0][0] if longer else None


def _differ(ours: Tensor, theirs: Tensor, rounding: float, share: float) -> bool:
    """Return whether values [image, unit] differ beyond rounding; what is not finite must be the same in both."""
    if ours.shape != theirs.shape or not torch.equal(ours.isfinite(), theirs.isfinite()):
        return True
    ours, theirs = (values.double().where(ours.isfinite(), 0) for values in (ours, theirs))
    apart, size, told = (ours - theirs).abs().amax(), ours.abs().amax(), (ours[0] - ours[1]).abs().amax()
    return bool(apart > max(ROUNDING, rounding) * size) and bool(apart > max(share, rounding) * told)


def _generators(device: torch.device) -> list[torch.Generator]:
    if device.type != "cuda":
        return [torch.default_generator]
    return [torch.default_generator, torch.cuda.default_generators[device.index or 0]]


def _message(network: nn.Module, name: str, depends: str) -> str:
    kind = type(network.get_submodule(name)).__name__
    training = [other for other, module in network.named_modules() if module.training and other]
    hint = f"; in training mode although eval() was called: {', '.join(training[:5])}" if training else ""
    return f"the output of the layer {name!r} ({kind}) for an image {depends}{hint}"
