"""A network of a user's own, small enough to run anywhere."""

import torch
from torch import Tensor, nn


def build(channels: int = 8) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, stride=2, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * channels, 30),
    )


class OfBatch(nn.Module):
    """Takes the mean over a batch away, also when it predicts."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


def build_softmax() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 30), nn.Softmax(1))


def build_mixing() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), OfBatch(), nn.Flatten(), nn.Linear(12, 30))


class Explodes(nn.Module):
    """Makes a white image infinite while it learns."""

    def forward(self, x: Tensor) -> Tensor:
        white = x.amin((1, 2, 3), keepdim=True) > 2
        return torch.where(white & self.training, float("inf"), x)


def build_exploding() -> nn.Module:
    return nn.Sequential(Explodes(), *build())
