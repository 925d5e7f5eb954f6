"""Where the rows of all images lie until their layers are scored: on a GPU, or in a file."""

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerwise.files import DamagedError, Extent, Resumable, checksum, find_damage, seal, writable
from layerwise.files.hdf5 import reserve, write_hdf5
from layerwise.sketching.layer import LayerRows

log = logging.getLogger(__name__)

TYPES: dict[torch.dtype, type[np.floating]] = {torch.float32: np.float32, torch.float16: np.float16}
KEPT = {kind: dtype for dtype, kind in TYPES.items()}
# What rows become for the regression: rounding of a sketch hides that of float32 products, and kept units lose nothing.
SOLVED: dict[torch.dtype, torch.dtype] = {torch.float32: torch.float64, torch.float16: torch.float32}
READ_AT_ONCE = 1024  # rows read from the file in one piece


class Rows(Protocol):
    """Rows of all images, filled in their order."""

    @property
    def done(self) -> int:
        """Images whose rows are there."""
        ...

    def begin(self, layers: Sequence[LayerRows]) -> None:
        """Note the layers' shifts and scales, once they are known."""
        ...

    def append(self, layers: Sequence[LayerRows], count: int) -> None:
        """Add the first `count` rows of the layers' batches."""
        ...

    def settle(self) -> bool:
        """Bring what there is to where another run finds it; False if it ends with this one."""
        ...

    def read(self, index: int) -> Tensor:
        """Return a copy of all rows of a layer, in the type in which they are solved: [image, number]."""
        ...

    def close(self) -> None:
        """Remove what was kept."""
        ...


class MemoryRows:
    """Rows in the memory of the device."""

    def __init__(self, layers: Sequence[LayerRows], n_images: int) -> None:
        self.done = 0
        self._values = [layer.batch.new_empty(n_images, layer.batch.shape[1]) for layer in layers]

    def begin(self, layers: Sequence[LayerRows]) -> None:
        """Do nothing: the layers themselves last as long."""

    def append(self, layers: Sequence[LayerRows], count: int) -> None:
        """Add the first `count` rows of the layers' batches."""
        places = [values[self.done : self.done + count] for values in self._values]
        torch._foreach_copy_(places, [layer.batch[:count] for layer in layers])
        self.done += count

    def settle(self) -> bool:
        """Return that nothing is kept."""
        return False

    def read(self, index: int) -> Tensor:
        """Return a copy of all rows of a layer, in the type in which they are solved: [image, number]."""
        values = self._values[index]
        return values.to(SOLVED[values.dtype])

    def close(self) -> None:
        """Remove what was kept."""
        self._values = []


class FileRows:
    """Rows in an HDF5 file: for each layer, by its number, `rows` [image, number], `shift` [number] and `scale` [1].

    HDF5 itself only writes the empty file. Rows are written into its datasets as bytes, from time to time brought to
    the disk, and counted in `done` [2] afterwards: a process that is killed leaves a file that can be read, and whose
    count is true. Of each row there is a CRC-32 in `sums` [image], of shift and scale in `begun` [1], and of the count
    beside it, since both are to be written at once; all else has one checksum, behind the bytes of HDF5. What an
    earlier process left is compared with them before it is resumed, and a layer's rows when they are read.

    Parameters
    ----------
    path : path
        The file. One of the same fingerprint is resumed, and its shifts and scales are given to the layers.
    fingerprint : str
        Of everything that the rows depend on.
    layers : sequence of LayerRows
        The layers.
    n_images : int
        Images.
    save_every : float
        Seconds between two counts.

    Raises
    ------
    OSError
        There is no room on the disk.
    """

    done: int

    def __init__(
        self, path: Path, fingerprint: str, layers: Sequence[LayerRows], n_images: int, save_every: float
    ) -> None:
        self.path, self._save_every, self._saved = writable(path), save_every, time.monotonic()
        self._n_layers = len(layers)
        self._kept = Resumable(self.path, fingerprint, "starting from the first image")
        if not self._kept.take_up(self._read):
            self._create(fingerprint, layers, n_images)
        self._places = self._locate()
        self._file = self.path.open("r+b")
        self.done = int(self._load("done")[0])
        if self.done:
            log.info("resuming from image %d of %s", self.done + 1, path)
            for index, layer in enumerate(layers):
                layer.shift.copy_(torch.from_numpy(self._load(f"{index}/shift")))
                layer.scale = float(self._load(f"{index}/scale")[0])

    def begin(self, layers: Sequence[LayerRows]) -> None:
        """Note the layers' shifts and scales, once they are known."""
        for index, layer in enumerate(layers):
            shift, scale = layer.shift.cpu().numpy(), np.array([layer.scale])
            self._put(f"{index}/shift", 0, shift)
            self._put(f"{index}/scale", 0, scale)
            self._put(f"{index}/begun", 0, _sums([np.concatenate([shift, scale])]))

    def append(self, layers: Sequence[LayerRows], count: int) -> None:
        """Add the first `count` rows of the layers' batches."""
        for index, layer in enumerate(layers):
            rows = layer.batch[:count].cpu().numpy()
            self._put(f"{index}/rows", self.done, rows)
            self._put(f"{index}/sums", self.done, _sums(rows))
        self.done += count
        n_images = self._places["0/rows"][2][0]
        if self.done == n_images or time.monotonic() - self._saved >= self._save_every:
            self.settle()
            self._saved = time.monotonic()

    def settle(self) -> bool:
        """Bring the rows to the disk, and then their count."""
        self._flush()
        self._put("done", 0, _count(self.done))
        self._flush()
        return True

    def read(self, index: int) -> Tensor:
        """Return a copy of all rows of a layer, in the type in which they are solved: [image, number].

        Raises
        ------
        ValueError
            A row does not fit its checksum.
        """
        _, dtype, (n_images, width) = self._places[f"{index}/rows"]
        values = torch.empty(n_images, width, dtype=SOLVED[KEPT[dtype.type]])
        try:
            for start, part in self._checked(index, n_images):
                values[start : start + len(part)] = torch.from_numpy(part)
        except DamagedError as error:
            raise ValueError(f"{self.path} {error}: delete it, and run the step again") from error
        return values

    def close(self) -> None:
        """Remove what was kept."""
        self._file.close()
        self._kept.remove()

    def _read(self) -> tuple[str, Callable[[], bool]]:
        damage = find_damage(self.path)
        if damage:
            raise DamagedError(damage)
        with h5py.File(self.path, "r", locking=False) as file:
            return str(file.attrs["fingerprint"]), self._check

    def _check(self) -> bool:
        """Compare with their checksums what is to be resumed."""
        self._places = self._locate()
        done, n_images = int(self._load("done")[0]), self._places["0/rows"][2][0]
        if not np.array_equal(self._load("done"), _count(done)) or not 0 <= done <= n_images:
            raise DamagedError("is damaged (its count does not fit its checksum)")
        for index in range(self._n_layers if done else 0):
            begun = np.concatenate([self._load(f"{index}/shift"), self._load(f"{index}/scale")])
            if self._load(f"{index}/begun")[0] != _sums([begun])[0]:
                raise DamagedError(f"is damaged (shift {index} does not fit its checksum)")
            for _ in self._checked(index, done):
                pass
        return True

    def _checked(self, index: int, count: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """Read the first `count` rows of a layer in pieces, each with its first row's number."""
        for start in range(0, count, READ_AT_ONCE):
            n_rows = min(READ_AT_ONCE, count - start)
            part = self._load(f"{index}/rows", start, n_rows)
            if not np.array_equal(_sums(part), self._load(f"{index}/sums", start, n_rows)):
                raise DamagedError(f"is damaged (rows of layer {index} do not fit their checksums)")
            yield start, part

    def _locate(self) -> dict[str, "Place"]:
        with h5py.File(self.path, "r", locking=False) as file:
            return {name: _locate(file[name]) for name in _names(self._n_layers)}

    def _create(self, fingerprint: str, layers: Sequence[LayerRows], n_images: int) -> None:
        self.path.unlink(missing_ok=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        shapes = [(n_images, layer.batch.shape[1]) for layer in layers]
        types = [np.dtype(TYPES[layer.batch.dtype]) for layer in layers]
        needed = (prod(shape) * dtype.itemsize for shape, dtype in zip(shapes, types, strict=True))
        _check_space(self.path.parent, sum(needed))
        with write_hdf5(self.path) as (file, _):
            file["done"] = _count(0)
            for index, (shape, dtype) in enumerate(zip(shapes, types, strict=True)):
                file[f"{index}/shift"], file[f"{index}/scale"] = np.zeros(shape[1], np.float32), np.ones(1)
                file[f"{index}/begun"], file[f"{index}/sums"] = np.zeros(1, np.uint32), np.zeros(n_images, np.uint32)
                reserve(file[str(index)], "rows", shape, dtype)
            file.attrs["fingerprint"] = fingerprint
        seal(self.path, [_extent(place) for place in self._locate().values()])

    def _put(self, name: str, row: int, values: NDArray[Any]) -> None:
        offset, dtype, shape = self._places[name]
        self._file.seek(offset + row * prod(shape[1:]) * dtype.itemsize)
        self._file.write(values.tobytes())

    def _load(self, name: str, row: int = 0, count: int | None = None) -> NDArray[Any]:
        offset, dtype, (n_rows, *rest) = self._places[name]
        wanted = (n_rows if count is None else count, *rest)
        start = offset + row * prod(rest) * dtype.itemsize
        return np.fromfile(self.path, dtype, prod(wanted), offset=start).reshape(wanted)

    def _flush(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


Place = tuple[int, np.dtype[Any], tuple[int, ...]]  # offset in the file, type, shape


def _names(n_layers: int) -> list[str]:
    parts = ("rows", "sums", "shift", "scale", "begun")
    return ["done", *(f"{index}/{part}" for index in range(n_layers) for part in parts)]


def _locate(dataset: h5py.Dataset) -> Place:
    return int(dataset.id.get_offset()), dataset.dtype, dataset.shape


def _extent(place: Place) -> Extent:
    offset, dtype, shape = place
    return offset, offset + prod(shape) * dtype.itemsize


def _count(done: int) -> NDArray[np.int64]:
    return np.array([done, checksum(np.array([done]))])


def _sums(rows: Iterable[NDArray[Any]]) -> NDArray[np.uint32]:
    return np.array([checksum(row) for row in rows], np.uint32)


def _check_space(folder: Path, needed: int) -> None:
    # Rows are written over hours: that there is room for all of them is asked beforehand.
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"the disk of {folder} has {free / 1e9:.2f} GB free, and the sketches of this job need {needed / 1e9:.2f} "
            "GB: free some space, or set memorability.disk lower, so that a job takes fewer layers"
        )
