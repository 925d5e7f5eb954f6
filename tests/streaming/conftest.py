"""Small networks with every trap of real ones, images, and scores that differ between splits."""

import numpy as np
import pytest
import torch
from torch import nn

from layerwise.files import hash_arrays
from layerwise.interfaces import Preprocessing, Split
from layerwise.layers import list_layers

SIZE = 24


class Images:
    """Stands in for a cache of pixels."""

    def __init__(self, array):
        self.array = array
        self.ids = tuple(f"image{index:04d}" for index in range(len(array)))
        self.content_hash = hash_arrays(array)

    def __len__(self):
        return len(self.array)

    def read(self, start, stop):
        return self.array[start:stop]


class Tricky(nn.Module):
    """In-place operations, a module that runs twice, flat and spatial layers, and a constant one."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)  # overwrites the norm's output, and runs twice
        self.second = nn.Conv2d(8, 12, 3, stride=2)
        self.dead = nn.Threshold(1e9, 2.5)
        self.head = nn.Linear(12 * 5 * 5, 60)
        self.last = nn.Linear(60, 30)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x)))
        x = self.relu(self.second(x))
        self.dead(x)
        return self.last(self.head(x.flatten(1)))


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    return request.param


@pytest.fixture
def preprocessing():
    return Preprocessing(SIZE, SIZE, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture
def network(rng):
    torch.manual_seed(int(rng.integers(2**31)))
    network = Tricky().eval()
    with torch.no_grad():
        network.norm.running_mean.uniform_(-0.5, 0.5)
        network.norm.running_var.uniform_(0.5, 2)
    return network


@pytest.fixture
def layers(network):
    return list_layers(network, SIZE)


@pytest.fixture
def study(rng):
    """Images, scores [split, image] and splits: what makes images alike makes their scores alike."""

    def make(n=230, n_splits=5):
        latent = rng.standard_normal((n, 6))
        pattern = rng.standard_normal((6, SIZE * SIZE * 3))
        values = 128 + 25 * (latent @ pattern) + 20 * rng.standard_normal((n, SIZE * SIZE * 3))
        images = Images(values.clip(0, 255).astype(np.uint8).reshape(n, SIZE, SIZE, 3))
        scores = latent @ rng.standard_normal(6) + 0.5 * rng.standard_normal((n_splits, n)) + 3
        splits = []
        for _ in range(n_splits):
            order = rng.permutation(n)
            splits.append(Split(np.sort(order[: n * 3 // 4]), np.sort(order[n * 3 // 4 : -7])))
        for values, order in zip(scores, splits, strict=True):
            unused = np.setdiff1d(np.arange(n), np.concatenate(order))
            values[unused] = np.nan
        return images, scores, splits

    return make


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny networks: threads that wait for each other cost more than they bring
    yield
    torch.set_num_threads(before)
