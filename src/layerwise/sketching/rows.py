"""Where the rows of all images lie until their layers are scored: on a GPU, or in a file."""

import logging
import os
import shutil
import time
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerwise.files import reraise_memory, writable
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

    def read(self, index: int) -> Tensor:
        """Give a copy of all rows of a layer, in the type in which they are solved: [image, number]."""
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

    def read(self, index: int) -> Tensor:
        """Give a copy of all rows of a layer, in the type in which they are solved: [image, number]."""
        values = self._values[index]
        return values.to(SOLVED[values.dtype])

    def close(self) -> None:
        """Remove what was kept."""
        self._values = []


class FileRows:
    """Rows in an HDF5 file: for each layer, by its number, `rows` [image, number], `shift` [number] and `scale` [1].

    HDF5 itself only writes the empty file. Rows are written into its datasets as bytes, from time to time brought to
    the disk, and counted in `done` [1] afterwards: a process that is killed leaves a file that can be read, and whose
    count is true.

    Parameters
    ----------
    path : path
        The file. One of the same fingerprint is gone on with, and its shifts and scales are given to the layers.
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

    def __init__(
        self, path: Path, fingerprint: str, layers: Sequence[LayerRows], n_images: int, save_every: float
    ) -> None:
        self.path, self._save_every, self._saved = writable(path), save_every, time.monotonic()
        if not self._is_of(fingerprint):
            self._create(fingerprint, layers, n_images)
        with h5py.File(path, "r", locking=False) as file:
            self._places = {name: _locate(file[name]) for name in _names(len(layers))}
        self._file = path.open("r+b")
        self.done = int(self._load("done")[0])
        if self.done:
            log.info("going on from image %d of %s", self.done + 1, path)
            for index, layer in enumerate(layers):
                layer.shift.copy_(torch.from_numpy(self._load(f"{index}/shift")))
                layer.scale = float(self._load(f"{index}/scale")[0])

    def begin(self, layers: Sequence[LayerRows]) -> None:
        """Note the layers' shifts and scales, once they are known."""
        for index, layer in enumerate(layers):
            self._put(f"{index}/shift", 0, layer.shift.cpu().numpy())
            self._put(f"{index}/scale", 0, np.array([layer.scale]))

    def append(self, layers: Sequence[LayerRows], count: int) -> None:
        """Add the first `count` rows of the layers' batches."""
        for index, layer in enumerate(layers):
            self._put(f"{index}/rows", self.done, layer.batch[:count].cpu().numpy())
        self.done += count
        n_images = self._places["0/rows"][2][0]
        if self.done == n_images or time.monotonic() - self._saved >= self._save_every:
            self._settle()
            self._put("done", 0, np.array([self.done]))
            self._settle()
            self._saved = time.monotonic()

    def read(self, index: int) -> Tensor:
        """Give a copy of all rows of a layer, in the type in which they are solved: [image, number]."""
        _, dtype, (n_images, width) = self._places[f"{index}/rows"]
        values = torch.empty(n_images, width, dtype=SOLVED[KEPT[dtype.type]])
        for start in range(0, n_images, READ_AT_ONCE):
            part = self._load(f"{index}/rows", start, min(READ_AT_ONCE, n_images - start))
            values[start : start + len(part)] = torch.from_numpy(part)
        return values

    def close(self) -> None:
        """Remove what was kept."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _is_of(self, fingerprint: str) -> bool:
        if not self.path.is_file():
            return False
        try:
            with h5py.File(self.path, "r", locking=False) as file:
                same = file.attrs["fingerprint"] == fingerprint
        except (OSError, LookupError, RuntimeError) as error:
            reraise_memory(error, f"reading {self.path}")
            log.warning("%s is damaged (%s): starting from the first image", self.path, error)
            return False
        if not same:
            log.warning("%s is of other data, code or settings: starting from the first image", self.path)
        return bool(same)

    def _create(self, fingerprint: str, layers: Sequence[LayerRows], n_images: int) -> None:
        self.path.unlink(missing_ok=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        shapes = [(n_images, layer.batch.shape[1]) for layer in layers]
        types = [np.dtype(TYPES[layer.batch.dtype]) for layer in layers]
        needed = (prod(shape) * dtype.itemsize for shape, dtype in zip(shapes, types, strict=True))
        _check_space(self.path.parent, sum(needed))
        with h5py.File(self.path, "w") as file:
            file["done"] = np.zeros(1, np.int64)
            for index, (shape, dtype) in enumerate(zip(shapes, types, strict=True)):
                file[f"{index}/shift"], file[f"{index}/scale"] = np.zeros(shape[1], np.float32), np.ones(1)
                _reserve(file[str(index)], shape, dtype)
            file.attrs["fingerprint"] = fingerprint

    def _put(self, name: str, row: int, values: NDArray[Any]) -> None:
        offset, dtype, shape = self._places[name]
        self._file.seek(offset + row * prod(shape[1:]) * dtype.itemsize)
        self._file.write(values.tobytes())

    def _load(self, name: str, row: int = 0, count: int | None = None) -> NDArray[Any]:
        offset, dtype, (n_rows, *rest) = self._places[name]
        wanted = (n_rows if count is None else count, *rest)
        start = offset + row * prod(rest) * dtype.itemsize
        return np.fromfile(self.path, dtype, prod(wanted), offset=start).reshape(wanted)

    def _settle(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


Place = tuple[int, np.dtype[Any], tuple[int, ...]]  # offset in the file, type, shape


def _names(n_layers: int) -> list[str]:
    return ["done", *(f"{index}/{part}" for index in range(n_layers) for part in ("rows", "shift", "scale"))]


def _locate(dataset: h5py.Dataset) -> Place:
    return int(dataset.id.get_offset()), dataset.dtype, dataset.shape


def _reserve(group: h5py.Group, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Make a dataset `rows` that has its place in the file although nothing was written to it."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    kind = h5py.h5t.py_create(dtype)
    h5py.h5d.create(group.id, b"rows", kind, h5py.h5s.create_simple(shape), plan)


def _check_space(folder: Path, needed: int) -> None:
    # Rows are written over hours: that there is room for all of them is asked beforehand.
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"the disk of {folder} has {free / 1e9:.2f} GB free, and the sketches of this job need {needed / 1e9:.2f} "
            "GB: free some space, or set memorability.disk lower, so that a job takes fewer layers"
        )
