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


def read_texts(path: Path, name: str) -> list[str]:
    """Read a list of texts, which MATLAB keeps as a cell array of them or as rows of characters; of any version.

    Raises
    ------
    ValueError
        The file is broken, or holds no such list.
    """
    with _damage_told():
        found = _texts_of_hdf5(path, name) if h5py.is_hdf5(path) else _texts_of_old(path, name)
    if found is None:
        raise ValueError(f"{path} has no cell array of texts {name!r}: save the names so (`cellstr`), not as strings")
    return [text.strip() for text in found]


def _texts_of_old(path: Path, name: str) -> list[str] | None:
    found = scipy.io.loadmat(path, variable_names=[name]).get(name)
    if found is None or found.dtype.kind not in "OU":
        return None
    cells = [np.ravel(np.asarray(cell)).tolist() for cell in np.ravel(found, order="F").tolist()]
    return [cell[0] for cell in cells] if all(len(cell) == 1 and isinstance(cell[0], str) for cell in cells) else None


def _texts_of_hdf5(path: Path, name: str) -> list[str] | None:
    with h5py.File(path, "r", locking=False) as file:
        if name not in file or not isinstance(file[name], h5py.Dataset):
            return None
        cells, kind = file[name], _class_of(file[name])
        if kind == "char":  # the rows of characters are columns here
            return ["".join(map(chr, row)) for row in np.atleast_2d(cells[()].T).tolist()]
        if kind != "cell":
            return None
        inner = [file[reference] for reference in np.ravel(cells[()]).tolist()]
        if any(_class_of(text) != "char" for text in inner):
            return None
        return ["".join(map(chr, np.ravel(text[()]).tolist())) for text in inner]


def _class_of(dataset: h5py.Dataset) -> str:
    kind = dataset.attrs.get("MATLAB_class", b"")
    return kind.decode() if isinstance(kind, bytes) else str(kind)


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
