"""Networks of timm that the study did not have: nothing has to be written for them."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from layerwise.data.images import apply_geometry
from layerwise.interfaces import ModelSpec
from layerwise.layers import LayerTap, list_layers, read_manifest, survey_layers, write_manifest
from layerwise.models import (
    PenultimateTap,
    build,
    build_empty,
    find_classifiers,
    geometry_for,
    normalise,
    replace_head,
    resolve_preprocessing,
)
from layerwise.models.adapters import ADAPTERS

# A layer of each, with what it gives for one image.
FAMILIES = {
    "vit_tiny_patch16_224": ("blocks.0.attn.qkv", (197, 576)),
    "deit_tiny_patch16_224": ("blocks.11.mlp.fc1", (197, 768)),
    "beit_base_patch16_224": ("blocks.0.norm1", (197, 768)),
    "convnext_atto": ("stages.0.blocks.0.conv_dw", (40, 56, 56)),
    "swin_tiny_patch4_window7_224": ("layers.0.blocks.0.norm1", (56, 56, 96)),
    "resnet26d": ("conv1.0", (32, 112, 112)),
    "mobilenetv3_small_050": ("conv_stem", (16, 112, 112)),
    "regnetx_002": ("stem.conv", (32, 112, 112)),
    "gmlp_ti16_224": ("blocks.0.norm", (196, 128)),
    "pvt_v2_b0": ("patch_embed.proj", (32, 56, 56)),
    "xcit_nano_12_p16_224": ("blocks.0.attn.qkv", (196, 384)),
    "maxvit_pico_rw_256": ("stem.conv1", (24, 128, 128)),
    "coat_tiny": ("norm1_1", None),
    "mambaout_femto": ("head.fc", (1000,)),
    "efficientvit_b0": ("stem.in_conv.conv", (8, 112, 112)),
    "eca_nfnet_l0": ("stem.conv1", (16, 112, 112)),
    "levit_128s": ("stages.0", None),
}


def spec_of(name):
    return ModelSpec("net", "timm", name, weights="random")


@pytest.mark.parametrize("name", FAMILIES)
def test_layers_and_manifest_of_a_family(name, tmp_path):
    spec = spec_of(name)
    size = resolve_preprocessing(spec).size
    survey = survey_layers(build_empty(spec), size)
    layer, shape = FAMILIES[name]
    found = {layer.name: layer for layer in survey.layers}
    if shape is not None:
        assert found[layer].shape == shape
    assert all(layer.units == math.prod(layer.shape) >= 25 for layer in survey.layers)
    assert {module.reason for module in survey.skipped} <= {
        "does not give one row an image",
        "gives tuple instead of a tensor",
    }
    assert len(survey.layers) > 50
    write_manifest(survey.layers, tmp_path / "a.tsv")
    assert read_manifest(tmp_path / "a.tsv") == survey.layers


@pytest.mark.parametrize("name", FAMILIES)
def test_penultimate_and_head_of_a_family(name):
    spec = spec_of(name)
    network, size = build_empty(spec), resolve_preprocessing(spec).size
    images = torch.zeros(2, 3, size, size, device="meta")
    classifiers = find_classifiers(network, spec, size)
    with PenultimateTap(network, classifiers) as tap, torch.inference_mode():
        network(images)
    assert tap.output.shape == (2, sum(network.get_submodule(name).in_features for name in classifiers))
    with torch.inference_mode():
        assert replace_head(network, classifiers)(images).shape == (2, 1)


@pytest.mark.parametrize("name", FAMILIES)
def test_preprocessing_of_a_family(name, rng):
    expected = resolve_preprocessing(spec_of(name))
    picture = rng.integers(0, 256, (500, 411, 3), dtype=np.uint8)
    pixels = torch.from_numpy(apply_geometry(picture, geometry_for(expected, "crop")).copy())
    theirs = ADAPTERS["timm"].transform(name)(Image.fromarray(picture))
    torch.testing.assert_close(normalise(pixels[None], expected)[0], theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "coat_tiny"])
def test_tokens_of_an_image_stay_its_own(name):
    """A layer's row belongs to one image: alone or in company, an image gives the same."""
    spec = spec_of(name)
    network, size = build(spec), resolve_preprocessing(spec).size
    layers = [layer.name for layer in list_layers(network, size)]
    images = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        with LayerTap(network, layers) as tap:
            network(images)
        together = tap.outputs
        with LayerTap(network, layers) as tap:
            network(images[1:])
    for layer in layers:
        torch.testing.assert_close(together[layer][1:], tap.outputs[layer], rtol=1e-3, atol=1e-4)


def test_outputs_that_are_tuples_are_reported():
    survey = survey_layers(build(ModelSpec("a", "timm", "sequencer2d_s", weights="random")), 224)
    assert {(module.kind, module.reason) for module in survey.skipped} == {("LSTM", "gives tuple instead of a tensor")}
    assert all("rnn" in module.layer for module in survey.skipped)


def test_network_without_a_classifier():
    spec = spec_of("eva02_tiny_patch14_224")
    with pytest.raises(ValueError, match="has no classifier"):
        find_classifiers(build_empty(spec), spec, 224)
