"""Layers that pass on the output of another one, and functions between modules."""

from dataclasses import replace

import pytest
import timm
import torch
from torch import nn

from layerwise.interfaces import LayerChoice, LayerSpec
from layerwise.layers import leave_out, read_manifest, survey_layers, write_manifest
from layerwise.layers.blocks import blocks, distinct, in_block
from layerwise.layers.functions import find_functions
from layerwise.layers.probing import require_own_outputs


class Passing(nn.Module):
    """Passes tensors on, changes some in place, and gives equal values by chance."""

    def __init__(self):
        super().__init__()
        self.conv, self.identity, self.dropout = nn.Conv2d(3, 4, 1), nn.Identity(), nn.Dropout()
        self.relu, self.after, self.flat = nn.ReLU(inplace=True), nn.Identity(), nn.Flatten()
        self.again, self.turned = nn.ReLU(), Turned()
        self.zero, self.other_zero = Zero(), Zero()

    def forward(self, x):
        x = self.dropout(self.identity(self.conv(x)))
        x = self.after(self.relu(x))  # in place: what conv gave is gone
        x = self.again(x)  # the same values, but computed
        self.turned(x)
        return self.flat(x) + self.zero(x) + self.other_zero(x)


class Turned(nn.Module):
    def forward(self, x):
        return x.transpose(2, 3)


class Zero(nn.Module):
    def forward(self, x):
        return 0 * x.flatten(1)


EXPECTED = {"identity": "conv", "dropout": "conv", "after": "relu", "flat": "again"}


def test_what_is_passed_on_is_found_and_what_is_computed_is_not():
    layers = survey_layers(Passing(), 8).layers
    assert {layer.name: layer.same_as for layer in layers if layer.same_as} == EXPECTED
    assert len(layers) == 10


def test_a_layer_that_runs_twice_counts_as_it_ran_last():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.other, self.identity = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Identity()

        def forward(self, x):
            return self.identity(self.other(self.identity(self.conv(x))))

    assert {layer.name: layer.same_as for layer in survey_layers(Twice(), 8).layers}["identity"] == "other"


@pytest.mark.parametrize(("name", "n_layers", "n_repeated"), [("tf_efficientnet_lite0", 191, 58), ("resnet18", 77, 17)])
def test_repeated_layers_of_timm_give_equal_values(name, n_layers, n_repeated):
    torch.manual_seed(0)
    network = timm.create_model(name).eval()
    layers, seen = survey_layers(network, 64).layers, {}
    for module_name, module in network.named_modules():
        module.register_forward_hook(
            lambda _, __, output, one=module_name: seen.update({one: output.flatten(1).clone()})
        )
    with torch.inference_mode():
        network(torch.randn(2, 3, 64, 64))
    repeated = [layer for layer in layers if layer.same_as]
    assert (len(layers), len(repeated)) == (n_layers, n_repeated)
    assert all(torch.equal(seen[layer.name], seen[layer.same_as]) for layer in repeated)


class Pooled(nn.Sequential):
    def __init__(self):
        parts = nn.Conv2d(3, 32, 1), nn.Identity(), nn.Flatten(), nn.Dropout()
        super().__init__(*parts, nn.Linear(32 * 64, 30))


@pytest.mark.parametrize("repeated", ["keep", "leave-out"])
def test_what_is_reduced_is_no_repetition_of_the_whole(tmp_path, repeated):
    survey = survey_layers(Pooled(), 8, choice=LayerChoice(pooling="mean", repeated=repeated))
    found = {layer.name: (layer.units, layer.same_as) for layer in survey.layers}
    kept = {"0": (32, ""), "2": (2048, ""), "4": (30, "")}
    assert found == (kept | {"1": (32, "0"), "3": (2048, "2")} if repeated == "keep" else kept)
    write_manifest(survey.layers, tmp_path / "layers.tsv")
    assert read_manifest(tmp_path / "layers.tsv") == survey.layers


def test_repeated_layers_can_be_left_out():
    survey = survey_layers(Passing(), 8, choice=LayerChoice(repeated="leave-out"))
    names = [layer.name for layer in survey.layers]
    assert names == ["conv", "relu", "again", "turned", "zero", "other_zero"]
    assert [layer.depth for layer in survey.layers] == list(range(1, 7))
    left = {one.layer: one.reason for one in survey.others}
    assert {name: left[name] for name in EXPECTED} == {
        name: f"gives the same as {origin}" for name, origin in EXPECTED.items()
    }


def test_where_an_origin_is_left_out_the_next_takes_its_place():
    layers = leave_out(survey_layers(Passing(), 8).layers, ["conv", "relu"])
    same = {layer.name: layer.same_as for layer in layers}
    assert (same["identity"], same["dropout"], same["after"]) == ("", "identity", "")


def test_blocks_hold_the_layers_that_give_values_of_their_own():
    layers = survey_layers(Passing(), 8).layers
    assert len(distinct(layers)) == 6
    assert blocks(len(distinct(layers)), 4) == ["001-004", "005-006"]
    assert [layer.name for layer in in_block(layers, "005-006")] == ["zero", "other_zero"]
    with pytest.raises(ValueError, match="the network has the layers 1 to 6"):
        in_block(layers, "007")


def test_a_list_that_calls_others_the_same_is_refused():
    network = Passing().eval()
    layers, images = survey_layers(network, 8).layers, torch.randn(3, 3, 8, 8)
    require_own_outputs(network, layers, images)
    wrong = [replace(layer, same_as="conv") if layer.name == "relu" else layer for layer in layers]
    with pytest.raises(ValueError, match="the layer 'relu' does not give the same as 'conv'"):
        require_own_outputs(network, wrong, images)


def test_values_that_are_no_numbers_may_be_the_same():
    network = nn.Sequential(nn.Threshold(0, float("nan")), nn.Identity())
    layers = [
        LayerSpec("0", "Threshold", (3, 8, 8), 192, 1),
        LayerSpec("1", "Identity", (3, 8, 8), 192, 2, same_as="0"),
    ]
    require_own_outputs(network.eval(), layers, torch.randn(3, 3, 8, 8))


class Calling(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.pool, self.head = Residual(), nn.AdaptiveAvgPool2d(1), nn.Linear(4, 30)

    def forward(self, x):
        x = torch.nn.functional.relu(self.block(x))
        size = x.shape  # gives no values of an image
        x = x.view(size).permute(0, 1, 3, 2)
        return self.head(self.pool(x).flatten(1))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

    def forward(self, x):
        both = torch.cat([self.one(x), self.two(x)], 1)
        first, second = both.chunk(2, 1)  # views
        first += second
        return first + self.one.weight.sum() + 1


def test_functions_between_modules_are_named():
    found = find_functions(Calling().eval(), torch.zeros(2, 3, 8, 8))
    assert [(one.layer, one.kind, one.reason) for one in found] == [
        ("block:cat", "function", "is no module, but a function"),
        ("block:add", "function", "is no module, but a function that is called 3 times"),
        ("relu", "function", "is no module, but a function"),
    ]


def test_all_that_runs_is_a_layer_or_named():
    network = Calling().eval()
    ran = set()
    for name, module in network.named_modules():
        module.register_forward_hook(lambda *_, one=name: ran.add(one))
    survey = survey_layers(network, 8)
    others = {one.layer: one.reason for one in survey.others}
    assert ran - {""} == {layer.name for layer in survey.layers} | {name for name in others if name in ran}
    assert others["pool"] == "gives 4 values an image, fewer than 25"
    assert others["block"] == "holds other modules, and is not chosen by `layers`"
    chosen = survey_layers(network, 8, choice=LayerChoice(("block",)))
    assert {one.layer: one.reason for one in chosen.others}["block.one"] == "is not chosen by `layers`"
