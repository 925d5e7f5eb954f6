"""Work of one job on several GPUs: layers are divided over them, and a thread drives each. Planning needs no torch."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from copy import deepcopy
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from layerwise.interfaces import LayerSpec

if TYPE_CHECKING:
    import torch
    from torch import nn

Item = TypeVar("Item")
Result = TypeVar("Result")

_END = object()


def share_layers(layers: Sequence[LayerSpec], n_devices: int) -> list[list[LayerSpec]]:
    """Divide layers, in order of depth, into neighbours with about as many units each.

    Parameters
    ----------
    layers : sequence of LayerSpec
        Layers to divide.
    n_devices : int
        Shares wanted; fewer come back where there are too few layers, or one has most of the units.

    Returns
    -------
    list of list of LayerSpec
        None is empty.
    """
    total, before = sum(layer.units for layer in layers), 0
    shares: dict[int, list[LayerSpec]] = {}
    for layer in sorted(layers, key=lambda layer: layer.depth):
        centre = before + layer.units / 2
        shares.setdefault(int(n_devices * centre / total), []).append(layer)
        before += layer.units
    return list(shares.values())


def own_network(network: "nn.Module", n_devices: int) -> "nn.Module":
    """Return the network for one device, and a copy of it where several devices each need their own."""
    return network if n_devices == 1 else deepcopy(network)


def finish(work: Generator[Any, None, Result]) -> Result:
    """Run a generator to its end, and return what it returns."""
    while True:
        try:
            next(work)
        except StopIteration as ended:
            result: Result = ended.value
            return result


def run_together(works: Sequence[Iterator[Item]], devices: Sequence[str] = ()) -> Generator[Item]:
    """Go through several iterators at once, each in a thread; a single one in this thread.

    Parameters
    ----------
    works : sequence of iterator
        What is to be done.
    devices : sequence of str
        The device of each, which is made its thread's current one: kernels of Triton go there.

    Returns
    -------
    iterator
        What they yield, in the order in which it comes.

    Raises
    ------
    Exception
        The first that one of them raises; the others stop at their next item.
    """
    places = [current_device(device) for device in devices] or [nullcontext()] * len(works)
    if len(works) == 1:
        with places[0]:
            yield from works[0]
        return
    arrived: SimpleQueue[Any] = SimpleQueue()
    stop = Event()
    with ThreadPoolExecutor(len(works)) as pool:
        running = [
            pool.submit(_drive, work, place, arrived.put, stop) for work, place in zip(works, places, strict=True)
        ]
        for future in running:
            future.add_done_callback(lambda _: arrived.put(_END))
        try:
            for _ in works:
                yield from iter(arrived.get, _END)
                for future in running:
                    if future.done():
                        future.result()
        finally:
            stop.set()


def _drive(work: Iterator[Item], place: AbstractContextManager[None], put: Callable[[Item], None], stop: Event) -> None:
    with place, ExitStack() as ended:
        if isinstance(work, Generator):
            ended.callback(work.close)  # here, in the thread that it ran in
        for item in work:
            put(item)
            if stop.is_set():
                break


def current_device(device: "str | torch.device") -> AbstractContextManager[None]:
    """Return the context in which a GPU is the current one: streams and kernels are of the current GPU."""
    if not str(device).startswith("cuda"):
        return nullcontext()
    import torch  # here, since planning divides layers without it

    return torch.cuda.device(device)
