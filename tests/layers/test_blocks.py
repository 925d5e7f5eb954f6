import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.interfaces import LayerSpec
from layerwise.layers.blocks import blocks, in_block


def layers(n):
    return [LayerSpec(f"layer{rank}", "ReLU", (25,), 25, 3 * rank) for rank in range(1, n + 1)]


def test_names():
    assert blocks(52, 32) == ["001-032", "033-052"]
    assert blocks(3, 1) == ["001", "002", "003"]
    assert blocks(33, 32) == ["001-032", "033"]
    assert blocks(1001, 1000) == ["0001-1000", "1001"]


@given(st.integers(1, 1200), st.integers(1, 1300))
def test_blocks_cover_every_layer_once_in_order(n, per_job):
    known = layers(n)
    cut = [in_block(known[::-1], block) for block in blocks(n, per_job)]
    assert [layer for block in cut for layer in block] == known
    assert all(len(block) <= per_job for block in cut)


@pytest.mark.parametrize("block", ["", "1", "1-2", "000", "005-003", "001-011", "011", "a-b", "001-002-003"])
def test_no_such_block(block):
    with pytest.raises(ValueError, match=f"no block '{block}'"):
        in_block(layers(10), block)


@pytest.mark.parametrize(("n", "per_job"), [(0, 1), (1, 0)])
def test_numbers_below_one(n, per_job):
    with pytest.raises(ValueError, match="both must be 1 or more"):
        blocks(n, per_job)
