"""From an image file to the pixels a network looks at."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from layerwise.files import reraise_memory
from layerwise.interfaces import DegenerateWarning, Geometry

GREY = 128  # Brain-Score's canvas; transparent pixels show it too, so that they are as neutral as the screen
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_FEW_BITS = {"L;2": 85, "L;4": 17}  # 255 / 3 and 255 / 15: grey of 2 and 4 bits to one of 8
_PER_LEVEL = 257  # 65535 / 255: 16-bit levels to one of 8 bits


def load_image(path: str | Path) -> NDArray[np.uint8]:
    """Read an image file of any mode as RGB.

    The camera's rotation (EXIF) is applied, 16-bit grey is scaled to 8 bits, transparent pixels are blended
    with grey 128, and an animation gives its first frame.

    Parameters
    ----------
    path : path
        Any file that PIL reads.

    Returns
    -------
    uint8 array [height, width, 3]

    Raises
    ------
    ValueError
        The file is missing, truncated, not an image, holds 32-bit or floating-point grey, levels of 8 bits in 16, or
        16-bit colours of which one is transparent.

    Warns
    -----
    DegenerateWarning
        The levels of a 16-bit file end where 12 bits do: it is read as nearly black.
    """
    return np.asarray(_open(Path(path)))


def load_square(path: str | Path, geometry: Geometry, upright: bool = True) -> NDArray[np.uint8]:
    """Read an image file and resize it: `apply_geometry` of `load_image`, without the copies between them.

    Parameters
    ----------
    path : path
        Any file that PIL reads.
    geometry : Geometry
        What to do.
    upright : bool
        Whether the camera's rotation is applied.

    Returns
    -------
    uint8 array [size, size, 3]

    Raises
    ------
    ValueError
        As `load_image` and `apply_geometry`.
    """
    return np.asarray(_reshape(_open(Path(path), upright), geometry))


def apply_geometry(image: NDArray[np.uint8], geometry: Geometry) -> NDArray[np.uint8]:
    """Resize an image to the square that a network takes.

    "crop" equals torchvision's ``Resize`` and ``CenterCrop`` on PIL images, "squash" and "border" the crop modes that
    timm calls so; "square" is Brain-Score's way: grey canvas, then a resize that does not keep the aspect.

    Parameters
    ----------
    image : uint8 array [height, width, 3]
        RGB.
    geometry : Geometry
        What to do.

    Returns
    -------
    uint8 array [size, size, 3]

    Raises
    ------
    ValueError
        The crop is larger than the resized image, or a size is below one pixel.
    """
    return np.asarray(_reshape(Image.fromarray(image), geometry))


def _open(path: Path, upright: bool = True) -> Image.Image:
    if not path.is_file():
        raise ValueError(f"no image {path}: check the folder of the images and the file's name")
    try:
        with Image.open(path) as image:
            stored = _stored_as(image)
            image.load()
            if upright:
                ImageOps.exif_transpose(image, in_place=True)  # a copy of all pixels would cost a tenth of the time
            return _to_rgb(image, stored)
    except _UnusableError as error:
        raise ValueError(f"cannot use the image {path}: {error}") from error
    except Exception as error:  # PIL's decoders raise nearly anything on broken files, SyntaxError included
        reraise_memory(error, f"reading {path}")
        raise ValueError(
            f"cannot read the image {path} ({error}): it is truncated, or not an image that PIL knows; "
            "copy it again, save it as PNG, or take it out of the study"
        ) from error


def _reshape(image: Image.Image, geometry: Geometry) -> Image.Image:
    _check(geometry)
    picture = _place_on_canvas(image, geometry.canvas)
    resized = picture.resize(_resized_sides(geometry, picture.size), _FILTERS[geometry.interpolation])
    if geometry.kind == "border":
        resized = _with_border(resized, geometry)
    return _crop_centre(resized, geometry.size)


class _UnusableError(Exception):
    """A whole image whose grey levels or transparency cannot be known."""


def _stored_as(image: Image.Image) -> str:
    """Return how the file stores its pixels in PIL's words, such as RGB;16B; empty where PIL decodes them itself."""
    tiles = getattr(image, "tile", [])
    details = tiles[0].args if tiles else ""
    first = details[0] if isinstance(details, tuple) and details else details
    return first if isinstance(first, str) else ""


def _to_rgb(image: Image.Image, stored: str) -> Image.Image:
    transparent = image.info.get("transparency")
    if image.mode.startswith("I;16"):
        return _scale_16_bit(image, transparent)
    if image.mode == "I" and _fits_16_bit(image):  # some formats give 16-bit grey in 32 bits
        return _scale_16_bit(image, transparent)
    if image.mode in ("I", "F"):
        raise _UnusableError(f"grey levels of mode {image.mode!r} have no known white: save it with 8 or 16 bits")
    if ";16" in stored:
        _check_16_bit_colour(image, transparent)
    if stored in _FEW_BITS and isinstance(transparent, int):  # PIL scales the pixels alone
        image.info["transparency"] = transparent * _FEW_BITS[stored]
    if image.has_transparency_data:
        screen = Image.new("RGBA", image.size, (GREY, GREY, GREY, 255))
        return Image.alpha_composite(screen, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _fits_16_bit(image: Image.Image) -> bool:
    low, high = np.asarray(image).min(), np.asarray(image).max()
    return bool(low >= 0 and high < 2**16)


def _scale_16_bit(image: Image.Image, transparent: object) -> Image.Image:
    # PIL's own conversion clips at 255 in some versions and shifts in others.
    levels = np.asarray(image).astype(np.uint32)
    _check_levels(int(levels.max()))
    grey = ((levels + _PER_LEVEL // 2) // _PER_LEVEL).astype(np.uint8)
    if isinstance(transparent, int):
        grey = np.where(levels == transparent, np.uint8(GREY), grey)
    return Image.fromarray(grey).convert("RGB")


def _check_levels(highest: int) -> None:
    """Refuse or warn of levels that only make sense with fewer bits; an image that is black all over is one in any."""
    if 0 < highest < 2**8:
        raise _UnusableError(
            f"its grey levels of 16 bits or more end at {highest}, as levels of 8 bits do, and would be read as black: "
            "save it with 8 bits"
        )
    if 0 < highest < 2**12:
        _warn_of_few_bits()


def _warn_of_few_bits() -> None:
    warnings.warn(
        "images of 16 bits whose levels end below 4096, as those of 12 bits or fewer do, are read as nearly black; "
        "if they should not be, multiply their levels, or save them with 8 bits",
        DegenerateWarning,
        stacklevel=2,
    )


def _check_16_bit_colour(image: Image.Image, transparent: object) -> None:
    if transparent is not None:
        raise _UnusableError("PIL does not tell which of its colours of 16 bits is transparent: save it with 8 bits")
    highest = int(np.asarray(image)[..., :3].max())  # PIL keeps the upper 8 bits, and makes RGBA of grey with alpha
    if highest == 0:
        raise _UnusableError("its colours of 16 bits end below 256, as those of 8 bits do: save it with 8 bits")
    if highest < 2**12 >> 8:
        _warn_of_few_bits()


def _check(geometry: Geometry) -> None:
    if geometry.size < 1 or geometry.canvas <= 0:
        raise ValueError(f"{geometry} leaves no pixels: size and canvas must be above 0")
    if geometry.kind in ("crop", "squash") and geometry.resize < geometry.size:
        raise ValueError(
            f"a crop of {geometry.size} pixels does not fit an image resized to {geometry.resize}: give "
            "`resize` at least the size of the input"
        )


def _place_on_canvas(image: Image.Image, ratio: float) -> Image.Image:
    if ratio == 1:
        return image
    width, height = (max(1, round(ratio * side)) for side in image.size)
    corner = round((width - image.width) / 2), round((height - image.height) / 2)
    canvas = Image.new("RGB", (width, height), (GREY, GREY, GREY))
    canvas.paste(image, corner)
    return canvas


def _resized_sides(geometry: Geometry, sides: tuple[int, int]) -> tuple[int, int]:
    if geometry.kind in ("square", "squash"):
        return geometry.resize, geometry.resize
    if geometry.kind == "border":  # timm rounds
        width, height = (max(1, round(side / (max(sides) / geometry.resize))) for side in sides)
    else:  # torchvision cuts the longer side to whole pixels
        width, height = (int(geometry.resize * side / min(sides)) for side in sides)
    return width, height


def _with_border(image: Image.Image, geometry: Geometry) -> Image.Image:
    width, height = (max(side, geometry.size) for side in image.size)
    bordered = Image.new("RGB", (width, height), f"#{geometry.fill}")
    bordered.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return bordered


def _crop_centre(image: Image.Image, size: int) -> Image.Image:
    left, top = (round((side - size) / 2) for side in image.size)
    return image.crop((left, top, left + size, top + size))
