"""Paths that a study names: whether a file is a file, a folder a folder, and both may be read.

What is there and is something else is wrong at once; what is not there may come.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from layerwise.config import Study
from layerwise.config.data import RatingEntry, RecordingEntry
from layerwise.config.models import ModelEntry

SPLITS = "train_1.txt, val_1.txt, test_1.txt and so on"
IMAGES = "the folder of images; an archive is unpacked first"


class Named(NamedTuple):
    """What a key of the study names.

    Parameters
    ----------
    what : str
        Begins a sentence: "its table of scores".
    path : Path
        Where it is to be.
    folder : bool
        Whether it is a folder, or else a file.
    wanted : str
        What to name where it is not.
    missing : str
        What to do where nothing is there.
    """

    what: str
    path: Path
    folder: bool
    wanted: str
    missing: str = ""


def of_model(entry: ModelEntry) -> list[Named]:
    """Name the file of weights, where the entry has one."""
    path = entry.weights_file()
    missing = "check the path, which counts from the folder of the study file; or give `imagenet` or `random`"
    return [Named("its file of weights", path, False, "the file in it", missing)] if path is not None else []


def of_recording(entry: RecordingEntry) -> list[Named]:
    """Name the file of a recording and the folder of its images, where the entry says which."""
    wanted = "the CSV of distances" if entry.is_rdm else "the netCDF file of responses"
    images = [Named("its folder of images", entry.images, True, IMAGES)] if entry.images is not None else []
    return [Named("its file", entry.file, False, wanted), *images]


def of_rating(entry: RatingEntry) -> list[Named]:
    """Name the table or the split files of ratings, and the folder of images."""
    csv = "the CSV itself; a folder of LaMem's split files is given as `splits`"
    folder = f"the folder that holds {SPLITS}; a CSV of scores is given as `scores`"
    scores = [Named("its table of scores", entry.scores, False, csv)] if entry.scores is not None else []
    splits = [Named("its folder of splits", entry.splits, True, folder)] if entry.splits is not None else []
    return [*scores, *splits, Named("its folder of images", entry.images, True, IMAGES)]


def of_pca(study: Study) -> list[Named]:
    """Name the folder of images that principal components are fitted on, if any are."""
    pca = study.brain.pca
    return [Named("brain.pca.images: the folder", pca.images, True, IMAGES)] if pca is not None else []


def of_gate(study: Study) -> list[Named]:
    """Name what the accuracy of networks is measured on, if it is."""
    chosen, missing = study.imagenet, "put it there, or set `accuracy_gate: false`"
    if not study.accuracy_gate:
        return []
    labels = "the file of lines `file class`"
    lines = [Named("imagenet.labels: the file", chosen.labels, False, labels, missing)] if chosen.labels else []
    return [Named("imagenet.images: the folder", chosen.images, True, IMAGES, missing), *lines]


def of_storage(study: Study) -> list[Named]:
    """Name the folders in which a run writes, and looks for weights: they need not be there."""
    folders = {"storage.results": study.storage.results, "storage.weights": study.storage.weights}
    return [Named(f"{key}: the folder", path, True, "a folder, which is made") for key, path in folders.items()]


def find_wrong(named: Iterable[Named]) -> Iterator[str]:
    """Find what is there and is not of the kind that is wanted, or may not be read."""
    for one in named:
        mode = _mode(one.path)
        if mode is None:
            continue
        if not (stat.S_ISDIR if one.folder else stat.S_ISREG)(mode):
            yield f"{one.what} {one.path} is {_kind(mode)}: name {one.wanted}"
        elif not os.access(one.path, os.R_OK | os.X_OK if one.folder else os.R_OK):
            raise _denied(one.path)


def find_absent(named: Iterable[Named]) -> Iterator[str]:
    """Find where nothing is, and what is a link to nothing."""
    for one in named:
        if _mode(one.path) is None:
            link = f"it is a link to {one.path.readlink()}" if one.path.is_symlink() else ""
            more = "; ".join(told for told in (link, one.missing) if told)
            yield f"{one.what} {one.path} is not there" + (f": {more}" if more else "")


def _mode(path: Path) -> int | None:
    """Return what is at a path, at the end of its links; None where nothing is."""
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in _NOTHING:
            return None
        raise


_NOTHING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def _kind(mode: int) -> str:
    return "a folder" if stat.S_ISDIR(mode) else "a file" if stat.S_ISREG(mode) else "no regular file"


def _denied(path: Path) -> PermissionError:
    return PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
