import json
import logging

import pytest
import torch
from torch import nn

from layerwise.interfaces import LayerSpec
from layerwise.layers import (
    LayerTap,
    leave_out,
    list_layers,
    read_manifest,
    shipped_manifest,
    survey_layers,
)
from layerwise.models import build, build_empty, registry


class Shared(nn.Module):
    """Runs one ReLU twice, one module never, and one of too few units."""

    def __init__(self):
        super().__init__()
        self.never = nn.Conv2d(3, 3, 1)
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(3, 5, 1)
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.few = nn.Linear(20, 24)
        self.enough = nn.Linear(24, 25)
        self.alias = self.conv

    def forward(self, x):
        x = self.relu(self.conv(self.relu(x)))
        return self.enough(self.few(self.pool(x).flatten(1)))


def test_definition_of_a_layer():
    assert list_layers(Shared(), 8) == [
        LayerSpec("conv", "Conv2d", (5, 8, 8), 320, 1),
        LayerSpec("relu", "ReLU", (5, 8, 8), 320, 2),
        LayerSpec("enough", "Linear", (25,), 25, 3),
    ]


def test_fewest_units_can_be_set():
    assert [layer.name for layer in list_layers(Shared(), 8, min_units=20)] == [
        "conv", "relu", "pool", "few", "enough"
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no layer with at least 1000 units"):
        list_layers(Shared(), 8, min_units=1000)


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "squeezenet1_1"])
def test_counts_are_those_of_the_paper(name, shared):
    counts = json.loads(shared("reference", "layer_counts.json").read_text())[registry.find(name).aliases[0]]
    network = build(name)
    assert len(list_layers(network, 224)) == counts["leaf_ge25"]
    assert len(list_layers(network, 224, min_units=24)) == counts["leaf_ge24"]


def test_layers_of_the_study_are_as_many_as_were_counted(shared):
    rows = [registry.find(name) for name in registry.names()]
    rows = [row for row in rows if row.in_paper]
    assert len(rows) == 64
    found = {row.aliases[0]: len(read_manifest(shipped_manifest(row.name))) for row in rows}
    assert sum(found.values()) == 16862
    counts = json.loads(shared("reference", "layer_counts.json").read_text())
    assert found == {name: count["leaf_ge25"] for name, count in counts.items()}


def test_inception_v3_today_has_four_modules_more():
    found = list_layers(build_empty("inception_v3"), 299)
    assert len(found) - registry.find("inception_v3").layers == 4


def test_sketch_shows_the_layers_that_values_show():
    for name in ("resnext101_32x4d", "dpn68b", "cornet_s"):
        assert list_layers(build_empty(name), 224) == list_layers(build(name), 224)


def test_layers_can_be_left_out():
    layers = list_layers(Shared(), 8)
    assert leave_out(layers, ["relu"]) == [layers[0], LayerSpec("enough", "Linear", (25,), 25, 2)]
    with pytest.raises(ValueError, match="cannot leave out sigmoid: no such layer"):
        leave_out(layers, ["relu", "sigmoid"])


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0"])
def test_shapes_are_those_that_a_tap_sees(name):
    network = build(name)
    layers = list_layers(network, 64)
    with LayerTap(network, [layer.name for layer in layers]) as tap, torch.inference_mode():
        network(torch.zeros(1, 3, 64, 64))
    assert {name: output.shape[1] for name, output in tap.outputs.items()} == {
        layer.name: layer.units for layer in layers
    }


class Pair(nn.Module):
    def forward(self, x):
        return x, x


class Named(nn.Module):
    def forward(self, x):
        return {"x": x[0]}


class Turned(nn.Module):
    def forward(self, x):
        return x["x"].transpose(0, 1)


class Index(nn.Module):
    def forward(self, x):
        return x.transpose(0, 1).argmax(-1)


class Back(nn.Module):
    def forward(self, x):
        return x.float()


def test_what_cannot_be_regressed_on_is_reported(caplog):
    network = nn.Sequential(nn.Identity(), Pair(), Named(), Turned(), Index(), Back())
    survey = survey_layers(network, 8, min_units=2)
    assert [layer.name for layer in survey.layers] == ["0", "5"]
    reasons = {module.layer: module.reason for module in survey.skipped}
    assert set(reasons) == {"1", "2", "3", "4"}
    assert reasons["1"] == "gives tuple instead of a tensor"
    assert reasons["3"] == "does not give one row an image"
    assert reasons["4"] == "gives int64 instead of real numbers"
    with caplog.at_level(logging.WARNING):
        assert list_layers(network, 8, min_units=2) == survey.layers
    assert len(caplog.records) == 1
    assert "4 modules are left out" in caplog.text


def test_training_flags_and_hooks_are_put_back():
    network = Shared()
    network.conv.eval()
    flags = [module.training for module in network.modules()]
    list_layers(network, 8)
    assert [module.training for module in network.modules()] == flags
    assert not any(module._forward_hooks for module in network.modules())


def test_network_that_does_not_run_on_the_size():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 30))
    assert [layer.name for layer in list_layers(network, 8)] == ["0", "1"]
    with pytest.raises(ValueError, match="does not run on 2 images of 9 pixels"):
        list_layers(network, 9)
    assert not any(module._forward_hooks for module in network.modules())


def test_a_single_module_has_no_name_to_call_it_by():
    with pytest.raises(ValueError, match="no layer"):
        list_layers(nn.Flatten(), 8)


class Tokens(nn.Module):
    """A normalisation of two learned tokens, as a detector's queries: as many rows as a batch of two images."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Parameter(torch.zeros(2, 30))
        self.on_tokens, self.on_images = nn.LayerNorm(30), nn.Linear(3 * 8 * 8, 30)

    def forward(self, x):
        tokens = self.on_tokens(self.tokens)
        return self.on_images(x.flatten(1)) @ tokens.T


class Rows(nn.Module):
    """Values that are as many for each image as there are images."""

    def forward(self, x):
        return x.flatten(1) @ x.flatten(1).T


def test_rows_of_learned_tokens_are_no_images():
    survey = survey_layers(Tokens(), 8)
    assert [layer.name for layer in survey.layers] == ["on_images"]
    assert [tuple(module) for module in survey.skipped] == [
        ("on_tokens", "LayerNorm", "does not give one row an image")
    ]


def test_a_shape_that_depends_on_the_batch_is_no_layers():
    survey = survey_layers(nn.Sequential(nn.Identity(), Rows()), 8, min_units=2)
    assert [module.reason for module in survey.skipped] == ["gives another shape for another number of images"]


class Failing(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.layer, self.error = nn.Flatten(), error

    def forward(self, x):
        if self.error is None:
            assert x.shape[1] == 4
        raise self.error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("stage"), "KeyError: 'stage'"),
        (None, "AssertionError: assert 3 == 4"),
        (OSError("x"), "x"),
    ],
)
def test_what_a_forward_raises_is_told_with_its_place(error, told):
    with pytest.raises(
        ValueError, match=rf"does not run on 2 images of 8 pixels: .*{told} \(\S+test_listing\.py, line \d+\)"
    ):
        survey_layers(Failing(error), 8)


def test_lack_of_memory_and_our_own_errors_pass():
    for error in (torch.OutOfMemoryError("full"), MemoryError(), RuntimeError("can't allocate memory")):
        with pytest.raises(type(error)):
            survey_layers(Failing(error), 8)
