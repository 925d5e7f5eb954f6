"""Symmetric matrices on disk: half of them."""

import numpy as np
from numpy.typing import NDArray


def pack(gram: NDArray[np.floating]) -> NDArray[np.float32]:
    """Keep the upper triangle, row by row.

    float32 halves the file and changes an entry by 6e-8 of itself; r moves by less than 1e-5.

    Parameters
    ----------
    gram : float array [stimulus, stimulus]
        Symmetric.

    Returns
    -------
    float32 array [stimulus * (stimulus + 1) / 2]
    """
    return np.concatenate([row[index:] for index, row in enumerate(gram)]).astype(np.float32, copy=False)


def packed_size(n_stimuli: int) -> int:
    """Give the number of entries that `pack` keeps."""
    return n_stimuli * (n_stimuli + 1) // 2


def unpack(packed: NDArray[np.float32], n_stimuli: int) -> NDArray[np.float32]:
    """Give the whole matrix back.

    Parameters
    ----------
    packed : float32 array [stimulus * (stimulus + 1) / 2]
        From `pack`.
    n_stimuli : int
        Number of stimuli.

    Returns
    -------
    float32 array [stimulus, stimulus]
        Exactly symmetric.
    """
    full = np.empty((n_stimuli, n_stimuli), dtype=np.float32)
    start = 0
    for index in range(n_stimuli):
        row = packed[start : start + n_stimuli - index]
        full[index, index:] = row
        full[index:, index] = row
        start += len(row)
    return full
