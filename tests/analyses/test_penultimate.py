"""The penultimate representation against what torchvision, timm and the ordinary path of a layer give."""

import numpy as np
import pytest
import torch
from rated_study import Images
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from layerwise.activations import ActivationStore, extract_activations
from layerwise.analyses.brain import BrainSimilarity, SplitPlan
from layerwise.analyses.penultimate import Penultimate, join_scores, score_penultimate
from layerwise.interfaces import LayerSpec, ModelSpec, Preprocessing, Recordings
from layerwise.models import build, find_classifiers, normalise, registry, replace_head
from layerwise.passes.probe import probe_network

SIZE, N = 64, 60
EXPECTED = Preprocessing(SIZE, SIZE, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
ATTRIBUTES = {"model": "mine", "weights": "a", "code": "b"}


@pytest.fixture
def images(rng):
    return Images(rng.integers(0, 256, (N, SIZE, SIZE, 3), dtype=np.uint8))


def ends(model, size=SIZE):
    """A network of random weights, as one that ends with its penultimate representation."""
    network = build(model)
    spec = model if isinstance(model, ModelSpec) else ModelSpec(model, "torchvision", model)
    return Penultimate(network, find_classifiers(network, spec, size)).eval()


def extract(network, layers, images, path):
    extract_activations(network, layers, images, EXPECTED, path, 10**8, ATTRIBUTES, batch_size=16)
    return ActivationStore(path, "mine")


def inputs(images):
    return normalise(torch.from_numpy(images.read(0, 4)), EXPECTED)


@pytest.mark.parametrize(("name", "node"), [("resnet18", "flatten"), ("densenet121", "flatten")])
def test_it_is_what_torchvisions_feature_extractor_gives(images, name, node):
    network = ends(name)
    with torch.inference_mode():
        expected = create_feature_extractor(network.network, [node])(inputs(images))[node]
        assert torch.equal(network(inputs(images)), expected)
    assert network.layer == LayerSpec("penultimate", "Penultimate", (expected.shape[1],), expected.shape[1], 1)


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "regnetx_002", "vit_tiny_patch16_224"])
def test_it_is_what_timm_gives_before_the_logits(images, name):
    size = 224 if name.startswith("vit") else SIZE
    network = ends(ModelSpec("net", "timm", name, weights="random"), size)
    pixels = torch.nn.functional.interpolate(inputs(images), size)
    with torch.inference_mode():
        expected = network.network.forward_head(network.network.forward_features(pixels), pre_logits=True)
        assert torch.equal(network(pixels), expected)


def test_several_positions_are_averaged_as_their_scores_are(images):
    network = ends("squeezenet1_1")
    seen = []
    network.network.classifier[0].register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.inference_mode():
        given = network(inputs(images))
    torch.testing.assert_close(given, seen[0].mean((2, 3)), rtol=1e-6, atol=0)
    assert given.shape == (4, 512)


@pytest.mark.parametrize("name", ["squeezenet1_0", "googlenet", "shufflenet_v2_x0_5", "cornet_z"])
def test_the_one_unit_of_a_fine_tuned_network_reads_it_out(name):
    row = registry.find(name)
    network = Penultimate(replace_head(build(name), row.classifier), [row.classifier]).eval()
    pixels = torch.randn(2, 3, row.preprocessing.size, row.preprocessing.size)
    head = network.network.get_submodule(row.classifier)
    with torch.inference_mode():
        given, scores = network(pixels), network.network(pixels)
        expected = given @ head.weight.flatten(1).T + head.bias
    assert given.shape == (2, network.layer.units)
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-4 * float(scores.abs().max()))


def recordings(rng, ids, values, region="IT"):
    signal = values @ rng.standard_normal((values.shape[1], 6))
    responses = signal + 0.3 * signal.std() * rng.standard_normal((3, *signal.shape))
    return Recordings(responses, ids, tuple("abcdef"), (region,) * 6)


def test_scores_are_those_of_the_ordinary_path_where_a_layer_gives_it(rng, images, tmp_path):
    """avgpool of resnet18: 512 units for 60 stimuli, so that Gram matrices are kept; bit for bit."""
    plain, wrapped = build("resnet18"), ends("resnet18")
    wrapped.network.load_state_dict(plain.state_dict())
    probe_network(wrapped, [wrapped.layer], images, EXPECTED)
    pool = LayerSpec("avgpool", "AdaptiveAvgPool2d", (512, 1, 1), 512, 1)
    ordinary = extract(plain, [pool], images, tmp_path / "plain.h5")
    kept = extract(wrapped, [wrapped.layer], images, tmp_path / "penultimate.h5")
    assert np.array_equal(kept.read("penultimate").array, ordinary.read("avgpool").array)
    with torch.inference_mode():
        values = wrapped(normalise(torch.from_numpy(images.array), EXPECTED)).double().numpy()
    regions = [
        BrainSimilarity(recordings(rng, images.ids, values, name), name, SplitPlan(n_splits=3), 5) for name in "AB"
    ]
    expected = join_scores([region.score(ordinary, [pool]) for region in regions])
    table = score_penultimate(kept, regions)
    assert list(table["region"]) == ["A"] * 3 + ["B"] * 3
    np.testing.assert_array_equal(np.stack(table["r_neuroids"]), np.stack(expected["r_neuroids"]))
    assert table["r"].notna().all()
    assert set(table["layer"]) == {"penultimate"}
    assert table.attrs["data"].keys() == {"A", "B"}
    assert table.attrs["data"]["A"]["stimuli"] == images.content_hash


def test_few_units_are_kept_as_they_are(images, tmp_path):
    network = Penultimate(nn.Sequential(nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(27, 5)).eval(), ["2"])
    kept = extract(network, [network.layer], images, tmp_path / "penultimate.h5").read("penultimate")
    with torch.inference_mode():
        expected = network.network[:2](normalise(torch.from_numpy(images.array), EXPECTED))
    assert kept.kind == "activations"
    np.testing.assert_allclose(kept.array, expected.numpy(), rtol=1e-6)


def test_an_unknown_classifier_is_refused_and_so_is_one_that_does_not_run(images):
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.head = nn.Linear(3, 2), nn.Linear(30, 2)

        def forward(self, images):
            return self.used(images.mean((2, 3)))

    with pytest.raises(ValueError, match=r"no module 'haed': did you mean head\?"):
        Penultimate(Unused(), ["haed"])
    with pytest.raises(ValueError, match="the classifier does not run: head"):
        Penultimate(Unused(), ["head"])(inputs(images))
