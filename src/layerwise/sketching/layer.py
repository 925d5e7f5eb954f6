"""What is kept of one layer for an image: all units of a small layer, the sketch of a large one."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from layerwise.interfaces import LayerSpec
from layerwise.regression.pls1.components import mean_of
from layerwise.sketching.count import CountSketch

# The largest number of the first images is brought between 2^7 and 2^8: float16 then has room for 256 times as much,
# and keeps all its digits down to 2^-22 of it.
EXPONENT = 8


@dataclass
class LayerRows:
    """Rows of one layer: its activations in float32 if they are few, else their sketch in float16.

    A sketch is kept as (sketch - shift) * scale, with the shift of the first images' mean and a power of two as scale,
    both of the layer: PLS centres, and gives the same predictions at any scale.

    Parameters
    ----------
    sketch : CountSketch or None
        None: the activations are kept as they are.
    shift : float32 Tensor [number]
        Subtracted.
    scale : float
        Multiplied with.
    batch : Tensor [image, number]
        Rows of the batch at hand; at a fixed address, as CUDA graphs want it.
    """

    sketch: CountSketch | None
    shift: Tensor
    scale: float
    batch: Tensor

    @classmethod
    def of(cls, layer: LayerSpec, dimensions: int, seed: int, device: torch.device) -> "LayerRows":
        """Draw the sketch of a layer that has more units than dimensions; make room for no batch yet."""
        few = layer.units <= dimensions
        sketch = None if few else CountSketch.draw(layer.name, layer.units, dimensions, seed, device)
        width, dtype = (layer.units, torch.float32) if few else (dimensions, torch.float16)
        batch = torch.empty(0, width, dtype=dtype, device=device)
        return cls(sketch, torch.zeros(width, device=device), 1.0, batch)

    def make_room(self, batch_size: int) -> None:
        """Allocate the rows of a batch."""
        self.batch = self.batch.new_zeros(batch_size, self.batch.shape[1])

    def calibrate(self, activations: Tensor) -> None:
        """Find shift and scale from the activations [image, unit] of the first images."""
        if self.sketch is None:
            return
        raw = torch.zeros(self.batch.shape, device=self.batch.device)
        self.sketch.reduce(activations, torch.zeros_like(self.shift), 1.0, raw)
        self.shift.copy_(mean_of(raw))
        largest = float((raw - self.shift).abs().max())
        usable = 0 < largest < math.inf
        self.scale = 2.0 ** (EXPONENT - math.frexp(largest)[1]) if usable else 1.0

    def take(self, activations: Tensor) -> None:
        """Write the rows of a batch, from its activations [image, unit]."""
        if self.sketch is None:
            self.batch.copy_(activations)
        else:
            self.sketch.reduce(activations, self.shift, self.scale, self.batch)
