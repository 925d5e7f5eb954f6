from dataclasses import replace

import pytest
import torch
from PIL import Image

from layerwise.data.images import apply_geometry
from layerwise.interfaces import Geometry, ModelSpec, Preprocessing
from layerwise.models import normalise
from layerwise.models.adapters import ADAPTERS
from layerwise.models.preprocessing import IMAGENET, geometry_for, resolve_preprocessing

OWN = Preprocessing(96, 100, "bicubic", (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), "BGR", 255)


def test_what_the_study_gives_comes_first():
    assert resolve_preprocessing(ModelSpec("own", "torchvision", "resnet18", preprocessing=OWN)) == OWN


def test_keys_that_are_not_given_are_the_librarys():
    """The library's settings, from its own table, beside one key of the study's."""
    from pretrainedmodels import pretrained_settings

    stated = pretrained_settings["bninception"]["imagenet"]
    found = resolve_preprocessing(ModelSpec("a", "pretrainedmodels", "bninception", preprocessing={"crop": "squash"}))
    assert found.crop == "squash"
    assert (found.channels, found.maximum) == (stated["input_space"], stated["input_range"][1])
    assert [*found.mean, *found.std] == [*stated["mean"], *stated["std"]]
    given = {"interpolation": "bicubic"}
    inception = resolve_preprocessing(ModelSpec("a", "torchvision", "inception_v3", preprocessing=given))
    assert (inception.size, inception.interpolation) == (299, "bicubic")


@pytest.mark.parametrize(
    ("preprocessing", "options"), [({"size": 384}, {}), ({}, {"img_size": 384}), ({"size": 384}, {"img_size": 384})]
)
def test_timm_states_the_rest_for_another_size(preprocessing, options):
    from timm.data import resolve_data_config
    from timm.models import get_pretrained_cfg

    name = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    found = resolve_preprocessing(ModelSpec("a", "timm", name, options=options, preprocessing=preprocessing))
    config = resolve_data_config({"img_size": 384}, pretrained_cfg=get_pretrained_cfg(name).to_dict())
    assert found.mean == config["mean"] == (0.5, 0.5, 0.5) and found.std == config["std"]
    assert (found.size, found.resize) == (384, int(384 / config["crop_pct"]))


def test_an_efficientnet_that_is_built_for_another_size_is_shown_that_size():
    spec = ModelSpec("a", "efficientnet_pytorch", "efficientnet-b0", options={"image_size": 260})
    assert resolve_preprocessing(spec).size == 260


def test_weights_that_timm_does_not_have():
    with pytest.raises(ValueError, match=r"no weights 'in22' of 'convnext_tiny': it has .*convnext_tiny\.fb_in1k,"):
        resolve_preprocessing(ModelSpec("a", "timm", "convnext_tiny.in22"))


def test_a_size_above_the_librarys_resize():
    with pytest.raises(ValueError, match=r"'a' would be resized to 256 pixels, and 300 be cropped.*give `resize`"):
        resolve_preprocessing(ModelSpec("a", "torchvision", "resnet18", preprocessing={"size": 300}))


@pytest.mark.parametrize(("size", "resize"), [(224, 256), (48, 55), (299, 342)])
def test_a_factory_of_another_size_sees_as_much_of_an_image(size, resize):
    found = resolve_preprocessing(ModelSpec("a", "factory", "a:b", preprocessing={"size": size}))
    assert (found.size, found.resize) == (size, resize) and found.mean == (0.485, 0.456, 0.406)
    given = resolve_preprocessing(ModelSpec("a", "factory", "a:b", preprocessing={"size": size, "resize": 400}))
    assert given.resize == 400


def test_registry_comes_before_the_library():
    found = resolve_preprocessing(ModelSpec("a", "timm", "tf_efficientnet_lite0"))
    assert found == Preprocessing(224, 256, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_timm_states_its_own():
    from timm.data import create_transform, resolve_data_config
    from timm.models import get_pretrained_cfg

    name = "mobilenetv3_small_050"
    found = resolve_preprocessing(ModelSpec("a", "timm", name))
    config = resolve_data_config(pretrained_cfg=get_pretrained_cfg(name).to_dict())
    resize, crop, *_ = create_transform(**config, is_training=False).transforms
    assert (found.resize, (found.size, found.size)) == (resize.size, tuple(crop.size))
    assert (found.mean, found.std) == (config["mean"], config["std"])
    assert found.interpolation == resize.interpolation.value


def test_timm_network_that_does_not_exist():
    with pytest.raises(ValueError, match=r"timm has no network 'mobilenet_v33': did you mean mobilenet"):
        resolve_preprocessing(ModelSpec("a", "timm", "mobilenet_v33"))


# Networks of timm that are fed otherwise than by a crop of the centre, and one that is not.
CROPS = {
    "coat_lite_medium_384.in1k": "squash",
    "dm_nfnet_f0.dm_in1k": "squash",  # which cuts something off, too
    "vit_base_patch16_lingbot": "squash",
    "deepseek_vit_412m": "border",
    "resnet50.a1_in1k": "centre",
}


@pytest.mark.parametrize("name", CROPS)
def test_photographs_are_cropped_as_timm_does(name, photographs):
    expected = resolve_preprocessing(ModelSpec("a", "timm", name))
    assert expected.crop == CROPS[name]
    geometry, transform = geometry_for(expected, "crop"), ADAPTERS["timm"].transform(name)
    for photograph in photographs:
        pixels = torch.from_numpy(apply_geometry(photograph, geometry).copy())
        theirs = transform(Image.fromarray(photograph))
        torch.testing.assert_close(normalise(pixels[None], expected)[0], theirs, rtol=0, atol=1e-6)


def test_border_has_the_colour_of_the_mean():
    expected = replace(OWN, crop="border", mean=(10.0, 127.6, 255.0))
    assert geometry_for(expected, "crop") == Geometry("border", 96, 100, "bicubic", fill="ff800a")
    rgb = replace(expected, channels="RGB", maximum=1.0, mean=(0.0, 0.5, 1.0))
    assert geometry_for(rgb, "crop").fill == "0080ff"
    assert geometry_for(expected, "square") == Geometry("square", 96, 96, "bilinear")


def test_timm_network_whose_input_is_no_square():
    with pytest.raises(ValueError, match=r"layerwise does square inputs.*give `preprocessing` for 'a'"):
        resolve_preprocessing(ModelSpec("a", "timm", "vit_base_patch16_sapiens2"))


def test_factory_gets_the_usual():
    assert resolve_preprocessing(ModelSpec("a", "factory", "package:function")) == IMAGENET


def test_nothing_is_guessed_for_other_networks():
    with pytest.raises(ValueError, match="give `preprocessing` for 'a'"):
        resolve_preprocessing(ModelSpec("a", "torchvision", "resnet9000"))


def test_geometry_is_the_part_that_decides_pixels():
    assert OWN.interpolation == "bicubic"  # of photographs; the square is Brain-Score's, which is bilinear for all
    assert geometry_for(OWN, "square", canvas=2) == Geometry("square", 96, 96, "bilinear", 2)
    assert geometry_for(OWN, "crop") == Geometry("crop", 96, 100, "bicubic", 1)
