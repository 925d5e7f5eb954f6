"""Networks of timm."""

from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from layerwise.files import reraise_memory
from layerwise.interfaces import ModelSpec
from layerwise.models.adapters.base import Adapter, Transform, call_constructor, unknown

LOADING = ("pretrained", "checkpoint_path")


def _build(spec: ModelSpec) -> nn.Module:
    import timm

    if not timm.is_model(spec.constructor):
        raise unknown("timm", spec.constructor, timm.list_models())
    trained = [name for name in LOADING if name in spec.options]
    if trained:
        raise ValueError(
            f"{' and '.join(trained)} in the options of {spec.name!r} loads weights: give `weights` instead"
        )
    try:
        return call_constructor(partial(timm.create_model, spec.constructor), spec, pretrained=False)
    except RuntimeError as error:  # a variant of the weights, after the dot, that timm does not have
        reraise_memory(error, f"building {spec.constructor}")
        raise ValueError(f"timm cannot build {spec.constructor!r}: {error}") from error


def _pretrained(spec: ModelSpec, folder: Path | None) -> nn.Module:
    import timm

    if not timm.is_model(spec.constructor):
        raise unknown("timm", spec.constructor, timm.list_models())
    constructor = partial(timm.create_model, spec.constructor, pretrained=True, cache_dir=folder)
    try:
        return call_constructor(constructor, spec)
    except (OSError, RuntimeError) as error:
        reraise_memory(error, f"building {spec.constructor}")
        raise ValueError(
            f"timm could not get its weights of {spec.constructor!r} ({error}). Without a network, put "
            f"them into {folder or 'the folder of weights'} as {spec.constructor}.safetensors"
        ) from error


def _transform(constructor: str) -> Transform:
    import timm
    from timm.data.config import resolve_data_config
    from timm.data.transforms_factory import create_transform

    resolve: Any = resolve_data_config  # untyped in timm
    stated: Any = timm.get_pretrained_cfg(constructor)
    config = resolve(pretrained_cfg=stated.to_dict() if stated is not None else {})
    transform: Transform = create_transform(**config, is_training=False)
    return transform


ADAPTER = Adapter(_build, _pretrained, transform=_transform)
