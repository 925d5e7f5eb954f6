from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.activations import plan_passes
from layerwise.activations.parts import (
    BACKLOG,
    BLOCK,
    COPIES,
    GRAM_BYTES,
    LEAST_UNITS,
    MemoryShares,
    describe,
    kind_of,
    largest_write,
    least_bytes,
    stored_bytes,
)
from layerwise.interfaces import LayerSpec

MB = 10**6


def make(units):
    return [LayerSpec(f"layer{depth}", "ReLU", (count,), count, depth) for depth, count in enumerate(units, 1)]


@given(st.lists(st.integers(25, 20_000), min_size=1, max_size=30), st.integers(1, 200), st.integers(0, 50 * MB))
def test_invariants(units, n_stimuli, extra):
    layers = make(units)
    grams = (GRAM_BYTES * n_stimuli + 16 * BLOCK) * n_stimuli
    reserved = grams if max(units) > n_stimuli else COPIES * 4 * n_stimuli * max(units)
    memory = reserved + 4 * n_stimuli * LEAST_UNITS + extra
    passes = plan_passes(layers[::-1], n_stimuli, memory)
    sizes = [sum(part.units for part in parts) for parts in passes]
    # Within the budget, and no plan could have fewer passes.
    assert all(4 * n_stimuli * size + reserved <= memory for size in sizes)
    assert len(passes) == -(-sum(units) // ((memory - reserved) // (4 * n_stimuli)))
    # Every unit once: the parts of a layer follow each other without gap or overlap.
    for layer in layers:
        parts = [part for group in passes for part in group if part.layer == layer]
        assert parts[0].start == 0 and parts[-1].stop == layer.units
        assert all(before.stop == after.start for before, after in pairwise(parts))
        assert all(part.units > 0 for part in parts)
    # A layer once begun is finished before the next begins, so that one Gram matrix is open at a time.
    order = [part.layer.depth for parts in passes for part in parts]
    assert order == sorted(order)
    # No layer stands twice in a pass: it has one hook.
    assert all(len({part.layer for part in parts}) == len(parts) for parts in passes)
    assert plan_passes(layers, n_stimuli, memory) == passes


def test_enough_memory_takes_one_pass():
    assert len(plan_passes(make([1000] * 500), 100, 10**9)) == 1


def test_layer_larger_than_the_budget_is_sliced():
    passes = plan_passes(make([10_000]), 100, (GRAM_BYTES * 100 + 16 * BLOCK) * 100 + 4 * 100 * 4_000)
    assert [[(part.start, part.stop) for part in parts] for parts in passes] == [
        [(0, 4000)], [(4000, 8000)], [(8000, 10_000)]
    ]  # fmt: skip


def test_too_small_a_budget_says_the_least_that_works():
    layers, least = make([10_000]), (GRAM_BYTES * 3200 + 16 * BLOCK) * 3200 + 4 * 3200 * LEAST_UNITS
    with pytest.raises(ValueError, match=rf"at least {least:,} .*compute.memory .*compute.gpu_memory.* to \d+MB"):
        plan_passes(layers, 3200, least - 1)
    assert plan_passes(layers, 3200, least)


def test_small_layers_need_little():
    least = (1 + COPIES) * 4 * 3200 * 30
    assert plan_passes(make([30]), 3200, least)
    with pytest.raises(ValueError, match="at least"):
        plan_passes(make([30]), 3200, least - 1)


@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=9), st.integers(1, 9000), st.integers(0, 4 * 10**9))
def test_what_too_small_a_budget_advises_is_enough_on_a_gpu(units, n_stimuli, pixels):
    layers = make(units)
    least = least_bytes(layers, n_stimuli)
    for memory, enough in ((least - 1, False), (least, True), (2 * least, True), (30 * least, True)):
        budget = MemoryShares.of(memory, True, pixels, least)
        assert budget.resident + budget.backlog + budget.rest == memory
        assert budget.resident in (0, pixels)
        assert 0 <= budget.backlog <= BACKLOG
        if enough:
            assert plan_passes(layers, n_stimuli, budget.rest)
        else:
            with pytest.raises(ValueError, match=f"^{memory:,} bytes of memory are too few .* at least {least:,} "):
                plan_passes(layers, n_stimuli, budget.rest)


def test_a_cpu_keeps_nothing_back():
    assert MemoryShares.of(10**9, False, 10**6, 10**5) == MemoryShares(0, 0, 10**9)


def test_what_is_written():
    few, many = make([100, 101])
    assert stored_bytes([few, many], 100) == 4 * 100 * 100 + 8 * (5050 + 200)
    assert largest_write(plan_passes([few, many], 100, 10**9), 100) == 8 * (5050 + 200)
    assert largest_write(plan_passes([few], 100, 10**9), 100) == 4 * 100 * 100


@pytest.mark.parametrize(("layers", "n_stimuli"), [([], 5), (make([30]), 0)])
def test_nothing_to_do(layers, n_stimuli):
    with pytest.raises(ValueError, match="nothing to extract"):
        plan_passes(layers, n_stimuli, 10**9)


def test_whichever_is_smaller_is_kept():
    few, many = make([100, 101])
    assert (kind_of(few, 100), kind_of(many, 100)) == ("activations", "gram")


def test_a_plan_says_passes_and_bytes():
    layers = make([1_000_000, 50])
    budget = MemoryShares.of(10 * 10**9, True, 5 * 10**8, least_bytes(layers, 3200))
    assert budget == MemoryShares(5 * 10**8, 5 * 10**8, 9 * 10**9)
    assert describe(plan_passes(layers, 3200, budget.rest), 3200, budget) == (
        "2 layers in 2 forward passes over 3,200 images: 10.00 GB are allowed, and the activations take 12.80 GB, in a "
        "pass 8.50 GB, beside 0.50 GB for Gram matrices and writing, 0.50 GB of pixels that stay and 0.50 GB that may "
        "wait for the disk"
    )
