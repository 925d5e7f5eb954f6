"""What a network expects of its input, and how its pictures must be cut."""

import math
from typing import TYPE_CHECKING, Any, Literal, cast

from layerwise.interfaces import Geometry, ModelSpec, Preprocessing
from layerwise.models.registry import row_of

if TYPE_CHECKING:
    from layerwise.interfaces.images import Crop, Interpolation

IMAGENET = Preprocessing(
    size=224, resize=256, interpolation="bilinear", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)


def resolve_preprocessing(spec: ModelSpec) -> Preprocessing:
    """Find what a network expects of its input.

    In this order: what the study gives; the registry's row; timm's own data config (read without building the
    network). A factory that gives nothing gets ImageNet's usual (`IMAGENET`).

    Raises
    ------
    ValueError
        Nobody states it, or timm states what layerwise cannot do.
    """
    if spec.preprocessing is not None:
        return spec.preprocessing
    row = row_of(spec)
    if row is not None and row.preprocessing is not None:
        return row.preprocessing
    if spec.library == "timm":
        return _of_timm(spec)
    if spec.library == "factory":
        return IMAGENET
    raise ValueError(f"nothing is known of the input of {spec.constructor!r}: give `preprocessing` for {spec.name!r}")


def geometry_for(preprocessing: Preprocessing, kind: Literal["square", "crop"], canvas: float = 1.0) -> Geometry:
    """Give the part that decides pixels.

    Parameters
    ----------
    preprocessing : Preprocessing
        Of the network.
    kind : {"square", "crop"}
        "square": the whole image, its aspect not kept (neural stimuli), and bilinear whatever the network was trained
        with, as Brain-Score's loader does for all; "crop": as the network was trained, ImageNet's way in most.
    canvas : float
        Screen degrees / stimulus degrees; 1 for no canvas.
    """
    size = preprocessing.size
    if kind == "square":
        return Geometry("square", size, size, "bilinear", canvas)
    trained = "crop" if preprocessing.crop == "centre" else preprocessing.crop
    fill = _mean_colour(preprocessing) if trained == "border" else ""
    return Geometry(trained, size, preprocessing.resize, preprocessing.interpolation, canvas, fill)


def _mean_colour(preprocessing: Preprocessing) -> str:
    levels = bytes(round(255 * value / preprocessing.maximum) for value in preprocessing.mean)
    return (levels if preprocessing.channels == "RGB" else levels[::-1]).hex()


_CROPS: dict[str, "Crop"] = {"center": "centre", "squash": "squash", "border": "border"}  # timm's names and ours


def _of_timm(spec: ModelSpec) -> Preprocessing:
    import timm
    from timm.data.config import resolve_data_config

    from layerwise.models.adapters.base import unknown

    if not timm.is_model(spec.constructor):
        raise unknown("timm", spec.constructor, timm.list_models())
    resolve: Any = resolve_data_config  # untyped in timm
    stated: Any = timm.get_pretrained_cfg(spec.constructor)
    config = resolve(pretrained_cfg=stated.to_dict() if stated is not None else {})
    _, height, width = config["input_size"]
    if height != width or config["interpolation"] not in ("bilinear", "bicubic") or config["crop_mode"] not in _CROPS:
        raise ValueError(
            f"timm feeds {spec.constructor!r} with {config}; layerwise does square inputs, bilinear or bicubic: give "
            f"`preprocessing` for {spec.name!r}"
        )
    return Preprocessing(
        size=height,
        resize=math.floor(height / config["crop_pct"]),
        interpolation=cast("Interpolation", config["interpolation"]),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        crop=_CROPS[config["crop_mode"]],
    )
