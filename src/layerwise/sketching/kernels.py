"""The count sketch of a batch as a kernel: reads the activations once and in order, and sums in a fixed order."""

import triton
import triton.language as tl
from torch import Tensor

ROWS = 4  # images of a program
NUMBERS = 256  # of a program


@triton.jit
def _reduce(
    x, signs, offsets, shift, scale, out, n_rows, n_units, n_blocks, width, ROWS: tl.constexpr, NUMBERS: tl.constexpr
):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    numbers = tl.program_id(1) * NUMBERS + tl.arange(0, NUMBERS)
    in_rows, in_numbers = rows < n_rows, numbers < width
    pointers = x + rows[:, None].to(tl.int64) * n_units
    total = tl.zeros([ROWS, NUMBERS], tl.float32)
    for block in range(n_blocks):
        places = numbers - tl.load(offsets + block)
        units = block * width + tl.where(places < 0, places + width, places)
        in_units = in_numbers & (units < n_units)
        sign = tl.load(signs + units, mask=in_units, other=0).to(tl.float32)
        values = tl.load(pointers + units[None, :], mask=in_rows[:, None] & in_units[None, :], other=0.0)
        total += values * sign[None, :]
    kept = (total - tl.load(shift + numbers, mask=in_numbers, other=0.0)[None, :]) * scale
    target = out + rows[:, None].to(tl.int64) * width + numbers[None, :]
    tl.store(target, kept.to(out.dtype.element_ty), mask=in_rows[:, None] & in_numbers[None, :])


def reduce(activations: Tensor, signs: Tensor, offsets: Tensor, shift: Tensor, scale: float, rows: Tensor) -> None:
    """Do as `CountSketch.reduce`, on a GPU; all tensors are contiguous.

    Parameters
    ----------
    activations : float32 Tensor [image, unit]
        Of a batch.
    signs : int8 Tensor [unit]
        1 or -1.
    offsets : int32 Tensor [block]
        By how much each block of units is turned.
    shift : float32 Tensor [number]
        Subtracted from the sketches.
    scale : float
        The differences are multiplied with it.
    rows : Tensor [image, number]
        Written.
    """
    (n_rows, n_units), width = activations.shape, rows.shape[1]
    grid = (triton.cdiv(n_rows, ROWS), triton.cdiv(width, NUMBERS))
    _reduce[grid](
        activations,
        signs,
        offsets,
        shift,
        scale,
        rows,
        n_rows,
        n_units,
        len(offsets),
        width,
        ROWS=ROWS,
        NUMBERS=NUMBERS,
        num_warps=4,
    )
