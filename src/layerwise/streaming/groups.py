"""Which layers are fitted together, within a budget of memory. Without torch: the workflow plans with it."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from layerwise.interfaces import LayerSpec, counted
from layerwise.passes.devices import share_layers
from layerwise.passes.memory import VALUE, group_layers, largest_batch, working

SCALED = "BatchNorm2d"  # may follow from the layer before it
ROWS_AT_ONCE = 8  # earlier residuals of a split that are brought from the host to the device in one piece


@dataclass(frozen=True)
class Demand:
    """What a streamed fit needs memory for.

    Parameters
    ----------
    n_images : int
        Rated images.
    n_splits : int
        Splits, fitted at once.
    n_components : int
        Latent variables.
    size : int
        Side of the network's input, pixels; it counts for the pixels alone.
    batch_size : int
        Images in a forward pass.
    value : int
        Bytes of a number: 8 where float32 was too coarse, and layers are fitted once more.
    """

    n_images: int
    n_splits: int
    n_components: int
    size: int
    batch_size: int
    value: int = VALUE

    def of_layer(self, layer: LayerSpec) -> int:
        """Return the bytes that one layer keeps from pass to pass, wherever they lie."""
        vectors = 3 + 4 * self.n_splits  # shift, squares, what is left of them; mean, residual, direction, sum
        if layer.kind == SCALED:
            vectors += 2  # scale and bias
        scores = 3 * self.n_splits * (self.n_images + self.batch_size)  # float32, and predictions in float64
        return self.value * (vectors * layer.units + scores) + self.history(layer)

    def history(self, layer: LayerSpec) -> int:
        """Return those of them that are earlier residuals: used once a component, so that they may lie on the host."""
        return self.value * self.n_splits * (self.n_components - 1) * layer.units

    def staging(self, layer: LayerSpec) -> int:
        """Return the bytes of a device through which earlier residuals come from the host, a piece at a time."""
        return self.value * min(ROWS_AT_ONCE, self.n_components - 1) * layer.units

    def working(self, layers: Sequence[LayerSpec]) -> int:
        """Return the bytes that a forward pass through a network needs beside what its layers keep."""
        return working(layers, self.batch_size)

    def pixels(self) -> int:
        """Return the bytes of all images as uint8."""
        return 3 * self.size**2 * self.n_images


@dataclass(frozen=True)
class Room:
    """Memory for what layers keep from pass to pass, beside what the network itself needs.

    Parameters
    ----------
    device : int
        Bytes of each device.
    host : int
        Bytes of the host, for the histories of layers of all devices; 0 where the device is the host.
    n_devices : int
        Devices that divide the layers of a group.
    """

    device: int
    host: int = 0
    n_devices: int = 1

    def place(self, group: Sequence[LayerSpec], demand: Demand) -> list[tuple[list[LayerSpec], list[LayerSpec]]]:
        """Return the share of each device, and those of its layers whose history lies on the host."""
        left, placed = self.host, []
        for share in share_layers(group, self.n_devices):
            hosted = move_histories(share, demand, self.device, left)
            left -= sum(map(demand.history, hosted))
            placed.append((share, hosted))
        return placed

    def holds(self, group: Sequence[LayerSpec], demand: Demand) -> bool:
        """Return whether each device takes its share of a group, and the host what the devices cannot."""
        placed = self.place(group, demand)
        return all(on_device(share, hosted, demand) <= self.device for share, hosted in placed)


def move_histories(group: Sequence[LayerSpec], demand: Demand, room: int, host: int) -> list[LayerSpec]:
    """Choose the layers whose history goes to the host: the largest, as few as make the others fit a device.

    Parameters
    ----------
    group : sequence of LayerSpec
        Layers of the device.
    demand : Demand
        What each needs.
    room : int
        Bytes of the device for them.
    host : int
        Bytes of the host for histories: if they are too few, the layers come back that it takes.

    Returns
    -------
    list of LayerSpec
        None where all fits the device.
    """
    excess = sum(map(demand.of_layer, group)) - room
    if excess <= 0:
        return []
    ordered = sorted(group, key=lambda layer: (-layer.units, layer.depth))
    freed = list(accumulate(map(demand.history, ordered)))
    wanted = bisect_left(freed, excess + demand.staging(ordered[0])) + 1
    return ordered[: min(wanted, bisect_right(freed, host))]


def on_device(group: Sequence[LayerSpec], hosted: Sequence[LayerSpec], demand: Demand) -> int:
    """Return the bytes that layers keep on a device where the histories of some lie on the host."""
    moved = sum(map(demand.history, hosted)) - max(map(demand.staging, hosted), default=0)
    return sum(map(demand.of_layer, group)) - moved


def keeps_pixels(
    layers: Sequence[LayerSpec], group: Sequence[LayerSpec], hosted: Sequence[LayerSpec], demand: Demand, memory: int
) -> bool:
    """Return whether all pixels fit on a GPU beside what a group of a network's layers, and the network, need."""
    return on_device(group, hosted, demand) + demand.working(layers) + demand.pixels() <= memory


def plan_groups(
    layers: Sequence[LayerSpec], demand: Demand, memory: int, host: int = 0, n_devices: int = 1
) -> list[str]:
    """Divide the layers of a network, in order of depth, into as few groups as the memory allows.

    Each group costs as many forward passes as there are components, and one more. So histories of layers move to the
    host's memory where that makes fewer groups, though a component then waits for them. Pixels lie on the device
    where the group leaves room for them; they are streamed to it otherwise, so they do not make groups smaller.

    Parameters
    ----------
    layers : sequence of LayerSpec
        All layers of the network.
    demand : Demand
        What each needs.
    memory : int
        Bytes of each device.
    host : int
        Bytes of the host's memory for histories, of all devices together; 0 where the device is the host.
    n_devices : int
        Devices that divide the layers of a group.

    Returns
    -------
    list of str
        Names of blocks, as `layerwise.layers.blocks.in_block` reads them.

    Raises
    ------
    ValueError
        A layer does not fit alone; the message says what would do.
    """
    ordered = sorted(layers, key=lambda layer: layer.depth)
    hungriest = max(ordered, key=demand.of_layer)
    room = Room(memory - demand.working(ordered), host, n_devices)
    if not room.holds([hungriest], demand):
        least = _least(hungriest, demand, host) + demand.working(ordered)
        raise ValueError(
            f"{memory:,} bytes are too few to fit the layer {hungriest.name!r} ({hungriest.units:,} units) on "
            f"{demand.n_images:,} images: at least {least:,} are needed; set "
            f"compute.gpu_memory (or compute.memory, for jobs without a GPU) to {-(-least // 10**6)}MB or more"
        )
    groups = group_layers(ordered, lambda group: room.holds(group, demand))
    without_host = replace(room, host=0)
    if not host or not without_host.holds([hungriest], demand):
        return groups
    on_devices = group_layers(ordered, lambda group: without_host.holds(group, demand))
    return groups if len(groups) < len(on_devices) else on_devices


def _least(layer: LayerSpec, demand: Demand, host: int) -> int:
    """Return the bytes of a device that a layer needs at least, alone in its group."""
    hosted = [layer] if demand.history(layer) <= host else []
    return min(on_device([layer], moved, demand) for moved in ([], hosted))


def fit_batch(layers: Sequence[LayerSpec], demand: Demand, memory: int, host: int = 0) -> Demand:
    """Halve the batches until every layer fits alone, or nothing is left to halve.

    Parameters
    ----------
    layers : sequence of LayerSpec
        All layers of the network.
    demand : Demand
        What is wanted.
    memory : int
        Bytes of the device.
    host : int
        Bytes of the host's memory for histories.
    """
    kept = _least(max(layers, key=demand.of_layer), demand, host)
    return replace(demand, batch_size=largest_batch(layers, demand.batch_size, memory - kept))


def describe(
    layers: Sequence[LayerSpec],
    group: Sequence[LayerSpec],
    demand: Demand,
    memory: int,
    resident: bool,
    hosted: Sequence[LayerSpec] = (),
) -> str:
    """Describe what a job will do: passes, bytes and why.

    Parameters
    ----------
    layers : sequence of LayerSpec
        All layers of the network.
    group : sequence of LayerSpec
        Those that are fitted together.
    demand : Demand
        What each needs.
    memory : int
        Bytes of the device that were planned with.
    resident : bool
        Whether the pixels lie on the device.
    hosted : sequence of LayerSpec
        Those of the group whose history lies on the host.
    """
    kept = on_device(group, hosted, demand)
    whole = sum(demand.of_layer(layer) for layer in layers)
    moved = sum(map(demand.history, hosted))
    where = "on the device" if resident else "streamed to it"
    history = (
        f", {moved / 1e9:.2f} GB of history of {counted(len(hosted), 'layer')} in the host's memory" if hosted else ""
    )
    return (
        f"{len(group)} of {len(layers)} layers in {demand.n_components + 1} forward passes over "
        f"{demand.n_images:,} images: {memory / 1e9:.2f} GB are allowed on the device, and it holds "
        f"{kept / 1e9:.2f} GB of {whole / 1e9:.2f} GB of all layers' vectors{history}, "
        f"{demand.working(layers) / 1e9:.2f} GB for the network at {demand.batch_size} images a batch, "
        f"{demand.pixels() / 1e9:.2f} GB of pixels {where}"
    )
