"""Batches are halved until they fit, whatever work does with them."""

import pytest
import torch

from layerwise.passes.halving import BatchSize

IMAGES = 13


class Device:
    """Work that resumes where it stopped, on a device that holds so many images."""

    def __init__(self, room):
        self.room, self.tried, self.done = room, [], []

    def run(self, batch_size):
        self.tried.append(batch_size)
        while len(self.done) < IMAGES:
            batch = range(len(self.done), min(len(self.done) + batch_size, IMAGES))
            if len(batch) > self.room:
                raise torch.OutOfMemoryError(f"no room for {len(batch)}")
            for image in batch:
                self.done.append(image)
                yield image
        return "done"


def drain(generator):
    items = []
    while True:
        try:
            items.append(next(generator))
        except StopIteration as end:
            return items, end.value


@pytest.mark.parametrize(("room", "tried"), [(8, [8]), (7, [8, 4]), (3, [8, 4, 2]), (1, [8, 4, 2, 1])])
def test_batches_are_halved_until_they_fit(room, tried, caplog):
    size, device = BatchSize(8), Device(room)
    items, result = drain(size.run(device.run, "starting again"))
    assert (items, result) == (list(range(IMAGES)), "done")
    assert device.tried == tried and size.images == tried[-1]
    assert [record.getMessage() for record in caplog.records] == [
        f"the device is out of memory: starting again with {images} images a batch" for images in tried[1:]
    ]


def test_the_next_work_begins_with_what_fitted():
    size = BatchSize(8)
    drain(size.run(Device(2).run))
    second = Device(2)
    drain(size.run(second.run))
    assert second.tried == [2]


def test_a_single_image_that_is_too_much_ends_the_work():
    size, device = BatchSize(4), Device(0)
    with pytest.raises(torch.OutOfMemoryError, match="no room for 1"):
        drain(size.run(device.run))
    assert device.tried == [4, 2, 1]


def test_other_errors_are_not_taken_for_memory():
    def work(batch_size):
        yield batch_size
        raise RuntimeError("another")

    size = BatchSize(8)
    with pytest.raises(RuntimeError, match="another"):
        drain(size.run(work))
    assert size.images == 8
