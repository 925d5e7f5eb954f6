"""Crops against torchvision's own functions, on the same random numbers."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchvision import transforms
from torchvision.transforms.v2 import functional

from layerwise.finetuning.augmentation import Augmentation
from layerwise.finetuning.crops import Crops, centre_crops, draw_crops, resized_rectangles
from layerwise.interfaces import Preprocessing
from layerwise.interfaces.finetuning import FinetuneSettings
from layerwise.models import normalise

CPU = torch.device("cpu")
RGB = Preprocessing(24, 32, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
BGR = Preprocessing(24, 32, "bilinear", (104.0, 117.0, 128.0), (1.0, 1.0, 1.0), "BGR", 255.0)


def pixels(rng, count=12, height=40, width=52):
    return torch.from_numpy(rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def as_planes(image):
    return image.permute(2, 0, 1)


@pytest.mark.parametrize("preprocessing", [RGB, BGR])
def test_crop_and_flip_are_torchvisions(rng, preprocessing):
    stored, chosen = pixels(rng), rng.integers(0, 12, 30)
    crops = draw_crops(FinetuneSettings(), 2, np.arange(30), 40, 52, 24)
    ours = Augmentation(preprocessing, CPU)
    given = ours.crop(stored, torch.from_numpy(chosen), ours.place(crops))
    assert 0 < crops.flip.sum() < 30
    assert len(set(crops.top)) > 5 and len(set(crops.left)) > 5
    assert given.is_contiguous(memory_format=torch.channels_last)
    for index, image in enumerate(chosen):
        cut = functional.crop(as_planes(stored[image]), int(crops.top[index]), int(crops.left[index]), 24, 24)
        cut = functional.hflip(cut) if crops.flip[index] else cut
        wanted = normalise(cut.permute(1, 2, 0)[None], preprocessing)[0]
        torch.testing.assert_close(given[index], wanted, rtol=0, atol=0)


@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.02, 0.06)])  # the second enlarges
def test_a_random_resized_crop_is_torchvisions(rng, scale):
    stored, chosen = pixels(rng), rng.integers(0, 12, 30)
    settings = FinetuneSettings(crop="random-resized-crop", scale=scale)
    crops = draw_crops(settings, 2, np.arange(30), 40, 52, 24)
    plain = Preprocessing(24, 32, "bilinear", (0, 0, 0), (1, 1, 1), maximum=255.0)
    ours = Augmentation(plain, CPU)
    given = ours.resize_crop(stored, torch.from_numpy(chosen), ours.place(crops))
    assert len({*zip(crops.height, crops.width, strict=True)}) > 15
    for index, image in enumerate(chosen):
        place = [int(part[index]) for part in (crops.top, crops.left, crops.height, crops.width)]
        for kind, tolerance in ((torch.float32, 2e-3), (torch.uint8, 1.01)):  # of 255 levels; uint8 is rounded there
            wanted = functional.resized_crop(as_planes(stored[image]).to(kind), *place, [24, 24], antialias=True)
            wanted = functional.hflip(wanted) if crops.flip[index] else wanted
            torch.testing.assert_close(given[index], wanted.float(), rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("height", "width", "scale", "ratio"),
    [(40, 52, (0.08, 1), (3 / 4, 4 / 3)), (20, 90, (0.9, 1), (3 / 4, 4 / 3)), (90, 20, (0.9, 1), (3 / 4, 4 / 3))],
)
def test_rectangles_are_those_of_torchvision_for_the_same_numbers(rng, monkeypatch, height, width, scale, ratio):
    numbers = rng.random((50, 22))
    ours = np.transpose(resized_rectangles(numbers, height, width, scale, ratio))
    image = torch.zeros(3, height, width)
    fell_back = 0
    for row, wanted in zip(numbers, ours, strict=True):
        tries, places = iter(row[2:].tolist()), iter(row[:2].tolist())
        uniform = SimpleNamespace(
            uniform_=lambda low, high, t=tries: torch.as_tensor(low + (high - low) * next(t)).double()
        )
        fake = SimpleNamespace(
            empty=lambda _, u=uniform: u,
            randint=lambda low, high, size, p=places: torch.tensor(low + math.floor(next(p) * (high - low))),
            log=lambda values: torch.log(values.double()),
            exp=torch.exp,
            tensor=torch.tensor,
        )
        monkeypatch.setattr(transforms.transforms, "torch", fake)
        given = transforms.RandomResizedCrop.get_params(image, scale, ratio)
        assert tuple(wanted) == given
        fell_back += next(places, None) is not None
    assert fell_back == (50 if height != 40 else 0)


@pytest.mark.parametrize(("height", "width"), [(40, 52), (41, 53), (24, 24), (27, 25)])
def test_the_centre_is_torchvisions(rng, height, width):
    stored = pixels(rng, 5, height, width)
    ours = Augmentation(RGB, CPU)
    given = ours.crop(stored, torch.arange(5), ours.place(centre_crops(5, height, width, 24)))
    wanted = normalise(functional.center_crop(stored.permute(0, 3, 1, 2), [24, 24]).permute(0, 2, 3, 1), RGB)
    torch.testing.assert_close(given, wanted, rtol=0, atol=0)


def test_an_images_crop_depends_on_seed_epoch_and_image_alone(rng):
    for kind in ("resize-crop", "random-resized-crop"):
        settings = FinetuneSettings(crop=kind)
        images = rng.choice(500, 60, replace=False)
        together = draw_crops(settings, 5, images, 40, 52, 24)
        alone = draw_crops(settings, 5, images[17:18], 40, 52, 24)
        for one, other in zip(values(together), values(alone), strict=True):
            assert one[17] == other[0]
        for other in (draw_crops(settings, 6, images, 40, 52, 24),
                      draw_crops(FinetuneSettings(crop=kind, seed=2), 5, images, 40, 52, 24)):  # fmt: skip
            assert (together.left != other.left).any() and (together.flip != other.flip).any()


def test_all_places_and_both_ways_round_come_about_equally_often():
    crops = draw_crops(FinetuneSettings(), 0, np.arange(20_000), 28, 32, 24)
    for part, places in ((crops.top, 5), (crops.left, 9), (crops.flip.astype(int), 2)):
        counts = np.bincount(part, minlength=places)
        assert len(counts) == places
        assert abs(counts / 20_000 * places - 1).max() < 0.1


def test_nothing_is_mirrored_without_flip():
    assert not draw_crops(FinetuneSettings(flip=False), 0, np.arange(50), 28, 32, 24).flip.any()


def test_pixels_smaller_than_the_input_are_refused():
    with pytest.raises(ValueError, match=r"20 x 52, and the network sees 24 x 24: pack the images at a larger size"):
        draw_crops(FinetuneSettings(), 0, np.arange(3), 20, 52, 24)


def values(crops: Crops):
    return crops.top, crops.left, crops.height, crops.width, crops.flip
