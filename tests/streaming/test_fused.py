"""Which layers follow from others, against what the layers give."""

from dataclasses import replace
from itertools import chain

import pytest
import torch
from torch import nn

from layerwise.layers import LayerTap, list_layers
from layerwise.passes.hooks import hooked
from layerwise.streaming.fused import Check, Relation, find_fusions

SIZE = 16


class Block(nn.Module):
    """A residual block of ResNet's: its ReLU runs twice, the last time after a sum."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8, affine=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        first = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(first))
        out += first
        return self.relu(out)


class Shared(nn.Module):
    """One convolution, two batch normalisations of it, and a ReLU of the second."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn1, self.bn2, self.relu = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.BatchNorm2d(6), nn.ReLU()

    def forward(self, x):
        x = self.conv(x)
        return self.bn1(x) * self.relu(self.bn2(x))


class Twice(nn.Module):
    """A convolution that runs again after its ReLU ran: what the ReLU gave is of the first run."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()

    def forward(self, x):
        return self.conv(self.relu(self.conv(x)))


def chained(*modules):
    return nn.Sequential(*modules)


NETWORKS = {
    "plain": (chained(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)), [("0", None, "1"), ("2", None, None)]),
    "normalised": (
        chained(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU6(inplace=True), nn.Conv2d(4, 4, 1)),
        [("0", "1", "2"), ("3", None, None)],
    ),
    "before": (
        chained(nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3)),
        [("0", None, "1"), ("2", None, None)],
    ),
    "other": (chained(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Dropout()), [("0", None, None), ("1", None, None)]),
    "residual": (Block(), [("conv1", "bn1", None), ("conv2", "bn2", None), ("relu", None, None)]),
    "shared": (Shared(), [("conv", "bn1", None), ("bn2", None, None), ("relu", None, None)]),
    "again": (Twice(), [("conv", None, None), ("relu", None, None)]),
}


@pytest.fixture(params=NETWORKS)
def case(request, rng):
    torch.manual_seed(int(rng.integers(2**31)))
    network, expected = NETWORKS[request.param]
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            for parameter in module.parameters():
                nn.init.normal_(parameter)
    return network.eval(), expected, torch.randn(5, 3, SIZE, SIZE)


def names(fusion, layers):
    parts = fusion.root, fusion.scaled, fusion.clamped
    return tuple(None if part is None else layers[part].name for part in parts)


@pytest.mark.parametrize("backwards", [False, True])
def test_fusions_are_found(case, backwards):
    network, expected, images = case
    layers = list_layers(network, SIZE)[:: -1 if backwards else 1]
    with torch.inference_mode():
        found = [names(fusion, layers) for fusion in find_fusions(network, layers, images[:2])]
    if not (backwards and isinstance(network, Shared)):  # either of two fits: the first that is given
        assert set(expected) <= set(found)
    joined = sorted(name for name in chain(*found) if name)
    assert joined == sorted(layer.name for layer in layers)


def test_members_are_what_their_layers_give(case):
    network, _, images = case
    layers = list_layers(network, SIZE)
    with torch.inference_mode():
        fusions = find_fusions(network, layers, images[:2])
        with LayerTap(network, [layer.name for layer in layers]) as tap:
            network(images)
        given = [tap.outputs[layer.name] for layer in layers]
        for fusion in fusions:
            root = given[fusion.root]
            shift, zero = root.mean(0), torch.zeros(root.shape[1])
            relation = Relation(shift, cap=fusion.cap)
            if fusion.affine is not None:
                scale, bias = (part.repeat_interleave(root.shape[1] // len(part)) for part in fusion.affine)
                relation = Relation(shift, scale, bias, cap=fusion.cap)
                scaled = relation_values(relation, root)[1] + scale * shift + bias
                torch.testing.assert_close(scaled, given[fusion.scaled], atol=1e-5, rtol=1e-5)
            if fusion.clamped is not None:
                relation = Relation(shift, relation.scale, relation.bias, zero, fusion.cap)
                torch.testing.assert_close(
                    relation_values(relation, root)[-1], given[fusion.clamped], atol=1e-5, rtol=1e-5
                )


def relation_values(relation, root):
    return [values if scale is None else values * scale for values, scale in relation.values(root)]


def test_what_is_not_wanted_is_no_root(case):
    network, _, images = case
    layers = [layer for layer in list_layers(network, SIZE) if "conv" not in layer.name and layer.name != "0"]
    with torch.inference_mode():
        fusions = find_fusions(network, layers, images[:2])
    assert sorted(member for fusion in fusions for member in fusion.members) == list(range(len(layers)))


class Added(nn.Module):
    """A batch normalisation of large values, to which something small is added in place."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.bn.running_var.fill_(1e8)

    def forward(self, x):
        out = self.bn(self.conv(x))
        out += 0.05 * x[:, :1]
        return self.relu(out)


def test_small_sums_are_seen_beside_large_values():
    network = Added().eval()
    with torch.no_grad():
        network.conv.weight.mul_(1e4)
        found = find_fusions(network, list_layers(network, SIZE), torch.randn(2, 3, SIZE, SIZE))
    assert [len(fusion.members) for fusion in found] == [2, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_bias_whose_terms_cancel_is_rounding_and_no_other_relation(dtype, rng):
    """Where a unit is silent, a normalisation gives its bias: rounded as its two terms are, which are far larger."""
    torch.manual_seed(int(rng.integers(2**31)))
    network = chained(nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU()).eval()
    layers, norm = list_layers(network, SIZE), network.to(dtype)[1]
    with torch.no_grad():
        norm.running_mean.uniform_(1e2, 1e3)
        norm.weight.normal_()
        norm.bias.copy_(norm.running_mean * norm.weight * (1 + 1e-5 * torch.randn(16)))
        images = torch.randn(40, 3, SIZE, SIZE, dtype=dtype)
        images[10:20] = 0
        fusions = find_fusions(network, layers, images[:2])
        assert [names(fusion, layers) for fusion in fusions] == [("0", "1", "2")]
        assert checked(network, fusions, layers, images) == []


def checked(network, fusions, layers, images):
    """Layers that the images show to follow from no other."""
    check = Check(fusions, torch.device("cpu"))
    order = [layers[fusion.root] for fusion in fusions]
    order += [layers[member] for fusion in fusions for member in fusion.followers]
    with hooked(network, order, lambda index, _module, _inputs, output: check.note(index, output)):
        for batch in images.split(7):
            network(batch)
    return check.broken()


@pytest.mark.parametrize("value", [0.05, torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize(("where", "broken"), [("0", [1, 2]), ("1", [2])])
def test_one_value_of_one_image_breaks_a_relation(where, broken, value):
    network = chained(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    layers, images = list_layers(network, SIZE), torch.randn(40, 3, SIZE, SIZE)
    with torch.no_grad():
        network[0].bias.add_(10)  # beyond what the ReLU cuts
        (fusion,) = fusions = find_fusions(network, layers, images[:2])
        assert checked(network, fusions, layers, images) == []
        network[0].weight[2, 0, 0, 0], images[33, 0, 0, 0] = 0.2, 1e4

        def change(_module, inputs):
            values = inputs[0][:, 2, 0, 0]
            values[values > 50] += value

        network.get_submodule(str(int(where) + 1)).register_forward_pre_hook(change)
        assert checked(network, fusions, layers, images) == broken
    parts = fusion.without(broken)
    assert sorted(member for part in parts for member in part.members) == [0, 1, 2]
    assert [part.members for part in parts] == ([[0], [1], [2]] if where == "0" else [[0, 1], [2]])


class Named(nn.Module):
    """A ReLU that is given its input by name, and a normalisation of what came of that."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.bn = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.bn(self.relu(input=self.conv(x)))


def test_layers_that_are_given_their_input_by_name_are_roots():
    network = Named().eval()
    layers = list_layers(network, SIZE)
    with torch.no_grad():
        found = find_fusions(network, layers, torch.randn(2, 3, SIZE, SIZE))
    assert [names(fusion, layers) for fusion in found] == [("conv", None, None), ("relu", "bn", None)]


def test_a_layer_of_another_size_in_the_manifest_is_a_root():
    network = chained(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    first, second = list_layers(network, SIZE)
    with torch.no_grad():
        found = find_fusions(network, [first, replace(second, units=7)], torch.randn(2, 3, SIZE, SIZE))
    assert [fusion.members for fusion in found] == [[0], [1]]


def test_values_that_are_not_finite_are_no_fusion():
    network = chained(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    with torch.no_grad():
        network[0].bias[0] = torch.nan
        fusions = find_fusions(network, list_layers(network, SIZE), torch.randn(1, 3, SIZE, SIZE))
    assert [fusion.members for fusion in fusions] == [[0], [1]]
