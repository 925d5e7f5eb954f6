"""From an image file to the pixels a network looks at."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from layerwise.files import reraise_memory
from layerwise.interfaces import Geometry

GREY = 128  # Brain-Score's canvas; transparent pixels show it too, so that they are as neutral as the screen
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
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
        The file is missing, truncated, not an image, or holds 32-bit or floating-point grey.
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
            image.load()
            if upright:
                ImageOps.exif_transpose(image, in_place=True)  # a copy of all pixels would cost a tenth of the time
            return _to_rgb(image)
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


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _scale_16_bit(image)
    if image.mode == "I" and _fits_16_bit(image):  # some formats give 16-bit grey in 32 bits
        return _scale_16_bit(image)
    if image.mode in ("I", "F"):
        raise ValueError(f"grey levels of mode {image.mode!r} have no known white: save it with 8 or 16 bits")
    if image.has_transparency_data:
        screen = Image.new("RGBA", image.size, (GREY, GREY, GREY, 255))
        return Image.alpha_composite(screen, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _fits_16_bit(image: Image.Image) -> bool:
    low, high = np.asarray(image).min(), np.asarray(image).max()
    return bool(low >= 0 and high < 2**16)


def _scale_16_bit(image: Image.Image) -> Image.Image:
    # PIL's own conversion clips at 255 in some versions and shifts in others.
    levels = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((levels + _PER_LEVEL // 2) // _PER_LEVEL).astype(np.uint8)).convert("RGB")


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
