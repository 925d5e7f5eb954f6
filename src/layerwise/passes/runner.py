"""Runs a network over all images, and shows the output of every wanted layer to a visitor."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from layerwise.interfaces import LayerSpec, Preprocessing
from layerwise.layers.running import run_network
from layerwise.layers.tap import AllTaken
from layerwise.models.normalisation import normalise
from layerwise.passes import graphs
from layerwise.passes.hooks import hooked
from layerwise.passes.images import Images

Visitor = Callable[[int, Tensor], None]  # index of a layer, its output [image, unit]
Check = Callable[[int, Tensor], None]  # index of a layer or follower, its output [image, ...] as it is


@dataclass(frozen=True)
class Mode:
    """How batches go through a network.

    Parameters
    ----------
    padded : bool
        Fill the last batch up, so that all have the same size. Rounding depends on the size of a batch.
    recorded : bool
        On a GPU, record a batch as a CUDA graph and replay it; batches must be padded.
    own_order : bool
        Take the units of a layer in the order in which the network left them, which needs no copy, and run a GPU's
        convolutions in the order height, width, channel; else the units are in the order channel, height, width.
    """

    padded: bool
    recorded: bool
    own_order: bool


PLAIN = Mode(padded=False, recorded=False, own_order=False)
FAST = Mode(padded=True, recorded=True, own_order=True)  # for many passes


def _nothing(_first: int) -> None:
    pass


class Runner:
    """Runs a network over batches of images.

    A visitor sees each wanted layer once a batch, with the output of the layer's last run in it, before a following
    operation can overwrite it in place. Only the first batch is run to its end, to count the runs of each layer; the
    others end with the last wanted layer. While runs are counted, the visitor sees all of them, the last one last.

    Parameters
    ----------
    network : nn.Module
        On the device of the images, in eval mode.
    layers : sequence of LayerSpec
        Wanted layers.
    images : Images
        All images.
    preprocessing : Preprocessing
        What the network expects.
    batch_size : int
        Images in a forward pass.
    mode : Mode
        `FAST` or `PLAIN`.
    dtype : torch.dtype
        Of the network's parameters.
    followers : sequence of LayerSpec
        Layers that only a check sees.
    start : int
        Number of the first image to run.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[LayerSpec],
        images: Images,
        preprocessing: Preprocessing,
        batch_size: int,
        mode: Mode = FAST,
        dtype: torch.dtype = torch.float32,
        followers: Sequence[LayerSpec] = (),
        start: int = 0,
    ) -> None:
        self.network, self.layers, self.followers, self.images = network, layers, followers, images
        self.preprocessing, self.batch_size, self._mode, self._dtype = preprocessing, batch_size, mode, dtype
        self._start = start
        on_gpu = images.device.type == "cuda"
        self._records = on_gpu and mode.recorded
        self._format = torch.channels_last if on_gpu and mode.own_order else torch.contiguous_format
        if self._format is torch.channels_last:
            network.to(memory_format=torch.channels_last)
        self._inputs = torch.empty(0)
        self._runs: list[int] = []  # of each layer and follower in a forward pass, once they are counted
        self._nhwc = [False] * len(layers)  # whether the units of each layer are in the order height, width, channel
        self._recorded: tuple[tuple[Visitor, Check | None], Callable[[], None]] | None = None

    def survey(self, visit: Visitor) -> None:
        """Run the first batch, and count the runs of each layer.

        Raises
        ------
        ValueError
            A layer does not run, or gives other outputs than the manifest says.
        """
        self._inputs = self._prepare(self.images.first(self.batch_size, self._start, self._mode.padded))
        self._count(visit)

    def run(
        self,
        visit: Visitor,
        before: Callable[[int], None] = _nothing,
        after: Callable[[int], None] = _nothing,
        check: Check | None = None,
    ) -> Iterator[int]:
        """Run all batches, and yield the number of each image that is done.

        Parameters
        ----------
        visit : Visitor
            Called for each layer; if a graph is recorded, only meanwhile, so it must always do the same.
        before, after : callable
            Called with the number of a batch's first image before and after its forward pass.
        check : callable, optional
            Called for each layer, before the visitor, and for each follower, whose index counts on from the layers'.

        Raises
        ------
        ValueError
            A layer does not run, gives other outputs than the manifest says, or runs more or less often than for the
            first images.
        """
        for first, pixels in self.images.batches(self.batch_size, self._start, self._mode.padded):
            self._put(self._prepare(pixels))
            before(first)
            self._step(visit, check)
            after(first)
            yield from range(first, min(first + self.batch_size, len(self.images)))

    def warm_up(self, visit: Visitor, check: Check | None = None) -> None:
        """Run one batch, if it is to be recorded; whatever a visitor sums up is wrong afterwards."""
        if self._records:
            graphs.warm_up(lambda: self._forward(visit, check))

    def _put(self, inputs: Tensor) -> None:
        """Make a batch the next one; at the address of the last, if that is recorded."""
        if self._records and self._inputs.shape == inputs.shape:
            self._inputs.copy_(inputs)
        else:
            self._inputs = inputs

    def _step(self, visit: Visitor, check: Check | None) -> None:
        if not self._runs:
            self._count(visit, check)
        elif self._records:
            self._record(visit, check)()
        else:
            self._forward(visit, check)

    def _record(self, visit: Visitor, check: Check | None) -> Callable[[], None]:
        if self._recorded is None or self._recorded[0] != (visit, check):
            self._recorded = None  # gives its memory back before the next is recorded
            self._recorded = (visit, check), graphs.record(lambda: self._forward(visit, check))
        return self._recorded[1]

    def _count(self, visit: Visitor, check: Check | None = None) -> None:
        runs = [0] * (len(self.layers) + len(self.followers))
        shapes: list[tuple[int, ...]] = [()] * len(self.layers)  # of the last run: only that must fit

        def note(index: int, _module: nn.Module, _inputs: Any, output: Any) -> None:
            runs[index] += 1
            if check:
                check(index, output)
            if index < len(self.layers):
                self._nhwc[index] = self._mode.own_order and _is_nhwc(output)
                rows = self._rows(index, output)
                shapes[index] = tuple(rows.shape)
                if shapes[index] == self._expected(index):
                    visit(index, rows)

        with torch.inference_mode(), hooked(self.network, [*self.layers, *self.followers], note):
            run_network(self.network, self._inputs)
        for index, shape in enumerate(shapes):
            self._require(index, shape)
        self._runs = runs

    def _forward(self, visit: Visitor, check: Check | None) -> None:
        layers = [*self.layers, *(self.followers if check else ())]
        expected = self._runs[: len(layers)]
        runs, left = [0] * len(layers), [sum(expected)]

        def take(index: int, _module: nn.Module, _inputs: Any, output: Any) -> None:
            runs[index] += 1
            left[0] -= 1
            if runs[index] == expected[index]:
                if check:
                    check(index, output)
                if index < len(self.layers):
                    rows = self._rows(index, output)
                    self._require(index, tuple(rows.shape))
                    visit(index, rows)
            if not left[0] and runs == expected:
                raise AllTaken

        with torch.inference_mode(), hooked(self.network, layers, take), suppress(AllTaken):
            run_network(self.network, self._inputs)
        for layer, ran, often in zip(layers, runs, expected, strict=True):
            if ran != often:
                raise ValueError(
                    f"the layer {layer.name!r} ran {ran} times for some images and {often} times for the first: what "
                    "runs must not depend on the image; leave the layer or the network out"
                )

    def _expected(self, index: int) -> tuple[int, int]:
        return len(self._inputs), self.layers[index].units

    def _require(self, index: int, shape: tuple[int, ...]) -> None:
        expected = self._expected(index)
        if shape != expected:
            gave = f"gave {list(shape)} values" if shape else "did not run"
            raise ValueError(
                f"the layer {self.layers[index].name!r} {gave} for {expected[0]} images, not {list(expected)}: the "
                "manifest is of another network or another input size; list the layers again"
            )

    @property
    def unit_orders(self) -> list[str]:
        """The order of each layer's units, once its runs are counted."""
        return ["height, width, channel" if nhwc else "channel, height, width" for nhwc in self._nhwc]

    def repeat_per_channel(self, index: int, values: Tensor) -> Tensor:
        """Return for each unit of a layer the value of its channel.

        Parameters
        ----------
        index : int
            Of the layer.
        values : Tensor [channel]
            On any device.
        """
        inner = self.layers[index].units // len(values)
        return values.repeat(inner) if self._nhwc[index] else values.repeat_interleave(inner)

    def _rows(self, index: int, output: Any) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim < 2:
            raise ValueError(f"the layer {self.layers[index].name!r} gives no tensor [image, ...]")
        ordered: Tensor = output
        if self._nhwc[index]:
            ordered = output.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
        return ordered.contiguous().flatten(1)

    def _prepare(self, pixels: Tensor) -> Tensor:
        images = normalise(pixels.to(self.images.device), self.preprocessing)
        return images.to(self._dtype).contiguous(memory_format=self._format)


def _is_nhwc(output: Any) -> bool:
    if not isinstance(output, Tensor) or output.ndim != 4 or output.is_contiguous():
        return False
    return output.is_contiguous(memory_format=torch.channels_last)
