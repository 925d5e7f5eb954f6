"""Networks of EfficientNet-PyTorch 0.7.1; docs/networks.md says why of this version."""

from functools import partial

from torch import nn

from layerwise.interfaces import ModelSpec
from layerwise.models.adapters.base import (
    Adapter,
    Transform,
    call_constructor,
    nothing_official,
    unknown,
    usual_transform,
)


def _build(spec: ModelSpec) -> nn.Module:
    from efficientnet_pytorch import VALID_MODELS, EfficientNet

    if spec.constructor not in VALID_MODELS:
        raise unknown("efficientnet_pytorch", spec.constructor, list(VALID_MODELS))
    return call_constructor(partial(EfficientNet.from_name, spec.constructor), spec)


def _transform(constructor: str) -> Transform:
    from efficientnet_pytorch import EfficientNet

    size = EfficientNet.get_image_size(constructor)
    return usual_transform(size, size, "bicubic")  # as the library's example of an evaluation does


ADAPTER = Adapter(_build, nothing_official("efficientnet_pytorch"), transform=_transform, documented=True)
