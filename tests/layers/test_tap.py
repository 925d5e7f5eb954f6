import pytest
import torch
from torch import nn

from layerwise.layers import LayerTap
from layerwise.models import build


def hooks(network):
    return sum(len(module._forward_hooks) for module in network.modules())


@pytest.fixture
def images():
    return torch.randn(3, 3, 64, 64)


def test_copies_before_a_following_operation_overwrites(images):
    network = build("resnet18")
    with torch.inference_mode():
        expected = network.bn1(network.conv1(images))
        with LayerTap(network, ["bn1", "relu"]) as tap:
            network(images)
    assert network.relu.inplace
    assert tap.outputs["bn1"].min() < 0
    assert torch.equal(tap.outputs["bn1"], expected.flatten(1))
    assert torch.equal(tap.outputs["relu"], expected.relu().flatten(1))


def test_copies_when_flattening_copies_too(images):
    # channels_last: flattening makes a copy by itself; the values and their order must stay.
    network = build("resnet18")
    last = build("resnet18").to(memory_format=torch.channels_last)
    with torch.inference_mode(), LayerTap(network, ["bn1"]) as tap, LayerTap(last, ["bn1"]) as tap_last:
        network(images)
        last(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(tap_last.outputs["bn1"], tap.outputs["bn1"])


def test_last_run_counts():
    relu = nn.ReLU()
    network = nn.Sequential(relu, nn.Linear(4, 4), relu)
    x = torch.randn(5, 4)
    with torch.no_grad(), LayerTap(network, ["0"]) as tap:
        output = network(x)
    assert torch.equal(tap.outputs["0"], output)


def test_outputs_do_not_share_memory_with_the_network():
    network = nn.Sequential(nn.Identity(), nn.ReLU(inplace=True))
    x = torch.randn(2, 6)
    before = x.clone()
    with LayerTap(network, ["0"]) as tap:
        network(x)
    assert torch.equal(tap.outputs["0"], before)
    assert not torch.equal(x, before)


def test_sink_sees_every_run_and_nothing_is_kept():
    seen = []
    network = nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Flatten())
    with LayerTap(network, ["0", "1"], lambda name, output: seen.append((name, tuple(output.shape)))) as tap:
        network(torch.randn(2, 4))
    assert seen == [("0", (2, 4)), ("1", (2, 4))]
    assert tap.outputs == {}


def test_hooks_go_even_after_an_error(images):
    network = build("squeezenet1_1")
    with pytest.raises(RuntimeError), LayerTap(network, ["features.0"]):
        assert hooks(network) == 1
        network(images[:, :2])
    assert hooks(network) == 0


def test_unknown_layer():
    with pytest.raises(ValueError, match=r"no layer 'layer1.0.bn9': did you mean layer1.0.bn"):
        LayerTap(build("resnet18"), ["layer1.0.bn9"])


def test_layer_that_gives_no_tensor():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    network = nn.Sequential(Pair())
    with pytest.raises(ValueError, match=r"the layer '0' \(Pair\) gives no tensor"), LayerTap(network, ["0"]):
        network(torch.zeros(1, 2))
