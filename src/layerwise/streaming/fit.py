"""PLS with one target on many layers at once, streamed: a forward pass for each component, and nothing on disk."""

import gc
import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from layerwise.files import Resumable, hash_arrays, hash_object
from layerwise.interfaces import (
    LayerSpec,
    Progress,
    RatedImages,
    Stop,
    StoppedError,
    never,
    no_progress,
    until_asked,
)
from layerwise.layers.blocks import in_block
from layerwise.models.normalisation import normalise
from layerwise.passes.degenerate import LOST, NONFINITE, STOPPED, warn_layers
from layerwise.passes.devices import finish
from layerwise.passes.halving import BatchSize
from layerwise.passes.hashing import hash_values
from layerwise.passes.images import Images, padded_length
from layerwise.passes.memory import group_layers
from layerwise.passes.precision import exact_products
from layerwise.passes.runner import FAST, Runner
from layerwise.regression.pls1.components import LayerVectors, mean_of
from layerwise.regression.pls1.targets import Targets, check_targets
from layerwise.streaming.fused import Check, Fusion, Relation, find_fusions
from layerwise.streaming.groups import Demand, Room, describe, keeps_pixels, move_histories
from layerwise.streaming.hosted import HostHistories
from layerwise.streaming.products import WIDE, Products, add_squares, choose_products
from layerwise.streaming.state import read_state, restore, save_state

log = logging.getLogger(__name__)

LARGEST = 3  # layers of a fusion
AGAIN = "starting again"
DOUBLE = torch.float64.itemsize


@dataclass(frozen=True)
class Streamed:
    """How a streamed fit is run; the result does not depend on it beyond rounding.

    Parameters
    ----------
    n_components : int
        Latent variables.
    batch_size : int
        Images in a forward pass; halved, with a log message, if the device runs out of memory.
    device : str
        "cpu" or "cuda".
    memory : int
        Bytes of the device: pixels stay on a GPU if they fit beside all else.
    host : int
        Bytes of the host's memory, for earlier residuals of layers that do not fit the device.
    tf32 : bool
        Let a GPU's convolutions round their inputs to ten bits of mantissa. The regression's own products always
        keep float32.
    dtype : torch.dtype
        Of network and vectors.
    state : Path or None
        File that holds the state from time to time; a fit that was interrupted resumes from it.
    save_every : float
        Seconds between two saves.
    wide : bool
        Fit in float64, from activations in the network's own type. `stream_pls` does so by itself where it must.
    """

    n_components: int = 25
    batch_size: int = 32
    device: str = "cpu"
    memory: int = 4 * 10**9
    host: int = 0
    tf32: bool = True
    dtype: torch.dtype = torch.float32
    state: Path | None = None
    save_every: float = 600
    wide: bool = False

    def demand(self, n_images: int, n_splits: int, size: int) -> Demand:
        """Return what a fit of images of some size (the side, in pixels) needs memory for."""
        return Demand(n_images, n_splits, self.n_components, size, min(self.batch_size, n_images))


def stream_pls(
    network: nn.Module,
    all_layers: Sequence[LayerSpec],
    group: Sequence[LayerSpec],
    rated: RatedImages,
    settings: Streamed,
    attributes: Mapping[str, str],
    progress: Progress = no_progress,
    stop: Stop = never,
) -> NDArray[np.float64]:
    """Predict one target from each of many layers, by PLS from all of their units, for all splits at once.

    Parameters
    ----------
    network : nn.Module
        Moved to the device, and set to eval mode.
    all_layers : sequence of LayerSpec
        Of the network, for the estimate of memory.
    group : sequence of LayerSpec
        Layers to fit in the same passes.
    rated : RatedImages
        All images, and the target.
    settings : Streamed
        Settings.
    attributes : mapping of str to str
        "model", and hashes of all that decides what the network and the fit compute: a state of others is not
        continued.
    progress : Progress
        Shows how far it has come, image by image.
    stop : callable
        Asked after each image.

    Returns
    -------
    float64 array [layer, image, split]
        Predictions for all images, training images too. NaN for layers with values that are not finite, or of such
        different size that rounding spoils the fit; a split's training mean where a layer is constant.

    Raises
    ------
    StoppedError
        It was asked to stop; its state is saved.
    ValueError
        Sizes do not fit, training images have no score, or the layers are not those of the network.

    Warns
    -----
    DegenerateWarning
        Layers gave NaN or infinite values, rounding spoilt their fit, or they have fewer components than asked.

    Notes
    -----
    Layers of which float32 spoilt the fit, as where some units vary hundreds of times as much as others, are fitted
    once more with products in float64: that takes as many passes again, and memory for twice the vectors.

    References
    ----------
    Phatak & de Hoog 2002, doi:10.1002/cem.728: PLS with one target is the method of conjugate gradients.
    """
    return finish(stream_layers(network, all_layers, group, rated, settings, attributes, progress, stop))


def stream_layers(
    network: nn.Module,
    all_layers: Sequence[LayerSpec],
    group: Sequence[LayerSpec],
    rated: RatedImages,
    settings: Streamed,
    attributes: Mapping[str, str],
    progress: Progress = no_progress,
    stop: Stop = never,
) -> Generator[int, None, NDArray[np.float64]]:
    """Do as `stream_pls`, step by step: yield the number of each image that is done, and return the predictions."""
    rated = replace(rated, scores=np.asarray(rated.scores, dtype=np.float64))
    check_targets(len(group), len(rated.pixels), rated.scores, rated.splits, settings.batch_size, settings.n_components)
    demand = settings.demand(len(rated.pixels), len(rated.splits), rated.preprocessing.size)
    network.to(settings.device, settings.dtype).eval()
    progress = until_asked(progress, stop)

    def attempt(layers: Sequence[LayerSpec], settings: Streamed, needed: Demand) -> Generator[int, None, _Found]:
        with torch.inference_mode(), exact_products(settings.tf32):
            return (yield from _Fit(network, all_layers, layers, rated, settings, needed, attributes).run(progress))

    size = BatchSize(demand.batch_size)
    # All passes need the same batches, so that a fit whose batches are halved starts again.
    found = yield from size.run(lambda images: attempt(group, settings, replace(demand, batch_size=images)), AGAIN)
    if found.lost and settings.dtype == torch.float32:
        yield from _fit_again(attempt, all_layers, group, settings, demand, size, found, attributes["model"])
    stopped = [index for index in found.stopped if group[index].units >= settings.n_components]
    for indices, problem in ((found.broken, NONFINITE), (found.lost, LOST), (stopped, STOPPED)):
        warn_layers([group[index].name for index in indices], attributes["model"], problem, stacklevel=2)
    return found.predictions


@dataclass
class _Found:
    """What a fit gave.

    Parameters
    ----------
    predictions : float64 array [layer, image, split]
        NaN for the layers of the first two lists.
    broken, lost, stopped : list of int
        Layers whose activations are not finite, those whose fit was spoilt by rounding, and those that were fitted with
        fewer components than asked.
    """

    predictions: NDArray[np.float64]
    broken: list[int]
    lost: list[int] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)


_Attempt = Callable[[Sequence[LayerSpec], Streamed, Demand], Generator[int, None, _Found]]


def _fit_again(
    attempt: _Attempt,
    all_layers: Sequence[LayerSpec],
    group: Sequence[LayerSpec],
    settings: Streamed,
    demand: Demand,
    size: BatchSize,
    found: _Found,
    model: str,
) -> Iterator[int]:
    """Fit the lost layers with products in float64, in as few groups as the memory allows, and note what that gives.

    A layer whose vectors do not fit in float64 stays lost.
    """
    gc.collect()  # hooks and graphs of the fit before refer to each other
    demand = replace(demand, value=DOUBLE, batch_size=size.images)
    room = Room(settings.memory - demand.working(all_layers), settings.host)
    places = {group[index].name: index for index in found.lost}
    lost = sorted((group[index] for index in found.lost), key=lambda layer: layer.depth)
    fitting = [layer for layer in lost if room.holds([layer], demand)]
    log.info(
        "%s: units of %d layers differ so much in size that float32 is too coarse: %d of them are fitted again with "
        "products in float64, in %d forward passes a group, and %d have no room for that",
        model, len(lost), len(fitting), settings.n_components + 1, len(lost) - len(fitting),
    )  # fmt: skip
    for block in group_layers(fitting, partial(room.holds, demand=demand)):
        part = in_block(fitting, block)
        state = settings.state and settings.state.with_stem(f"{settings.state.stem}-{block}-again")
        again = yield from _attempt_wide(attempt, part, replace(settings, wide=True, state=state), demand, size)
        for layer, values in zip(part, again.predictions, strict=True):
            found.predictions[places[layer.name]] = values
        kept = {layer.name for index, layer in enumerate(part) if index not in again.lost + again.broken}
        found.lost = [index for index in found.lost if group[index].name not in kept]
        found.stopped += [places[part[index].name] for index in again.stopped]
        if state:
            state.unlink(missing_ok=True)


def _attempt_wide(
    attempt: _Attempt, layers: Sequence[LayerSpec], settings: Streamed, demand: Demand, size: BatchSize
) -> Generator[int, None, _Found]:
    return (yield from size.run(lambda images: attempt(layers, settings, replace(demand, batch_size=images)), AGAIN))


class _Fit:
    """One attempt, with one size of batches."""

    def __init__(
        self,
        network: nn.Module,
        all_layers: Sequence[LayerSpec],
        group: Sequence[LayerSpec],
        rated: RatedImages,
        settings: Streamed,
        demand: Demand,
        attributes: Mapping[str, str],
    ) -> None:
        device, n_splits, n_images = torch.device(settings.device), len(rated.splits), len(rated.pixels)
        values = hash_values(network) if settings.state else ""
        hosted = move_histories(group, demand, settings.memory - demand.working(all_layers), settings.host)
        resident = device.type == "cuda" and keeps_pixels(all_layers, group, hosted, demand, settings.memory)
        log.info("%s: %s", attributes["model"], describe(all_layers, group, demand, settings.memory, resident, hosted))
        self.settings, self.layers, self.model = settings, group, attributes["model"]
        self.images, self.preprocessing = Images(rated.pixels, device, resident), rated.preprocessing
        self.batch_size = demand.batch_size
        n_padded = padded_length(n_images, demand.batch_size)
        probes = normalise(_probes(self.images.first(1)).to(device), self.preprocessing)
        self.separate: list[int] = []  # layers that were proposed for a fusion, but gave something else for some image
        self.relations: dict[int, Relation] = {}  # of each fusion, made with the shifts
        self.targets = Targets.of(rated.scores, rated.splits, n_padded, device)
        dtype = torch.float64 if settings.wide else settings.dtype
        self.products: Products = WIDE if settings.wide else choose_products(device, dtype, n_splits)
        units = {layer.name: layer.units for layer in hosted}
        sizes = n_splits, settings.n_components
        self.histories = HostHistories(*sizes, dtype, device, units)
        self.vectors = [
            LayerVectors.empty(
                layer.units, n_splits, settings.n_components, dtype, device, self.histories.of(layer.name)
            )
            for layer in group
        ]
        for layer in self.vectors:
            layer.rounding = max(layer.rounding, torch.finfo(settings.dtype).eps)
        self._make_buffers(n_padded, dtype, device)
        self.broken: list[int] = []
        # A layer that is fitted again is read itself: what follows from another is not rounded as the network rounds.
        unfused = [Fusion(index) for index in range(len(group))]
        fusions = unfused if settings.wide else find_fusions(network, group, probes.to(settings.dtype))
        self._arrange(network, fusions)
        fingerprint = self._fingerprint(rated, attributes, values) if settings.state else ""
        self.kept = settings.state and Resumable(settings.state, fingerprint, "starting from the first component")

    def _make_buffers(self, n_padded: int, dtype: torch.dtype, device: torch.device) -> None:
        """Allocate what all layers share: predictions and scores of the images, and what a batch needs."""
        n_splits = self.targets.mask.shape[1]
        shape = (len(self.layers), n_padded, n_splits)
        self.predictions = torch.zeros(shape, dtype=torch.float64, device=device)
        self.scores = torch.zeros(shape, dtype=dtype, device=device)
        # Of the batch at hand; at fixed addresses, as CUDA graphs want them.
        self.batch_scores = torch.zeros(len(self.layers), self.batch_size, n_splits, dtype=dtype, device=device)
        self.training_scores = torch.zeros(LARGEST, self.batch_size, n_splits, dtype=dtype, device=device)
        self.weights = torch.zeros(self.batch_size, 2 * n_splits, dtype=dtype, device=device)
        self.mask = torch.zeros(self.batch_size, n_splits, dtype=dtype, device=device)
        self.offsets = torch.zeros(len(self.layers), n_splits, dtype=dtype, device=device)
        # Of an image in the sums of squares: the part of the splits that train on it.
        self.shares = torch.zeros(self.batch_size, dtype=dtype, device=device)

    def _fingerprint(self, rated: RatedImages, attributes: Mapping[str, str], values: str) -> str:
        """Hash all that a saved state depends on."""
        settings = self.settings
        return hash_object(
            [
                [dict(attributes), values],
                [asdict(layer) for layer in self.layers],
                rated.pixels.content_hash,
                asdict(rated.preprocessing),
                hash_arrays(rated.scores, *(part for split in rated.splits for part in (split.train, split.test))),
                [
                    settings.n_components,
                    self.batch_size,
                    self.images.device.type,
                    settings.tf32,
                    str(settings.dtype),
                    settings.wide,
                ],
                # Units lie as PyTorch's operations left them, which may change from version to version.
                [torch.__version__, self.runner.unit_orders],
            ]
        )

    def run(self, progress: Progress) -> Generator[int, None, _Found]:
        """Fit all components, or those that are left."""
        state = read_state(self.kept) if self.kept else {}
        self._part(state.get("separate", []))
        done, self.broken = restore(state, self.vectors, self.predictions)
        self.component, self.begun = done, bool(state.get("begun"))
        if state:
            log.info("resuming from component %d of %s", done + 1, self.settings.state)
        n_images = len(self.images)
        n_passes = self.settings.n_components - done + (not state)
        steps = self._components(sum_up=not state)
        try:
            yield from progress(steps, f"fitting {len(self.layers)} layers of {self.model}", n_passes * n_images)
        except StoppedError as stopped:
            raise self._halted(stopped, advanced=not state or self.component > done) from None
        predictions = self.targets.unscaled(self.predictions[:, :n_images]).cpu().numpy()
        lost = [index for index, layer in enumerate(self.vectors) if layer.is_lost and index not in self.broken]
        predictions[self.broken + lost] = np.nan
        return _Found(predictions, self.broken, lost, self._stopped(self.broken + lost))

    def _halted(self, stopped: StoppedError, advanced: bool) -> StoppedError:
        """Save the state, and say where it is."""
        if not self.begun:
            return StoppedError(f"{stopped}: the fit stopped in its first pass, of which nothing is kept", False)
        where = f"at component {self.component + 1} of {self.settings.n_components}"
        if not self._save():
            return StoppedError(f"{stopped}: the fit stopped {where}, and no state of it was saved", False)
        kept = f"its state is in {self.settings.state}; start it again to resume"
        return StoppedError(f"{stopped}: the fit stopped {where}, and {kept}", advanced)

    def _save(self) -> bool:
        """Save the state, if it has a place; return whether it is there."""
        if not self.kept:
            return False
        parts = self.vectors, self.predictions, self.broken, self.separate
        return save_state(self.kept, self.component, *parts, self.begun)

    def _stopped(self, failed: Sequence[int]) -> list[int]:
        """Return the layers that have fewer components than asked, of those that did not fail."""
        pairs = zip(self.vectors, self.predictions, strict=True)
        stopped = [index for index, (layer, found) in enumerate(pairs) if layer.has_stopped(found, self.targets)]
        return [index for index in stopped if index not in failed]

    def _components(self, sum_up: bool) -> Iterator[int]:
        if sum_up:
            yield from self._sum_up()
        saved, done = time.monotonic(), self.component
        self.runner.warm_up(self._project)
        for component in range(done, self.settings.n_components):
            self.component = component
            if component > done and time.monotonic() - saved >= self.settings.save_every:
                self._save()
                saved = time.monotonic()
            for offsets, layer in zip(self.offsets, self.vectors, strict=True):
                offsets.copy_(layer.begin_pass() if self.begun else layer.find_direction(component))
            self.begun = True
            yield from self.runner.run(self._project, self._set_mask, self._keep_scores)
            for layer, scores, predictions in zip(self.vectors, self.scores, self.predictions, strict=True):
                layer.deflate(component, scores, predictions, self.targets)
            self.begun = False

    def _sum_up(self) -> Iterator[int]:
        yield from self._check_and_add()
        self.broken = [index for index, layer in enumerate(self.vectors) if not layer.start(self.targets)]

    def _check_and_add(self) -> Iterator[int]:
        """Sum up, and once more where a layer turns out not to follow from another for all images."""
        check = Check(self.fusions, self.images.device)
        self.runner.warm_up(self._add, check.note)
        for layer in self.vectors:
            layer.sums.zero_()
            layer.power.zero_()
        yield from self.runner.run(self._add, self._set_weights, check=check.note)
        broken = check.broken()
        if broken:
            named = ", ".join(self.layers[index].name for index in broken)
            log.info("%s: read by themselves, as they follow from others for some images only: %s", self.model, named)
            self._part(broken)
            for _ in self._check_and_add():
                pass

    def _arrange(self, network: nn.Module, fusions: Sequence[Fusion]) -> None:
        self.fusions = fusions
        roots = [self.layers[fusion.root] for fusion in fusions]
        followers = [self.layers[member] for fusion in fusions for member in fusion.followers]
        data = self.images, self.preprocessing, self.batch_size
        self.runner = Runner(network, roots, *data, FAST, self.settings.dtype, followers)
        self.runner.survey(self._find_shift)

    def _part(self, broken: Sequence[int]) -> None:
        """Read layers by themselves."""
        if broken:
            self.separate += broken
            fusions = [part for fusion in self.fusions for part in fusion.without(broken)]
            self._arrange(self.runner.network, fusions)

    # --- what the output of a fusion's root is used for -----------------------------------------------------------

    def _find_shift(self, index: int, activations: Tensor) -> None:
        fusion = self.fusions[index]
        members = [self.vectors[member] for member in fusion.members]
        shift = members[0].shift.copy_(mean_of(activations))
        relation = Relation(shift, cap=fusion.cap)
        if fusion.affine is not None:
            scale, bias = (self.runner.repeat_per_channel(index, part) for part in fusion.affine)
            torch.addcmul(bias, shift, scale, out=members[1].shift)
            relation = replace(relation, scale=scale, bias=bias)
        if fusion.clamped is not None:
            relation = replace(relation, clamped_shift=members[-1].shift.copy_(mean_of(relation.clamp(activations))))
        self.relations[index] = relation

    def _add(self, index: int, activations: Tensor) -> None:
        members = [self.vectors[member] for member in self.fusions[index].members]
        sums, squares = [layer.sums for layer in members], [layer.power for layer in members]
        self.products.accumulate(activations, self.relations[index], self.weights.expand(LARGEST, -1, -1), sums)
        add_squares(activations, self.relations[index], self.shares, squares)

    def _project(self, index: int, activations: Tensor) -> None:
        relation, members = self.relations[index], self.fusions[index].members
        directions = [self.vectors[member].direction for member in members]
        offsets, scores = ([part[member] for member in members] for part in (self.offsets, self.batch_scores))
        self.products.project(activations, relation, directions, offsets, self.mask, scores, self.training_scores)
        totals = [self.vectors[member].total for member in members]
        self.products.accumulate(activations, relation, self.training_scores, totals)

    # --- what changes from batch to batch -------------------------------------------------------------------------

    def _rows(self, start: int) -> slice:
        return slice(start, start + len(self.mask))

    def _set_weights(self, start: int) -> None:
        rows = self._rows(start)
        self.weights.copy_(torch.cat([self.targets.mask[rows], self.targets.values[rows]], dim=1))
        self.shares.copy_(self.targets.mask[rows].mean(1))

    def _set_mask(self, start: int) -> None:
        self.mask.copy_(self.targets.mask[self._rows(start)])

    def _keep_scores(self, start: int) -> None:
        self.scores[:, self._rows(start)] = self.batch_scores


def _probes(images: Tensor) -> Tensor:
    """Return the first of images, uint8 [image, height, width, 3], and one of noise: the first may be special."""
    noise = torch.randint(256, images[:1].shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return torch.cat([images[:1], noise.to(images.device)])
