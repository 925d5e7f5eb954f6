"""What tests of fine-tuning share."""

import pytest
import torch


@pytest.fixture
def generator(rng):
    """A generator of PyTorch with the test's seed."""
    return torch.Generator().manual_seed(int(rng.integers(2**31)))
