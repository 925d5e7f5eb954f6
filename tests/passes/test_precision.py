import pytest
import torch

from layerwise.passes.precision import exact_products, full_precision

# Names of the settings are others since PyTorch 2.9; the lock for a V100 has an older one.
NEWER = hasattr(torch.backends.cuda.matmul, "fp32_precision")
CONVOLUTION, NAME = (torch.backends.cudnn.conv, "fp32_precision") if NEWER else (torch.backends.cudnn, "allow_tf32")
TF32, EXACT = ("tf32", "ieee") if NEWER else (True, False)


def settings():
    return getattr(torch.backends.cuda.matmul, NAME), getattr(CONVOLUTION, NAME)


def choose(product, convolution):
    setattr(torch.backends.cuda.matmul, NAME, product)
    setattr(CONVOLUTION, NAME, convolution)


@pytest.mark.parametrize("before", [TF32, EXACT])
def test_full_inside_and_as_before_outside(before):
    original = settings()
    try:
        choose(before, before)
        with pytest.raises(KeyError), full_precision():
            assert settings() == (EXACT, EXACT)
            raise KeyError
        assert settings() == (before, before)
    finally:
        choose(*original)


def test_products_and_convolutions_are_set_apart():
    original = settings()
    with exact_products(tf32_convolutions=True):
        assert settings() == (EXACT, TF32)
    assert settings() == original
