"""The device comes from tests/fixtures."""

from rated_study import device

__all__ = ["device"]
