"""Arithmetic of the GPU."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch


@contextmanager
def full_precision() -> Iterator[None]:
    """Keep 32-bit products at 32 bits: TF32 has ten bits of mantissa, and would move r by about 3e-4.

    The settings are put back afterwards.
    """
    with exact_products(tf32_convolutions=False):
        yield


@contextmanager
def exact_products(tf32_convolutions: bool) -> Iterator[None]:
    """Keep matrix products at 32 bits, and let convolutions use TF32 or not.

    The settings are put back afterwards.
    """
    with ExitStack() as stack:
        for owner, name, value in rounding(False, tf32_convolutions):
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
        yield


def rounding(tf32_products: bool, tf32_convolutions: bool) -> list[tuple[Any, str, str | bool]]:
    """Return what decides whether a GPU rounds the factors of 32-bit products to TF32: owner, attribute, value."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if hasattr(matmul, "fp32_precision"):
        names = ["tf32" if chosen else "ieee" for chosen in (tf32_products, tf32_convolutions)]
        convolution: Any = cudnn
        return [(matmul, "fp32_precision", names[0]), (convolution.conv, "fp32_precision", names[1])]
    return [(matmul, "allow_tf32", tf32_products), (cudnn, "allow_tf32", tf32_convolutions)]  # before PyTorch 2.9
