"""Symmetric matrices on disk: half of them, and what is kept behind one."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def packed_size(n_stimuli: int) -> int:
    """Return the number of entries of an upper triangle with its diagonal."""
    return n_stimuli * (n_stimuli + 1) // 2


def kept_size(n_stimuli: int) -> int:
    """Return the number of values that are kept of a large layer: its packed Gram matrix, and two of each stimulus."""
    return packed_size(n_stimuli) + 2 * n_stimuli


def unpack(packed: NDArray[np.float64], n_stimuli: int, device: str = "cpu") -> "Tensor":
    """Return the whole matrix.

    Parameters
    ----------
    packed : float64 array [stimulus * (stimulus + 1) / 2]
        Its upper triangle, row by row.
    n_stimuli : int
        Number of stimuli.
    device : str
        Where to: half as much is brought to a GPU.

    Returns
    -------
    float64 tensor [stimulus, stimulus]
        Exactly symmetric.
    """
    import torch  # here, since a store is also opened where no matrix is wanted

    values = torch.as_tensor(packed).to(device)
    full = values.new_zeros(n_stimuli, n_stimuli)
    upper = torch.ones(n_stimuli, n_stimuli, dtype=torch.bool, device=device).triu_()
    full.masked_scatter_(upper, values)
    return full.add_(full.triu(1).T)
