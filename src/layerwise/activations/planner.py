"""Which units of which layers are taken in which forward pass, within a budget of memory. Without torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from layerwise.interfaces import LayerSpec

Kind = Literal["activations", "gram"]

VALUE = 4  # bytes of a float32
GRAM_BYTES = 28  # bytes an entry of a Gram matrix takes: summed in float64, its upper half picked, waiting for the disk
BLOCK = 4096  # units in one product, in float64
LEAST_UNITS = 1024  # fewer units a pass would mean very many passes


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
    """Say what is kept of a layer: whichever is smaller of its activations and their Gram matrix."""
    return "activations" if layer.units <= n_stimuli else "gram"


def reserved_bytes(layers: Sequence[LayerSpec], n_stimuli: int) -> int:
    """Give the memory that summing Gram matrices takes, one at a time; 0 if no layer needs one."""
    needed = any(kind_of(layer, n_stimuli) == "gram" for layer in layers)
    return (GRAM_BYTES * n_stimuli + 16 * BLOCK) * n_stimuli if needed else 0


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
    reserved = reserved_bytes(layers, n_stimuli)
    capacity = (memory - reserved) // (VALUE * n_stimuli)
    wanted = min(LEAST_UNITS, sum(layer.units for layer in layers))
    if capacity < wanted:
        least = reserved + VALUE * n_stimuli * wanted
        raise ValueError(
            f"{memory:,} bytes of memory are too few for {n_stimuli:,} stimuli: at least {least:,} are "
            f"needed ({reserved:,} of them to sum a Gram matrix); set compute.memory (on a GPU "
            f"compute.gpu_memory) to {-(-least // 10**6)}MB or more"
        )
    passes: list[list[Part]] = [[]]
    for part in _cut(sorted(layers, key=lambda layer: layer.depth), capacity):
        if sum(earlier.units for earlier in passes[-1]) == capacity:
            passes.append([])
        passes[-1].append(part)
    return passes


def explain(passes: Sequence[Sequence[Part]], n_stimuli: int) -> str:
    """Say what a plan will do: passes, bytes and why.

    Parameters
    ----------
    passes : sequence of sequence of Part
        From `plan_passes`.
    n_stimuli : int
        Number of stimuli.
    """
    parts = [part for group in passes for part in group]
    layers = list(dict.fromkeys(part.layer for part in parts))
    widest = max(sum(part.units for part in group) for group in passes)
    whole = sum(layer.units for layer in layers)
    grams = sum(kind_of(layer, n_stimuli) == "gram" for layer in layers)
    return (
        f"{len(layers)} layers in {len(passes)} forward passes over {n_stimuli:,} images: "
        f"{VALUE * n_stimuli * widest / 1e9:.2f} GB for activations of {VALUE * n_stimuli * whole / 1e9:.2f} GB of all "
        f"layers', {reserved_bytes(layers, n_stimuli) / 1e9:.2f} GB to sum the Gram matrices of {grams} layers, "
        f"{len(parts) - len(layers)} cuts of a layer between passes"
    )


def _cut(layers: Sequence[LayerSpec], capacity: int) -> Iterator[Part]:
    position = 0  # on the line of all units; it is cut at the multiples of the capacity
    for layer in layers:
        start = 0
        while start < layer.units:
            stop = min(layer.units, start + capacity - position % capacity)
            yield Part(layer, start, stop)
            position += stop - start
            start = stop
