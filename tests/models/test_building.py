import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import nn

from layerwise.interfaces import ModelSpec
from layerwise.models import build, normalise, registry
from layerwise.models.weights import find_weights

PALACES = {
    442,
    497,
    525,
    538,
    663,
    668,
    698,
    832,
}  # bell cote, church, dam, dome, monastery, mosque, palace, stupa


def parameters(network):
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])


@pytest.fixture(scope="module")
def china():
    """A photograph of the Summer Palace as ImageNet's networks are shown it: shorter side 256, centre 224."""
    image = Image.fromarray(load_sample_image("china.jpg"))
    resized = image.resize((round(image.width * 256 / image.height), 256), Image.Resampling.BICUBIC)
    left = (resized.width - 224) // 2
    return torch.from_numpy(np.array(resized.crop((left, 16, left + 224, 240))))[None]


@pytest.mark.parametrize(
    "name", ["resnet18", "googlenet", "dpn68", "efficientnet-b0", "cornet_rt", "tf_efficientnet_lite0"]
)
def test_random_weights_follow_the_seed_alone(name):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, again, other = build(name, seed=3), build(name, "random", seed=3), build(name, seed=4)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(parameters(first), parameters(again))
    assert not torch.equal(parameters(first), parameters(other))


def test_efficientnet_sees_with_the_weights_of_the_package(china):
    row = registry.find("tf_efficientnet_lite0")
    with torch.inference_mode():
        scores = build("tf_efficientnet_lite0", "imagenet")(normalise(china, row.preprocessing))
    assert int(scores.argmax()) in PALACES


def test_weights_of_the_package_as_a_file_or_renamed(tmp_path):
    official = build("tf_efficientnet_lite0", "imagenet")
    package_file = find_weights(ModelSpec("a", "timm", "tf_efficientnet_lite0"))
    torch.save(official.state_dict(), tmp_path / "renamed.pth")
    for path in (package_file, tmp_path / "renamed.pth"):
        assert torch.equal(parameters(build("tf_efficientnet_lite0", path)), parameters(official))


def test_order_is_trusted_for_the_published_file_alone(tmp_path):
    state = build("tf_efficientnet_lite0").state_dict()
    torch.save({f"their.{name}": value for name, value in state.items()}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"does not name its tensors as 'tf_efficientnet_lite0' does"):
        build("tf_efficientnet_lite0", tmp_path / "other.pth")


@pytest.mark.real
def test_given_weights_of_squeezenet_see(shared, china):
    network = build("squeezenet1_1", shared("data", "weights", "squeezenet1_1_caffe_folded.pth"))
    with torch.inference_mode():
        scores = network(normalise(china, registry.find("squeezenet1_1").preprocessing))
    assert int(scores.argmax()) in PALACES


def test_weights_of_another_network(tmp_path):
    torch.save(build("squeezenet1_1").state_dict(), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"do not fit the network: of 122 tensors 102 missing \(conv1.weight"):
        build("resnet18", tmp_path / "a.pth")


def test_official_weights_are_taken_from_the_folder(tmp_path, monkeypatch):
    from layerwise.models import weights

    trained = build("squeezenet1_1", seed=9)
    row = registry.find("squeezenet1_1")
    torch.save(trained.state_dict(), tmp_path / row.file)
    with pytest.raises(ValueError, match="is not the published file"):
        build("squeezenet1_1", "imagenet", weights_folder=tmp_path)
    monkeypatch.setattr(weights, "check_hash", lambda *_: None)
    loaded = build(ModelSpec("mine", "torchvision", "squeezenet1_1"), weights_folder=tmp_path)
    assert torch.equal(parameters(loaded), parameters(trained))


def test_what_the_study_says_holds_unless_told_otherwise():
    spec = ModelSpec("mine", "torchvision", "squeezenet1_1", weights="random", seed=3)
    assert torch.equal(parameters(build(spec)), parameters(build("squeezenet1_1", seed=3)))
    assert torch.equal(parameters(build(spec, seed=4)), parameters(build("squeezenet1_1", seed=4)))


def test_options_reach_the_constructor():
    network = build(ModelSpec("mine", "torchvision", "squeezenet1_1", weights="random", options={"num_classes": 7}))
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 7)


@pytest.mark.parametrize(
    ("library", "constructor", "options", "message"),
    [
        ("torchvision", "resnet81", {}, "torchvision has no network 'resnet81': did you mean resnet"),
        ("timm", "mobilenetv3_smal_050", {}, "timm has no network .*did you mean mobilenetv3_small_050"),
        ("timm", "mobilenetv3_small_050.no_such_weights", {}, "timm cannot build"),
        ("torchvision", "resnet18", {"depth": 3}, "cannot be built with the options {'depth': 3}"),
        ("keras", "resnet18", {}, "no library 'keras': networks come from cornet, "),
    ],
)
def test_what_cannot_be_built(library, constructor, options, message):
    with pytest.raises(ValueError, match=message):
        build(ModelSpec("mine", library, constructor, weights="random", options=options))


def test_unknown_name():
    with pytest.raises(ValueError, match="did you mean resnet18"):
        build("resnet_18")


FACTORY = """
import torch
from torch import nn

def network(width=4):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.Flatten())

def not_a_network():
    return 3

def missing_file():
    return {}["path"]

number = 3
"""


@pytest.fixture
def factory(tmp_path, monkeypatch):
    (tmp_path / "own_networks.py").write_text(FACTORY)
    (tmp_path / "broken_networks.py").write_text("import no_such_package\n")
    (tmp_path / "raising_networks.py").write_text("raise RuntimeError('no licence')\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_factory_is_called_under_the_seed(factory):
    spec = ModelSpec("mine", "factory", "own_networks:network", weights="built", options={"width": 5})
    first, again, other = build(spec), build(spec), build(spec, seed=1)
    assert isinstance(first, nn.Sequential) and first[0].out_channels == 5 and not first.training
    assert torch.equal(parameters(first), parameters(again))
    assert not torch.equal(parameters(first), parameters(other))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("own_networks", "looks like package.module:function"),
        ("no_such_module:network", "cannot be imported .*installed"),
        ("broken_networks:network", "cannot be imported .*no_such_package"),
        (
            "raising_networks:network",
            "'raising_networks:network' cannot be imported: it raised RuntimeError: no licence",
        ),
        ("own_networks:missing_file", "'own_networks:missing_file' failed with KeyError: 'path'"),
        ("own_networks:netwrok", "has no 'netwrok': did you mean 'network'"),
        ("own_networks:number", "is int, not a function"),
        ("own_networks:not_a_network", "gave int, not a torch.nn.Module"),
    ],
)
def test_factories_that_are_none(factory, text, message):
    with pytest.raises(ValueError, match=message):
        build(ModelSpec("mine", "factory", text, weights="built"))


@pytest.mark.parametrize(
    ("library", "constructor"), [("factory", "own_networks:network"), ("torchvision", "regnet_y_400mf")]
)
def test_no_official_weights(factory, library, constructor):
    with pytest.raises(ValueError, match=r"no official ImageNet weights|no verified weights"):
        build(ModelSpec("mine", library, constructor))


def test_official_weights_of_timm_that_cannot_be_had(monkeypatch, tmp_path):
    import timm

    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ValueError, match=r"no route to host.*mobilenetv3_small_050.safetensors"):
        build(ModelSpec("mine", "timm", "mobilenetv3_small_050"), weights_folder=tmp_path)


def test_official_weights_of_timm_in_the_folder(tmp_path):
    trained = build(ModelSpec("mine", "timm", "mobilenetv3_small_050", weights="random", seed=2))
    torch.save(trained.state_dict(), tmp_path / "mobilenetv3_small_050.pth")
    loaded = build(ModelSpec("mine", "timm", "mobilenetv3_small_050"), weights_folder=tmp_path)
    assert torch.equal(parameters(loaded), parameters(trained))
