"""The two products of a pass as kernels for five splits: each reads a fusion's activations once.

Products go through the tensor cores, where the units of many images meet a direction at once: float32 numbers are
split into two of ten bits, and the three products that matter are summed, which errs by a few units of float32. Shifts
are subtracted in registers. Sums are taken in a fixed order, so that passes can be repeated bit by bit.

A tile of directions or weights has eight columns for each layer that shares an operand, five of them in use. A layer
that scales its root needs no operand of its own: the scale goes to its direction, or to its sums.
"""

from collections.abc import Sequence
from math import inf

import torch
import triton
import triton.language as tl
from torch import Tensor

from layerwise.streaming.fused import Relation

SPLITS = 5
PARTS = 256  # at most so many partial sums of a projection
PROGRAMS = 1000  # about so many programs fill a large GPU twice


@triton.jit
def _clamp(values, scale, bias, shift, cap, units, in_units, SCALED: tl.constexpr, CAPPED: tl.constexpr):
    if SCALED:
        values *= tl.load(scale + units, mask=in_units, other=0.0)[None, :]
        values += tl.load(bias + units, mask=in_units, other=0.0)[None, :]
    # Not minimum and maximum, which would lose a NaN.
    values = tl.where(values < 0, 0.0, values)
    if CAPPED:
        values = tl.where(values > cap, cap, values)
    return values - tl.load(shift + units, mask=in_units, other=0.0)[None, :]


@triton.jit
def _project(
    x, shift, scale, bias, clamped_shift, cap, directions0, directions1, directions2, partial, n_rows, n_units, n_steps,
    SCALED: tl.constexpr, CLAMPED: tl.constexpr, CAPPED: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    COLUMNS: tl.constexpr = 16 if SCALED else 8
    part = tl.program_id(0)
    rows = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    in_rows = rows < n_rows
    pointers = x + rows[:, None].to(tl.int64) * n_units
    columns, eight = tl.arange(0, COLUMNS), tl.arange(0, 8)
    straight = tl.zeros([ROWS, COLUMNS], tl.float32)
    clamped = tl.zeros([ROWS, 8], tl.float32)
    for step in range(n_steps):
        units = (part * n_steps + step) * UNITS + tl.arange(0, UNITS)
        in_units = units < n_units
        values = tl.load(pointers + units[None, :], mask=in_rows[:, None] & in_units[None, :], other=0.0)
        places = units[:, None] + (columns % 8)[None, :] * n_units
        inside = in_units[:, None] & (columns % 8 < 5)[None, :]
        tile = tl.load(directions0 + places, mask=inside & (columns < 8)[None, :], other=0.0)
        if SCALED:
            other = tl.load(directions1 + places, mask=inside & (columns >= 8)[None, :], other=0.0)
            tile += other * tl.load(scale + units, mask=in_units, other=0.0)[:, None]
        shifted = values - tl.load(shift + units, mask=in_units, other=0.0)[None, :]
        straight = tl.dot(shifted, tile, straight, input_precision=PRECISION)
        if CLAMPED:
            places = units[:, None] + eight[None, :] * n_units
            tile = tl.load(directions2 + places, mask=in_units[:, None] & (eight < 5)[None, :], other=0.0)
            own = _clamp(values, scale, bias, clamped_shift, cap, units, in_units, SCALED, CAPPED)
            clamped = tl.dot(own, tile, clamped, input_precision=PRECISION)
    n_parts = tl.num_programs(0)
    slots = columns // 8
    target = partial + (slots[None, :] * n_parts + part) * 5 * n_rows + (columns % 8)[None, :] * n_rows + rows[:, None]
    tl.store(target, straight, mask=in_rows[:, None] & (columns % 8 < 5)[None, :])
    if CLAMPED:
        target = partial + (COLUMNS // 8 * n_parts + part) * 5 * n_rows + eight[None, :] * n_rows + rows[:, None]
        tl.store(target, clamped, mask=in_rows[:, None] & (eight < 5)[None, :])


@triton.jit
def _finish(
    partial, offsets0, offsets1, offsets2, mask, scores0, scores1, scores2, training_scores, n_rows, n_parts,
    ROWS: tl.constexpr, PARTS_AT_ONCE: tl.constexpr,
):  # fmt: skip
    split, layer = tl.program_id(1), tl.program_id(2)
    offsets, scores = offsets0, scores0
    if layer == 1:
        offsets, scores = offsets1, scores1
    if layer == 2:
        offsets, scores = offsets2, scores2
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    in_rows = rows < n_rows
    sums = tl.zeros([PARTS_AT_ONCE, ROWS], tl.float32)
    for first in range(0, n_parts, PARTS_AT_ONCE):
        parts = first + tl.arange(0, PARTS_AT_ONCE)
        source = partial + ((layer * n_parts + parts)[:, None] * 5 + split) * n_rows + rows[None, :]
        sums += tl.load(source, mask=(parts < n_parts)[:, None] & in_rows[None, :], other=0.0)
    score = tl.sum(sums, 0) - tl.load(offsets + split)
    cell = rows * 5 + split
    tl.store(scores + cell, score, mask=in_rows)
    training = score * tl.load(mask + cell, mask=in_rows, other=0.0)
    tl.store(training_scores + layer * n_rows * 5 + cell, training, mask=in_rows)


@triton.jit
def _add(total, sums, scale, columns, first: tl.constexpr, units, in_units, n_units, SCALED: tl.constexpr):
    if SCALED:
        sums *= tl.load(scale + units, mask=in_units, other=0.0)[None, :]
    target = total + (columns - first)[:, None] * n_units + units[None, :]
    inside = ((columns >= first) & (columns < first + 5))[:, None] & in_units[None, :]
    tl.store(target, tl.load(target, mask=inside) + sums, mask=inside)


@triton.jit
def _accumulate(
    x, shift, scale, bias, clamped_shift, cap, weights, total0, total1, total2, n_rows, n_units, layer_stride,
    row_stride, SCALED: tl.constexpr, CLAMPED: tl.constexpr, CAPPED: tl.constexpr, ROWS: tl.constexpr,
    UNITS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    COLUMNS: tl.constexpr = 16 if SCALED else 8
    units = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    in_units = units < n_units
    columns, eight = tl.arange(0, COLUMNS), tl.arange(0, 8)
    centre = tl.load(shift + units, mask=in_units, other=0.0)[None, :]
    straight = tl.zeros([COLUMNS, UNITS], tl.float32)
    clamped = tl.zeros([8, UNITS], tl.float32)
    for first in range(0, n_rows, ROWS):
        rows = first + tl.arange(0, ROWS)
        in_rows = rows < n_rows
        pointers = x + rows[:, None].to(tl.int64) * n_units + units[None, :]
        values = tl.load(pointers, mask=in_rows[:, None] & in_units[None, :], other=0.0)
        source = weights + (columns // 8)[:, None] * layer_stride + (columns % 8)[:, None] + rows[None, :] * row_stride
        tile = tl.load(source, mask=(columns % 8 < 5)[:, None] & in_rows[None, :], other=0.0)
        straight = tl.dot(tile, values - centre, straight, input_precision=PRECISION)
        if CLAMPED:
            source = weights + COLUMNS // 8 * layer_stride + eight[:, None] + rows[None, :] * row_stride
            tile = tl.load(source, mask=(eight < 5)[:, None] & in_rows[None, :], other=0.0)
            own = _clamp(values, scale, bias, clamped_shift, cap, units, in_units, SCALED, CAPPED)
            clamped = tl.dot(tile, own, clamped, input_precision=PRECISION)
    _add(total0, straight, scale, columns, 0, units, in_units, n_units, False)
    if SCALED:
        _add(total1, straight, scale, columns, 8, units, in_units, n_units, True)
    if CLAMPED:
        _add(total2, clamped, scale, eight, 0, units, in_units, n_units, False)


def project(
    activations: Tensor,
    relation: Relation,
    directions: Sequence[Tensor],
    offsets: Sequence[Tensor],
    mask: Tensor,
    scores: Sequence[Tensor],
    training_scores: Tensor,
) -> None:
    """Do as `layerwise.streaming.products.project`, for five splits in float32 on a GPU."""
    n_rows, n_units = activations.shape
    kinds = _kinds(relation)
    rows, units = 64, 32 if kinds["SCALED"] and kinds["CLAMPED"] else 64
    blocks, row_blocks = triton.cdiv(n_units, units), triton.cdiv(n_rows, rows)
    n_steps = max(1, blocks * row_blocks // PROGRAMS, triton.cdiv(blocks, PARTS))
    n_parts = triton.cdiv(blocks, n_steps)
    partial = torch.empty(len(directions), n_parts, SPLITS, n_rows, dtype=torch.float32, device=activations.device)
    _project[(n_parts, row_blocks)](
        activations, *_of(relation), *_in_order(directions), partial, n_rows, n_units, n_steps,
        **kinds, ROWS=rows, UNITS=units, PRECISION=_precision(activations), num_warps=4,
        num_stages=3 if units == 64 else 4,
    )  # fmt: skip
    _finish[(triton.cdiv(n_rows, 16), SPLITS, len(directions))](
        partial, *_in_order(offsets), mask, *_in_order(scores), training_scores, n_rows, n_parts,
        ROWS=16, PARTS_AT_ONCE=64,
    )  # fmt: skip


def accumulate(activations: Tensor, relation: Relation, weights: Tensor, totals: Sequence[Tensor]) -> None:
    """Do as `layerwise.streaming.products.accumulate`, for a multiple of five rows in float32 on a GPU."""
    n_rows, n_units = activations.shape
    kinds = _kinds(relation)
    units, stages = (128, 3) if kinds["CLAMPED"] else (64, 4)
    for first in range(0, len(totals[0]), SPLITS):
        _accumulate[(triton.cdiv(n_units, units),)](
            activations, *_of(relation), weights[:, :, first:], *_in_order([total[first:] for total in totals]),
            n_rows, n_units, weights.stride(0), weights.stride(1),
            **kinds, ROWS=32, UNITS=units, PRECISION=_precision(activations), num_warps=4, num_stages=stages,
        )  # fmt: skip


def _of(relation: Relation) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
    """Return a relation as arguments of a kernel: what is not there is not looked at, but must be a tensor."""
    given = [relation.shift if part is None else part for part in (relation.scale, relation.bias)]
    clamped_shift = relation.shift if relation.clamped_shift is None else relation.clamped_shift
    return relation.shift, given[0], given[1], clamped_shift, relation.cap


def _in_order(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return three tensors, of up to three layers: the clamped one's is the last, the scaled one's the second."""
    return [tensors[min(index, len(tensors) - 1)] for index in range(3)]


def _kinds(relation: Relation) -> dict[str, bool]:
    scaled, clamped = relation.scale is not None, relation.clamped_shift is not None
    return {"SCALED": scaled, "CLAMPED": clamped, "CAPPED": relation.cap < inf}


def _precision(activations: Tensor) -> str:
    """Return the arithmetic of products: GPUs before Ampere have no tensor cores for ten bits, and multiply float32."""
    old = activations.is_cuda and torch.cuda.get_device_capability(activations.device) < (8, 0)
    return "ieee" if old else "tf32x3"
