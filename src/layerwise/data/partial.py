"""Pixels on their way to a file: what a stopped run decoded is kept, checked and resumed.

The pixels lie in an HDF5 file whose structure is complete, and has its checksum, before the first of them is written,
so a process that is killed cannot leave a broken one. A journal beside it holds a line for each image: where it
belongs, and the hashes of its file and of its pixels. Only what still has these hashes is reused.
"""

import hashlib
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np
from numpy.typing import NDArray

from layerwise.files import DamagedError, Extent, Resumable, find_damage, hash_file, seal
from layerwise.files.hdf5 import reserve, write_hdf5
from layerwise.interfaces import StoppedError

_TOGETHER = 64  # images between two times that buffers are written out


@dataclass(frozen=True)
class Digest:
    """Hashes of an image file and of its pixels, and the CRC-32 of these, which is quicker to compare."""

    file: str
    pixels: str
    checksum: int


class PartialPixels:
    """Pixels of a set of images, as far as they are there.

    Leaving the block by an error removes them; being stopped (Ctrl-C, a kill) keeps them for the next run.

    Parameters
    ----------
    target : Path
        The file that they are to become.
    shape : tuple of int
        Images, height, width and channels.
    key : str
        Stands for everything that decides the pixels; what was begun under another key is begun anew.

    Raises
    ------
    OSError
        The disk is full.
    """

    def __init__(self, target: Path, shape: tuple[int, ...], key: str) -> None:
        self.target, self.shape = target, shape
        self.path, self.journal = _hidden(target)
        self.digests: dict[int, Digest] = {}
        self._bytes = int(np.prod(shape[1:]))
        if not Resumable(self.path, key, "starting from the first image").take_up(self._read):
            self._begin(key)
        with h5py.File(self.path, "r", locking=False) as file:
            self._offset = int(file["pixels"].id.get_offset())

    @property
    def _extent(self) -> Extent:
        return self._offset, self._offset + self.shape[0] * self._bytes

    def __enter__(self) -> Self:
        self._pixels, self._lines = self.path.open("r+b"), self.journal.open("a", encoding="ascii")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for file in (self._pixels, self._lines):
                file.close()
        except OSError:  # what was buffered could not be written
            self._remove()
            raise
        if kind is not None and issubclass(kind, Exception) and not issubclass(kind, StoppedError):
            self._remove()

    def take_over(self, paths: Sequence[Path]) -> list[int]:
        """Keep the images that an earlier run decoded from the same files.

        Parameters
        ----------
        paths : sequence of Path
            All image files.

        Returns
        -------
        list of int
            Places of those that are to be decoded.
        """
        for line in self.journal.read_text(encoding="ascii").splitlines()[1:]:
            place, _, hashes = line.partition(" ")
            file, _, pixels = hashes.partition(" ")
            if not place.isdecimal() or int(place) >= len(paths):
                continue  # a line that was cut as it was written
            found = self._held(int(place), paths[int(place)])
            if found is not None and (found.file, found.pixels) == (file, pixels):
                self.digests[int(place)] = found
        return [place for place in range(len(paths)) if place not in self.digests]

    def add(self, place: int, image: NDArray[np.uint8], file: str) -> None:
        """Write the pixels of one image, and the hash of its file."""
        data = image.tobytes()
        digest = _digest(file, data)
        self._pixels.seek(self._offset + place * self._bytes)
        self._pixels.write(data)
        self._lines.write(f"{place} {digest.file} {digest.pixels}\n")
        self.digests[place] = digest
        if len(self.digests) % _TOGETHER == 0:
            self.settle()

    def seal(self) -> None:
        """Checksum all but the pixels, after something was written beside them."""
        seal(self.path, [self._extent])

    def finish(self) -> None:
        """Make the pixels the target; all else that belongs into the file must be in `self.path` by now, and sealed."""
        self.settle()
        os.fsync(self._pixels.fileno())
        self.path.replace(self.target)
        self.journal.unlink(missing_ok=True)

    def settle(self) -> None:
        """Write out what is buffered."""
        self._pixels.flush()  # before the lines that confirm them
        self._lines.flush()

    def _read(self) -> tuple[str, Callable[[], bool]]:
        damage = find_damage(self.path)
        if damage:
            raise DamagedError(damage)
        return self.journal.read_text(encoding="ascii").partition("\n")[0], self._check

    def _check(self) -> bool:
        with h5py.File(self.path, "r", locking=False) as file:
            pixels = file["pixels"]
            if pixels.shape != self.shape or pixels.id.get_offset() is None:
                raise DamagedError("is damaged (it has no place for these images)")
        return True

    def _begin(self, key: str) -> None:
        self._remove()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with write_hdf5(self.path) as (file, _):
                # Contiguous, so that readers need no HDF5 library: they read bytes at an offset.
                self._offset = int(reserve(file, "pixels", self.shape, np.uint8).id.get_offset())
            self.seal()
            self.journal.write_text(f"{key}\n", encoding="ascii")
        except Exception:
            self._remove()
            raise

    def _held(self, place: int, path: Path) -> Digest | None:
        """Hash an image file, and what lies in its place: of no file None."""
        if not path.is_file():
            return None
        data = np.fromfile(self.path, np.uint8, self._bytes, offset=self._offset + place * self._bytes)
        return _digest(hash_file(path), data.tobytes())

    def _remove(self) -> None:
        remove_partial(self.target)


def remove_partial(target: Path) -> None:
    """Remove what a run left that was killed on its way to a file, be it just after the file was there."""
    pixels, journal = _hidden(target)
    pixels.unlink(missing_ok=True)
    journal.unlink(missing_ok=True)


def _hidden(target: Path) -> tuple[Path, Path]:
    """Return where the pixels and the journal lie until the file is there."""
    name = f".{target.stem}-partial"
    return target.with_name(f"{name}{target.suffix}"), target.with_name(f"{name}.journal")


def _digest(file: str, data: bytes) -> Digest:
    return Digest(file, hashlib.sha256(data).hexdigest(), zlib.crc32(data))
