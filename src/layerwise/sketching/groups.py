"""Which layers are sketched in one pass, within budgets of memory and disk. Without torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from layerwise.interfaces import LayerSpec, counted
from layerwise.passes.memory import NETWORK, VALUE, group_layers, largest_batch, working

HALF = 2  # bytes of a float16
SOLVING = 2  # times the bytes of a layer's rows: a copy in float64 of few units, in float32 of a sketch


def row_bytes(layer: LayerSpec, dimensions: int) -> int:
    """Return the bytes that are kept of a layer for an image: its few units in float32, or a sketch in float16."""
    return VALUE * layer.units if layer.units <= dimensions else HALF * dimensions


@dataclass(frozen=True)
class SketchDemand:
    """What a job of the quick mode needs memory and disk for.

    Parameters
    ----------
    n_images : int
        Rated images.
    dimensions : int
        Numbers in a sketch.
    batch_size : int
        Images in a forward pass.
    in_memory : bool
        Whether rows are kept in the memory of a GPU, where another pass costs less than a disk; else in a file.
    """

    n_images: int
    dimensions: int
    batch_size: int
    in_memory: bool

    def of_layer(self, layer: LayerSpec) -> int:
        """Return the bytes that a layer takes where its rows are kept."""
        row = row_bytes(layer, self.dimensions)
        if not self.in_memory:
            return self.n_images * row
        return (self.n_images + self.batch_size) * row + layer.units  # the rows at hand, and signs

    def reserve(self, layers: Sequence[LayerSpec]) -> int:
        """Return the bytes of memory that are needed beside the rows: for a forward pass, then for the regression.

        The network stays where it is meanwhile. Its workspaces are free again: vectors and scores take less than they.
        """
        solving = SOLVING * self.n_images * max(row_bytes(layer, self.dimensions) for layer in layers)
        return max(working(layers, self.batch_size), NETWORK + solving)


def plan_sketches(layers: Sequence[LayerSpec], demand: SketchDemand, memory: int, disk: int) -> list[str]:
    """Divide the layers of a network, in order of depth, into as few groups as the budgets allow; each costs one pass.

    Parameters
    ----------
    layers : sequence of LayerSpec
        All layers of the network.
    demand : SketchDemand
        What each needs.
    memory : int
        Bytes of the device.
    disk : int
        Bytes of the file of a job; without meaning for rows in memory.

    Returns
    -------
    list of str
        Names of blocks, as `layerwise.layers.blocks.in_block` reads them.

    Raises
    ------
    ValueError
        A budget is too small for one layer; the message says what would do.
    """
    ordered = sorted(layers, key=lambda layer: layer.depth)
    reserved, largest = demand.reserve(ordered), max(map(demand.of_layer, ordered))
    kept = largest if demand.in_memory else 0
    if reserved + kept > memory:
        raise ValueError(
            f"{memory:,} bytes of memory are too few to sketch a layer on {demand.n_images:,} images: at least "
            f"{reserved + kept:,} are needed; set memorability.dimensions lower, or compute.gpu_memory (or "
            f"compute.memory, for jobs without a GPU) to {-(-(reserved + kept) // 10**6)}MB or more"
        )
    if not demand.in_memory and largest > disk:
        raise ValueError(
            f"{disk:,} bytes of disk are too few to keep a layer of {demand.n_images:,} images: set memorability.disk "
            f"to {-(-largest // 10**6)}MB or more"
        )
    room = memory - reserved if demand.in_memory else disk
    return group_layers(ordered, lambda group: sum(map(demand.of_layer, group)) <= room)


def fit_batch(layers: Sequence[LayerSpec], demand: SketchDemand, memory: int) -> SketchDemand:
    """Halve the batches until a forward pass fits beside a layer, or nothing is left to halve.

    Parameters
    ----------
    layers : sequence of LayerSpec
        All layers of the network.
    demand : SketchDemand
        What is wanted.
    memory : int
        Bytes of the device.
    """
    kept = max(map(demand.of_layer, layers)) if demand.in_memory else 0
    return replace(demand, batch_size=largest_batch(layers, demand.batch_size, memory - kept))


def describe(group: Sequence[LayerSpec], demand: SketchDemand) -> str:
    """Describe what a job will do: the pass, and the bytes that it needs.

    Parameters
    ----------
    group : sequence of LayerSpec
        Layers of the job.
    demand : SketchDemand
        What each needs.
    """
    few = sum(layer.units <= demand.dimensions for layer in group)
    kept = demand.n_images * sum(row_bytes(layer, demand.dimensions) for layer in group)
    where = "in memory" if demand.in_memory else "on disk until they are scored"
    reserved = demand.reserve(group)
    return (
        f"{counted(len(group), 'layer')} in one forward pass over {demand.n_images:,} images: {len(group) - few} of "
        f"them sketched to {demand.dimensions:,} numbers, {few} kept as they are; {kept / 1e9:.2f} GB {where}, beside "
        f"{reserved / 1e9:.2f} GB of memory for the network, then the regression"
    )
