"""Running a network over stimuli: one forward pass takes many layers, within a budget of memory."""

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import torch
from torch import nn

from layerwise.activations.parts import Part, describe, largest_write, plan_extraction, stored_bytes
from layerwise.activations.reduce import Reducer, Writer
from layerwise.activations.store import StoreWriter, write_store
from layerwise.files import hash_object
from layerwise.interfaces import (
    LayerSpec,
    Pixels,
    Preprocessing,
    Progress,
    Stop,
    StoppedError,
    never,
    no_progress,
    until_asked,
)
from layerwise.passes.degenerate import NONFINITE, warn_layers
from layerwise.passes.devices import own_network, run_together
from layerwise.passes.halving import BatchSize
from layerwise.passes.images import Images
from layerwise.passes.precision import full_precision
from layerwise.passes.runner import PLAIN, Runner

log = logging.getLogger(__name__)


def extract_activations(
    network: nn.Module,
    layers: Sequence[LayerSpec],
    pixels: Pixels,
    preprocessing: Preprocessing,
    output: str | Path,
    memory: int,
    attributes: Mapping[str, str],
    device: str | Sequence[str] = "cpu",
    batch_size: int = 32,
    progress: Progress = no_progress,
    stop: Stop = never,
) -> None:
    """Run a network over stimuli and keep what regression needs of every layer.

    A run that was stopped leaves the layers that are done beside the file, and the same call goes on with the others.
    Of a layer with no more units than there are stimuli the activations are kept; of a larger one the Gram
    matrix of the centred activations, which is all that PLS sees of it. The activations are kept in float32, a
    Gram matrix in float64. The peak of memory is `memory`, plus the network and what it needs for a batch.

    Parameters
    ----------
    network : nn.Module
        Moved to `device`, and set to eval mode; with several devices each gets a copy.
    layers : sequence of LayerSpec
        Its layers, from its manifest.
    pixels : Pixels
        Decoded stimuli.
    preprocessing : Preprocessing
        What the network expects.
    output : path
        HDF5 file to write, whole or not at all.
    memory : int
        Budget, bytes, of buffers and Gram matrices (and on a GPU of pixels, which stay there), on each device.
    attributes : mapping of str to str
        Stored with the activations: "model", and the hashes "weights" and "code"; those of preprocessing and
        stimuli are added.
    device : str or sequence of str
        "cpu" or "cuda"; of several, such as "cuda:0" and "cuda:1", each takes a share of the layers.
    batch_size : int
        Images in a forward pass; halved, with a log message, whenever the device runs out of memory.
    progress : Progress
        Shows how far it has come, image by image.
    stop : callable
        Asked after each image.

    Raises
    ------
    StoppedError
        It was asked to stop; the layers that are done are kept.
    ValueError
        The budget is too small, or the layers are not those of the network.
    OSError
        The disk is full.

    Warns
    -----
    DegenerateWarning
        Layers gave NaN or infinite values.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, not {batch_size}")
    devices = [torch.device(name) for name in ([device] if isinstance(device, str) else device)]
    hashes = {"preprocessing": hash_object(asdict(preprocessing)), "stimuli": pixels.content_hash}
    on_gpu = devices[0].type == "cuda"  # all devices are alike, and each has as much memory
    taken = len(pixels) * pixels.read(0, 1).nbytes if on_gpu else 0
    plan_extraction(layers, len(pixels), taken, memory, on_gpu, len(devices))  # too little memory is told at once
    with full_precision(), write_store(output, layers, pixels.ids, {**attributes, **hashes}) as store:
        left, model = store.left(layers), attributes["model"]
        log.info("%s: %.2f GB on disk", model, stored_bytes(layers, len(pixels)) / 1e9)
        if len(left) < len(layers):
            log.info("%s: resuming, %d of %d layers are done", model, len(layers) - len(left), len(layers))
        if left:
            budget, plans = plan_extraction(left, len(pixels), taken, memory, on_gpu, len(devices))
            with _stops_told(store, layers, len(left), model), Writer(budget.backlog) as writer:
                shares = []
                for passes, place in zip(plans, devices, strict=False):
                    log.info("%s on %s: %s", model, place, describe(passes, len(pixels), budget))
                    own = own_network(network, len(plans)).to(place).eval()
                    images = Images(pixels, place, resident=bool(budget.resident))
                    reducer = Reducer(store, writer, len(pixels), place, largest_write(passes, len(pixels)))
                    shares.append(_Share(passes, own, images, preprocessing, BatchSize(batch_size), reducer))
                shown = until_asked(progress, stop)
                _run(shares, sum(map(len, plans)) * len(pixels), f"running {model}", shown)
    warn_layers(store.nonfinite, model, NONFINITE, stacklevel=2)


@contextmanager
def _stops_told(store: StoreWriter, layers: Sequence[LayerSpec], n_left: int, model: str) -> Iterator[None]:
    """Say of a run that stops how many layers are done."""
    try:
        yield
    except StoppedError as stopped:
        now_left = len(store.left(layers))
        raise StoppedError(
            f"{stopped}: {len(layers) - now_left} of {len(layers)} layers of {model} are done and kept; start it again "
            "to go on with the others",
            advanced=now_left < n_left,
        ) from None


def _run(shares: Sequence["_Share"], total: int, what: str, progress: Progress) -> None:
    # Closed before the file is: the threads of other devices end first.
    with closing(
        run_together([share.take() for share in shares], [str(share.images.device) for share in shares])
    ) as steps:
        for _ in progress(steps, what, total):
            pass


@dataclass
class _Share:
    """The layers that one device takes."""

    passes: Sequence[Sequence[Part]]
    network: nn.Module
    images: Images
    preprocessing: Preprocessing
    size: BatchSize
    reducer: Reducer

    def take(self) -> Iterator[int]:
        """Run all passes, and yield the number of each stimulus that is done."""
        n_stimuli = len(self.images)
        # One allocation for all passes: the peak is known beforehand, and the memory of a GPU stays in one piece.
        width = max(sum(part.units for part in parts) for parts in self.passes)
        pool = torch.empty(n_stimuli * width, dtype=torch.float32, device=self.images.device)
        for parts in self.passes:
            buffers = _divide(pool, parts, n_stimuli)
            yield from self.size.run(_Filling(self, parts, buffers).run)
            for part, buffer in zip(parts, buffers, strict=True):
                self.reducer.take(part, buffer)


def _divide(pool: torch.Tensor, parts: Sequence[Part], n_stimuli: int) -> list[torch.Tensor]:
    ends = list(accumulate(n_stimuli * part.units for part in parts))
    pieces = (pool[start:end] for start, end in pairwise([0, *ends]))
    return [piece.view(n_stimuli, part.units) for piece, part in zip(pieces, parts, strict=True)]


@dataclass
class _Filling:
    """A pass that fills buffers [stimulus, unit] with the wanted units of layers."""

    share: _Share
    parts: Sequence[Part]
    buffers: Sequence[torch.Tensor]
    done: int = 0  # stimuli
    first: int = 0  # stimulus of the batch at hand

    def run(self, batch_size: int) -> Generator[int]:
        """Run the stimuli that are not done, and yield the number of each that is."""
        share, layers = self.share, [part.layer for part in self.parts]
        runner = Runner(share.network, layers, share.images, share.preprocessing, batch_size, PLAIN, start=self.done)
        for stimulus in runner.run(self._copy, before=self._begin):
            self.done = stimulus + 1
            yield stimulus

    def _begin(self, first: int) -> None:
        self.first = first

    def _copy(self, index: int, activations: torch.Tensor) -> None:
        part = self.parts[index]
        rows = self.buffers[index][self.first : self.first + len(activations)]
        rows.copy_(activations[:, part.start : part.stop])
