"""The cache of decoded images: one HDF5 file of uint8 pixels for a stimulus set and a geometry."""

import json
import os
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
import PIL
from numpy.typing import NDArray

from layerwise.data.images import load_square
from layerwise.data.partial import PartialPixels, remove_partial
from layerwise.data.problems import check_format, list_problems
from layerwise.files import (
    check_seal,
    checksum,
    hash_file,
    hash_object,
    hash_source,
    locked,
    reraise_memory,
    writable,
)
from layerwise.files.hdf5 import write_hdf5
from layerwise.interfaces import (
    Geometry,
    Progress,
    StimulusSet,
    Stop,
    StoppedError,
    never,
    no_progress,
    until_asked,
)

FORMAT = "layerwise pixels"
VERSION = 2  # 1 had no checksums
_WAITING = 4  # images in flight for each worker: enough to keep all busy, few enough to keep memory small


def pack_pixels(
    stimuli: StimulusSet,
    geometry: Geometry,
    output: str | Path,
    progress: Progress = no_progress,
    workers: int | None = None,
    stop: Stop = never,
) -> None:
    """Decode the images of a stimulus set once and write their pixels to one file.

    Parameters
    ----------
    stimuli : StimulusSet
        The images, in the order in which they are stored.
    geometry : Geometry
        How each becomes a square.
    output : path
        HDF5 file to write, whole or not at all. A run that was stopped leaves what it decoded in hidden files beside
        it, and the same call resumes there. Of calls for the same file at the same time one decodes, and the
        others wait for it. Nothing is done if the file is there and was made from the same images.
    progress : Progress
        Shows how far it has come.
    workers : int, optional
        Threads that decode; default: one for each core this process may use. Memory holds four images for
        each of them.
    stop : callable
        Asked after each image.

    Raises
    ------
    StoppedError
        It was asked to stop; the images that are decoded are kept.
    ValueError
        The set is empty or repeats an id, or images cannot be read: all are counted, and ten are named; or the output
        is no regular file.
    OSError
        The disk is full.
    """
    _check_ids(stimuli)
    output = writable(output)
    with locked(output):
        if _is_made(output, stimuli, geometry):
            remove_partial(output)
        else:
            _pack(stimuli, geometry, output, until_asked(progress, stop), workers or _cores())


def _pack(stimuli: StimulusSet, geometry: Geometry, output: Path, progress: Progress, workers: int) -> None:
    shape = (len(stimuli.ids), geometry.size, geometry.size, 3)
    with _full_disk_named(output):
        partial = PartialPixels(output, shape, _key(stimuli.ids, geometry))
    with partial:
        wanted = partial.take_over(stimuli.paths)
        _check_space(output.parent, len(wanted) * geometry.size**2 * 3)
        decoded = _decode_all([stimuli.paths[place] for place in wanted], geometry, workers)
        try:
            _fill(partial, wanted, progress(decoded, f"decoding {stimuli.name}", len(wanted)))
        except StoppedError as stopped:
            done = len(partial.digests)
            raise StoppedError(
                f"{stopped}: {done} of {len(stimuli.ids)} images of {stimuli.name} are decoded and kept; start it "
                "again to go on with the others",
                advanced=done > len(stimuli.ids) - len(wanted),
            ) from None
        with _full_disk_named(output):
            _describe(partial, stimuli.ids, geometry)
        partial.finish()


def _is_made(output: Path, stimuli: StimulusSet, geometry: Geometry) -> bool:
    """Return whether the file is there already: by this code, and from images that have not changed since."""
    try:
        cache = PixelCache(output)
        if cache.key != _key(stimuli.ids, geometry):
            return False
        cache.check()
    except ValueError:
        return False
    hashes = zip(stimuli.paths, cache.sha256, strict=True)
    return all(path.is_file() and hash_file(path) == known for path, known in hashes)


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
    key : str
        Changes with whatever else decides the pixels, the code included.

    Raises
    ------
    ValueError
        The file is missing, truncated, of another format or from a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise ValueError(f"no pixel cache {path}: run the step that packs the images first")
        check_seal(self.path, _ADVICE)
        try:
            with h5py.File(self.path, "r", locking=False) as file:
                check_format(file.attrs, self.path, FORMAT, VERSION, _ADVICE)
                self.ids: tuple[str, ...] = tuple(file["ids"].asstr()[:].tolist())
                self.sha256: tuple[str, ...] = tuple(text.decode() for text in file["sha256"][:].tolist())
                self.geometry = Geometry(**json.loads(file.attrs["geometry"]))
                self.content_hash = str(file.attrs["content_hash"])
                self.key = str(file.attrs.get("key", ""))
                self._offset, self._shape = _locate(file["pixels"])
                self._checksums: list[int] = file["checksums"][:].tolist()
        except (OSError, LookupError, TypeError, RuntimeError, UnicodeError, json.JSONDecodeError) as error:
            reraise_memory(error, f"reading {path}")
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
            The range leaves the set, or pixels are damaged.
        """
        if not 0 <= start <= stop <= len(self):
            raise ValueError(f"images {start} to {stop} of {self.path}, which holds {len(self)}")
        bytes_per_image = int(np.prod(self._shape[1:]))
        count = (stop - start) * bytes_per_image
        flat = np.fromfile(self.path, np.uint8, count, offset=self._offset + start * bytes_per_image)
        if flat.size < count:
            raise ValueError(f"{self.path} is truncated: {_ADVICE}")
        images = flat.reshape(stop - start, *self._shape[1:])
        for index, image in enumerate(images, start):
            if checksum(image) != self._checksums[index]:
                raise ValueError(f"{self.path} is damaged (image {index + 1} does not fit its checksum): {_ADVICE}")
        return images

    def alike(self) -> NDArray[np.int64]:
        """Return for each image the index of the first one that has the same pixels: int64 [image]."""
        first = np.arange(len(self))
        by_checksum: dict[int, list[int]] = {}
        for index, known in enumerate(self._checksums):
            others = by_checksum.setdefault(known, [])  # different pixels may share one by chance
            first[index] = next((other for other in others if self._same(other, index)), index)
            if first[index] == index:
                others.append(index)
        return first

    def _same(self, one: int, other: int) -> bool:
        return np.array_equal(self.read(one, one + 1), self.read(other, other + 1))

    def check(self) -> None:
        """Read all images once.

        Raises
        ------
        ValueError
            Pixels are damaged.
        """
        for index in range(len(self)):
            self.read(index, index + 1)


class JoinedPixels:
    """Two caches of pixels of one size read as one, such as stimuli and the images that components are fitted on.

    Parameters
    ----------
    first, second : PixelCache
        Of different ids.

    Attributes
    ----------
    ids : tuple of str
        Ids of the first, then those of the second.
    content_hash : str
        Changes with that of either.

    Raises
    ------
    ValueError
        They share an id.
    """

    def __init__(self, first: PixelCache, second: PixelCache) -> None:
        self.parts = first, second
        self.ids = first.ids + second.ids
        self.content_hash = hash_object([first.content_hash, second.content_hash])
        if len(set(self.ids)) < len(self.ids):
            raise ValueError(f"{first.path} and {second.path} share ids of images: give the images other names")

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Read the images from `start` up to, not including, `stop`, as `PixelCache.read`."""
        first, second = self.parts
        border = len(first)
        parts = (
            first.read(min(start, border), min(stop, border)),
            second.read(max(0, start - border), max(0, stop - border)),
        )
        return np.concatenate(parts)


_ADVICE = "delete it, and run the step that packs the images again"


@dataclass(frozen=True)
class _Decoded:
    """Pixels of one image and the hashes of its file and pixels; or what is wrong with it."""

    image: NDArray[np.uint8]
    file: str = ""
    problem: str = ""


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
        return _Decoded(load_square(path, geometry), hash_file(path))
    except ValueError as error:
        return _Decoded(np.empty(0, np.uint8), problem=str(error))


def _check_space(folder: Path, needed: int) -> None:
    # Images are decoded for hours: that there is room for all of them is asked beforehand.
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"the disk of {folder} has {free / 1e9:.2f} GB free, and the decoded images need {needed / 1e9:.2f} GB"
        )


@contextmanager
def _full_disk_named(output: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # HDF5 raises either if it cannot write
        reraise_memory(error, f"writing {output}")
        raise OSError(f"cannot write {output}, is the disk full? ({error})") from error


def _key(ids: Sequence[str], geometry: Geometry) -> str:
    code = hash_source("layerwise.data.images")
    return hash_object([VERSION, ids, asdict(geometry), code, PIL.__version__])


def _describe(partial: PartialPixels, ids: Sequence[str], geometry: Geometry) -> None:
    digests = [partial.digests[place] for place in range(len(ids))]
    partial.settle()
    with write_hdf5(partial.path, "r+") as (file, _):
        for name in ("ids", "sha256", "checksums"):
            file.pop(name, None)  # of a run that was stopped right here
        file["ids"] = np.array(ids, dtype=object)
        file["sha256"] = np.array([digest.file for digest in digests], dtype="S64")
        file["checksums"] = np.array([digest.checksum for digest in digests], np.uint32)
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["key"] = _key(ids, geometry)
        file.attrs["geometry"] = json.dumps(asdict(geometry), sort_keys=True)
        file.attrs["content_hash"] = hash_object([ids, asdict(geometry), [digest.pixels for digest in digests]])
    partial.seal()


def _fill(partial: PartialPixels, places: Sequence[int], decoded: Iterable[_Decoded]) -> None:
    problems = []
    for place, one in zip(places, decoded, strict=True):
        if one.problem:
            problems.append(one.problem)
        elif not problems:  # once one is broken nothing is kept, but the rest is still looked at
            partial.add(place, one.image, one.file)
    if problems:
        raise ValueError(list_problems(problems, "image", "images", "cannot be read"))


def _locate(pixels: h5py.Dataset) -> tuple[int, tuple[int, ...]]:
    offset = pixels.id.get_offset()
    if offset is None or pixels.dtype != np.uint8:
        raise TypeError("its pixels are not plain bytes")
    return int(offset), pixels.shape
