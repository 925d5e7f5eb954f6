"""A network through `torch.compile`, which fuses the many small operations of a step into fewer kernels.

It takes a minute or several, so that it is worth its time where training lasts (benchmarks/finetuning.md).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
import torch._dynamo.config as dynamo
from torch import Tensor, nn

from layerwise.interfaces.finetuning import FinetuneSettings

Forward = Callable[[Tensor], Tensor]
MOST = 64  # compilations of one piece of code


def compile_network(network: nn.Module) -> Forward:
    """Return the forward pass of a network, compiled at its first call for the shape it is given.

    Dropout and its like draw what they draw without compilation.
    """
    forward: Forward = torch.compile(network, dynamic=False, options={"fallback_random": True})
    return forward


def compiled_whole() -> AbstractContextManager[None]:
    """Let a network be compiled whole or not at all: PyTorch runs what it compiled too often as it is, and goes on."""
    patch: AbstractContextManager[None] = dynamo.patch(recompile_limit=MOST, fail_on_recompile_limit_hit=True)
    return patch


def as_before(settings: FinetuneSettings, compiled: bool) -> FinetuneSettings:
    """Return settings without a trial, with what an earlier one found."""
    return replace(settings, compile="always" if compiled else "never")
