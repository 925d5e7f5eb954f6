"""Which units of which layers are taken in which forward pass, within a budget of memory. Without torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from layerwise.activations.packing import kept_size
from layerwise.interfaces import LayerSpec, counted
from layerwise.passes.devices import share_layers

Kind = Literal["activations", "gram"]

VALUE = 4  # bytes of a float32
EXACT = 8  # bytes of a float64
GRAM_BYTES = 28  # bytes an entry of a Gram matrix takes: summed in float64, its upper half picked, waiting for the disk
COPIES = 5  # of kept activations: made, looked at, waiting for the disk
BLOCK = 4096  # units in one product, in float64
LEAST_UNITS = 1024  # fewer units a pass would mean very many passes
BACKLOG = 10**9  # bytes of a GPU that wait for the disk at most: the Gram matrices of small layers come in bursts


@dataclass(frozen=True)
class Part:
    """Units `start` up to, not including, `stop` of a layer."""

    layer: LayerSpec
    start: int
    stop: int

    @property
    def units(self) -> int:
        """Number of units."""
        return self.stop - self.start


def kind_of(layer: LayerSpec, n_stimuli: int) -> Kind:
    """Return what is kept of a layer: whichever is smaller of its activations and their Gram matrix."""
    return "activations" if layer.units <= n_stimuli else "gram"


def stored_bytes(layers: Sequence[LayerSpec], n_stimuli: int) -> int:
    """Return the bytes that layers take on disk."""
    whole = sum(layer.units for layer in layers if kind_of(layer, n_stimuli) == "activations")
    grams = sum(kind_of(layer, n_stimuli) == "gram" for layer in layers)
    return VALUE * n_stimuli * whole + EXACT * kept_size(n_stimuli) * grams


def pass_bytes(passes: Sequence[Sequence[Part]], n_stimuli: int) -> int:
    """Return the bytes of the activations of the largest pass."""
    return VALUE * n_stimuli * max(sum(part.units for part in parts) for parts in passes)


def largest_write(passes: Sequence[Sequence[Part]], n_stimuli: int) -> int:
    """Return the bytes of the largest that is written at once: a Gram matrix, or some units of a layer."""
    parts = [part for group in passes for part in group]
    grams = any(kind_of(part.layer, n_stimuli) == "gram" for part in parts)
    kept = (part.units for part in parts if kind_of(part.layer, n_stimuli) == "activations")
    return max(EXACT * kept_size(n_stimuli) * grams, VALUE * n_stimuli * max(kept, default=0))


def reserved_bytes(layers: Sequence[LayerSpec], n_stimuli: int) -> int:
    """Return the memory that is needed beside the buffers: to sum Gram matrices, one at a time, and to write."""
    if any(kind_of(layer, n_stimuli) == "gram" for layer in layers):
        return (GRAM_BYTES * n_stimuli + 16 * BLOCK) * n_stimuli  # no kept activations are larger
    return COPIES * VALUE * n_stimuli * max((layer.units for layer in layers), default=0)


def least_bytes(layers: Sequence[LayerSpec], n_stimuli: int) -> int:
    """Return the memory without which nothing is planned."""
    wanted = min(LEAST_UNITS, sum(layer.units for layer in layers))
    return reserved_bytes(layers, n_stimuli) + VALUE * n_stimuli * wanted


@dataclass(frozen=True)
class MemoryShares:
    """How the memory of a device is divided.

    Parameters
    ----------
    resident : int
        Bytes of the pixels, if they stay on a GPU: where they are few, each pass would bring them again.
    backlog : int
        Bytes that may wait for the disk on a GPU.
    rest : int
        Bytes for the activations of a pass, and what `reserved_bytes` names.
    """

    resident: int
    backlog: int
    rest: int

    @classmethod
    def of(cls, memory: int, on_gpu: bool, pixels: int, least: int) -> "MemoryShares":
        """Divide so many bytes, for pixels of so many bytes, and leave at least so many."""
        if not on_gpu:
            return cls(0, 0, memory)
        left = max(0, memory - least)
        resident = pixels if pixels <= min(memory // 10, left) else 0
        backlog = min(BACKLOG, memory // 20, left - resident)
        return cls(resident, backlog, memory - resident - backlog)


def plan_passes(layers: Sequence[LayerSpec], n_stimuli: int, memory: int) -> list[list[Part]]:
    """Divide layers over forward passes.

    The units of all layers are laid in one line, in order of depth, and the line is cut wherever the budget
    is full. No plan has fewer passes; a layer that is cut continues at the start of the next pass, so that
    the sum of at most one Gram matrix is open between passes.

    Parameters
    ----------
    layers : sequence of LayerSpec
        Layers to take.
    n_stimuli : int
        Number of stimuli.
    memory : int
        Budget, bytes: float32 buffers [stimulus, unit] of a pass, and the Gram matrix that is being summed.

    Returns
    -------
    list of list of Part
        The parts of each pass.

    Raises
    ------
    ValueError
        There is nothing to take, or the budget is too small; the message says the least that works.
    """
    if not layers or n_stimuli < 1:
        raise ValueError(f"nothing to extract: {len(layers)} layers, {n_stimuli} stimuli")
    reserved, least = reserved_bytes(layers, n_stimuli), least_bytes(layers, n_stimuli)
    capacity = (memory - reserved) // (VALUE * n_stimuli)
    if memory < least:
        raise ValueError(
            f"{memory:,} bytes of memory are too few for {n_stimuli:,} stimuli: at least {least:,} are "
            f"needed ({reserved:,} of them to sum a Gram matrix or to write); set compute.memory (on a GPU "
            f"compute.gpu_memory) to {-(-least // 10**6)}MB or more"
        )
    passes: list[list[Part]] = [[]]
    for part in _cut(sorted(layers, key=lambda layer: layer.depth), capacity):
        if sum(earlier.units for earlier in passes[-1]) == capacity:
            passes.append([])
        passes[-1].append(part)
    return passes


def plan_extraction(
    layers: Sequence[LayerSpec], n_stimuli: int, pixels: int, memory: int, on_gpu: bool, n_devices: int
) -> tuple[MemoryShares, list[list[list[Part]]]]:
    """Divide the memory of each device, and the layers over devices and forward passes.

    Parameters
    ----------
    layers : sequence of LayerSpec
        Layers to take.
    n_stimuli : int
        Number of stimuli.
    pixels : int
        Bytes of all their pixels.
    memory : int
        Bytes of each device.
    on_gpu : bool
        Whether devices are GPUs.
    n_devices : int
        Their number.

    Returns
    -------
    budget : MemoryShares
        Of each device.
    plans : list of list of list of Part
        The parts of each pass of each device that gets layers.

    Raises
    ------
    ValueError
        As in `plan_passes`.
    """
    budget = MemoryShares.of(memory, on_gpu, pixels, least_bytes(layers, n_stimuli))
    return budget, [plan_passes(share, n_stimuli, budget.rest) for share in share_layers(layers, n_devices)]


def describe(passes: Sequence[Sequence[Part]], n_stimuli: int, budget: MemoryShares) -> str:
    """Describe what a device will do: passes, bytes and why.

    Parameters
    ----------
    passes : sequence of sequence of Part
        From `plan_passes`.
    n_stimuli : int
        Number of stimuli.
    budget : MemoryShares
        That it was planned for.
    """
    parts = [part for group in passes for part in group]
    layers = list(dict.fromkeys(part.layer for part in parts))
    whole = VALUE * n_stimuli * sum(layer.units for layer in layers)
    allowed = budget.resident + budget.backlog + budget.rest
    return (
        f"{counted(len(layers), 'layer')} in {counted(len(passes), 'forward pass', 'forward passes')} over "
        f"{n_stimuli:,} images: {_gb(allowed)} are allowed, and the activations take {_gb(whole)}, in a pass "
        f"{_gb(pass_bytes(passes, n_stimuli))}, beside {_gb(reserved_bytes(layers, n_stimuli))} for Gram matrices and "
        f"writing, {_gb(budget.resident)} of pixels that stay and {_gb(budget.backlog)} that may wait for the disk"
    )


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"


def _cut(layers: Sequence[LayerSpec], capacity: int) -> Iterator[Part]:
    position = 0  # on the line of all units; it is cut at the multiples of the capacity
    for layer in layers:
        start = 0
        while start < layer.units:
            stop = min(layer.units, start + capacity - position % capacity)
            yield Part(layer, start, stop)
            position += stop - start
            start = stop
