"""Images that lie in a folder, whatever they are for."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from layerwise.interfaces import StimulusSet

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def list_images(folder: Path) -> set[str]:
    """List the images in a folder and below, by their names relative to it; hidden ones do not count.

    Raises
    ------
    ValueError
        There is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"no folder of images {folder}: check the path in the config")
    found = (path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    files = (path.relative_to(folder) for path in found)  # links that lead nowhere are no files
    return {file.as_posix() for file in files if not any(part.startswith(".") for part in file.parts)}


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
        raise ValueError(f"{folder} holds {len(files)} images, and {n_images or 1} are needed: give another folder")
    if n_images is not None:
        files = sorted(np.random.default_rng(0).choice(files, n_images, replace=False).tolist())
    return StimulusSet(name, tuple(f"{name}/{file}" for file in files), tuple(folder / file for file in files))
