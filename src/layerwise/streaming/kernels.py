"""The two products of a pass as kernels for five splits: each reads the activations once, at the memory's rate.

The shift is subtracted in registers, products are float32, and sums are taken in a fixed order, so that passes can be
repeated bit by bit.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

SPLITS = 5
PARTS = 512  # at most so many partial sums of a projection
LARGE = 100_000  # units
PROGRAMS = 2048  # about so many programs fill a large GPU several times


@triton.jit
def _project(x, shift, directions, partial, n_rows, n_units, n_steps, ROWS: tl.constexpr, UNITS: tl.constexpr):
    part = tl.program_id(0)
    rows = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    in_rows = rows < n_rows
    pointers = x + rows[:, None].to(tl.int64) * n_units
    sum0 = tl.zeros([ROWS, UNITS], tl.float32)
    sum1 = tl.zeros([ROWS, UNITS], tl.float32)
    sum2 = tl.zeros([ROWS, UNITS], tl.float32)
    sum3 = tl.zeros([ROWS, UNITS], tl.float32)
    sum4 = tl.zeros([ROWS, UNITS], tl.float32)
    for step in range(n_steps):
        units = (part * n_steps + step) * UNITS + tl.arange(0, UNITS)
        in_units = units < n_units
        values = tl.load(pointers + units[None, :], mask=in_rows[:, None] & in_units[None, :], other=0.0)
        values -= tl.load(shift + units, mask=in_units, other=0.0)[None, :]
        sum0 += values * tl.load(directions + units, mask=in_units, other=0.0)[None, :]
        sum1 += values * tl.load(directions + n_units + units, mask=in_units, other=0.0)[None, :]
        sum2 += values * tl.load(directions + 2 * n_units + units, mask=in_units, other=0.0)[None, :]
        sum3 += values * tl.load(directions + 3 * n_units + units, mask=in_units, other=0.0)[None, :]
        sum4 += values * tl.load(directions + 4 * n_units + units, mask=in_units, other=0.0)[None, :]
    target = partial + part * 5 * n_rows + rows
    tl.store(target, tl.sum(sum0, 1), mask=in_rows)
    tl.store(target + n_rows, tl.sum(sum1, 1), mask=in_rows)
    tl.store(target + 2 * n_rows, tl.sum(sum2, 1), mask=in_rows)
    tl.store(target + 3 * n_rows, tl.sum(sum3, 1), mask=in_rows)
    tl.store(target + 4 * n_rows, tl.sum(sum4, 1), mask=in_rows)


@triton.jit
def _finish(
    partial, offsets, mask, scores, training_scores, n_rows, n_parts, ROWS: tl.constexpr, PARTS_AT_ONCE: tl.constexpr
):
    split = tl.program_id(1)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    in_rows = rows < n_rows
    sums = tl.zeros([PARTS_AT_ONCE, ROWS], tl.float32)
    for first in range(0, n_parts, PARTS_AT_ONCE):
        parts = first + tl.arange(0, PARTS_AT_ONCE)
        source = partial + (parts[:, None] * 5 + split) * n_rows + rows[None, :]
        sums += tl.load(source, mask=(parts < n_parts)[:, None] & in_rows[None, :], other=0.0)
    score = tl.sum(sums, 0) - tl.load(offsets + split)
    cell = rows * 5 + split
    tl.store(scores + cell, score, mask=in_rows)
    tl.store(training_scores + cell, score * tl.load(mask + cell, mask=in_rows, other=0.0), mask=in_rows)


@triton.jit
def _accumulate(x, shift, weights, total, n_rows, n_units, stride, ROWS: tl.constexpr, UNITS: tl.constexpr):
    units = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    in_units = units < n_units
    middle = tl.load(shift + units, mask=in_units, other=0.0)[None, :]
    sum0 = tl.zeros([ROWS, UNITS], tl.float32)
    sum1 = tl.zeros([ROWS, UNITS], tl.float32)
    sum2 = tl.zeros([ROWS, UNITS], tl.float32)
    sum3 = tl.zeros([ROWS, UNITS], tl.float32)
    sum4 = tl.zeros([ROWS, UNITS], tl.float32)
    for first in range(0, n_rows, ROWS):
        rows = first + tl.arange(0, ROWS)
        in_rows = rows < n_rows
        pointers = x + rows[:, None].to(tl.int64) * n_units + units[None, :]
        values = tl.load(pointers, mask=in_rows[:, None] & in_units[None, :], other=0.0) - middle
        row_weights = weights + rows * stride
        sum0 += values * tl.load(row_weights, mask=in_rows, other=0.0)[:, None]
        sum1 += values * tl.load(row_weights + 1, mask=in_rows, other=0.0)[:, None]
        sum2 += values * tl.load(row_weights + 2, mask=in_rows, other=0.0)[:, None]
        sum3 += values * tl.load(row_weights + 3, mask=in_rows, other=0.0)[:, None]
        sum4 += values * tl.load(row_weights + 4, mask=in_rows, other=0.0)[:, None]
    target = total + units
    tl.store(target, tl.load(target, mask=in_units) + tl.sum(sum0, 0), mask=in_units)
    target += n_units
    tl.store(target, tl.load(target, mask=in_units) + tl.sum(sum1, 0), mask=in_units)
    target += n_units
    tl.store(target, tl.load(target, mask=in_units) + tl.sum(sum2, 0), mask=in_units)
    target += n_units
    tl.store(target, tl.load(target, mask=in_units) + tl.sum(sum3, 0), mask=in_units)
    target += n_units
    tl.store(target, tl.load(target, mask=in_units) + tl.sum(sum4, 0), mask=in_units)


def project(
    activations: Tensor,
    shift: Tensor,
    directions: Tensor,
    offsets: Tensor,
    mask: Tensor,
    scores: Tensor,
    training_scores: Tensor,
) -> None:
    """Do as `layerwise.streaming.products.project`, for five splits in float32 on a GPU."""
    n_rows, n_units = activations.shape
    rows, units = 16, 128
    blocks, row_blocks = triton.cdiv(n_units, units), triton.cdiv(n_rows, rows)
    n_steps = max(1, blocks * row_blocks // PROGRAMS, triton.cdiv(blocks, PARTS))
    n_parts = triton.cdiv(blocks, n_steps)
    partial = torch.empty(n_parts, SPLITS, n_rows, dtype=torch.float32, device=activations.device)
    _project[(n_parts, row_blocks)](
        activations, shift, directions, partial, n_rows, n_units, n_steps, ROWS=rows, UNITS=units, num_warps=8
    )
    _finish[(triton.cdiv(n_rows, 32), SPLITS)](
        partial, offsets, mask, scores, training_scores, n_rows, n_parts, ROWS=32, PARTS_AT_ONCE=32
    )


def accumulate(activations: Tensor, shift: Tensor, weights: Tensor, total: Tensor) -> None:
    """Do as `layerwise.streaming.products.accumulate`, for a multiple of five rows in float32 on a GPU."""
    n_rows, n_units = activations.shape
    # Long rows at once for large layers; for small ones more images at once, or too few programs would run.
    rows, units = (4, 512) if n_units >= LARGE else (16, 256)
    for first in range(0, len(total), SPLITS):
        _accumulate[(triton.cdiv(n_units, units),)](
            activations,
            shift,
            weights[:, first:],
            total[first:],
            n_rows,
            n_units,
            weights.stride(0),
            ROWS=rows,
            UNITS=units,
            num_warps=4,
        )
