"""Which layers are fitted together, within a budget of memory. Without torch: the workflow plans with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from layerwise.interfaces import LayerSpec
from layerwise.layers.blocks import name_block

VALUE = 4  # bytes of a float32
NETWORK = 15 * 10**8  # weights, the CUDA context and the workspaces of convolutions
INPUT = 4 * 3 * 331**2  # values of an image on its way into the network, of the largest input that there is
OPEN_LAYERS = 6  # outputs as large as the largest that a network holds at once: a dense block keeps several


def working(layers: Sequence[LayerSpec], batch_size: int) -> int:
    """Give the bytes that a forward pass through a network needs, whatever is kept of its layers."""
    largest = max(layer.units for layer in layers)
    return NETWORK + VALUE * batch_size * (OPEN_LAYERS * largest + INPUT)


def largest_batch(layers: Sequence[LayerSpec], batch_size: int, room: int) -> int:
    """Halve a batch until a forward pass through a network fits the room, or nothing is left to halve."""
    while batch_size > 1 and working(layers, batch_size) > room:
        batch_size //= 2
    return batch_size


def fill_groups(layers: Sequence[LayerSpec], needed: Callable[[LayerSpec], int], room: int) -> list[str]:
    """Fill one group after another with layers, in order of depth.

    Parameters
    ----------
    layers : sequence of LayerSpec
        In order of depth; each fits the room alone.
    needed : callable
        Gives the bytes of a layer.
    room : int
        Bytes of a group.

    Returns
    -------
    list of str
        Names of blocks, as `layerwise.layers.blocks.in_block` reads them.
    """
    starts, used = [1], 0
    for rank, layer in enumerate(layers, start=1):
        bytes_needed = needed(layer)
        if used + bytes_needed > room:
            starts.append(rank)
            used = 0
        used += bytes_needed
    ends = [*(start - 1 for start in starts[1:]), len(layers)]
    return [name_block(start, end, len(layers)) for start, end in zip(starts, ends, strict=True)]


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
    """

    n_images: int
    n_splits: int
    n_components: int
    size: int
    batch_size: int

    def of_layer(self, layer: LayerSpec) -> int:
        """Give the bytes that one layer keeps from pass to pass."""
        history = self.n_splits * (self.n_components - 1)
        vectors = 1 + 4 * self.n_splits + history  # shift; mean, residual, direction, sum; earlier residuals
        scores = 3 * self.n_splits * (self.n_images + self.batch_size)  # float32, and predictions in float64
        return VALUE * (vectors * layer.units + scores)

    def working(self, layers: Sequence[LayerSpec]) -> int:
        """Give the bytes that a forward pass through a network needs beside what its layers keep."""
        return working(layers, self.batch_size)

    def pixels(self) -> int:
        """Give the bytes of all images as uint8."""
        return 3 * self.size**2 * self.n_images


def plan_groups(layers: Sequence[LayerSpec], demand: Demand, memory: int) -> list[str]:
    """Divide the layers of a network, in order of depth, into as few groups as the memory allows.

    Each group costs as many forward passes as there are components, and one more. Pixels lie on the device where
    the group leaves room for them; they are streamed to it otherwise, so they do not make groups smaller.

    Parameters
    ----------
    layers : sequence of LayerSpec
        All layers of the network.
    demand : Demand
        What each needs.
    memory : int
        Bytes of the device.

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
    room = memory - demand.working(ordered)
    hungriest = max(ordered, key=demand.of_layer)
    if demand.of_layer(hungriest) > room:
        least = demand.of_layer(hungriest) + demand.working(ordered)
        raise ValueError(
            f"{memory:,} bytes are too few to fit the layer {hungriest.name!r} ({hungriest.units:,} units) on "
            f"{demand.n_images:,} images: at least {least:,} are needed; set "
            f"compute.gpu_memory (or compute.memory, for jobs without a GPU) to {-(-least // 10**6)}MB or more"
        )
    return fill_groups(ordered, demand.of_layer, room)


def fit_batch(layers: Sequence[LayerSpec], demand: Demand, memory: int) -> Demand:
    """Halve the batches until every layer fits alone, or nothing is left to halve.

    Parameters
    ----------
    layers : sequence of LayerSpec
        All layers of the network.
    demand : Demand
        What is wanted.
    memory : int
        Bytes of the device.
    """
    kept = max(map(demand.of_layer, layers))
    return replace(demand, batch_size=largest_batch(layers, demand.batch_size, memory - kept))


def explain(layers: Sequence[LayerSpec], group: Sequence[LayerSpec], demand: Demand, resident: bool) -> str:
    """Say what a job will do: passes, bytes and why.

    Parameters
    ----------
    layers : sequence of LayerSpec
        All layers of the network.
    group : sequence of LayerSpec
        Those that are fitted together.
    demand : Demand
        What each needs.
    resident : bool
        Whether the pixels lie on the device.
    """
    kept = sum(demand.of_layer(layer) for layer in group)
    whole = sum(demand.of_layer(layer) for layer in layers)
    where = "on the device" if resident else "streamed to it"
    return (
        f"{len(group)} of {len(layers)} layers in {demand.n_components + 1} forward passes over "
        f"{demand.n_images:,} images: {kept / 1e9:.2f} GB of {whole / 1e9:.2f} GB of all layers' vectors, "
        f"{demand.working(layers) / 1e9:.2f} GB for the network at {demand.batch_size} images a batch, "
        f"{demand.pixels() / 1e9:.2f} GB of pixels {where}"
    )
