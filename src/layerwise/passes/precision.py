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
        for owner, name, value in _settings(tf32_convolutions):
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
        yield


def _settings(tf32_convolutions: bool) -> list[tuple[Any, str, str | bool]]:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if hasattr(matmul, "fp32_precision"):
        convolution: Any = cudnn
        chosen = "tf32" if tf32_convolutions else "ieee"
        return [(matmul, "fp32_precision", "ieee"), (convolution.conv, "fp32_precision", chosen)]
    return [(matmul, "allow_tf32", False), (cudnn, "allow_tf32", tf32_convolutions)]  # before PyTorch 2.9
