import pytest
import torch

from layerwise.passes.precision import exact_products, full_precision


def settings():
    return torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision


@pytest.mark.skipif(not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="before PyTorch 2.9")
@pytest.mark.parametrize("before", ["tf32", "ieee"])
def test_full_inside_and_as_before_outside(before):
    original = settings()
    try:
        torch.backends.cuda.matmul.fp32_precision = before
        torch.backends.cudnn.conv.fp32_precision = before
        with pytest.raises(KeyError), full_precision():
            assert settings() == ("ieee", "ieee")
            raise KeyError
        assert settings() == (before, before)
    finally:
        torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision = original


@pytest.mark.skipif(not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="before PyTorch 2.9")
def test_products_and_convolutions_are_set_apart():
    original = settings()
    with exact_products(tf32_convolutions=True):
        assert settings() == ("ieee", "tf32")
    assert settings() == original
