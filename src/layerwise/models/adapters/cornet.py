"""CORnets, which are written out here."""

from torch import nn

from layerwise.interfaces import ModelSpec
from layerwise.models import cornet
from layerwise.models.adapters.base import (
    Adapter,
    Transform,
    call_constructor,
    nothing_official,
    unknown,
    usual_transform,
)


def _build(spec: ModelSpec) -> nn.Module:
    if spec.constructor not in cornet.CONSTRUCTORS:
        raise unknown("CORnet", spec.constructor, list(cornet.CONSTRUCTORS))
    return call_constructor(cornet.CONSTRUCTORS[spec.constructor], spec)


def _transform(constructor: str) -> Transform:
    del constructor
    return usual_transform(256, 224, "bilinear")


ADAPTER = Adapter(_build, nothing_official("CORnet"), transform=_transform, documented=True)
