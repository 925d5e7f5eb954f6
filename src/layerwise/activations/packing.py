"""Symmetric matrices on disk: half of them."""

import numpy as np
from numpy.typing import NDArray


def packed_size(n_stimuli: int) -> int:
    """Give the number of entries of an upper triangle with its diagonal."""
    return n_stimuli * (n_stimuli + 1) // 2


def unpack(packed: NDArray[np.float64], n_stimuli: int) -> NDArray[np.float64]:
    """Give the whole matrix back.

    Parameters
    ----------
    packed : float64 array [stimulus * (stimulus + 1) / 2]
        Its upper triangle, row by row.
    n_stimuli : int
        Number of stimuli.

    Returns
    -------
    float64 array [stimulus, stimulus]
        Exactly symmetric.
    """
    full = np.empty((n_stimuli, n_stimuli), dtype=np.float64)
    start = 0
    for index in range(n_stimuli):
        row = packed[start : start + n_stimuli - index]
        full[index, index:] = row
        full[index:, index] = row
        start += len(row)
    return full
