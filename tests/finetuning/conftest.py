"""What tests of fine-tuning share."""

import pytest
import torch
from small_training import Kept, divided, planted, small_settings

from layerwise.finetuning import make_fold


@pytest.fixture
def study(rng):
    """Pixels and a fold of a small study."""
    images, scores = planted(rng)
    return Kept(images), make_fold(0, scores, *divided(len(images), rng), small_settings())


@pytest.fixture
def generator(rng):
    """A generator of PyTorch with the test's seed."""
    return torch.Generator().manual_seed(int(rng.integers(2**31)))
