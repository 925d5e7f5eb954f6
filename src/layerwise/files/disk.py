"""A file for libraries that hide why it could not be written, or break down over it: what went wrong first is kept."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal


@contextmanager
def written(path: str | Path, mode: Literal["w+", "r+"] = "w+") -> Iterator["Disk"]:
    """Open a file for such a library.

    Raises
    ------
    OSError
        The disk is full, or cannot be written otherwise; the file is then of no use.
    """
    with io.FileIO(path, mode) as raw:
        disk = Disk(raw, path)
        try:
            yield disk
        except Exception:
            disk.check()  # the rest came of it
            raise
        disk.check()


class Disk(io.RawIOBase):
    """A file to which a library writes as if that never failed; the first failure is kept, and what follows is lost.

    Parameters
    ----------
    file : FileIO
        The file, open.
    path : path
        Where it is, for the message.
    """

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

    def fileno(self) -> int:
        """Return the number of the file."""
        return self._file.fileno()

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()
