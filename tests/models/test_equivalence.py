import copy

import pytest
import timm
import torch
from torch import nn

from layerwise.interfaces import ModelSpec
from layerwise.models import build, registry, weights
from layerwise.models.equivalence import compare_layers, prove_equivalence
from layerwise.models.mirrors import rename_from_timm

# One of each kind; `make test-models` proves all.
QUICK = ["dpn68b", "se_resnet50", "xception", "efficientnet_b0"]


@pytest.mark.parametrize("name", QUICK)
def test_mirror_is_the_same_network(name):
    assert prove_equivalence(registry.find(name), seed=int(torch.randint(10**6, ()))) > 50


def test_network_without_a_mirror():
    with pytest.raises(ValueError, match="'polynet' has no mirror"):
        prove_equivalence(registry.find("polynet"))


def network():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 4, 3)).eval()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: nn.init.constant_(n[3].weight, 0.1), "'3' differs by"),
        (lambda n: setattr(n[1], "eps", 0.1), "'1' differs by"),
        (lambda n: setattr(n[3], "padding", (1, 1)), r"'3' gives \(1, 4, 6, 6\) in ours and \(1, 4, 8, 8\)"),
        (lambda n: n.add_module("4", nn.Sigmoid()), "the scores differs by"),
        (lambda n: setattr(n, "2", nn.LeakyReLU(0.5)), "'3' differs by"),
        (lambda n: n.register_module("1", nn.Identity()), "is shorter|is longer"),
    ],
)
def test_differences_are_found(change, message):
    ours = network()
    theirs = copy.deepcopy(ours)
    change(theirs)
    with pytest.raises(ValueError, match=message):
        compare_layers(ours, theirs, 10, torch.Generator().manual_seed(0))


class Swapped(nn.Module):
    def __init__(self, order):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.order = order

    def forward(self, x):
        for name in self.order:
            x = getattr(self, name)(x)
        return x


def test_order_in_which_layers_run_counts():
    ours, theirs, short = (Swapped(order) for order in (["one", "two"], ["two", "one"], ["one"]))
    for network in (theirs, short):
        network.load_state_dict(ours.state_dict())
    with pytest.raises(ValueError, match="'one' runs in ours and 'two' in the mirror"):
        compare_layers(ours, theirs, 4, torch.Generator())
    with pytest.raises(ValueError, match="'two' runs in ours alone"):
        compare_layers(ours, short, 4, torch.Generator())


def test_weights_of_a_mirror_are_put_where_they_belong(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(weights, "check_hash", lambda *_: None)
    row = registry.find("dpn68")
    theirs = timm.create_model(row.mirror.network).eval()
    from safetensors.torch import save_file

    save_file(theirs.state_dict(), tmp_path / row.mirror.file)
    ours = build(ModelSpec("dpn68", row.library, row.constructor), weights_folder=tmp_path)
    image = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(ours(image), theirs(image), rtol=1e-4, atol=1e-5)
    assert "come from timm's dpn68.mx_in1k" in caplog.text and "nobody has verified" in caplog.text
    assert "`layerwise models accuracy` tells whether they reach the published 75.868 per cent" in caplog.text


def test_nothing_is_promised_of_the_values_of_a_mirror(tmp_path, monkeypatch, caplog):
    """timm states nowhere that its EfficientNets are those of EfficientNet-PyTorch, and no accuracy is published."""
    monkeypatch.setattr(weights, "check_hash", lambda *_: None)
    row = registry.find("efficientnet_b0")
    torch.save(timm.create_model(row.mirror.network).state_dict(), tmp_path / row.mirror.file)
    build(ModelSpec(row.name, row.library, row.constructor), weights_folder=tmp_path)
    assert "that the values are those of efficientnet-b0-355c32eb.pth nobody has verified" in caplog.text
    assert "no accuracy is published that would tell" in caplog.text
    assert "timm's word" not in caplog.text and "models accuracy" not in caplog.text


def test_other_weights_under_the_name_of_a_mirror():
    row = registry.find("se_resnet50")
    network = build("se_resnet50")
    state = network.state_dict()
    state.pop("layer1.0.conv1.weight")
    with pytest.raises(ValueError, match=r"has the name of the weights of timm's legacy_seresnet50\.in1k"):
        rename_from_timm(network, state, row.mirror, "copy.pth")
