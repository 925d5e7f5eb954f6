"""What a network expects of its input, and how its pictures must be cut."""

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from layerwise.interfaces import Geometry, ModelSpec, Preprocessing
from layerwise.models.registry import row_of

if TYPE_CHECKING:
    from layerwise.interfaces.images import Crop, Interpolation

IMAGENET = Preprocessing(
    size=224, resize=256, interpolation="bilinear", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)


_FIELDS = frozenset(field.name for field in fields(Preprocessing))


def resolve_preprocessing(spec: ModelSpec) -> Preprocessing:
    """Find what a network expects of its input.

    In this order, field by field: what the study gives; the registry's row; timm's own data config (read without
    building the network). A factory that gives nothing gets ImageNet's usual (`IMAGENET`), and one that gives
    its size alone as much of an image as is usual. A size that the options of the constructor set is that of the input.

    Raises
    ------
    ValueError
        Nobody states it, timm states what layerwise cannot do, or what is given contradicts itself.
    """
    given = spec.preprocessing
    if isinstance(given, Preprocessing):
        return given
    given = dict(given or {})
    found = Preprocessing(**given) if given.keys() >= _FIELDS else replace(_stated(spec, given), **given)
    if found.resize < found.size and found.crop != "border":
        raise ValueError(
            f"the images of {spec.name!r} would be resized to {found.resize} pixels, and {found.size} be cropped from "
            "that: nothing is left to crop; give `resize` in its `preprocessing`, no smaller than `size`"
        )
    return found


def states_itself(spec: ModelSpec) -> bool:
    """Return whether what a network expects is known without its library."""
    return spec.library != "timm" or row_of(spec) is not None


def _stated(spec: ModelSpec, given: Mapping[str, Any]) -> Preprocessing:
    """Return what the library states of the fields that are not given."""
    row = row_of(spec)
    if row is not None and row.preprocessing is not None:
        return _with_option(row.preprocessing, spec)
    if spec.library == "timm":
        return _of_timm(spec, given)
    if spec.library == "factory":
        return _usual(given.get("size"))
    raise ValueError(f"the input of {spec.constructor!r} is not known: give `preprocessing` for {spec.name!r}")


def _usual(size: int | None) -> Preprocessing:
    """Return ImageNet's usual for a size: of 256 pixels, 48 would show no more than a detail of the image."""
    return IMAGENET if size is None else replace(IMAGENET, size=size, resize=usual_resize(size))


def usual_resize(size: int) -> int:
    """Return from how many pixels a square is usually cropped: 256 for 224."""
    return round(size * IMAGENET.resize / IMAGENET.size)


def _with_option(stated: Preprocessing, spec: ModelSpec) -> Preprocessing:
    # Its convolutions are padded for images of this size, and its users resize to the size alone.
    size = spec.options.get("image_size") if spec.library == "efficientnet_pytorch" else None
    return replace(stated, size=size, resize=size) if isinstance(size, int) else stated


def geometry_for(preprocessing: Preprocessing, kind: Literal["square", "crop"], canvas: float = 1.0) -> Geometry:
    """Return the part that decides pixels.

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


def geometry_to_crop_from(preprocessing: Preprocessing, kind: Literal["square", "crop"]) -> Geometry:
    """Return the pixels of squares from which a network that is trained on is shown crops.

    They are as large as its images were before they were cropped. Where a network wants them no larger than its input,
    so that nothing would be left to crop at random, they are larger by as much as is usual: 256 for 224.

    Parameters
    ----------
    preprocessing : Preprocessing
        Of the network.
    kind : {"square", "crop"}
        As in `geometry_for`.
    """
    size, resize = preprocessing.size, preprocessing.resize
    side = resize if resize > size else usual_resize(size)
    return geometry_for(replace(preprocessing, size=side, resize=side), kind)


def _mean_colour(preprocessing: Preprocessing) -> str:
    levels = bytes(round(255 * value / preprocessing.maximum) for value in preprocessing.mean)
    return (levels if preprocessing.channels == "RGB" else levels[::-1]).hex()


_CROPS: dict[str, "Crop"] = {"center": "centre", "squash": "squash", "border": "border"}  # timm's names and ours


def _of_timm(spec: ModelSpec, given: Mapping[str, Any]) -> Preprocessing:
    import timm
    from timm.data.config import resolve_data_config

    from layerwise.models.adapters.base import unknown

    if not timm.is_model(spec.constructor):
        raise unknown("timm", spec.constructor, timm.list_models())
    resolve: Any = resolve_data_config  # untyped in timm
    config = resolve(_sides(spec, given), pretrained_cfg=_config_of_timm(spec))
    _, height, width = config["input_size"]
    impossible = {
        "size": height != width,
        "interpolation": config["interpolation"] not in ("bilinear", "bicubic"),
        "crop": config["crop_mode"] not in _CROPS,
    }
    lacking = [field for field, wrong in impossible.items() if wrong and field not in given]
    if lacking:
        raise ValueError(
            f"timm feeds {spec.constructor!r} with {config}; layerwise does square inputs, bilinear or bicubic: give "
            f"`preprocessing` for {spec.name!r}, with {' and '.join(lacking)}"
        )
    return Preprocessing(
        size=height,
        resize=math.floor(height / config["crop_pct"]),
        interpolation=cast("Interpolation", config["interpolation"]),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        crop=_CROPS.get(config["crop_mode"], "centre"),
    )


def _sides(spec: ModelSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the size that is given, or that the network is built for, as timm's own commands pass it on."""
    size = given.get("size") or spec.options.get("img_size")
    if isinstance(size, int):
        return {"img_size": size}
    return {"input_size": (3, *size)} if isinstance(size, list | tuple) and len(size) == 2 else {}


def _config_of_timm(spec: ModelSpec) -> dict[str, Any]:
    import timm

    try:
        stated: Any = timm.get_pretrained_cfg(spec.constructor)
    except RuntimeError as error:  # a variant of the weights, after the dot, that timm does not have
        name, _, tag = spec.constructor.partition(".")
        known = timm.list_pretrained(f"{name}.*") or [name]
        raise ValueError(f"timm has no weights {tag!r} of {name!r}: it has {', '.join(known)}") from error
    return stated.to_dict() if stated is not None else {}
