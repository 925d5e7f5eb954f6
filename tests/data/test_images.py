"""Images of every mode, and the geometries against torchvision, timm and arithmetic."""

import math
import re
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from timm.data import create_transform
from torchvision import transforms

from layerwise.data.images import GREY, apply_geometry, load_image, load_square
from layerwise.interfaces import DegenerateWarning, Geometry


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


def png(bits: int, kind: int, rows: list[bytes], width: int, transparent: bytes = b"") -> bytes:
    """A PNG written by its specification, whatever PIL can write: kind 0 is grey, 2 RGB, 4 grey with alpha."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, len(rows), bits, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    transparency = chunk(b"tRNS", transparent) if transparent else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + transparency + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("bits", "row", "transparent", "expected"),
    [
        (16, struct.pack(">HHH", 1000, 65535, 30000), 65535, [4, GREY, 117]),
        (16, struct.pack(">HHH", 1000, 65535, 1001), 1000, [GREY, 255, 4]),
        (8, bytes([5, 6, 7]), 5, [GREY, 6, 7]),
        (4, bytes([0x5F, 0x60]), 5, [GREY, 255, 102]),
        (2, bytes([0b00011100]), 1, [0, GREY, 255]),
        (1, bytes([0b01000000]), 1, [0, GREY, 0]),
    ],
)
def test_the_transparent_grey_level_shows_grey_at_any_depth(tmp_path, bits, row, transparent, expected):
    (tmp_path / "a.png").write_bytes(png(bits, 0, [row], 3, struct.pack(">H", transparent)))
    assert load_image(tmp_path / "a.png")[0, :, 1].tolist() == expected


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
@pytest.mark.parametrize("highest", [1, 252, 255])
def test_8_bit_levels_in_more_bits_are_refused(tmp_path, rng, dtype, highest):
    levels = rng.integers(0, highest + 1, (9, 9)).astype(dtype)
    levels[0, 0] = highest
    path = save(Image.fromarray(levels), tmp_path / "a.tif")
    with pytest.raises(ValueError, match=rf"a\.tif: its grey levels .* end at {highest}, .* save it with 8 bits"):
        load_image(path)
    if dtype == np.uint16:
        path = save(Image.fromarray(levels), tmp_path / "a.png")
        with pytest.raises(ValueError, match="save it with 8 bits"):
            load_image(path)


def test_black_is_black_at_any_depth(tmp_path):
    for dtype in (np.uint8, np.uint16, np.int32):
        assert load_image(save(Image.fromarray(np.zeros((3, 4), dtype)), tmp_path / "a.tif")).max() == 0


@pytest.mark.parametrize("highest", [256, 1023, 4095])
def test_12_bit_levels_in_16_bits_are_warned_of(tmp_path, highest):
    levels = np.full((3, 3), highest, np.uint16)
    with pytest.warns(DegenerateWarning, match="end below 4096"):
        found = load_image(save(Image.fromarray(levels), tmp_path / "a.png"))
    assert (found == round(highest / 257)).all()


def test_levels_above_12_bits_are_not_warned_of(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_image(save(Image.fromarray(np.full((3, 3), 4096, np.uint16)), tmp_path / "a.png"))


@pytest.mark.parametrize(("kind", "n_channels"), [(2, 3), (4, 2), (6, 4)])
def test_16_bit_colours_lose_their_lower_bits_and_no_more(tmp_path, kind, n_channels):
    row = [[25700, 0, 65535, 65535], [25700, 65535]][n_channels == 2][:n_channels]
    (tmp_path / "a.png").write_bytes(png(16, kind, [struct.pack(f">{n_channels}H", *row)], 1))
    expected = [100] * 3 if n_channels == 2 else [100, 0, 255]
    assert load_image(tmp_path / "a.png")[0, 0].tolist() == expected
    dark = [252] * n_channels
    (tmp_path / "a.png").write_bytes(png(16, kind, [struct.pack(f">{n_channels}H", *dark)], 1))
    with pytest.raises(ValueError, match=r"a\.png: its colours of 16 bits end below 256"):
        load_image(tmp_path / "a.png")


@pytest.mark.parametrize(("kind", "n_channels"), [(2, 3), (4, 2), (6, 4)])
@pytest.mark.parametrize(("highest", "warned"), [(256, True), (4095, True), (4096, False)])
def test_colours_of_12_bits_in_16_are_warned_of(tmp_path, kind, n_channels, highest, warned):
    opaque = [65535] * (n_channels in (2, 4))
    row = [highest] * (n_channels - len(opaque)) + opaque
    (tmp_path / "a.png").write_bytes(png(16, kind, [struct.pack(f">{n_channels}H", *row)], 1))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert load_image(tmp_path / "a.png").max() == highest >> 8
    assert [bool(re.search("end below 4096", str(one.message))) for one in told] == [True] * warned


def test_a_transparent_colour_of_16_bits_is_refused(tmp_path):
    # PIL compares 8 bits of the pixels with all 16 of the colour: this pixel, of another colour, would be transparent.
    row, colour = struct.pack(">HHH", 0x0110, 0x0110, 0x0110), struct.pack(">HHH", 1, 1, 1)
    (tmp_path / "a.png").write_bytes(png(16, 2, [row], 1, colour))
    with pytest.raises(ValueError, match=r"which of its colours of 16 bits is transparent: save it with 8 bits"):
        load_image(tmp_path / "a.png")


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
