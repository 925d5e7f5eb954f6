"""HDF5 where a disk is full, on which it may bring the interpreter down, or memory short, of which it says nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from numpy.typing import DTypeLike

from layerwise.files.disk import written


@contextmanager
def write_hdf5(path: str | Path, mode: Literal["w", "r+"] = "w") -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """Open an HDF5 file for writing.

    Parameters
    ----------
    path : path
        The file.
    mode : {"w", "r+"}
        Whether it is begun, or is there already.

    Yields
    ------
    h5py.File
    callable
        Raises what went wrong so far, so that long writing ends early; it is called at the end in any case.

    Raises
    ------
    OSError
        The disk is full, or cannot be written otherwise; the file is then of no use.
    """
    with written(path, "w+" if mode == "w" else "r+") as disk, h5py.File(disk, mode) as file:
        yield file, disk.check


def reserve(group: h5py.Group, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> h5py.Dataset:
    """Make a dataset whose values have their place in the file, one after another, before any is written.

    It has no time of its making, which HDF5 would write otherwise: equal content gives equal bytes.
    """
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plan.set_obj_track_times(False)
    kind, space = h5py.h5t.py_create(np.dtype(dtype)), h5py.h5s.create_simple(shape)
    return h5py.Dataset(h5py.h5d.create(group.id, name.encode(), kind, space, plan))


def reraise_filter(error: BaseException, path: str | Path) -> None:
    """Raise a MemoryError in place of a failing filter of HDF5 where memory is too short for it; else do nothing.

    HDF5 says no more of memory that runs out while it decompresses than that a filter failed, as of damage.

    Parameters
    ----------
    error : BaseException
        What was caught.
    path : path
        The file, closed.

    Raises
    ------
    MemoryError
        There is less than the largest dataset wants.
    """
    if "filter returned failure" not in str(error):
        return
    wanted: list[int] = []
    with suppress(OSError, RuntimeError), h5py.File(path, "r", locking=False) as file:
        file.visititems(lambda _, item: wanted.append(_bytes_wanted(item)))
    try:
        np.empty(max(wanted, default=0), np.uint8)
    except MemoryError:
        raise MemoryError(f"reading {path}: {max(wanted) / 1e6:,.0f} MB could not be obtained") from error


def _bytes_wanted(item: h5py.Group | h5py.Dataset) -> int:
    """Bytes of values, and of a chunk, whose place is doubled as it is decompressed."""
    if not isinstance(item, h5py.Dataset):
        return 0
    return int(item.nbytes + 3 * prod(item.chunks or (0,)) * item.dtype.itemsize)
