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
    with ExitStack() as stack:
        for owner, name, exact in _settings():
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, exact)
        yield


def _settings() -> list[tuple[Any, str, str | bool]]:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if hasattr(matmul, "fp32_precision"):
        convolution: Any = cudnn
        return [(matmul, "fp32_precision", "ieee"), (convolution.conv, "fp32_precision", "ieee")]
    return [(matmul, "allow_tf32", False), (cudnn, "allow_tf32", False)]  # before PyTorch 2.9
