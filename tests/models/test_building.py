import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torch import nn

from layerwise.interfaces import ModelSpec
from layerwise.models import build, build_empty, normalise, registry, resolve_preprocessing
from layerwise.models.drawing import require_repeated
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
    ("library", "constructor", "options"),
    [
        ("timm", "vit_tiny_patch16_224", {"img_size": 64}),
        ("timm", "vit_tiny_patch16_224", {"img_size": [64, 64]}),
        ("efficientnet_pytorch", "efficientnet-b0", {"image_size": 64}),
    ],
)
def test_a_network_that_is_built_for_a_size_is_shown_it(library, constructor, options):
    spec = ModelSpec("a", library, constructor, weights="random", options=options)
    size = resolve_preprocessing(spec).size
    assert size == 64
    with torch.inference_mode():
        assert build(spec)(torch.zeros(1, 3, size, size)).shape == (1, 1000)


@pytest.mark.parametrize(
    ("library", "constructor", "options", "message"),
    [
        ("torchvision", "resnet81", {}, "torchvision has no network 'resnet81': did you mean resnet"),
        ("timm", "mobilenetv3_smal_050", {}, "timm has no network .*did you mean mobilenetv3_small_050"),
        ("timm", "mobilenetv3_small_050.no_such_weights", {}, "timm cannot build"),
        ("torchvision", "resnet18", {"depth": 3}, "cannot be built with the options {'depth': 3}"),
        (
            "timm",
            "vit_tiny_patch16_224",
            {"global_pool": "sum"},
            r"AssertionError: .*vision_transformer\.py, line \d+\)",
        ),
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

def mistaken(width=4):
    return nn.Linear(width, "wide")

def leaving():
    raise SystemExit("usage: train.py DATA")

def scripted():
    return torch.jit.script(network())

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
        ("own_networks:missing_file", r"KeyError: 'path' \(\S+/own_networks\.py, line 12\)"),
        ("own_networks:mistaken", r"failed with TypeError: .*own_networks\.py, line 15\)"),
        ("own_networks:leaving", r"failed with SystemExit: usage: train\.py DATA \(.*own_networks\.py, line 18\)"),
        ("own_networks:scripted", "gave a TorchScript program"),
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


LOADING = """
import random
from pathlib import Path

import numpy as np
import torch
from torch import nn

FILE = Path(__file__).with_name("trained.pth")

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def forward(self, x):
        return self.norm(self.conv(x))

def loaded():
    network = Tied()
    network.load_state_dict(torch.load(FILE, weights_only=True))
    return network

def frozen():
    return loaded().requires_grad_(False)

def statistics():
    network = Tied()
    network.norm.running_mean.copy_(torch.arange(8))
    return network

def seeding():
    torch.manual_seed(7)
    return Tied()

kept = Tied()

def keeping():
    return kept

def drawn():
    return Tied()

def by_design():
    network = Tied()
    network.stripes = nn.Parameter(torch.arange(9.0), requires_grad=False)
    network.register_buffer("positions", torch.arange(100.0))
    return network

def from_numpy():
    network = Tied()
    network.conv.weight.data = torch.from_numpy(np.random.standard_normal((8, 3, 3, 3))).float()
    network.conv.bias.data.fill_(random.random())
    return network

class Hidden(nn.Module):
    # Its weights are no parameters.
    def __init__(self):
        super().__init__()
        self.conv, self.plain = nn.ReLU(), torch.randn(8, 3, generator=torch.Generator().manual_seed(3))
    def forward(self, x):
        return self.conv(x.mean((2, 3)) @ self.plain.T)

def hidden():
    return Hidden()

def of_its_own():
    network = Tied()
    network.conv.weight.data = torch.from_numpy(np.random.default_rng().standard_normal((8, 3, 3, 3))).float()
    return network
"""


@pytest.fixture
def loading(tmp_path, monkeypatch):
    (tmp_path / "loading_networks.py").write_text(LOADING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "loading_networks", raising=False)
    trained = nn.ModuleDict({"conv": nn.Conv2d(3, 8, 3), "norm": nn.BatchNorm2d(8)})
    torch.save(trained.state_dict(), tmp_path / "trained.pth")
    return lambda name, weights="random", seed=1: ModelSpec("a", "factory", f"loading_networks:{name}", weights, seed)


@pytest.mark.parametrize("name", ["loaded", "frozen", "statistics", "seeding", "keeping"])
def test_a_control_that_is_not_drawn_is_refused(loading, name):
    with pytest.raises(ValueError, match=r"gives the same weights whatever the seed \((conv\.bias|norm\.running_mean)"):
        build(loading(name))
    assert isinstance(build(loading(name, "built")), nn.Module)


def test_a_control_of_which_nothing_is_drawn_is_refused(loading):
    with pytest.raises(ValueError, match=r"'loading_networks:hidden' gives a network .* nothing .* the seed"):
        build(loading("hidden"))
    assert isinstance(build(loading("hidden", "built")), nn.Module)


@pytest.mark.parametrize("name", ["drawn", "by_design", "from_numpy"])
def test_a_control_is_drawn_from_the_seed_alone(loading, name, caplog):
    import random

    states = random.getstate(), np.random.get_state()[1].copy()
    first, again, other = (build(loading(name, seed=seed)).conv for seed in (1, 1, 2))
    assert torch.equal(parameters(first), parameters(again))
    assert not torch.equal(first.weight, other.weight) and not torch.equal(first.bias, other.bias)
    assert ("fixed by design: stripes" in caplog.text) == (name == "by_design")
    assert random.getstate() == states[0] and np.array_equal(np.random.get_state()[1], states[1])


def test_a_factory_that_gives_another_network_at_each_call(loading):
    with pytest.raises(ValueError, match=r"other weights at each call, under the same seed: conv\.weight;"):
        require_repeated(*(build(loading("of_its_own", "built")) for _ in range(2)), "factory")
    for name in ("from_numpy", "loaded"):
        require_repeated(*(build(loading(name, "built")) for _ in range(2)), "factory")


@pytest.mark.parametrize("option", ["pretrained", "checkpoint_path"])
def test_options_of_timm_that_load_weights(option):
    spec = ModelSpec("a", "timm", "mobilenetv3_small_050", weights="random", options={option: True})
    with pytest.raises(ValueError, match=f"{option} in the options of 'a' loads weights: give `weights` instead"):
        build(spec)


LAZY = """
from torch import nn

def lazy():
    return nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(30))

def failing():
    return nn.Sequential(nn.LazyConv2d(8, 300))

def unused():
    network = nn.Sequential(nn.Flatten())
    network.forward, network.head = network[0].forward, nn.LazyLinear(3)
    return network
"""


def test_lazy_modules_are_drawn_under_the_seed_and_take_weights(tmp_path, monkeypatch):
    """As the same modules of known sizes are, which PyTorch draws in the order in which they are made."""
    (tmp_path / "lazy_networks.py").write_text(LAZY)
    monkeypatch.syspath_prepend(tmp_path)
    given = {"preprocessing": {"size": 16}}
    spec = ModelSpec("a", "factory", "lazy_networks:lazy", "random", 3, **given)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        sized = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 14 * 14, 30)]
        expected = nn.Sequential(*sized).eval()
    assert torch.equal(parameters(build(spec)), parameters(expected))
    torch.save({name: value + 1 for name, value in expected.state_dict().items()}, tmp_path / "a.pth")
    loaded = build(spec, tmp_path / "a.pth")
    torch.testing.assert_close(parameters(loaded), parameters(expected) + 1, rtol=0, atol=1e-6)
    with torch.inference_mode():
        assert loaded(torch.zeros(1, 3, 16, 16)).shape == (1, 30)
    for name, told in (("failing", "does not run on 2 images of 16 pixels: RuntimeError"), ("unused", r"head\.weight")):
        with pytest.raises(ValueError, match=told):
            build(ModelSpec("a", "factory", f"lazy_networks:{name}", "built", **given))


WRAPPED = """
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

def plain():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Conv2d(4, 5, 3)))

def parallel():
    return nn.DataParallel(plain())

def averaged():
    return AveragedModel(plain())

def compiled():
    return torch.compile(plain())

def inside():
    network = plain()
    network[2] = nn.DataParallel(network[2])
    return network

def held():
    network = nn.Module()
    network.model = plain()
    return network

def half():
    return plain().half()

def double():
    return plain().double()
"""


@pytest.fixture
def wrapped(tmp_path, monkeypatch):
    (tmp_path / "wrapped_networks.py").write_text(WRAPPED)
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name, weights="built": ModelSpec("a", "factory", f"wrapped_networks:{name}", str(weights))


@pytest.mark.parametrize("name", ["parallel", "averaged", "compiled", "inside", "held", "half", "double"])
def test_a_wrapped_network_takes_its_own_weights_and_the_bare_ones(wrapped, name, tmp_path):
    import wrapped_networks

    own = getattr(wrapped_networks, name)()
    values = [value for key, value in own.state_dict().items() if "n_averaged" not in key]
    for state in (own.state_dict(), dict(zip(wrapped_networks.plain().state_dict(), values, strict=True))):
        torch.save(state, tmp_path / "a.pth")
        network = build(wrapped(name, tmp_path / "a.pth"))
        pairs = zip(network.state_dict().values(), values, strict=True)
        assert all(torch.equal(found.float(), value.float()) for found, value in pairs)
        assert {value.dtype for value in network.parameters()} == {torch.float32}
        assert not isinstance(network, nn.DataParallel)


def prefixed(state, prefix):
    return {prefix + name: value for name, value in state.items()}


CHECKPOINTS = {
    "Lightning": lambda s: {"state_dict": prefixed(s, "model.") | {"loss.weight": torch.ones(3)}, "epoch": 3},
    "compiled": lambda s: prefixed(s, "_orig_mod."),
    "compiled in parallel": lambda s: prefixed(s, "module._orig_mod."),
    "of detectors": lambda s: {"model": s, "optimizer": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 0.1}]}},
    "average alone": lambda s: {"state_dict_ema": s, "epoch": 3},
    "two equal": lambda s: {"model": s, "model_ema": dict(s)},
    "two levels": lambda s: {"checkpoint": {"model": prefixed(s, "module."), "step": 3}},
    "half": lambda s: {name: v.half() if v.is_floating_point() else v for name, v in s.items()},
    "double": lambda s: {name: v.double() if v.is_floating_point() else v for name, v in s.items()},
    "no counters": lambda s: {"model": {name: v for name, v in s.items() if "num_batches" not in name}},
}


@pytest.mark.parametrize("ending", ["pth", "ckpt", "pth.tar", "bin"])
@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_checkpoints_of_training_code(wrapped, tmp_path, kind, ending):
    state = build(wrapped("plain")).state_dict()
    state = {name: (value + 1).half().float() if value.is_floating_point() else value for name, value in state.items()}
    path = tmp_path / f"a.{ending}"
    torch.save(CHECKPOINTS[kind](state), path)
    found = build(wrapped("plain", path)).state_dict()
    assert all(torch.equal(found[name], value) for name, value in state.items())


@pytest.mark.parametrize(
    ("wrap", "told"),
    [
        (lambda s, o: {"state_dict": s, "state_dict_ema": o}, "state_dict_ema and state_dict"),
        (lambda s, o: {"model": s, "model_ema": o}, "model and model_ema"),
        (lambda s, o: {"state_dict": prefixed(s, "model.") | prefixed(o, "ema_model.")}, "state_dict: ema_model. and"),
    ],
)
def test_weights_and_their_average_are_not_chosen_between(wrapped, tmp_path, wrap, told):
    state = build(wrapped("plain")).state_dict()
    torch.save(wrap(state, {name: value + 1 for name, value in state.items()}), tmp_path / "a.pth")
    with pytest.raises(ValueError, match="several sets of weights that fit the network and differ") as error:
        build(wrapped("plain", tmp_path / "a.pth"))
    assert all(part in str(error.value) for part in told.split(" and "))


def test_integers_are_no_weights(wrapped, tmp_path):
    state = build(wrapped("plain")).state_dict()
    state["0.weight"] = (100 * state["0.weight"]).to(torch.int8)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"0\.weight torch\.int8 instead of torch\.float32"):
        build(wrapped("plain", tmp_path / "a.pth"))


def without_head(network, classifier):
    """The weights of a network but those of its classifier."""
    return {name: value for name, value in network.state_dict().items() if not name.startswith(f"{classifier}.")}


@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet18", "dpn68", "googlenet", "tf_efficientnet_lite0"])
@pytest.mark.parametrize("units", [1, 7])
def test_a_network_of_a_study_can_have_another_head(name, units):
    row = registry.find(name)
    spec = ModelSpec(name, row.library, row.constructor, "random", seed=3, head=units)
    network, plain = build(spec), build(name, seed=3)
    assert not network.training
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, row.preprocessing.size, row.preprocessing.size)).shape == (2, units)
    ours, theirs = without_head(network, row.classifier), without_head(plain, row.classifier)
    assert ours.keys() == {name for name in theirs if not name.startswith("aux")}
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    again, other = build(spec), build(spec, seed=4)
    assert torch.equal(parameters(network), parameters(again))
    heads = [one.get_submodule(row.classifier).weight for one in (network, other)]
    assert not torch.equal(*heads)
    empty = build_empty(spec).state_dict()
    assert {name: value.shape for name, value in empty.items()} == {
        name: value.shape for name, value in network.state_dict().items()
    }


def test_a_head_is_put_on_official_weights_and_leaves_the_others_as_they_are():
    spec = ModelSpec("net", "timm", "tf_efficientnet_lite0", head=2)
    network, official = build(spec), build("tf_efficientnet_lite0", "imagenet")
    assert network.classifier.out_features == 2
    expected = without_head(official, "classifier")
    assert all(torch.equal(value, expected[name]) for name, value in without_head(network, "classifier").items())


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_weights_of_a_fine_tuned_network_bring_their_head(tmp_path, ending):
    spec = ModelSpec("net", "torchvision", "resnet18", "random", head=1)
    tuned, path = build(spec, seed=8), tmp_path / f"fold.{ending}"
    if ending == "pth":
        torch.save(tuned.state_dict(), path)
    else:
        save_file(tuned.state_dict(), path)
    assert torch.equal(parameters(build(spec, path)), parameters(tuned))
    torch.save(build("resnet18", seed=8).state_dict(), tmp_path / "classes.pth")
    drawn = build(spec, tmp_path / "classes.pth")
    assert drawn.fc.out_features == 1 and not torch.equal(drawn.fc.weight, tuned.fc.weight)
    expected = without_head(tuned, "fc")
    assert all(torch.equal(value, expected[name]) for name, value in without_head(drawn, "fc").items())
    with pytest.raises(ValueError, match=r"do not fit the network: of 122 tensors .*2 of another shape \(fc\.weight"):
        build(spec, replace_fc(tmp_path, tuned))


def replace_fc(folder, tuned):
    """Save weights with a head that is neither the one asked for nor the classifier."""
    state = tuned.state_dict() | {"fc.weight": torch.zeros(3, 512), "fc.bias": torch.zeros(3)}
    torch.save(state, folder / "three.pth")
    return folder / "three.pth"


def test_the_head_of_a_factory_is_found_by_running_it_without_changing_it(tmp_path, monkeypatch):
    (tmp_path / "headed_networks.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(),\n"
        "        nn.Linear(4, 9))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    spec = ModelSpec("own", "factory", "headed_networks:make", "random", preprocessing={"size": 32, "resize": 32})
    network, plain = build(replace(spec, head=3)), build(spec)
    assert network[4].out_features == 3
    expected = without_head(plain, "4")
    assert all(torch.equal(value, expected[name]) for name, value in without_head(network, "4").items())


def test_a_head_without_units_is_refused():
    with pytest.raises(ValueError, match="a head has 1 output or more, not 0"):
        build(ModelSpec("net", "torchvision", "resnet18", "random", head=0))
