"""Official files as they were published fit the networks of today."""

import math
import re

import pretrainedmodels
import pytest
import timm
import torch
from efficientnet_pytorch import EfficientNet
from torchvision import models

from layerwise.interfaces import ModelSpec
from layerwise.layers import read_manifest, shipped_manifest
from layerwise.models import build, registry, weights
from layerwise.models.adapters import ADAPTERS

LIBRARIES = {
    "torchvision": models.get_model,
    "pretrainedmodels": lambda name: getattr(pretrainedmodels, name)(num_classes=1000, pretrained=None),
    "efficientnet_pytorch": EfficientNet.from_name,
    "timm": timm.create_model,
}


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Save a changed state under the name of the official file, and load it from there."""
    monkeypatch.setattr(weights, "check_hash", lambda *_: None)

    def load(name, state):
        row = registry.find(name)
        torch.save(state, tmp_path / row.file)
        return build(ModelSpec(name, row.library, row.constructor), weights_folder=tmp_path)

    return load


def same(network, state):
    found = network.state_dict()
    return found.keys() == state.keys() and all(torch.equal(found[key], state[key]) for key in state)


def test_densenet_with_dots_in_the_names_of_layers(published):
    state = build("densenet121", seed=1).state_dict()
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key): value for key, value in state.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    assert same(published("densenet121", old), state)


def test_googlenet_with_its_auxiliaries(published):
    state = build("googlenet", seed=1).state_dict()
    assert not any(key.startswith("aux") for key in state)
    more = {f"aux{number}.fc2.weight": torch.zeros(1000, 1024) for number in (1, 2)}
    assert same(published("googlenet", state | more), state)


def test_googlenet_and_inception_standardise_their_input_again():
    for name in ("googlenet", "inception_v3"):
        network = build(name)
        assert network.transform_input
        images = torch.randn(1, 3, 299, 299)
        first = next(module for module in network.modules() if isinstance(module, torch.nn.Conv2d))
        seen = []
        first.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0]))
        with torch.inference_mode():
            network(images)
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        original = images * std[:, None, None] + mean[:, None, None]
        torch.testing.assert_close(seen[0], (original - 0.5) / 0.5)


def test_xception_with_its_classifier_under_the_old_name(published):
    state = build("xception", seed=1).state_dict()
    old = {key.replace("last_linear.", "fc."): value for key, value in state.items()}
    assert same(published("xception", old), state)


def test_class_for_the_background_is_left_out(published):
    state = build("inceptionv4", seed=1).state_dict()
    old = dict(state)
    for key in ("last_linear.weight", "last_linear.bias"):
        background = torch.full_like(state[key][:1], 99)
        old[key] = torch.cat([background, state[key]])
    assert old["last_linear.weight"].shape == (1001, 1536)
    assert same(published("inceptionv4", old), state)


def test_files_from_before_batch_norms_were_counted(published):
    state = build("resnet18", seed=1).state_dict()
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    assert len(old) < len(state)
    assert same(published("resnet18", old), state)


@pytest.mark.parametrize("keep", [True, False])
def test_versions_that_a_file_remembers_or_forgot(published, keep):
    """torchvision's MNASNet refuses weights without a version, and converts those of an old one."""
    state = build("mnasnet0_5", seed=1).state_dict()
    assert same(published("mnasnet0_5", state if keep else dict(state)), state)


def test_two_networks_share_nothing():
    for name in ("resnext101_32x4d", "dpn68"):
        one, other = build(name), build(name, seed=1)
        assert not {id(module) for module in one.modules()} & {id(module) for module in other.modules()}
        assert not torch.equal(*(next(network.parameters()) for network in (one, other)))
        assert torch.equal(*(next(network.parameters()) for network in (other, build(name, seed=1))))


@pytest.mark.parametrize("name", ["squeezenet1_1", "bninception", "efficientnet_b0", "tf_efficientnet_lite0"])
def test_untrained_networks_are_drawn_as_their_library_draws_them(name):
    row = registry.find(name)
    torch.manual_seed(3)
    expected = LIBRARIES[row.library](row.constructor).state_dict()
    assert same(build(name, seed=3), expected)


@pytest.mark.parametrize(("name", "size"), [("b0", 224), ("b1", 240), ("b2", 260), ("b3", 300), ("b4", 380)])
def test_maps_of_efficientnets_have_the_sizes_of_tensorflow(name, size):
    """Its padding gives the input's size over the stride, rounded up; versions before 0.6.4 round down at odd sizes."""
    layers = read_manifest(shipped_manifest(f"efficientnet_{name}"))
    sides = {layer.shape[1] for layer in layers if layer.kind == "BatchNorm2d"}
    halved = [size]
    while len(halved) < 6:
        halved.append(math.ceil(halved[-1] / 2))
    assert sides == set(halved[1:])


@pytest.mark.parametrize(
    ("library", "wrong", "right"),
    [
        ("pretrainedmodels", "senet145", "senet154"),
        ("efficientnet_pytorch", "efficientnet-b9", "efficientnet-b"),
        ("cornet", "cornet_x", "cornet_"),
    ],
)
def test_names_that_a_library_does_not_have(library, wrong, right):
    with pytest.raises(ValueError, match=f"has no network '{wrong}': did you mean .*{right}"):
        build(ModelSpec("a", library, wrong, weights="random"))


@pytest.mark.parametrize("library", ["pretrainedmodels", "efficientnet_pytorch", "cornet"])
def test_number_of_classes_can_be_chosen(library):
    row = next(row for row in map(registry.find, registry.names()) if row.library == library)
    spec = ModelSpec("a", library, row.constructor, weights="random", options={"num_classes": 7})
    with torch.inference_mode():
        assert build(spec)(torch.zeros(1, 3, 224, 224)).shape == (1, 7)


def test_no_transform_is_stated_for_a_factory():
    with pytest.raises(ValueError, match="nobody states"):
        ADAPTERS["factory"].transform("package:function")
