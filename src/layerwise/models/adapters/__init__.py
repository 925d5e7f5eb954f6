"""The libraries that networks come from. A further one is a file with an ``ADAPTER``, and its line here."""

from layerwise.models.adapters import factory, timm, torchvision
from layerwise.models.adapters.base import Adapter

ADAPTERS: dict[str, Adapter] = {
    "factory": factory.ADAPTER,
    "timm": timm.ADAPTER,
    "torchvision": torchvision.ADAPTER,
}

__all__ = ["ADAPTERS", "Adapter"]
