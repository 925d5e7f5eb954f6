"""Networks of timm."""

from functools import partial
from pathlib import Path

from torch import nn

from layerwise.interfaces import ModelSpec
from layerwise.models.adapters.base import Adapter, call_constructor, unknown


def _build(spec: ModelSpec) -> nn.Module:
    import timm

    if not timm.is_model(spec.constructor):
        raise unknown("timm", spec.constructor, timm.list_models())
    try:
        return call_constructor(partial(timm.create_model, spec.constructor), spec, pretrained=False)
    except RuntimeError as error:  # a variant of the weights, after the dot, that timm does not have
        raise ValueError(f"timm cannot build {spec.constructor!r}: {error}") from error


def _pretrained(spec: ModelSpec, folder: Path | None) -> nn.Module:
    import timm

    if not timm.is_model(spec.constructor):
        raise unknown("timm", spec.constructor, timm.list_models())
    constructor = partial(timm.create_model, spec.constructor, pretrained=True, cache_dir=folder)
    try:
        return call_constructor(constructor, spec)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"timm could not get its weights of {spec.constructor!r} ({error}). Without a network, put "
            f"them into {folder or 'the folder of weights'} as {spec.constructor}.safetensors"
        ) from error


ADAPTER = Adapter(_build, _pretrained)
