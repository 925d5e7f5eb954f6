import threading

import numpy as np
import pytest
import torch

from layerwise.passes import images as module
from layerwise.passes.images import Images, ReadAhead, bring, load_all, padded_length

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [1, 3, 7, 10, 20])
def test_batches_come_in_order_and_each_is_read_once(draw, device, size):
    images = draw(10, size=4)
    bounds = [(start, min(start + size, 10)) for start in range(0, 10, size)]
    with ReadAhead(images, torch.device(device)) as ahead:
        assert len(ahead) == 10
        batches = [ahead.read(*part) for part in bounds]
    assert all(batch.device.type == device for batch in batches)
    np.testing.assert_array_equal(torch.cat(batches).cpu().numpy(), images.array)
    assert images.reads == bounds


def test_another_batch_than_the_next_is_read_anew(draw):
    images = draw(12, size=4)
    with ReadAhead(images, torch.device("cpu")) as ahead:
        for start, stop in ((0, 8), (0, 4), (4, 8), (2, 3), (8, 12)):
            np.testing.assert_array_equal(ahead.read(start, stop).numpy(), images.array[start:stop])
    assert images.reads == [(0, 8), (8, 12), (0, 4), (4, 8), (8, 12), (2, 3), (3, 4), (8, 12)]


@pytest.mark.parametrize("error", [OSError("gone"), torch.OutOfMemoryError("full")])
def test_what_goes_wrong_in_the_thread_is_raised_where_the_batch_is_wanted(draw, monkeypatch, error):
    images = draw(6, size=4)
    read = images.read

    def fail(start, stop):
        if start == 2:
            raise error
        return read(start, stop)

    monkeypatch.setattr(images, "read", fail)
    with ReadAhead(images, torch.device("cpu")) as ahead:
        ahead.read(0, 2)
        with pytest.raises(type(error)):
            ahead.read(2, 4)
        monkeypatch.setattr(images, "read", read)
        np.testing.assert_array_equal(ahead.read(2, 4).numpy(), images.array[2:4])


def test_no_thread_is_left(draw):
    before = threading.active_count()
    with ReadAhead(draw(6, size=4), torch.device("cpu")) as ahead:
        ahead.read(0, 2)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_one_batch_can_be_brought_alone(draw):
    images = draw(6, size=4)
    np.testing.assert_array_equal(bring(images, 1, 5, torch.device("cpu")).numpy(), images.array[1:5])
    assert images.reads == [(1, 5)]


def test_all_images_come_once_and_in_order(draw, monkeypatch):
    monkeypatch.setattr(module, "LOADED_AT_ONCE", 4)
    images = draw(10, size=8)
    loaded = load_all(images, torch.device("cpu"))
    assert loaded.dtype == torch.uint8
    np.testing.assert_array_equal(loaded.numpy(), images.array)
    assert images.reads == [(0, 1), (0, 4), (4, 8), (8, 10)]  # the first tells the size


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("size", "start"), [(4, 0), (4, 3), (10, 0), (16, 0), (1, 9), (5, 10)])
def test_batches_begin_anywhere_and_the_last_one_may_be_filled_up(draw, device, resident, size, start):
    images = draw(10, size=4)
    source = Images(images, torch.device(device), resident)
    plain, padded = (list(source.batches(size, start, filled)) for filled in (False, True))
    assert [first for first, _ in plain] == [first for first, _ in padded] == list(range(start, 10, size))
    np.testing.assert_array_equal(
        np.concatenate([np.empty((0, 4, 4, 3)), *(batch.cpu() for _, batch in plain)]), images.array[start:]
    )
    for (_, whole), (_, filled) in zip(plain, padded, strict=True):
        assert len(filled) == size
        np.testing.assert_array_equal(filled[: len(whole)].cpu(), whole.cpu())
        assert all(torch.equal(one, whole[-1]) for one in filled[len(whole) :])
    assert padded_length(10, size) == size * len(list(source.batches(size)))
    if start < 10:
        for filled, batches in ((False, plain), (True, padded)):
            assert torch.equal(source.first(size, start, filled), batches[0][1])
