"""A file of activations on its way: a run that was stopped leaves the layers that are done, and another resumes there.

The structure of the file is complete, and has its checksum, before the first values are written, so a process that is
killed cannot leave a broken one. A journal beside it holds a line for each layer that is done, with checksums of its
values; only what still has these is taken over.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from layerwise.files import DamagedError, Extent, Resumable, checksum, find_damage
from layerwise.interfaces import StoppedError

Columns = tuple[int, int, int]  # first column of some values, the one after the last, and their checksum


@dataclass(frozen=True)
class Done:
    """A layer whose values are in the file.

    Parameters
    ----------
    checksums : tuple of Columns
        Of its values.
    nonfinite : bool
        It gave NaN or infinite values.
    """

    checksums: tuple[Columns, ...]
    nonfinite: bool


class Values:
    """The values of all layers in a file whose structure is complete, to be written while HDF5 has it not open.

    HDF5 would cut off the checksums at the end of the file as soon as it writes.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with h5py.File(path, "r", locking=False) as file:
            self._places = {name: _place(dataset) for name, dataset in file["layers"].items()}

    def __enter__(self) -> Self:
        self._file = self._path.open("r+b", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def extents(self) -> list[Extent]:
        """Where in the file they are."""
        return [(start, start + prod(shape) * size) for start, shape, size in self._places.values()]

    def put(self, name: str, first: int, values: NDArray[np.floating]) -> None:
        """Write values of a layer.

        Parameters
        ----------
        name : str
            Name of its dataset.
        first : int
            First column.
        values : array [column] or [stimulus, column]
            Of the type of the dataset.

        Raises
        ------
        OSError
            The disk is full.
        """
        start, shape, size = self._places[name]
        rows = values.reshape(-1, values.shape[-1])
        rows = rows.reshape(1, -1) if rows.shape[1] == shape[-1] else rows
        for row, piece in enumerate(rows):
            self._write(start + (row * shape[-1] + first) * size, np.ascontiguousarray(piece))

    def _write(self, offset: int, piece: NDArray[np.floating]) -> None:
        left = piece.data.cast("B")
        try:
            while left:
                written = os.pwrite(self._file.fileno(), left, offset)
                left, offset = left[written:], offset + written
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error


def _place(dataset: h5py.Dataset) -> tuple[int, tuple[int, ...], int]:
    return int(dataset.id.get_offset()), dataset.shape, dataset.dtype.itemsize


class Journal:
    """Which layers of a file are done.

    Parameters
    ----------
    target : Path
        The file that is to be made.
    key : str
        Stands for everything that decides its content; what was begun under another key is begun anew.

    Attributes
    ----------
    file : Path
        The file until it is complete; hidden.
    """

    def __init__(self, target: Path, key: str) -> None:
        hidden = target.with_name(f".{target.stem}-partial{target.suffix}")
        self.file, self._lines, self._key = hidden, hidden.with_suffix(".journal"), key

    def take_over(self) -> dict[str, Done] | None:
        """Return the layers that a stopped run has done, by names of datasets; None if there is no such run."""
        return Resumable(self.file, self._key, "starting from the first layer").take_up(
            lambda: (self._read_key(), self._read)
        )

    def begin(self) -> None:
        """Note that the structure of the file is complete."""
        self._lines.write_text(f"{self._key}\n", encoding="ascii")

    def add(self, name: str, done: Done) -> None:
        """Note that a layer is done; its values must have left this process."""
        with self._lines.open("a", encoding="ascii") as lines:
            lines.write(json.dumps({"layer": name, **asdict(done)}) + "\n")

    def remove(self) -> None:
        """Remove the file and the journal, or what is left of them."""
        self.file.unlink(missing_ok=True)
        self._lines.unlink(missing_ok=True)

    @contextmanager
    def kept_if_stopped(self) -> Iterator[None]:
        """Remove everything if the block ends by an error; keep it if the run is stopped (Ctrl-C, a signal, a kill)."""
        try:
            yield
        except StoppedError:
            raise
        except Exception:
            self.remove()
            raise

    def _read_key(self) -> str:
        damage = find_damage(self.file)
        if damage:
            raise DamagedError(damage)
        return self._lines.read_text(encoding="ascii").partition("\n")[0]

    def _read(self) -> dict[str, Done]:
        noted = dict(map(_parse, filter(_is_whole, self._lines.read_text(encoding="ascii").splitlines()[1:])))
        with h5py.File(self.file, "r", locking=False) as file:
            return {name: done for name, done in noted.items() if _fits(file["layers"], name, done)}


def _is_whole(line: str) -> bool:
    return line.startswith("{") and line.endswith("}")  # else it was cut as it was written


def _parse(line: str) -> tuple[str, Done]:
    told: dict[str, Any] = json.loads(line)
    return told["layer"], Done(tuple(map(tuple, told["checksums"])), told["nonfinite"])


def _fits(layers: h5py.Group, name: str, done: Done) -> bool:
    return all(checksum(layers[name][..., start:stop]) == known for start, stop, known in done.checksums)
