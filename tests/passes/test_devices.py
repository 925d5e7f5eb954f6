import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.interfaces import LayerSpec
from layerwise.passes.devices import run_together, share_layers


def make(units):
    return [LayerSpec(f"layer{depth}", "Conv2d", (size,), size, depth) for depth, size in enumerate(units, start=1)]


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=40), st.integers(1, 8))
def test_shares_are_neighbours_and_about_equal(units, n_devices):
    layers = make(units)
    shares = share_layers(layers[::-1], n_devices)
    assert [layer for share in shares for layer in share] == layers
    assert 1 <= len(shares) <= n_devices and all(shares)
    # A share takes a layer whose middle lies in it: half a layer too much at either end.
    most = sum(units) / n_devices + max(units)
    assert all(sum(layer.units for layer in share) <= most for share in shares)


def test_equal_layers_are_shared_equally():
    assert [len(share) for share in share_layers(make([7] * 12), 4)] == [3, 3, 3, 3]


def test_works_run_at_the_same_time_and_give_all_they_have():
    barrier = threading.Barrier(3, timeout=10)  # broken, and an error, unless three threads meet

    def work(start):
        barrier.wait()
        yield from range(start, start + 4)

    assert sorted(run_together([work(0), work(4), work(8)])) == list(range(12))
    assert list(run_together([iter("abc")])) == ["a", "b", "c"]


def test_an_error_of_one_work_ends_all():
    def fail():
        yield 1
        raise ValueError("no such layer")

    with pytest.raises(ValueError, match="no such layer"):
        for _ in run_together([itertools.count(), fail()]):  # the first would never end by itself
            pass


def test_what_is_no_longer_wanted_is_stopped():
    items = run_together([itertools.count(), itertools.count()])
    next(items)
    items.close()
