"""Generators of random numbers that no seed of a step sets: a CUDA graph would draw from them once and for all."""

import gc
import pickle
import random

import numpy as np
import torch

Generator = random.Random | np.random.BitGenerator


def find_generators() -> list[Generator]:
    """Find all generators of Python and of NumPy, a network's own too: no seed of a step sets them."""
    return [one for one in gc.get_objects() if issubclass(type(one), Generator)]


def state_of(generator: Generator) -> bytes:
    """Return all that decides what a generator draws next; nothing where it draws from the system."""
    try:
        return pickle.dumps(generator.getstate() if isinstance(generator, random.Random) else generator.state)
    except NotImplementedError:
        return b""


def host_has_drawn(seed: int) -> bool:
    """Return whether anything was drawn from PyTorch's generator of the processor since it was given a seed."""
    fresh = torch.Generator().manual_seed(seed).get_state()
    return not torch.equal(torch.default_generator.get_state(), fresh)
