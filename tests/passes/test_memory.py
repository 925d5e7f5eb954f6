"""Groups of layers and batches, against loops that try one after another."""

import numpy as np
import pytest

from layerwise.interfaces import LayerSpec
from layerwise.layers.blocks import in_block
from layerwise.passes.memory import NETWORK, group_layers, largest_batch, working


def greedy(layers, fits):
    """Add one layer after another to a group until it is too large."""
    groups = []
    for layer in layers:
        if groups and fits([*groups[-1], layer]):
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return groups


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_those_of_a_greedy_loop(seed, make_layers):
    rng = np.random.default_rng(seed)
    layers = make_layers(rng.integers(1, 100, rng.integers(1, 40)))
    room = int(rng.integers(100, 400))

    def fits(group):
        return sum(layer.units for layer in group) <= room

    found = [in_block(layers, name) for name in group_layers(layers, fits)]
    assert found == greedy(layers, fits)


def test_the_largest_batch_that_fits_is_a_half_of_a_half(make_layers):
    layers = make_layers([10, 1000])
    for room in np.linspace(NETWORK, working(layers, 300), 50):
        halves = [256 // 2**halved for halved in range(9)]
        fitting = [images for images in halves if working(layers, images) <= room]
        assert largest_batch(layers, 256, int(room)) == max(fitting, default=1)


@pytest.fixture
def make_layers():
    def make(units):
        return [LayerSpec(str(depth), "Conv2d", (int(n),), int(n), depth) for depth, n in enumerate(units, 1)]

    return make
