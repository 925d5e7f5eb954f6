"""A streamed fit on several GPUs: each fits a share of the layers, with its own copy of the network."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from layerwise.activations.precision import exact_products
from layerwise.interfaces import LayerSpec, Pixels, Preprocessing, Progress, Split, no_progress
from layerwise.streaming.fit import Streamed, stream_pls
from layerwise.streaming.planner import Room

Item = TypeVar("Item")


def stream_pls_on(
    devices: Sequence[str],
    network: nn.Module,
    all_layers: Sequence[LayerSpec],
    group: Sequence[LayerSpec],
    pixels: Pixels,
    preprocessing: Preprocessing,
    scores: NDArray[np.float64],
    splits: Sequence[Split],
    how: Streamed,
    attributes: Mapping[str, str],
    progress: Progress = no_progress,
) -> NDArray[np.float64]:
    """Do as `stream_pls`, the layers divided over devices.

    Parameters
    ----------
    devices : sequence of str
        Such as "cuda:0" and "cuda:1"; each keeps a state of its own. All states are removed when all have ended.
    network, all_layers, group, pixels, preprocessing, scores, splits, how, attributes, progress
        As in `stream_pls`; the progress shown is that of the first device.

    Returns
    -------
    float64 array [layer, image, split]
        The same predictions, whatever the devices.

    Raises
    ------
    ValueError
        As in `stream_pls`; the other devices stop at their next image.
    """
    demand = how.demand(len(pixels), len(splits), preprocessing.size)
    room = Room(how.memory - demand.working(all_layers), how.host, len(devices))
    placed, stop = room.place(group, demand), Event()
    shares = [share for share, _ in placed]
    hosts = [sum(map(demand.history, hosted)) for _, hosted in placed]
    states = [_state(how.state, index) if len(shares) > 1 else how.state for index in range(len(shares))]

    def fit(index: int) -> NDArray[np.float64]:
        own = network if len(shares) == 1 else deepcopy(network)
        data = pixels, preprocessing, scores, splits
        shown = progress if index == 0 else no_progress
        # Kernels go to the device that is current in their thread.
        with torch.cuda.device(devices[index]) if devices[index].startswith("cuda:") else nullcontext():
            settings = replace(how, device=devices[index], host=hosts[index], state=states[index])
            return stream_pls(own, all_layers, shares[index], *data, settings, attributes, _until(stop, shown))

    # The precision is one for all threads: set here, so that the first that ends does not change it for the others.
    with exact_products(how.tf32), ThreadPoolExecutor(len(shares)) as pool:
        running = [pool.submit(fit, index) for index in range(len(shares))]
        try:
            ended = wait(running, return_when=FIRST_EXCEPTION).done
            parts = [future.result() for future in sorted(ended, key=running.index)]
        finally:
            stop.set()
    for state in filter(None, states):
        state.unlink(missing_ok=True)
    rows = {
        layer.name: row
        for share, part in zip(shares, parts, strict=True)
        for layer, row in zip(share, part, strict=True)
    }
    return np.stack([rows[layer.name] for layer in group])


class _Stopped(Exception):  # noqa: N818, it is no error
    """Ends a fit whose result is no longer wanted."""


def _until(stop: Event, progress: Progress) -> Progress:
    """Break a loop off once it is told to stop, as an interrupted job or an error on another device does."""

    def show(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
        for item in progress(items, description, total):
            if stop.is_set():
                raise _Stopped
            yield item

    return show


def _state(path: Path | None, index: int) -> Path | None:
    return path and path.with_stem(f"{path.stem}-{index}")
