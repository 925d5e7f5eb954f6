"""Work of one job on several GPUs: layers are divided over them, each is driven by a thread."""

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from typing import Any, TypeVar

from layerwise.interfaces import LayerSpec

Item = TypeVar("Item")

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
        middle = before + layer.units / 2
        shares.setdefault(int(n_devices * middle / total), []).append(layer)
        before += layer.units
    return list(shares.values())


def run_together(works: Sequence[Iterable[Item]]) -> Generator[Item]:
    """Go through several iterables at once, each in a thread; a single one in this thread.

    Returns
    -------
    iterator
        What they give, in the order in which it comes.

    Raises
    ------
    Exception
        The first that one of them raises; the others stop at their next item.
    """
    if len(works) == 1:
        yield from works[0]
        return
    arrived: SimpleQueue[Any] = SimpleQueue()
    stop = Event()
    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(_drive, work, arrived.put, stop) for work in works]
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


def _drive(work: Iterable[Item], put: Callable[[Item], None], stop: Event) -> None:
    for item in work:
        put(item)
        if stop.is_set():
            break
