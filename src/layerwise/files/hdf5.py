"""HDF5 where a disk is full, on which it may bring the interpreter down, or memory short, of which it says nothing."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import Literal

import h5py
import numpy as np


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
    with io.FileIO(path, "w+" if mode == "w" else "r+") as raw:
        disk = _Disk(raw, path)
        try:
            with h5py.File(disk, mode) as file:
                yield file, disk.check
        except Exception:
            disk.check()  # the rest came of it
            raise
        disk.check()


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


class _Disk(io.RawIOBase):
    """A file to which HDF5 writes as if that never failed; the first failure is kept, and what follows is lost."""

    def __init__(self, file: io.FileIO, path: str | Path) -> None:
        self._file, self._path, self._failure = file, path, OSError()

    def check(self) -> None:
        """Raise the failure, if there was one."""
        if self._failure.errno is not None:
            raise OSError(self._failure.errno, self._failure.strerror, str(self._path))

    def write(self, data: "memoryview[int]") -> int:  # type: ignore[override]
        """Write all of the data, or none of what follows."""
        left = memoryview(data).cast("B")
        while left and self._failure.errno is None:
            try:
                left = left[self._file.write(left) :]
            except OSError as error:
                self._failure = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Set the length of the file."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._failure = self._failure if self._failure.errno is not None else error
            return size or 0

    def readinto(self, buffer: "memoryview[int]") -> int | None:  # type: ignore[override]
        """Read."""
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()
