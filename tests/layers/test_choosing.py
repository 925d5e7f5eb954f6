"""Layers that a user chose, beside torchvision's and timm's own ways to take what is inside of a network."""

import logging

import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from layerwise.interfaces import LayerChoice
from layerwise.layers import list_layers, survey_layers
from layerwise.layers.patterns import match_names
from layerwise.passes.hooks import hooked


def take(network, layers, images):
    """What our hooks show of each layer."""
    network.eval()
    found = {}

    def note(index, _module, _inputs, output):
        found[layers[index].name] = output.clone()

    with torch.inference_mode(), hooked(network, layers, note):
        network(images)
    return found


def choose(network, size, *which, **choice):
    return survey_layers(network, size, choice=LayerChoice(which or "leaves", **choice))


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return torchvision.models.resnet18().eval()


@pytest.fixture(scope="module")
def vit():
    """A class token, three blocks; 25 patches."""
    torch.manual_seed(0)
    return timm.create_model("test_vit", img_size=80).eval()


IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
LARGER = torch.randn(2, 3, 80, 80, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a", ["a"]),
        ("*", ["a", "ab"]),
        ("a.*", ["a.0", "a.1"]),
        ("a.*.x", ["a.0.x"]),
        ("**.x", ["a.0.x", "ab.x"]),
        ("a.**", ["a", "a.0", "a.0.x", "a.1"]),
        ("**", ["a", "a.0", "a.0.x", "a.1", "ab", "ab.x"]),
        ("a.[01]", ["a.0", "a.1"]),
        ("a?", ["ab"]),
        ("b", []),
    ],
)
def test_patterns_match_part_by_part(pattern, expected):
    assert match_names(["a", "a.0", "a.0.x", "a.1", "ab", "ab.x"], pattern) == expected


@pytest.mark.parametrize("pooling", ["none", "mean", "max"])
def test_containers_of_a_resnet_give_what_torchvision_takes(resnet, pooling):
    survey = choose(resnet, 64, "layer?", "layer4.*", pooling=pooling)
    names = [layer.name for layer in survey.layers]
    assert names == ["layer1", "layer2", "layer3", "layer4.0", "layer4.1", "layer4"]
    with torch.inference_mode():
        expected = create_feature_extractor(resnet, names)(IMAGES)
    for name, ours in take(resnet, survey.layers, IMAGES).items():
        pooled = {"none": lambda x: x, "mean": lambda x: x.mean((2, 3)), "max": lambda x: x.amax((2, 3))}
        assert torch.equal(ours, pooled[pooling](expected[name])), name
    assert [layer.depth for layer in survey.layers] == list(range(1, 7))
    assert {layer.name: layer.same_as for layer in survey.layers if layer.same_as} == {"layer4": "layer4.1"}
    assert survey.layers[-1].kind == "Sequential"
    assert survey.layers[-1].shape == ((512, 2, 2) if pooling == "none" else (512,))


@pytest.mark.parametrize("tokens", ["all", "cls", "mean"])
def test_blocks_of_a_transformer_give_what_timm_takes(vit, tokens):
    survey = choose(vit, 80, "blocks.*", "blocks.*.attn", tokens=tokens)
    names = [layer.name for layer in survey.layers]
    blocks = [f"blocks.{index}" for index in range(len(vit.blocks))]
    assert names == [name for block in blocks for name in (f"{block}.attn", block)]
    ours = take(vit, survey.layers, LARGER)
    with torch.inference_mode():
        theirs = vit.forward_intermediates(
            LARGER, return_prefix_tokens=True, norm=False, output_fmt="NLC", intermediates_only=True
        )
        again = vit.get_intermediate_layers(LARGER, n=len(blocks), return_prefix_tokens=True)
    for pairs in (theirs, again):
        for block, (patches, prefix) in zip(blocks, pairs, strict=True):
            whole = torch.cat([prefix, patches], 1)
            expected = {"all": whole, "cls": prefix[:, 0], "mean": patches.mean(1)}[tokens]
            assert torch.equal(ours[block], expected), block
    assert all(not layer.same_as for layer in survey.layers)
    attention = {}
    handle = vit.blocks[1].attn.register_forward_hook(lambda _, __, output: attention.update(output=output))
    with torch.inference_mode():
        vit(LARGER)
    handle.remove()
    expected = {"all": lambda x: x, "cls": lambda x: x[:, 0], "mean": lambda x: x[:, 1:].mean(1)}[tokens]
    assert torch.equal(ours["blocks.1.attn"], expected(attention["output"]))


def test_registers_are_no_patches():
    torch.manual_seed(0)
    network = timm.create_model("test_vit", img_size=80, reg_tokens=4).eval()
    layers = choose(network, 80, "blocks.*", tokens="mean").layers
    with torch.inference_mode():
        theirs = network.forward_intermediates(LARGER, norm=False, output_fmt="NLC", intermediates_only=True)
    for ours, patches in zip(take(network, layers, LARGER).values(), theirs, strict=True):
        assert torch.equal(ours, patches.mean(1))


def test_a_transformer_of_torchvision():
    torch.manual_seed(0)
    network = torchvision.models.VisionTransformer(32, 8, 2, 2, hidden_dim=32, mlp_dim=64).eval()
    images = IMAGES[:, :, :32, :32]
    layers = choose(network, 32, "encoder.layers.*", "encoder.layers.*.self_attention", tokens="cls").layers
    ours = take(network, layers, images)
    names = {f"encoder.layers.encoder_layer_{index}": f"block{index}" for index in range(2)}
    with torch.inference_mode():
        theirs = create_feature_extractor(network, {f"{name}.add_1": short for name, short in names.items()})(images)
    assert {name for name in ours if not name.endswith("attention")} == set(names)
    for name, short in names.items():
        assert torch.equal(ours[name], theirs[short][:, 0])
    assert ours["encoder.layers.encoder_layer_0.self_attention"].shape == (2, 32)  # of a tuple with one tensor


def test_space_of_a_network_with_channels_last_is_found():
    torch.manual_seed(0)
    network = torchvision.models.SwinTransformer([4, 4], 32, [1, 1], [2, 4], window_size=[4, 4]).eval()
    layers = choose(network, 64, "features.*", pooling="mean").layers
    ours, whole = take(network, layers, IMAGES), take(network, choose(network, 64, "features.*").layers, IMAGES)
    assert [layer.units for layer in layers] == [32, 32, 64, 64]
    assert all(torch.equal(ours[name], whole[name].mean((1, 2))) for name in whole)


class Many(nn.Module):
    """Gives two tensors, a mapping of one, and holds modules that never run."""

    def __init__(self):
        super().__init__()
        self.conv, self.unused = nn.Conv2d(3, 4, 1), nn.Sequential(nn.Conv2d(3, 4, 1))
        self.two, self.one, self.few = Two(), One(), nn.AdaptiveAvgPool2d(2)

    def forward(self, x):
        x, _ = self.two(self.conv(x))
        return self.few(self.one(x)["x"])


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sigmoid()

    def forward(self, x):
        return self.inner(x), x


class One(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Tanh()

    def forward(self, x):
        return {"x": self.inner(x) + 1, "hidden": None}


@pytest.mark.parametrize(
    ("which", "message"),
    [
        (["conw"], "layers: no module matches 'conw': the nearest are conv, one"),
        (["two.innr"], "no module matches 'two.innr': the nearest are two.inner, one.inner"),
        (["xyzxyzxyz.*"], "no module matches 'xyzxyzxyz.*': the nearest are conv, unused, two"),
        (["conv", "unused"], "'unused' gives no layer: unused does not run when the network sees images"),
        (["unused.**"], r"'unused.\*\*' gives no layer: unused \(the first of 2 that match\) does not run"),
        (["two"], "'two' gives no layer: two gives tuple of 2 tensors instead of a tensor"),
        (["few"], "'few' gives no layer: few gives 16 values an image, fewer than 25"),
        (["conv", "two*"], r"'two\*' gives no layer: two gives tuple of 2 tensors"),
        (
            ["conw", "conv", "two.innr", "few"],
            (
                "^layers: no module matches 'conw': the nearest are conv, one; no module matches 'two.innr': the "
                "nearest are two.inner, one.inner, two; 'few' gives no layer: few gives 16 values an image, fewer"
            ),
        ),
    ],
)
def test_patterns_that_give_nothing(which, message):
    with pytest.raises(ValueError, match=message) as failure:
        choose(Many(), 8, *which)
    assert "\n" not in str(failure.value)


def test_of_a_mapping_with_one_tensor_that_one_is_taken():
    network = Many().eval()
    layers = choose(network, 8, "one", "two.**").layers
    assert [layer.name for layer in layers] == ["two.inner", "one"]
    expected = {}
    network.one.register_forward_hook(lambda _, __, output: expected.update(output))
    ours = take(network, layers, IMAGES[:, :, :8, :8])
    assert torch.equal(ours["one"], expected["x"])


def test_all_modules_and_the_default():
    network = Many()
    assert [layer.name for layer in choose(network, 8).layers] == ["conv", "two.inner", "one.inner"]
    found = survey_layers(network, 8, choice=LayerChoice("all"))
    assert [layer.name for layer in found.layers] == ["conv", "two.inner", "one.inner", "one"]
    assert list_layers(network, 8) == choose(network, 8).layers


def test_a_module_may_be_named_by_each_of_its_names():
    network = Many()
    network.again = network.conv
    assert [layer.name for layer in choose(network, 8, "again").layers] == ["conv"]


def test_the_class_token_of_a_network_without_one(resnet):
    network = timm.create_model("test_vit", img_size=80, class_token=False, global_pool="avg")
    with pytest.raises(ValueError, match="`tokens: cls` asks for the class token, but the network has no parameter"):
        choose(network, 80, "blocks.*", tokens="cls")
    # A network without tokens is left as it is, since a study names `tokens` for all of its networks.
    assert choose(resnet, 64, "layer4", tokens="cls").layers == choose(resnet, 64, "layer4").layers


def test_tokens_of_another_number_stay_whole_and_are_told(caplog):
    vit = timm.create_model("vit_tiny_patch16_224", img_size=80, depth=1)
    with caplog.at_level(logging.WARNING):
        layers = choose(vit, 80, "patch_embed", "blocks.0", tokens="cls").layers
    assert [layer.shape for layer in layers] == [(25, 192), (192,)]
    assert (
        "`tokens` leaves 1 layer whole, of which the first side is not the network's number of tokens: patch_embed"
        in (caplog.text)
    )
    assert choose(vit, 80, "patch_embed", tokens="mean").layers[0].reduced == "tokens 0-"
