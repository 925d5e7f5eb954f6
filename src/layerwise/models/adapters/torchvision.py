"""Networks of torchvision."""

from functools import partial
from pathlib import Path

from torch import nn

from layerwise.interfaces import ModelSpec
from layerwise.models.adapters.base import Adapter, call_constructor, unknown


def _build(spec: ModelSpec) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if spec.constructor not in known:
        raise unknown("torchvision", spec.constructor, known)
    return call_constructor(partial(models.get_model, spec.constructor), spec, weights=None)


def _pretrained(spec: ModelSpec, folder: Path | None) -> nn.Module:
    del folder
    raise ValueError(
        f"no verified weights are known for torchvision's {spec.constructor!r}: "
        "give the path of a file, or `random`"
    )


ADAPTER = Adapter(_build, _pretrained)
