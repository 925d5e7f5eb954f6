"""A value of a unit for an image is one number: networks for which it is not are refused by the name of the layer."""

from math import prod

import pytest
import torch
from torch import nn
from torch.nn import functional

from layerwise.interfaces import LayerSpec
from layerwise.layers.listing import list_layers
from layerwise.layers.probing import noise, probes, require_own_outputs, require_same_outputs

SIZE = 16


def images():
    return noise(SIZE).permute(0, 3, 1, 2).float() / 255


class Before(nn.Module):
    """A convolution, then what is given, then another convolution."""

    def __init__(self, change):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
        self.change = change

    def forward(self, x):
        return self.second(self.change(self.first(x)))


class Counting(nn.Module):
    def __init__(self, step=1e-2):
        super().__init__()
        self.calls, self.step = 0, step

    def forward(self, x):
        self.calls += 1
        return x * (1 + self.step * self.calls)


class Remembering(nn.Module):
    kept = None

    def forward(self, x):
        self.kept = x if self.kept is None or len(self.kept) != len(x) else self.kept
        return self.kept


class Seeded(nn.Module):
    """The same noise in each call: it differs from place to place in the batch."""

    def forward(self, x):
        return x + torch.randn(x.shape, generator=torch.Generator().manual_seed(1))


class Obstinate(nn.BatchNorm2d):
    """Stays in training mode, as in code that fine-tunes with live statistics."""

    def train(self, mode=True):
        del mode
        return super().train(True)


class Neighbour(nn.Module):
    """The shift of video networks: channels of the image before."""

    def forward(self, x):
        return torch.cat([x[:, :4], x.roll(1, 0)[:, 4:]], 1)


WRONG = {
    "dropout": (lambda: functional.dropout, "differs from run to run"),
    "rare dropout": (lambda: lambda x: functional.dropout(x, 0.01), "differs from run to run"),
    "noise": (lambda: lambda x: x + 0.1 * torch.randn_like(x), "differs from run to run"),
    "noise of one channel": (
        lambda: lambda x: torch.cat([x[:, :7], x[:, 7:] + 0.1 * torch.randn_like(x[:, 7:])], 1),
        "differs from run to run",
    ),
    "a counter": (Counting, "differs from run to run"),
    "a slow counter": (lambda: Counting(1e-3), "differs from run to run"),  # which doubles x within LaMem's batches
    "faint noise": (lambda: lambda x: x + 1e-3 * torch.randn_like(x), "differs from run to run"),
    "what was seen before": (Remembering, "depends on the place"),
    "the same noise": (Seeded, "depends on the place"),
    "the place": (
        lambda: lambda x: x * torch.arange(1.0, 1 + len(x)).view(-1, 1, 1, 1),
        "depends on the place",
    ),
    "the neighbour": (Neighbour, "depends on the other images"),
    "the mean of the batch": (lambda: lambda x: x - x.mean(0, keepdim=True), "depends on the other images"),
    "the largest of the batch": (lambda: lambda x: x / x.amax(), "depends on the other images"),
    "statistics of the batch": (
        lambda: nn.BatchNorm2d(8, track_running_stats=False),
        "depends on the other images",
    ),
    "live statistics": (lambda: Obstinate(8), r"training mode although eval\(\) was called: change"),
    "the size of the batch": (lambda: lambda x: x / len(x), "depends on the other images"),
}


class Calling(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = [function]  # not a child

    def forward(self, x):
        return self.function[0](x)


def changed(make):
    change = make()
    return Before(change if isinstance(change, nn.Module) else Calling(change)).eval()


def convolutions():
    shapes = {"first": (8, 14, 14), "second": (8, 12, 12)}
    return [
        LayerSpec(name, "Conv2d", shape, prod(shape), depth) for depth, (name, shape) in enumerate(shapes.items(), 1)
    ]


@pytest.mark.parametrize("name", WRONG)
def test_what_depends_on_more_than_the_image_is_refused_by_the_first_layer_that_does(name):
    make, message = WRONG[name]
    with pytest.raises(ValueError, match=rf"the layer 'second' \(Conv2d\) for an image .*{message}"):
        require_own_outputs(changed(make), convolutions(), images())


@pytest.mark.parametrize(
    "make",
    [
        nn.Identity,
        lambda: nn.Dropout(0.5),
        lambda: nn.BatchNorm2d(8),
        lambda: nn.InstanceNorm2d(8),
        lambda: nn.GroupNorm(2, 8),
        lambda: lambda x: 1e-4 * x + 1,  # images differ by little
        lambda: lambda x: 0 * x,
        lambda: lambda x: x / 0,  # nothing is finite
        lambda: lambda x: x.bfloat16().float(),
    ],
)
def test_what_depends_on_the_image_alone_passes(make):
    require_own_outputs(changed(make), convolutions(), images())


def test_random_values_beside_the_weights_are_told():
    def made(scale):
        return changed(lambda: lambda x: x * scale)

    require_same_outputs(made(1.5), made(1.5), convolutions(), images())
    with pytest.raises(ValueError, match=r"'second' .* differs when the network is built again with the same weights"):
        require_same_outputs(made(1.5), made(1.6), convolutions(), images())


def test_draws_without_effect_are_told(caplog):
    require_own_outputs(changed(lambda: lambda x: x + 0 * torch.randn_like(x)), convolutions(), images())
    assert "draws random numbers" in caplog.text


def test_hooks_are_removed_and_the_networks_own_outputs_are_unchanged():
    network = changed(nn.Identity)
    before = network(images())
    require_own_outputs(network, list_layers(network, SIZE), images())
    assert torch.equal(network(images()), before)
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("n_images", [0, 1, 2, 5])
def test_there_are_always_three_different_images(n_images):
    given = torch.zeros(n_images, SIZE, SIZE, 3, dtype=torch.uint8)
    found = probes(given)
    assert found.shape == (3, SIZE, SIZE, 3)
    assert not torch.equal(found[-1], found[0])
