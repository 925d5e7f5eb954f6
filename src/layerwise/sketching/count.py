"""The count sketch: many units summed, with random signs, into few numbers that keep what PLS sees of a layer.

Each unit has a sign and one of the K numbers of the sketch, and is added to it with its sign. Inner products of images,
and PLS sees nothing else, then keep their expectation, and err by about 1/sqrt(K) of the product of their norms.

The units are hashed in blocks of K neighbours: a block is turned around by a random offset, then added. Two units of a
block never meet; two of different blocks meet with chance 1/K, as with a hash drawn for each unit, so the error has no
larger variance. But memory is read in its order, nothing is scattered, and sums have a fixed order: runs repeat bit by
bit on the same device. On a GPU the units of a layer lie in another order than on a CPU, so that the same seed gives
another, equally good sketch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from layerwise.files import hash_object


@dataclass(frozen=True)
class CountSketch:
    """Signs and hash of the units of a layer.

    Parameters
    ----------
    signs : int8 Tensor [unit]
        1 or -1.
    offsets : int32 Tensor [block]
        The unit u of block b is added to the number (u + offsets[b]) mod `dimensions`.
    turns : tuple of int
        The same offsets, for Python.
    dimensions : int
        Numbers in a sketch.

    References
    ----------
    Charikar, Chen & Farach-Colton 2002, doi:10.1007/3-540-45465-9_59; Weinberger et al. 2009,
    doi:10.1145/1553374.1553516 (inner products).
    """

    signs: Tensor
    offsets: Tensor
    turns: tuple[int, ...]
    dimensions: int

    @classmethod
    def draw(cls, name: str, units: int, dimensions: int, seed: int, device: torch.device) -> "CountSketch":
        """Draw the signs and hash of a layer; they depend on its name and on the seed, not on the layers beside it."""
        # On the CPU, so that all devices draw the same.
        generator = torch.Generator().manual_seed(int(hash_object([seed, name]), 16) >> 1)
        signs = torch.randint(0, 2, (units,), generator=generator, dtype=torch.int8) * 2 - 1
        offsets = torch.randint(0, dimensions, (-(-units // dimensions),), generator=generator, dtype=torch.int32)
        return cls(signs.to(device), offsets.to(device), tuple(offsets.tolist()), dimensions)

    def reduce(self, activations: Tensor, shift: Tensor, scale: float, rows: Tensor) -> None:
        """Sketch a batch.

        Parameters
        ----------
        activations : float32 Tensor [image, unit]
            Of a batch.
        shift : float32 Tensor [number]
            Subtracted from the sketches.
        scale : float
            The differences are multiplied with it.
        rows : Tensor [image, number]
            Written; of any type of floating point.
        """
        if activations.is_cuda:
            from layerwise.sketching import kernels

            kernels.reduce(activations, self.signs, self.offsets, shift, scale, rows)
        else:
            rows.copy_(self._sum(activations).sub_(shift).mul_(scale))

    def _sum(self, activations: Tensor) -> Tensor:
        """Return the sketches [image, number]; a block at a time, which stays in a processor's cache."""
        K = self.dimensions
        parts = torch.split(activations, K, dim=1), torch.split(self.signs, K)
        total = activations.new_zeros(len(activations), K)
        for block, signs, turn in zip(*parts, self.turns, strict=True):
            signed, straight = block * signs, min(block.shape[1], K - turn)
            total[:, turn : turn + straight] += signed[:, :straight]
            total[:, : block.shape[1] - straight] += signed[:, straight:]
        return total
