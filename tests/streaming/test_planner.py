import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest

from layerwise.interfaces import LayerSpec
from layerwise.layers.blocks import in_block
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import registry
from layerwise.streaming.planner import Demand, explain, fit_batch, plan_groups

DEMAND = Demand(n_images=58741, n_splits=5, n_components=25, size=224, batch_size=64)


def layers_of(*units):
    return [LayerSpec(f"layer{rank}", "ReLU", (n,), n, rank) for rank, n in enumerate(units, start=1)]


def test_one_group_when_all_fits():
    assert plan_groups(layers_of(1000, 2000, 3000), DEMAND, 10**10) == ["001-003"]


def test_groups_fill_the_memory_and_never_exceed_it(rng):
    layers = layers_of(*rng.integers(25, 3_000_000, size=80).tolist())
    room = 9 * 10**9
    memory = room + DEMAND.working(layers)
    groups = [in_block(layers, name) for name in plan_groups(layers, DEMAND, memory)]
    assert [layer for group in groups for layer in group] == layers
    assert all(sum(map(DEMAND.of_layer, group)) <= room for group in groups)
    for group, following in pairwise(groups):
        assert sum(map(DEMAND.of_layer, [*group, following[0]])) > room  # one more would not have fitted
    assert len(groups) > 1


def test_a_layer_too_large_alone_says_what_would_do():
    layers = layers_of(100, 5_000_000)
    with pytest.raises(ValueError, match=r"'layer2'.*gpu_memory .* to (\d+)MB") as caught:
        plan_groups(layers, DEMAND, 3 * 10**9)
    enough = int(str(caught.value).split(" GPU) to ")[1].split("MB")[0]) * 10**6
    assert plan_groups(layers, DEMAND, enough)[-1] in {"002", "001-002"}
    with pytest.raises(ValueError, match="too few"):
        plan_groups(layers, DEMAND, enough - 2 * 10**6)


@pytest.mark.parametrize("memory", [15 * 10**9, 75 * 10**9])
def test_every_known_network_fits_a_usual_gpu(memory):
    counts = {}
    for name in registry.names():
        path = shipped_manifest(name)
        if path:
            demand = Demand(58741, 5, 25, registry.find(name).preprocessing.size, batch_size=32)
            counts[name] = len(plan_groups(read_manifest(path), demand, memory))
    assert len(counts) >= 64
    assert max(counts.values()) <= 16
    if memory > 70 * 10**9:
        assert counts["resnet50"] == counts["densenet201"] == 1


def test_batches_are_halved_until_each_layer_fits():
    layers = layers_of(100, 3_000_000)
    memory = DEMAND.of_layer(layers[1]) + replace(DEMAND, batch_size=20).working(layers)
    with pytest.raises(ValueError, match="too few"):
        plan_groups(layers, DEMAND, memory)
    smaller = fit_batch(layers, DEMAND, memory)
    assert smaller.batch_size == 16
    assert plan_groups(layers, smaller, memory)
    assert fit_batch(layers, DEMAND, 10**12) == DEMAND
    assert fit_batch(layers, DEMAND, 1).batch_size == 1


def test_the_plan_is_told():
    layers = layers_of(1000, 2000)
    text = explain(layers, layers[:1], DEMAND, resident=True)
    assert text.startswith("1 of 2 layers in 26 forward passes over 58,741 images")
    assert "8.84 GB of pixels on the device" in text


def test_planning_needs_no_torch():
    code = "import sys, layerwise.streaming.planner; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
