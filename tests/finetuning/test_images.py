import numpy as np
import pytest
import torch

from layerwise.finetuning import images as module
from layerwise.finetuning.images import ResidentImages, StreamedImages

CPU = torch.device("cpu")


class Kept:
    ids, content_hash = (), ""

    def __init__(self, images):
        self.images, self.seen = images, set()

    def __len__(self):
        return len(self.images)

    def read(self, start, stop):
        assert 0 <= start < stop <= len(self.images)
        self.seen |= set(range(start, stop))
        return self.images[start:stop]


@pytest.fixture
def pixels(rng):
    return Kept(rng.integers(0, 256, (60, 6, 7, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", [ResidentImages, StreamedImages])
def test_batches_hold_the_images_that_were_asked_for_and_nothing_else_is_read(rng, pixels, kind, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 4)
    chosen = rng.permutation(60)[:40]
    images = kind(pixels, chosen, CPU)
    assert (images.height, images.width) == (6, 7)
    for wanted in (np.split(chosen, [7, 20, 36]), np.split(rng.permutation(chosen), 8), [chosen[:1]]):
        given = list(images.batches(wanted))
        assert len(given) == len(wanted)
        for batch, (stored, rows) in zip(wanted, given, strict=True):
            np.testing.assert_array_equal(stored[rows].numpy(), pixels.images[batch])
    assert pixels.seen == set(chosen)


@pytest.mark.parametrize("kind", [ResidentImages, StreamedImages])
def test_other_images_are_refused(pixels, kind):
    images = kind(pixels, np.arange(10, 40), CPU)
    for other in (9, 40, 0, 59):
        with pytest.raises(ValueError, match="must not see"):
            list(images.batches([np.arange(10, 20), np.array([30, other])]))
    assert list(images.batches([])) == []
    with pytest.raises(ValueError, match="in the 60 that there are"):
        kind(pixels, np.array([60]), CPU)
