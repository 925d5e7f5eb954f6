import re
import subprocess
import sys
from dataclasses import replace

import pytest

from layerwise.interfaces import LayerSpec
from layerwise.layers.blocks import in_block
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import registry
from layerwise.passes.memory import NETWORK
from layerwise.sketching.groups import SketchDemand, describe, fit_batch, plan_sketches

GB = 10**9
FILE = SketchDemand(n_images=58_741, dimensions=4096, batch_size=32, in_memory=False)
MEMORY = replace(FILE, in_memory=True, batch_size=256)


def layers_of(*units):
    return [LayerSpec(f"layer{rank}", "ReLU", (n,), n, rank) for rank, n in enumerate(units, start=1)]


def test_a_sketched_layer_of_lamem_takes_481_megabytes_of_disk():
    large, few = layers_of(800_000, 1000)
    assert FILE.of_layer(large) == 58_741 * 4096 * 2 == 481_206_272
    assert FILE.of_layer(few) == 58_741 * 1000 * 4


@pytest.mark.parametrize(("demand", "memory", "disk"), [(FILE, 5 * GB, 20 * GB), (MEMORY, 30 * GB, 0)])
def test_groups_fill_the_budget_and_never_exceed_it(rng, demand, memory, disk):
    layers = layers_of(*rng.integers(25, 400_000, size=150).tolist())
    room = memory - demand.reserve(layers) if demand.in_memory else disk
    groups = [in_block(layers, name) for name in plan_sketches(layers, demand, memory, disk)]
    assert [layer for group in groups for layer in group] == layers
    sizes = [sum(map(demand.of_layer, group)) for group in groups]
    assert max(sizes) <= room
    assert len(groups) > 1
    for size, group in zip(sizes, groups[1:], strict=False):
        assert size + demand.of_layer(group[0]) > room


def test_every_known_network_is_sketched_within_the_default_budgets():
    for name in registry.names():
        path = shipped_manifest(name)
        layers = read_manifest(path) if path else layers_of(1000)
        on_cpu = fit_batch(layers, FILE, 5 * GB)
        assert len(plan_sketches(layers, on_cpu, 5 * GB, 100 * GB)) <= 8, name
        on_gpu = plan_sketches(layers, fit_batch(layers, MEMORY, 75 * GB), 75 * GB, 0)
        assert len(on_gpu) <= 12, name
        if name == "resnet50":
            assert on_gpu == ["001-126"]


@pytest.mark.parametrize(
    ("demand", "memory", "disk", "setting"),
    [(FILE, GB, 100 * GB, "gpu_memory"), (MEMORY, 5 * GB, 0, "gpu_memory"), (FILE, 5 * GB, GB // 4, "disk")],
)
def test_budgets_too_small_for_one_layer_say_what_would_do(demand, memory, disk, setting):
    layers = layers_of(800_000, 1000)
    with pytest.raises(ValueError, match=setting) as caught:
        plan_sketches(layers, demand, memory, disk)
    enough = int(re.search(r"to (\d+)MB or more", str(caught.value))[1]) * 10**6
    budgets = (memory, enough) if setting == "disk" else (enough, disk)
    assert plan_sketches(layers, demand, *budgets)


@pytest.mark.parametrize("demand", [FILE, MEMORY])
def test_the_regression_has_room_beside_the_network(demand):
    """One image a batch: the pass itself needs less than the regression."""
    sketched, kept = layers_of(5000, 30), layers_of(3000, 30)
    demand = replace(demand, batch_size=1)
    assert demand.reserve(sketched) == NETWORK + 58_741 * 4096 * 4  # float32
    assert demand.reserve(kept) == NETWORK + 58_741 * 3000 * 8  # float64


def test_batches_are_halved_until_a_pass_fits():
    layers = layers_of(3_000_000)
    assert fit_batch(layers, MEMORY, 75 * GB) == MEMORY
    smaller = fit_batch(layers, MEMORY, 10 * GB)
    assert smaller.batch_size < 256
    assert plan_sketches(layers, smaller, 10 * GB, 0) == ["001"]


def test_the_plan_says_the_disk_that_it_needs():
    layers = layers_of(800_000, 1000)
    assert describe(layers, FILE) == (
        "2 layers in one forward pass over 58,741 images: 1 of them sketched to 4,096 numbers, 1 kept as they are; "
        f"0.72 GB on disk until they are scored, beside {FILE.reserve(layers) / 1e9:.2f} GB of memory for "
        "the network, then the regression"
    )


def test_planning_needs_no_torch():
    code = "import sys, layerwise.sketching.groups; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
