"""Arrays in MATLAB's files, with their dimensions in MATLAB's order.

Files of version 7.3 are HDF5, in which MATLAB writes the dimensions of an array the other way round. SciPy reads older
ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import scipy.io
import scipy.sparse
from numpy.typing import NDArray

from layerwise.files import reraise_memory

_NUMBERS = ("double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))


def names_in(path: Path) -> list[str]:
    """List the arrays of numbers in a file of version 7 or older.

    Raises
    ------
    ValueError
        The file is truncated, or none of MATLAB's.
    """
    with _damage_told():
        return [name for name, _, kind in scipy.io.whosmat(path) if kind in (*_NUMBERS, "sparse")]


def read_matlab(path: Path, name: str) -> NDArray[np.generic]:
    """Read an array from a file of version 7 or older.

    Raises
    ------
    ValueError
        The file is truncated, or none of MATLAB's.
    """
    with _damage_told():
        found = scipy.io.loadmat(path, variable_names=[name])[name]
        return np.asarray(found.toarray() if scipy.sparse.issparse(found) else found)


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # SciPy's reader raises nearly anything on broken files
        reraise_memory(error, "reading a file of MATLAB")
        raise ValueError(f"it is truncated, or none of MATLAB's ({error}): copy it again") from error


def in_written_order(dataset: h5py.Dataset, path: Path) -> NDArray[np.generic]:
    """Read a dataset of HDF5, with the dimensions of an array that MATLAB wrote turned back.

    Parameters
    ----------
    dataset : h5py.Dataset
        MATLAB gives each of its own an attribute `MATLAB_class`.
    path : Path
        Its file.

    Raises
    ------
    ValueError
        It is of a class other than numbers; or the file ends in .mat and does not say that MATLAB wrote it, so that the
        order of its dimensions is not known.
    """
    values, kind = np.asarray(dataset[()]), dataset.attrs.get("MATLAB_class")
    if kind is None:
        if path.suffix.lower() == ".mat":
            raise ValueError(
                f"the array {dataset.name} has no attribute MATLAB_class, so that the order of its dimensions is not "
                "known: give the file the ending .h5 if another program wrote it, in the order in which h5py reads it"
            )
        return values
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if kind not in _NUMBERS:
        raise ValueError(f"the array {dataset.name} is of MATLAB's class {kind}: save it as an array of numbers")
    return values.T
