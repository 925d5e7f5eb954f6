"""A streamed fit on several GPUs: each fits a share of the layers, with its own copy of the network."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from layerwise.interfaces import LayerSpec, Progress, RatedImages, Stop, never, no_progress
from layerwise.passes.devices import own_network, run_together
from layerwise.passes.precision import exact_products
from layerwise.streaming.fit import Streamed, stream_layers
from layerwise.streaming.groups import Room


def stream_pls_on(
    devices: Sequence[str],
    network: nn.Module,
    all_layers: Sequence[LayerSpec],
    group: Sequence[LayerSpec],
    rated: RatedImages,
    settings: Streamed,
    attributes: Mapping[str, str],
    progress: Progress = no_progress,
    stop: Stop = never,
) -> NDArray[np.float64]:
    """Do as `stream_pls`, the layers divided over devices.

    Parameters
    ----------
    devices : sequence of str
        Such as "cuda:0" and "cuda:1"; each keeps a state of its own. All states are removed when all have ended.
    network, all_layers, group, rated, settings, attributes, progress, stop
        As in `stream_pls`; the progress shown is that of the first device.

    Returns
    -------
    float64 array [layer, image, split]
        The same predictions, whatever the devices.

    Raises
    ------
    StoppedError
        It was asked to stop; all devices have saved their states.
    ValueError
        As in `stream_pls`; the other devices stop at their next image.
    """
    demand = settings.demand(len(rated.pixels), len(rated.splits), rated.preprocessing.size)
    room = Room(settings.memory - demand.working(all_layers), settings.host, len(devices))
    placed = room.place(group, demand)
    shares = [share for share, _ in placed]
    hosts = [sum(map(demand.history, hosted)) for _, hosted in placed]
    states = [_state(settings.state, index) if len(shares) > 1 else settings.state for index in range(len(shares))]

    parts: dict[int, NDArray[np.float64]] = {}

    def fit(index: int) -> Iterator[int]:
        shown = progress if index == 0 else no_progress
        chosen = replace(settings, device=devices[index], host=hosts[index], state=states[index])
        own = own_network(network, len(shares))
        parts[index] = yield from stream_layers(own, all_layers, shares[index], rated, chosen, attributes, shown, stop)

    fits = [fit(index) for index in range(len(shares))]
    # The precision is one for all threads: set here, so that the first that ends does not change it for the others.
    with exact_products(settings.tf32), closing(run_together(fits, devices[: len(shares)])) as steps:
        for _ in steps:
            pass
    for state in filter(None, states):
        state.unlink(missing_ok=True)
    rows = {
        layer.name: row for index, share in enumerate(shares) for layer, row in zip(share, parts[index], strict=True)
    }
    return np.stack([rows[layer.name] for layer in group])


def _state(path: Path | None, index: int) -> Path | None:
    return path and path.with_stem(f"{path.stem}-{index}")
