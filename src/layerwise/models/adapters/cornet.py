"""CORnets, which are written out here."""

from torch import nn

from layerwise.interfaces import ModelSpec
from layerwise.models import cornet
from layerwise.models.adapters.base import Adapter, call_constructor, nothing_official, unknown


def _build(spec: ModelSpec) -> nn.Module:
    if spec.constructor not in cornet.CONSTRUCTORS:
        raise unknown("CORnet", spec.constructor, list(cornet.CONSTRUCTORS))
    return call_constructor(cornet.CONSTRUCTORS[spec.constructor], spec)


ADAPTER = Adapter(_build, nothing_official("CORnet"))
