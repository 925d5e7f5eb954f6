"""How a photograph becomes the input of a network."""

import re
from dataclasses import dataclass
from typing import Literal, Self

Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True)
class Preprocessing:
    """What one network expects of its input, as its library states it.

    Parameters
    ----------
    size : int
        Side of the square input, pixels.
    resize : int
        Length of the shorter side before the centre crop, pixels.
    interpolation : {"bilinear", "bicubic"}
        Filter of the resize (PIL's, with antialiasing).
    mean, std : tuple of three floats
        Subtracted from, then divided into, the scaled channels, in the order of `channels`.
    channels : {"RGB", "BGR"}
        Order of the colour channels.
    maximum : float
        Value of a full channel before `mean` is subtracted: 1 or 255.
    """

    size: int
    resize: int
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: Literal["RGB", "BGR"] = "RGB"
    maximum: float = 1.0


@dataclass(frozen=True)
class Geometry:
    """The part of preprocessing that decides pixels: networks that share it share a cache of decoded images.

    Parameters
    ----------
    kind : {"square", "crop"}
        "square": the whole image is resized to `size` x `size`, its aspect not kept (Brain-Score's way).
        "crop": the shorter side is resized to `resize`, then the centre is cropped (ImageNet's way).
    size, resize : int
        Pixels; `resize` equals `size` for "square".
    interpolation : {"bilinear", "bicubic"}
        Filter of the resize.
    canvas : float
        Side of a grey canvas over the side of the image, which is pasted at its centre before the resize:
        screen degrees / stimulus degrees. 1 means no canvas.
    """

    kind: Literal["square", "crop"]
    size: int
    resize: int
    interpolation: Interpolation
    canvas: float = 1.0

    @property
    def key(self) -> str:
        """A name for the cache file, unique to the geometry and safe in a path."""
        side = f"{self.size}" if self.kind == "square" else f"{self.resize}to{self.size}"
        canvas = "" if self.canvas == 1 else f"-canvas{self.canvas:g}"
        return f"{self.kind}{side}-{self.interpolation}{canvas}"

    @classmethod
    def from_key(cls, key: str) -> Self:
        """Read a geometry back from its name.

        Raises
        ------
        ValueError
            The name is not one that `key` gives.
        """
        match = re.fullmatch(_KEY, key)
        if match is None:
            raise ValueError(
                f"no geometry {key!r}: it looks like square224-bilinear, square224-bilinear-canvas2 or "
                "crop256to224-bicubic"
            )
        side, resize = int(match["size"]), match["resize"]
        return cls(
            kind="crop" if resize else "square",
            size=side,
            resize=int(resize) if resize else side,
            interpolation="bicubic" if match["interpolation"] == "bicubic" else "bilinear",
            canvas=float(match["canvas"] or 1),
        )


_KEY = (
    r"(square|crop(?P<resize>\d+)to)(?P<size>\d+)-(?P<interpolation>bilinear|bicubic)"
    r"(-canvas(?P<canvas>\d+(\.\d+)?))?"
)
