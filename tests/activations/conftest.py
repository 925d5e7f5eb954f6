import numpy as np
import pytest
import torch

from layerwise.files import hash_arrays
from layerwise.interfaces import Preprocessing


class Images:
    """Stands in for a cache of pixels."""

    def __init__(self, array):
        self.array = array
        self.ids = tuple(f"image{index:04d}" for index in range(len(array)))
        self.content_hash = hash_arrays(array)
        self.reads = []

    def __len__(self):
        return len(self.array)

    def read(self, start, stop):
        self.reads.append((start, stop))
        return self.array[start:stop]


@pytest.fixture
def preprocessing():
    return Preprocessing(64, 64, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture
def attributes():
    return {"model": "mine", "weights": "a", "code": "b"}


@pytest.fixture
def draw(rng):
    def images(n, size=64):
        return Images(rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8))

    return images


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny networks: threads that wait for each other cost more than they bring
    yield
    torch.set_num_threads(before)
