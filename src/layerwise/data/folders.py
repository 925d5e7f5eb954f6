"""Images that lie in a folder, whatever they are for."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from unicodedata import normalize

import numpy as np

from layerwise.interfaces import StimulusSet, counted

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def list_images(folder: Path) -> set[str]:
    """List the images in a folder and below, by their names relative to it; hidden ones do not count, linked ones do.

    Raises
    ------
    ValueError
        There is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"no folder of images {folder}: check the path in the config")
    return set(_images_below(folder))


def has_images(folder: Path) -> bool:
    """Return whether there is an image in a folder or below; quick, as the first one is enough."""
    return next(_images_below(folder), None) is not None


def _images_below(folder: Path) -> Iterator[str]:
    files = (Path(name) for name in files_below(folder) if Path(name).suffix.lower() in ENDINGS)
    shown = (file for file in files if not any(part.startswith(".") for part in file.parts))
    return (file.as_posix() for file in shown if (folder / file).is_file())  # links that lead nowhere are no files


def files_below(folder: str | Path) -> Iterator[str]:
    """List all files in a folder and below, linked folders too, by their names relative to it; none without a folder.

    A folder that is met again, through a link that leads back, is listed once.
    """
    seen = set()
    for here, below, names in os.walk(folder, followlinks=True):
        place = Path(here).resolve()
        if place in seen:
            below.clear()
            continue
        seen.add(place)
        below.sort()  # so that the same one of two names is listed on any disk
        yield from ((Path(here) / name).relative_to(folder).as_posix() for name in names)


def images_in(folder: str | Path, name: str, n_images: int | None = None) -> StimulusSet:
    """Take the images of a folder for a stimulus set.

    Parameters
    ----------
    folder : path
        The folder.
    name : str
        Name of the set; its ids are `name/file`, so that they differ from those of other sets.
    n_images : int, optional
        Number of images to draw, the same ones whenever the folder holds the same names; default: all.

    Raises
    ------
    ValueError
        There is no such folder, or it holds too few images.
    """
    folder = Path(folder)
    files = sorted(list_images(folder))
    if len(files) < (n_images or 1):
        raise ValueError(
            f"{folder} holds {counted(len(files), 'image')}, and {n_images or 1} are needed: give another folder"
        )
    if n_images is not None:
        files = sorted(np.random.default_rng(0).choice(files, n_images, replace=False).tolist())
    return StimulusSet(name, tuple(f"{name}/{file}" for file in files), tuple(folder / file for file in files))


def find_files(folder: str | Path, names: Iterable[str]) -> dict[str, Path]:
    """Find files by their names relative to a folder, whichever way their accents are written.

    A letter with an accent may be one character or two (NFC or NFD): macOS and archives change one into the other.

    Parameters
    ----------
    folder : path
        The folder.
    names : iterable of str
        Names with `/` between folders.

    Returns
    -------
    dict of str to Path
        Those that are there, and not outside the folder, as the disk writes them.
    """
    listed = cache(_entries)  # each folder is looked at once, and not once for each of 58,741 images
    found = ((name, _find(Path(folder), PurePosixPath(name), listed)) for name in dict.fromkeys(names))
    return {name: path for name, path in found if path is not None}


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def is_there(path: Path) -> bool:
    """Return whether there is a file, of names that are too long for the disk as well."""
    try:
        return path.is_file()
    except OSError:
        return False


_Entries = dict[str, list[tuple[str, bool]]]


def _entries(folder: Path) -> _Entries:
    """The names in a folder, and whether each is a file, by what they are in NFC."""
    entries: _Entries = defaultdict(list)
    if _is_folder(folder):
        with os.scandir(folder) as scanned:
            for entry in scanned:
                is_file = Path(entry).is_file() if entry.is_symlink() else entry.is_file()  # the latter asks no disk
                entries[normalize("NFC", entry.name)].append((entry.name, is_file))
    return entries


def _find(folder: Path, name: PurePosixPath, listed: Callable[[Path], _Entries]) -> Path | None:
    if name.is_absolute() or ".." in name.parts:
        return None
    here, is_file = folder, False
    for part in name.parts:
        alike = listed(here).get(normalize("NFC", part), [])
        exact = [entry for entry in alike if entry[0] == part] or alike
        if len(exact) != 1:
            path = folder / name  # on a disk that folds case it may be there under other letters
            return path if is_there(path) else None
        here, is_file = here / exact[0][0], exact[0][1]
    return here if is_file else None
