"""The cache of decoded images: one HDF5 file of uint8 pixels for a stimulus set and a geometry."""

import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from layerwise.data.images import apply_geometry, load_image
from layerwise.data.messages import check_format, list_problems
from layerwise.files import atomic_path, hash_file, hash_object
from layerwise.interfaces import Geometry, Progress, StimulusSet, no_progress

FORMAT = "layerwise pixels"
VERSION = 1
_WAITING = 4  # images in flight for each worker: enough to keep all busy, few enough to keep memory small


def pack_pixels(
    stimuli: StimulusSet,
    geometry: Geometry,
    output: str | Path,
    progress: Progress = no_progress,
    workers: int | None = None,
) -> None:
    """Decode the images of a stimulus set once and write their pixels to one file.

    Parameters
    ----------
    stimuli : StimulusSet
        The images, in the order in which they are stored.
    geometry : Geometry
        How each becomes a square.
    output : path
        HDF5 file to write, whole or not at all.
    progress : Progress
        Shows how far it has come.
    workers : int, optional
        Threads that decode; default: one for each core this process may use. Memory holds four images for
        each of them.

    Raises
    ------
    ValueError
        The set is empty or repeats an id, or images cannot be read: all are counted, and ten are named.
    OSError
        The disk is full.
    """
    _check_ids(stimuli)
    decoded = _decode_all(stimuli.paths, geometry, workers or _cores())
    shown = progress(decoded, f"decoding {stimuli.name}", len(stimuli.ids))
    with atomic_path(output) as temporary:
        _check_space(temporary.parent, len(stimuli.ids) * geometry.size**2 * 3)
        try:
            with h5py.File(temporary, "w") as file:
                _write(file, stimuli.ids, geometry, shown)
        except RuntimeError as error:  # so says HDF5 if it cannot write
            raise OSError(f"cannot write {output}, is the disk full? ({error})") from error


class PixelCache:
    """Pixels that `pack_pixels` wrote; any number of processes and threads may read at once.

    Parameters
    ----------
    path : path
        The file.

    Attributes
    ----------
    ids : tuple of str
        Ids of the images, in the order of the pixels.
    geometry : Geometry
        How the images became squares.
    content_hash : str
        Changes with any id, pixel or part of the geometry.
    sha256 : tuple of str
        Hash of each image file.

    Raises
    ------
    ValueError
        The file is missing, truncated, of another format or from a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise ValueError(f"no pixel cache {path}: run the step that packs the images first")
        try:
            with h5py.File(self.path, "r", locking=False) as file:
                check_format(file.attrs, self.path, FORMAT, VERSION, _ADVICE)
                self.ids: tuple[str, ...] = tuple(file["ids"].asstr()[:].tolist())
                self.sha256: tuple[str, ...] = tuple(text.decode() for text in file["sha256"][:].tolist())
                self.geometry = Geometry(**json.loads(file.attrs["geometry"]))
                self.content_hash = str(file.attrs["content_hash"])
                self._offset, self._shape = _locate(file["pixels"])
        except (OSError, LookupError, TypeError, RuntimeError, UnicodeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} is damaged ({error}): {_ADVICE}") from error
        if self._shape != (len(self.ids), self.geometry.size, self.geometry.size, 3):
            raise ValueError(f"{path} is damaged ({len(self.ids)} ids, pixels {self._shape}): {_ADVICE}")

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Read the images from `start` up to, not including, `stop`.

        Returns
        -------
        uint8 array [image, size, size, 3]

        Raises
        ------
        ValueError
            The range leaves the set, or the file was cut since it was opened.
        """
        if not 0 <= start <= stop <= len(self):
            raise ValueError(f"images {start} to {stop} of {self.path}, which holds {len(self)}")
        bytes_per_image = int(np.prod(self._shape[1:]))
        count = (stop - start) * bytes_per_image
        flat = np.fromfile(self.path, np.uint8, count, offset=self._offset + start * bytes_per_image)
        if flat.size < count:
            raise ValueError(f"{self.path} is truncated: {_ADVICE}")
        return flat.reshape(stop - start, *self._shape[1:])


_ADVICE = "delete it, and run the step that packs the images again"


@dataclass(frozen=True)
class _Decoded:
    """Pixels of one image and the hashes of its file and pixels; or what is wrong with it."""

    image: NDArray[np.uint8]
    file: str = ""
    problem: str = ""


@dataclass(frozen=True)
class _Digest:
    file: str
    pixels: str


def _check_ids(stimuli: StimulusSet) -> None:
    if not stimuli.ids:
        raise ValueError(f"the stimulus set {stimuli.name!r} holds no image")
    if len(set(stimuli.ids)) < len(stimuli.ids) or len(stimuli.ids) != len(stimuli.paths):
        raise ValueError(f"in the stimulus set {stimuli.name!r} two stimuli share an id, or one has no image")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _decode_all(paths: Sequence[Path], geometry: Geometry, workers: int) -> Iterator[_Decoded]:
    with ThreadPoolExecutor(workers) as pool:
        rest = iter(paths)
        waiting: deque[Future[_Decoded]] = deque()
        waiting.extend(pool.submit(_decode, path, geometry) for path in islice(rest, _WAITING * workers))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(_decode, path, geometry) for path in islice(rest, 1))


def _decode(path: Path, geometry: Geometry) -> _Decoded:
    try:
        return _Decoded(apply_geometry(load_image(path), geometry), hash_file(path))
    except ValueError as error:
        return _Decoded(np.empty(0, np.uint8), problem=str(error))


def _check_space(folder: Path, needed: int) -> None:
    # HDF5 on a full disk can bring down the interpreter, so it is asked beforehand.
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"the disk of {folder} has {free / 1e9:.2f} GB free, and the decoded images need {needed / 1e9:.2f} GB"
        )


def _write(file: h5py.File, ids: Sequence[str], geometry: Geometry, decoded: Iterable[_Decoded]) -> None:
    # Contiguous, so that readers need no HDF5 library: they read bytes at an offset.
    pixels = file.create_dataset("pixels", (len(ids), geometry.size, geometry.size, 3), np.uint8)
    digests = _fill(pixels, decoded)
    file["ids"] = np.array(ids, dtype=object)
    file["sha256"] = np.array([digest.file for digest in digests], dtype="S64")
    file.attrs["format"] = FORMAT
    file.attrs["version"] = VERSION
    file.attrs["geometry"] = json.dumps(asdict(geometry), sort_keys=True)
    file.attrs["content_hash"] = hash_object([ids, asdict(geometry), [digest.pixels for digest in digests]])


def _fill(pixels: h5py.Dataset, decoded: Iterable[_Decoded]) -> list[_Digest]:
    digests, problems = [], []
    for index, one in enumerate(decoded):
        if one.problem:
            problems.append(one.problem)
        elif not problems:  # once one is broken nothing is kept, but the rest is still looked at
            pixels[index] = one.image
            digests.append(_Digest(one.file, hashlib.sha256(one.image.tobytes()).hexdigest()))
    if problems:
        raise ValueError(list_problems(problems, "images cannot be read"))
    return digests


def _locate(pixels: h5py.Dataset) -> tuple[int, tuple[int, ...]]:
    offset = pixels.id.get_offset()
    if offset is None or pixels.dtype != np.uint8:
        raise TypeError("its pixels are not plain bytes")
    return int(offset), pixels.shape
