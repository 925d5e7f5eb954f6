"""Pixels on their way to a file: what a run decoded before it was stopped is kept, checked and gone on with.

The pixels lie in an HDF5 file whose structure is complete before the first of them is written, so a process that is
killed cannot leave a broken one. A journal beside it holds a line for each image: where it belongs, and the hashes of
its file and of its pixels. Nothing is taken over that does not have these hashes still.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np
from numpy.typing import NDArray

from layerwise.files import hash_file, reraise_memory

_TOGETHER = 64  # images between two times that buffers are written out


@dataclass(frozen=True)
class Digest:
    """Hashes of an image file and of its pixels."""

    file: str
    pixels: str


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
        self.path = target.with_name(f".{target.stem}-partial{target.suffix}")
        self.journal = target.with_name(f".{target.stem}-partial.journal")
        self.digests: dict[int, Digest] = {}
        self._bytes = int(np.prod(shape[1:]))
        if not self._is_of(key):
            self._begin(key)
        with h5py.File(self.path, "r", locking=False) as file:
            self._offset = int(file["pixels"].id.get_offset())

    def __enter__(self) -> Self:
        self._pixels, self._lines = self.path.open("r+b"), self.journal.open("a", encoding="ascii")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._pixels, self._lines):
            file.close()
        if kind is not None and issubclass(kind, Exception):
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
            found = Digest(file, pixels)
            if self._holds(int(place), paths[int(place)], found):
                self.digests[int(place)] = found
        return [place for place in range(len(paths)) if place not in self.digests]

    def add(self, place: int, image: NDArray[np.uint8], file: str) -> None:
        """Write the pixels of one image, and the hash of its file."""
        data = image.tobytes()
        digest = Digest(file, hashlib.sha256(data).hexdigest())
        self._pixels.seek(self._offset + place * self._bytes)
        self._pixels.write(data)
        self._lines.write(f"{place} {digest.file} {digest.pixels}\n")
        self.digests[place] = digest
        if len(self.digests) % _TOGETHER == 0:
            self.settle()

    def finish(self) -> None:
        """Make the pixels the target; all else that belongs into the file must be in `self.path` by now."""
        self.settle()
        os.fsync(self._pixels.fileno())
        self.path.replace(self.target)
        self.journal.unlink(missing_ok=True)

    def settle(self) -> None:
        """Write out what is buffered."""
        self._pixels.flush()  # before the lines that vouch for them
        self._lines.flush()

    def _is_of(self, key: str) -> bool:
        try:
            known = self.journal.read_text(encoding="ascii").partition("\n")[0] == key
            with h5py.File(self.path, "r", locking=False) as file:
                pixels = file["pixels"]
                return known and pixels.shape == self.shape and pixels.id.get_offset() is not None
        except (OSError, LookupError, UnicodeError, AttributeError) as error:
            reraise_memory(error, f"reading {self.path}")
            return False

    def _begin(self, key: str) -> None:
        self._remove()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        try:
            with h5py.File(self.path, "w") as file:
                # Contiguous, so that readers need no HDF5 library: they read bytes at an offset.
                space = h5py.h5s.create_simple(self.shape)
                h5py.h5d.create(file.id, b"pixels", h5py.h5t.STD_U8LE, space, plan)
        except Exception:
            self._remove()
            raise
        self.journal.write_text(f"{key}\n", encoding="ascii")

    def _holds(self, place: int, path: Path, expected: Digest) -> bool:
        if not path.is_file() or hash_file(path) != expected.file:
            return False
        data = np.fromfile(self.path, np.uint8, self._bytes, offset=self._offset + place * self._bytes)
        return hashlib.sha256(data.tobytes()).hexdigest() == expected.pixels

    def _remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.journal.unlink(missing_ok=True)
