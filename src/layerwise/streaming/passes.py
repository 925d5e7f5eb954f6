"""Forward passes over all images in which the output of every wanted layer is shown to a visitor."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from layerwise.interfaces import LayerSpec, Preprocessing
from layerwise.layers.running import run_network
from layerwise.layers.tap import AllTaken
from layerwise.models.normalisation import normalise
from layerwise.streaming.source import Batches

_RECORDING = Lock()

Visitor = Callable[[int, Tensor], None]  # index of a layer, its output [image, unit]
Check = Callable[[int, Tensor], None]  # index of a layer or follower, its output [image, ...] as it is


class Passes:
    """Runs a network over batches of images.

    A visitor sees each wanted layer once a batch, with the output of the layer's last run in it, before a following
    operation can overwrite it in place. The order of a layer's units is its own but the same in all passes, so that
    outputs need no copy. On a GPU a pass is recorded as a CUDA graph and replayed.

    Parameters
    ----------
    network : nn.Module
        On the device of the batches, in eval mode.
    layers : sequence of LayerSpec
        Wanted layers.
    batches : Batches
        All images.
    preprocessing : Preprocessing
        What the network expects.
    dtype : torch.dtype
        Of the network's parameters.
    followers : sequence of LayerSpec
        Layers that only a check sees.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[LayerSpec],
        batches: Batches,
        preprocessing: Preprocessing,
        dtype: torch.dtype = torch.float32,
        followers: Sequence[LayerSpec] = (),
    ) -> None:
        self.network, self.layers, self.followers, self.batches = network, layers, followers, batches
        self.preprocessing, self._dtype = preprocessing, dtype
        self._format = torch.channels_last if batches.device.type == "cuda" else torch.contiguous_format
        if batches.device.type == "cuda":
            network.to(memory_format=torch.channels_last)
        self._inputs = self._prepare(batches.first())
        self._runs = [0] * (len(layers) + len(followers))  # of each layer and follower in a forward pass
        self._nhwc = [False] * len(layers)  # whether the units of each layer are in the order height, width, channel
        self._recorded: tuple[tuple[Visitor, Check | None], Callable[[], None]] | None = None

    def survey(self, visit: Visitor) -> None:
        """Run the first batch, and count the runs of each layer; the visitor sees all of them, the last one last.

        Raises
        ------
        ValueError
            A layer does not run, or gives other outputs than the manifest says.
        """
        sizes = [0] * len(self.layers)

        def note(index: int, _module: nn.Module, _inputs: Any, output: Any) -> None:
            if index >= len(sizes):
                self._runs[index] += 1
                return
            if not isinstance(output, Tensor) or output.ndim < 2:
                raise ValueError(f"the layer {self.layers[index].name!r} gives no tensor [image, ...]")
            self._runs[index] += 1
            self._nhwc[index] = _is_nhwc(output)
            sizes[index] = output[0].numel()
            if sizes[index] == self.layers[index].units:
                visit(index, self._rows(index, output))

        with hooked(self.network, [*self.layers, *self.followers], note):
            run_network(self.network, self._inputs)
        for layer, size in zip(self.layers, sizes, strict=True):
            if size != layer.units:
                gave = f"gave {size} values" if size else "did not run"
                raise ValueError(
                    f"the layer {layer.name!r} {gave} for an image, not {layer.units}: the manifest is of another "
                    "network or another input size; list the layers again"
                )

    def run(
        self,
        visit: Visitor,
        before: Callable[[int], None],
        after: Callable[[int], None],
        check: Check | None = None,
    ) -> Iterator[int]:
        """Run all batches, and yield the index of each image that is done.

        Parameters
        ----------
        visit : Visitor
            Called for each layer; on a GPU only while the graph is recorded, so it must always do the same.
        before, after : callable
            Called with the index of a batch's first image before and after its forward pass.
        check : callable, optional
            Called for each layer, before the visitor, and for each follower, whose index counts on from the layers'.

        Raises
        ------
        ValueError
            A layer does not run as often as for the first images.
        """
        on_gpu = self.batches.device.type == "cuda"
        step = self._record(visit, check) if on_gpu else lambda: self._forward(visit, check)
        size, n_images = self.batches.batch_size, len(self.batches.pixels)
        for number, pixels in enumerate(self.batches):
            self._inputs.copy_(self._prepare(pixels))
            before(number * size)
            step()
            after(number * size)
            yield from range(number * size, min((number + 1) * size, n_images))

    def warm_up(self, visit: Visitor, check: Check | None = None) -> None:
        """Run one batch, as CUDA graphs want it before they are recorded; what a visitor sums up is spoilt."""
        if self.batches.device.type == "cuda":
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                self._forward(visit, check)
            torch.cuda.current_stream().wait_stream(aside)

    def _record(self, visit: Visitor, check: Check | None) -> Callable[[], None]:
        if self._recorded is None or self._recorded[0] != (visit, check):
            self._recorded = None  # gives its memory back before the next is recorded
            graph = torch.cuda.CUDAGraph()
            with _recording(graph):
                self._forward(visit, check)
            self._recorded = (visit, check), graph.replay
        return self._recorded[1]

    def _forward(self, visit: Visitor, check: Check | None) -> None:
        layers = [*self.layers, *(self.followers if check else ())]
        expected = self._runs[: len(layers)]
        runs, left = [0] * len(layers), [sum(expected)]

        def take(index: int, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
            runs[index] += 1
            left[0] -= 1
            if runs[index] == expected[index]:
                if check:
                    check(index, output)
                if index < len(self.layers):
                    visit(index, self._rows(index, output))
            if not left[0] and runs == expected:
                raise AllTaken

        with hooked(self.network, layers, take), suppress(AllTaken):
            run_network(self.network, self._inputs)
        for layer, ran, often in zip(layers, runs, expected, strict=True):
            if ran != often:
                raise ValueError(
                    f"the layer {layer.name!r} ran {ran} times for some images and {often} times for the first: what "
                    "runs must not depend on the image; leave the layer or the network out"
                )

    @property
    def unit_orders(self) -> list[str]:
        """The order of each layer's units, once it was surveyed."""
        return ["height, width, channel" if nhwc else "channel, height, width" for nhwc in self._nhwc]

    def spread(self, index: int, values: Tensor) -> Tensor:
        """Give each unit of a layer the value of its channel.

        Parameters
        ----------
        index : int
            Of the layer.
        values : Tensor [channel]
            On any device.
        """
        inner = self.layers[index].units // len(values)
        return values.repeat(inner) if self._nhwc[index] else values.repeat_interleave(inner)

    def _rows(self, index: int, output: Tensor) -> Tensor:
        if self._nhwc[index]:
            output = output.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
        return output.contiguous().flatten(1)

    def _prepare(self, pixels: Tensor) -> Tensor:
        images = normalise(pixels.to(self.batches.device), self.preprocessing)
        return images.to(self._dtype).contiguous(memory_format=self._format)


@contextmanager
def hooked(
    network: nn.Module, layers: Sequence[LayerSpec], take: Callable[[int, nn.Module, Any, Any], None]
) -> Iterator[None]:
    """Show what layers are given and give, while the block runs a network: index, module, inputs, output.

    Raises
    ------
    ValueError
        The network lacks a layer.
    """
    modules = dict(network.named_modules())
    unknown = [layer.name for layer in layers if layer.name not in modules]
    if unknown:
        raise ValueError(f"the network has no layer {unknown[0]!r}: the manifest is of another network")
    handles = [modules[layer.name].register_forward_hook(partial(take, index)) for index, layer in enumerate(layers)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _recording(graph: torch.cuda.CUDAGraph) -> Iterator[None]:
    """Record a graph; where memory runs out meanwhile, say so and not that the recording was broken off."""
    # An old graph that is collected meanwhile would break the recording off; so threads record one after another.
    with _RECORDING:
        gc.collect()
        gc.disable()
        try:
            # thread_local: another thread, which drives another GPU, may allocate meanwhile. The stream that PyTorch
            # would take is one for all threads, on the GPU that recorded first.
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                yield
        except RuntimeError as error:
            if isinstance(error.__context__, torch.OutOfMemoryError):
                raise error.__context__ from None
            raise
        finally:
            gc.enable()


def _is_nhwc(output: Tensor) -> bool:
    return output.ndim == 4 and not output.is_contiguous() and output.is_contiguous(memory_format=torch.channels_last)
