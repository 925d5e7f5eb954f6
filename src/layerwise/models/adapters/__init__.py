"""The libraries that networks come from. A further one is a file with an ``ADAPTER``, and its line here."""

from layerwise.models.adapters import (
    cornet,
    efficientnet_pytorch,
    factory,
    pretrainedmodels,
    timm,
    torchvision,
)
from layerwise.models.adapters.base import Adapter

ADAPTERS: dict[str, Adapter] = {
    "cornet": cornet.ADAPTER,
    "efficientnet_pytorch": efficientnet_pytorch.ADAPTER,
    "factory": factory.ADAPTER,
    "pretrainedmodels": pretrainedmodels.ADAPTER,
    "timm": timm.ADAPTER,
    "torchvision": torchvision.ADAPTER,
}

__all__ = ["ADAPTERS", "Adapter"]
