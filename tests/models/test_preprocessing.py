import pytest

from layerwise.interfaces import Geometry, ModelSpec, Preprocessing
from layerwise.models.preprocessing import IMAGENET, geometry_for, resolve_preprocessing

OWN = Preprocessing(96, 100, "bicubic", (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), "BGR", 255)


def test_what_the_study_gives_comes_first():
    assert resolve_preprocessing(ModelSpec("own", "torchvision", "resnet18", preprocessing=OWN)) == OWN


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
    with pytest.raises(ValueError, match="timm has no network 'mobilenet_v33'"):
        resolve_preprocessing(ModelSpec("a", "timm", "mobilenet_v33"))


def test_timm_network_that_is_fed_otherwise(monkeypatch):
    import timm.data.config

    stated = {"input_size": (3, 224, 224), "interpolation": "bicubic", "crop_mode": "squash", "crop_pct": 1.0}
    monkeypatch.setattr(timm.data.config, "resolve_data_config", lambda **_: stated)
    with pytest.raises(ValueError, match=r"squash.*give `preprocessing` for 'a'"):
        resolve_preprocessing(ModelSpec("a", "timm", "mobilenetv3_small_050"))


def test_factory_gets_the_usual():
    assert resolve_preprocessing(ModelSpec("a", "factory", "package:function")) == IMAGENET


def test_nothing_is_guessed_for_other_networks():
    with pytest.raises(ValueError, match="give `preprocessing` for 'a'"):
        resolve_preprocessing(ModelSpec("a", "torchvision", "resnet9000"))


def test_geometry_is_the_part_that_decides_pixels():
    assert geometry_for(OWN, "square", canvas=2) == Geometry("square", 96, 96, "bicubic", 2)
    assert geometry_for(OWN, "crop") == Geometry("crop", 96, 100, "bicubic", 1)
