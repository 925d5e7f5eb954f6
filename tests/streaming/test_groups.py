import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.interfaces import LayerSpec
from layerwise.layers.blocks import in_block
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import registry
from layerwise.streaming.groups import (
    Demand,
    Room,
    describe,
    fit_batch,
    group_layers,
    move_histories,
    on_device,
    plan_groups,
)

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


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(50, 200))
def test_groups_are_those_of_one_layer_after_another(units, room):
    layers, expected = layers_of(*units), [[]]
    for layer in layers:
        if sum(other.units for other in expected[-1]) + layer.units > room:
            expected.append([])
        expected[-1].append(layer)
    names = group_layers(layers, lambda group: sum(layer.units for layer in group) <= room)
    assert [in_block(layers, name) for name in names] == expected


def fewest(layers, room):
    """The least number of groups of neighbours that fit, by trying all ends."""
    least = [0]
    for end in range(1, len(layers) + 1):
        least.append(min(1 + least[start] for start in range(end) if room.holds(layers[start:end], DEMAND)))
    return least[-1]


@given(
    st.lists(st.integers(25, 3_000_000), min_size=1, max_size=12),
    st.integers(2, 9),
    st.integers(0, 6),
    st.integers(1, 3),
)
def test_histories_move_where_that_makes_fewer_groups(units, room, host, n_devices):
    layers, room, host = layers_of(*units), room * 10**9, host * 10**9
    memory = room + DEMAND.working(layers)
    plans = {n: [in_block(layers, name) for name in plan_groups(layers, DEMAND, memory, n)] for n in {0, host}}
    found = plans[host]
    assert [layer for group in found for layer in group] == layers
    assert len(found) == fewest(layers, Room(room, host))
    assert len(plans[0]) == fewest(layers, Room(room))
    if len(found) == len(plans[0]):
        assert found == plans[0]  # and none of its groups needs the host
    several = [in_block(layers, name) for name in plan_groups(layers, DEMAND, memory, host, n_devices)]
    assert len(several) <= len(found)
    assert all(Room(room, host, n_devices).holds(group, DEMAND) for group in several)


@given(
    st.lists(st.integers(25, 3_000_000), min_size=1, max_size=12),
    st.integers(1, 9),
    st.integers(0, 6),
    st.integers(1, 25),
)
def test_as_few_histories_move_as_do(units, room, host, n_components):
    layers, room, host = layers_of(*units), room * 10**9, host * 10**9
    demand = replace(DEMAND, n_components=n_components)
    moved = move_histories(layers, demand, room, host)
    assert sum(map(demand.history, moved)) <= host
    fits = on_device(layers, moved, demand) <= room
    assert fits == Room(room, host).holds(layers, demand)
    if moved:
        assert on_device(layers, moved[:-1], demand) > room
        rest = [layer for layer in layers if layer not in moved]
        assert min(layer.units for layer in moved) >= max((layer.units for layer in rest), default=0)


def test_shares_of_several_devices_fit_each_of_them_and_the_host_together():
    layers = layers_of(*[1_000_000] * 4)
    each, history = DEMAND.of_layer(layers[0]), DEMAND.history(layers[0])
    assert Room(2 * each, n_devices=2).holds(layers, DEMAND)
    assert not Room(2 * each - 1, n_devices=2).holds(layers, DEMAND)
    assert Room(2 * each - 1, 2 * history, 2).holds(layers, DEMAND)  # one of each device moves
    assert not Room(2 * each - 1, 2 * history - 1, 2).holds(layers, DEMAND)
    assert plan_groups(layers, DEMAND, 2 * each + DEMAND.working(layers), n_devices=2) == ["001-004"]
    assert plan_groups(layers, DEMAND, 2 * each + DEMAND.working(layers)) == ["001-002", "003-004"]


def test_a_batch_norm_keeps_its_scale_and_bias():
    plain = LayerSpec("bn", "ReLU", (1000,), 1000, 1)
    assert DEMAND.of_layer(replace(plain, kind="BatchNorm2d")) == DEMAND.of_layer(plain) + 8 * 1000


def test_memory_of_the_host_makes_fewer_groups_of_known_networks():
    layers = read_manifest(shipped_manifest("nasnetalarge"))
    counts = [len(plan_groups(layers, DEMAND, 13 * 10**9, gigabytes * 10**9)) for gigabytes in (0, 5, 20, 64, 1000)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] * 4 < counts[0]


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
    host = DEMAND.history(layers[1])
    larger = fit_batch(layers, DEMAND, memory, host)  # its history moves before batches are halved further
    assert larger.batch_size == 32
    assert plan_groups(layers, larger, memory, host)
    assert fit_batch(layers, DEMAND, memory, host - 1) == smaller
    least = DEMAND.working(layers) + on_device(layers[1:], layers[1:], DEMAND)
    assert plan_groups(layers, DEMAND, least, host)
    with pytest.raises(ValueError, match=f"at least {least:,} are needed"):
        plan_groups(layers, DEMAND, least - 1, host)


def test_the_plan_is_told():
    layers = layers_of(1000, 2000)
    text = describe(layers, layers[:1], DEMAND, 10**10, resident=True)
    assert text.startswith("1 of 2 layers in 26 forward passes over 58,741 images")
    assert "8.84 GB of pixels on the device" in text
    assert "host" not in text
    layers = layers_of(1_000_000, 2_000_000)
    text = describe(layers, layers, DEMAND, 10**10, resident=False, hosted=layers[1:])
    # 2 M units: 92 bytes each, 480 of history; 32 to bring it back; the scores of two layers, 3.5 MB each.
    assert "10.00 GB are allowed on the device, and it holds 0.83 GB of 1.72 GB of all layers' vectors, " in text
    assert "0.96 GB of history of 1 layer in the host's memory" in text


def test_planning_needs_no_torch():
    code = "import sys, layerwise.streaming.groups; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
