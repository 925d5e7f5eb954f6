"""Images of every mode, and the geometries against torchvision, timm and arithmetic."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from timm.data import create_transform
from torchvision import transforms

from layerwise.data.images import GREY, apply_geometry, load_image, load_square
from layerwise.interfaces import Geometry


def noise(rng: np.random.Generator, height: int = 23, width: int = 31, channels: int = 3) -> np.ndarray:
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_rgb_is_unchanged(tmp_path, rng):
    pixels = noise(rng)
    np.testing.assert_array_equal(load_image(save(Image.fromarray(pixels), tmp_path / "a.png")), pixels)


def test_grey_gives_three_equal_channels(tmp_path, rng):
    grey = noise(rng)[..., 0]
    loaded = load_image(save(Image.fromarray(grey), tmp_path / "a.png"))
    np.testing.assert_array_equal(loaded, np.stack([grey] * 3, axis=-1))


def test_one_bit_gives_black_and_white(tmp_path, rng):
    bits = rng.random((9, 14)) < 0.5
    loaded = load_image(save(Image.fromarray(bits), tmp_path / "a.png"))
    np.testing.assert_array_equal(loaded[..., 0], np.where(bits, 255, 0))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, rng, ending):
    levels = rng.integers(0, 2**16, (17, 12), dtype=np.uint16)
    loaded = load_image(save(Image.fromarray(levels), tmp_path / f"a.{ending}"))
    assert loaded.shape == (17, 12, 3)
    np.testing.assert_array_equal(loaded[..., 0], np.rint(levels / 257))


def test_16_bit_grey_in_32_bits_is_scaled(tmp_path, rng):
    levels = rng.integers(0, 2**16, (17, 12), dtype=np.int32)
    loaded = load_image(save(Image.fromarray(levels), tmp_path / "a.tif"))
    np.testing.assert_array_equal(loaded[..., 2], np.rint(levels / 257))


def test_floating_point_grey_is_refused(tmp_path, rng):
    path = save(Image.fromarray(rng.random((8, 8), dtype=np.float32)), tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif.*8 or 16 bits"):
        load_image(path)


def test_cmyk_is_turned_into_rgb(tmp_path):
    cyan = Image.new("CMYK", (5, 5), (255, 0, 0, 0))
    loaded = load_image(save(cyan, tmp_path / "a.tif"))
    np.testing.assert_array_equal(loaded, np.broadcast_to(np.uint8([0, 255, 255]), (5, 5, 3)))


def test_palette_gives_its_colours(tmp_path, rng):
    colours = rng.integers(0, 256, (4, 3), dtype=np.uint8)
    index = rng.integers(0, 4, (6, 7), dtype=np.uint8)
    image = Image.fromarray(index).convert("P")
    image.putdata(index.ravel().tolist())
    image.putpalette(colours.ravel().tolist())
    np.testing.assert_array_equal(load_image(save(image, tmp_path / "a.png")), colours[index])


def test_transparent_palette_entry_shows_grey(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((0, 0), 0)
    loaded = load_image(save(image, tmp_path / "a.png", transparency=0))
    assert loaded[0, 0].tolist() == [GREY] * 3
    assert loaded[3, 3].tolist() == [200, 100, 50]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_blended_with_grey(tmp_path, rng, mode):
    channels = len(mode)
    pixels = noise(rng, channels=channels)
    loaded = load_image(save(Image.fromarray(pixels, mode), tmp_path / "a.png")).astype(float)
    share = pixels[..., -1:] / 255
    np.testing.assert_allclose(loaded, share * pixels[..., :-1] + (1 - share) * GREY + np.zeros(3), atol=1)


def test_opaque_alpha_changes_nothing(tmp_path, rng):
    pixels = noise(rng, channels=4)
    pixels[..., 3] = 255
    loaded = load_image(save(Image.fromarray(pixels), tmp_path / "a.png"))
    np.testing.assert_array_equal(loaded, pixels[..., :3])


def test_exif_rotation_is_applied(tmp_path, rng):
    pixels = noise(rng)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn clockwise
    loaded = load_image(save(Image.fromarray(pixels), tmp_path / "a.png", exif=exif))
    np.testing.assert_array_equal(loaded, np.rot90(pixels, -1))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_colour_profiles_change_nothing_as_in_pil(tmp_path, rng, mode):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    shape = (9, 12) if mode == "L" else (9, 12, len(mode))
    image = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode)
    image.save(tmp_path / "plain.tif")
    image.save(tmp_path / "profile.tif", icc_profile=profile)
    with Image.open(tmp_path / "profile.tif") as opened:
        assert opened.info["icc_profile"] == profile
        np.testing.assert_array_equal(load_image(tmp_path / "profile.tif"), opened.convert("RGB"))
    np.testing.assert_array_equal(load_image(tmp_path / "profile.tif"), load_image(tmp_path / "plain.tif"))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no image .*absent\.png.*folder"):
        load_image(tmp_path / "absent.png")


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "bmp", "tif", "webp"])
def test_truncated_file_is_named(tmp_path, rng, ending):
    path = save(Image.fromarray(noise(rng, 64, 64)), tmp_path / f"cut.{ending}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"cut\.{ending}.*copy it again"):
        load_image(path)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot read the image .*a\.png"):
        load_image(tmp_path / "a.png")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["png", "jpeg", "tiff", "gif"]))
def test_damaged_bytes_give_an_image_or_a_message(tmp_path_factory, seed, kind):
    rng = np.random.default_rng(seed)
    path = save(Image.fromarray(noise(rng)), tmp_path_factory.mktemp("damaged") / "a", format=kind)
    content = bytearray(path.read_bytes())
    for position in rng.integers(0, len(content), 5):
        content[position] = rng.integers(0, 256)
    path.write_bytes(content)
    try:
        assert load_image(path).dtype == np.uint8
    except ValueError as error:
        assert str(path) in str(error)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    size=st.integers(1, 40),
    margin=st.integers(0, 20),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_crop_equals_torchvision(height, width, size, margin, interpolation, seed):
    pixels = noise(np.random.default_rng(seed), height, width)
    theirs = transforms.Compose(
        [
            transforms.Resize(size + margin, transforms.InterpolationMode(interpolation)),
            transforms.CenterCrop(size),
        ]
    )(Image.fromarray(pixels))
    ours = apply_geometry(pixels, Geometry("crop", size, size + margin, interpolation))
    np.testing.assert_array_equal(ours, np.asarray(theirs))


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(3, 90),
    width=st.integers(3, 90),
    size=st.integers(16, 40),
    share=st.sampled_from([1.0, 0.95, 0.875, 0.5]),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    mode=st.sampled_from(["squash", "border"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_squash_and_border_equal_timm(height, width, size, share, interpolation, mode, seed):
    rng = np.random.default_rng(seed)
    pixels, mean = noise(rng, height, width), rng.random(3)
    steps = create_transform(size, interpolation=interpolation, mean=mean, crop_pct=share, crop_mode=mode).transforms
    theirs = steps[1](steps[0](Image.fromarray(pixels)))
    fill = bytes(round(255 * value) for value in mean).hex() if mode == "border" else ""
    ours = apply_geometry(pixels, Geometry(mode, size, math.floor(size / share), interpolation, fill=fill))
    np.testing.assert_array_equal(ours, np.asarray(theirs))


def test_square_keeps_the_whole_image_and_not_its_aspect(rng):
    pixels = noise(rng, 40, 80)
    expected = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR)
    ours = apply_geometry(pixels, Geometry("square", 32, 32, "bilinear"))
    np.testing.assert_array_equal(ours, np.asarray(expected))


@pytest.mark.parametrize("canvas", [1.0, 2.0, 1.5])
def test_canvas_is_grey_around_the_centred_image(rng, canvas):
    pixels = noise(rng, 40, 40)
    side = round(40 * canvas)
    edge = (side - 40) // 2
    ours = apply_geometry(pixels, Geometry("square", side, side, "bilinear", canvas))
    expected = np.full((side, side, 3), 128, np.uint8)
    expected[edge : edge + 40, edge : edge + 40] = pixels
    np.testing.assert_array_equal(ours, expected)


def test_canvas_smaller_than_the_image_shows_its_centre(rng):
    pixels = noise(rng, 40, 40)
    ours = apply_geometry(pixels, Geometry("square", 20, 20, "bilinear", 0.5))
    np.testing.assert_array_equal(ours, pixels[10:30, 10:30])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK"])
@pytest.mark.parametrize("geometry", [Geometry("square", 8, 8, "bicubic", 2.0), Geometry("crop", 10, 12, "bilinear")])
def test_reading_and_resizing_at_once_changes_nothing(tmp_path, rng, mode, geometry):
    image = Image.fromarray(rng.integers(0, 256, (21, 30, 3), dtype=np.uint8)).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = int(rng.integers(1, 9))  # the camera's rotation
    image.save(tmp_path / "a.tif", exif=exif)
    expected = apply_geometry(load_image(tmp_path / "a.tif"), geometry)
    np.testing.assert_array_equal(load_square(tmp_path / "a.tif", geometry), expected)


def test_rotation_can_be_left_as_the_camera_gave_it(tmp_path, rng):
    pixels, geometry = noise(rng), Geometry("crop", 10, 12, "bilinear")
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(Image.fromarray(pixels), tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(load_square(path, geometry, upright=False), apply_geometry(pixels, geometry))
    assert not np.array_equal(load_square(path, geometry), apply_geometry(pixels, geometry))


def test_crop_larger_than_the_image_is_refused(rng):
    with pytest.raises(ValueError, match="does not fit an image resized to 20"):
        apply_geometry(noise(rng), Geometry("crop", 30, 20, "bilinear"))


def test_geometry_without_pixels_is_refused(rng):
    with pytest.raises(ValueError, match="leaves no pixels"):
        apply_geometry(noise(rng), Geometry("square", 0, 0, "bilinear"))
