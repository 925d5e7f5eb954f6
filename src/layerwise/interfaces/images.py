"""How a photograph becomes the input of a network."""

import re
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

Interpolation = Literal["bilinear", "bicubic"]
Crop = Literal["centre", "squash", "border"]


@dataclass(frozen=True)
class Preprocessing:
    """What one network expects of its input, as its library states it.

    Parameters
    ----------
    size : int
        Side of the square input, pixels.
    resize : int
        Length before the centre crop, pixels: of the shorter side for "centre", of both for "squash", of the longer
        one for "border".
    interpolation : {"bilinear", "bicubic"}
        Filter of the resize before a crop (PIL's, with antialiasing); a resize to "square" is bilinear for all.
    mean, std : tuple of three floats
        Subtracted from, then divided into, the scaled channels, in the order of `channels`.
    channels : {"RGB", "BGR"}
        Order of the colour channels.
    maximum : float
        Value of a full channel before `mean` is subtracted: 1 or 255.
    crop : {"centre", "squash", "border"}
        How a photograph becomes a square. "centre": its aspect is kept, and what lies beyond the square is lost;
        "squash": its aspect is not kept; "border": it is kept, and what lacks is filled with the colour of `mean`.
    """

    size: int
    resize: int
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: Literal["RGB", "BGR"] = "RGB"
    maximum: float = 1.0
    crop: Crop = "centre"


@dataclass(frozen=True)
class Geometry:
    """The part of preprocessing that decides pixels: networks that share it share a cache of decoded images.

    Parameters
    ----------
    kind : {"square", "crop", "squash", "border"}
        "square": the whole image is resized to `size` x `size`, its aspect not kept (Brain-Score's way).
        "crop": the shorter side is resized to `resize`, then the centre is cropped (ImageNet's way).
        "squash": both sides are resized to `resize`, then the centre is cropped. "border": the longer side is
        resized to `resize`, then the centre is cropped from it and from a border around it (both timm's ways).
    size, resize : int
        Pixels; `resize` equals `size` for "square".
    interpolation : {"bilinear", "bicubic"}
        Filter of the resize.
    canvas : float
        Side of a grey canvas over the side of the image, which is pasted at its centre before the resize:
        screen degrees / stimulus degrees. 1 means no canvas.
    fill : str
        Colour of the border: six hexadecimal digits, red first; empty for the other kinds.
    """

    kind: Literal["square", "crop", "squash", "border"]
    size: int
    resize: int
    interpolation: Interpolation
    canvas: float = 1.0
    fill: str = ""

    @property
    def key(self) -> str:
        """A name for the cache file, unique to the geometry and safe in a path."""
        side = f"{self.size}" if self.kind == "square" else f"{self.resize}to{self.size}"
        canvas = "" if self.canvas == 1 else f"-canvas{self.canvas:g}"
        fill = f"-fill{self.fill}" if self.fill else ""
        return f"{self.kind}{side}-{self.interpolation}{canvas}{fill}"

    @property
    def kept_share(self) -> float:
        """Share of an image's area that lies on the canvas: below 1 where the image is wider than that."""
        return min(1.0, self.canvas) ** 2

    @classmethod
    def from_key(cls, key: str) -> Self:
        """Read a geometry back from its name.

        Raises
        ------
        ValueError
            The name is not one that `key` gives.
        """
        match = re.fullmatch(_KEY, key)
        if match is None or (match["cut"] == "border") != (match["fill"] is not None):
            raise ValueError(
                f"no geometry {key!r}: it looks like square224-bilinear, square224-bilinear-canvas2, "
                "crop256to224-bicubic, squash256to224-bicubic or border224to224-bicubic-fill808080"
            )
        return cls(
            kind=cast(Any, match["cut"] or "square"),
            size=int(match["size"]),
            resize=int(match["resize"] or match["size"]),
            interpolation="bicubic" if match["interpolation"] == "bicubic" else "bilinear",
            canvas=float(match["canvas"] or 1),
            fill=match["fill"] or "",
        )


_KEY = (
    r"(square|(?P<cut>crop|squash|border)(?P<resize>\d+)to)(?P<size>\d+)-(?P<interpolation>bilinear|bicubic)"
    r"(-canvas(?P<canvas>\d+(\.\d+)?))?(-fill(?P<fill>[0-9a-f]{6}))?"
)


class Pixels(Protocol):
    """Decoded images, such as `layerwise.data.pixels.PixelCache`."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids, in the order of the images."""

    @property
    def content_hash(self) -> str:
        """Hash of ids, pixels and geometry."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return images, uint8 [image, height, width, 3]."""
