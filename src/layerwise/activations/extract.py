"""Running a network over stimuli: one forward pass takes many layers, within a budget of memory."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path

import torch
from torch import nn

from layerwise.activations.ahead import ReadAhead
from layerwise.activations.devices import run_together
from layerwise.activations.planner import Part, explain, largest_write, plan_extraction, stored_bytes
from layerwise.activations.precision import full_precision
from layerwise.activations.reduce import Reducer, Writer
from layerwise.activations.resident import load_all
from layerwise.activations.store import write_store
from layerwise.activations.warn import NONFINITE, warn_layers
from layerwise.files import hash_object
from layerwise.interfaces import LayerSpec, Pixels, Preprocessing, Progress, no_progress
from layerwise.layers.running import run_network
from layerwise.layers.tap import AllTaken, LayerTap
from layerwise.models.normalisation import normalise

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
) -> None:
    """Run a network over stimuli and keep what regression needs of every layer.

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

    Raises
    ------
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
    budget, plans = plan_extraction(layers, len(pixels), taken, memory, on_gpu, len(devices))
    with (
        full_precision(),
        write_store(output, layers, pixels.ids, {**attributes, **hashes}) as store,
        Writer(budget.backlog) as writer,
        ExitStack() as opened,
    ):
        model, shares = attributes["model"], []
        log.info("%s: %.2f GB on disk", model, stored_bytes(layers, len(pixels)) / 1e9)
        for passes, place in zip(plans, devices, strict=False):
            log.info("%s on %s: %s", model, place, explain(passes, len(pixels), budget))
            own = network if len(plans) == 1 else deepcopy(network)
            source = _Resident(pixels, place) if budget.resident else opened.enter_context(ReadAhead(pixels, place))
            runner = _Runner(own.to(place).eval(), source, preprocessing, place, batch_size)
            reducer = Reducer(store, writer, len(pixels), place, largest_write(passes, len(pixels)))
            shares.append(_Share(passes, runner, reducer))
        # Closed before the file is: the threads of other devices end first.
        steps = opened.enter_context(closing(run_together([share.take() for share in shares])))
        total = sum(map(len, plans)) * len(pixels)
        for _ in progress(steps, f"running {model}", total):
            pass
    nonfinite = [name for share in shares for name in share.reducer.nonfinite]
    warn_layers(nonfinite, model, NONFINITE, stacklevel=2)


class _Resident:
    """All pixels on a device."""

    def __init__(self, pixels: Pixels, device: torch.device) -> None:
        self._pixels = load_all(pixels, device)

    def __len__(self) -> int:
        return len(self._pixels)

    def read(self, start: int, stop: int) -> torch.Tensor:
        return self._pixels[start:stop]


@dataclass
class _Share:
    """The layers that one device takes."""

    passes: Sequence[Sequence[Part]]
    runner: "_Runner"
    reducer: Reducer

    def take(self) -> Iterator[int]:
        """Run all passes, and yield the index of each stimulus that is done."""
        n_stimuli = len(self.runner.pixels)
        # One allocation for all passes: the peak is known beforehand, and the memory of a GPU stays in one piece.
        width = max(sum(part.units for part in parts) for parts in self.passes)
        pool = torch.empty(n_stimuli * width, dtype=torch.float32, device=self.runner.device)
        for parts in self.passes:
            buffers = _divide(pool, parts, n_stimuli)
            yield from self.runner.fill(parts, buffers)
            for part, buffer in zip(parts, buffers, strict=True):
                self.reducer.take(part, buffer)


def _divide(pool: torch.Tensor, parts: Sequence[Part], n_stimuli: int) -> list[torch.Tensor]:
    ends = list(accumulate(n_stimuli * part.units for part in parts))
    pieces = (pool[start:end] for start, end in pairwise([0, *ends]))
    return [piece.view(n_stimuli, part.units) for piece, part in zip(pieces, parts, strict=True)]


@dataclass
class _Runner:
    """Feeds a network batch by batch and fills buffers [stimulus, unit] from its layers."""

    network: nn.Module
    pixels: ReadAhead | _Resident
    preprocessing: Preprocessing
    device: torch.device
    batch_size: int

    def fill(self, parts: Sequence[Part], buffers: Sequence[torch.Tensor]) -> Iterator[int]:
        """Run all stimuli, and yield the index of each that is done."""
        start, runs = 0, None
        while start < len(self.pixels):
            stop = min(start + self.batch_size, len(self.pixels))
            filled = zip(parts, buffers, strict=True)
            sink = _Sink({part.layer.name: (part, buffer[start:stop]) for part, buffer in filled}, runs)
            if self._run(start, stop, sink):
                runs = sink.runs  # the first batch runs through and counts; the others stop when all is taken
                yield from range(start, stop)
                start = stop
            else:
                self._halve()

    def _run(self, start: int, stop: int, sink: "_Sink") -> bool:
        try:
            images = self.pixels.read(start, stop)
            with torch.inference_mode(), LayerTap(self.network, sink.rows, sink):
                run_network(self.network, normalise(images, self.preprocessing))
        except AllTaken:
            pass
        except torch.OutOfMemoryError:
            if self.batch_size == 1:
                raise
            return False
        sink.check()
        return True

    def _halve(self) -> None:
        # Outside the except clause: there the traceback still holds the tensors of the batch.
        torch.cuda.empty_cache()
        self.batch_size //= 2
        log.warning("the device is out of memory: going on with %d images a batch", self.batch_size)


@dataclass
class _Sink:
    """Copies the wanted units of each layer into the rows of a batch.

    `expected` is the number of runs of wanted layers in a whole pass, where it is known: then the pass ends with the
    last of them.
    """

    rows: Mapping[str, tuple[Part, torch.Tensor]]
    expected: int | None = None
    runs: int = 0
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __call__(self, name: str, output: torch.Tensor) -> None:
        part, target = self.rows[name]
        self.runs += 1
        self.shapes[name] = tuple(output.shape)  # of the last run: only that must fit
        if self.shapes[name] == (len(target), part.layer.units):
            target.copy_(output[:, part.start : part.stop])
        if self.runs == self.expected:
            raise AllTaken

    def check(self) -> None:
        for name, (part, target) in self.rows.items():
            expected, found = (len(target), part.layer.units), self.shapes.get(name)
            if found != expected:
                gave = "did not run" if found is None else f"gave {list(found)} values"
                raise ValueError(
                    f"the layer {name!r} {gave} for {len(target)} images, not {list(expected)}: the "
                    "manifest is of another network or another input size; list the layers again"
                )
