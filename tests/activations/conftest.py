"""Images come from tests/fixtures."""

import pytest
from drawn_images import draw
from rated_study import one_thread

from layerwise.interfaces import Preprocessing

__all__ = ["draw", "one_thread"]


@pytest.fixture
def preprocessing():
    return Preprocessing(64, 64, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture
def attributes():
    return {"model": "mine", "weights": "a", "code": "b"}
