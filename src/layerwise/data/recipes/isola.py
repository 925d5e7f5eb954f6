"""Isola et al. (2011): recognition of 2,222 photographs, which lie as pixels in a MAT file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.data.recipes.figrim import COUNTS
from layerwise.data.recipes.files import dataset, find_file, load_mat, opened_hdf5
from layerwise.data.recipes.recipe import UNKNOWN, Recipe, Scored, compared
from layerwise.interfaces import counted

N_TARGETS = 2222  # the rest are textures
_TARGETS = "sorted_target_data.mat"
_IMAGES = "target_images.mat"


def read(folder: Path, images: Path | None) -> Scored:
    """Read the counts of answers, and the pixels in the same order."""
    del images  # they are in the file
    path = find_file(folder, f"Data/Experiment data/{_TARGETS}", _TARGETS)
    pixels = find_file(folder, f"Data/Image data/{_IMAGES}", _IMAGES)
    cells = np.ravel(load_mat(path, "sorted_target_data")["sorted_target_data"])
    n_images = _count(pixels)
    if len(cells) < N_TARGETS or n_images < N_TARGETS:
        raise ValueError(
            f"{path} has {len(cells)} entries and {pixels} {n_images} images, and there are {N_TARGETS} targets: take "
            "the authors' files as they are"
        )
    made = _rates([_entry(cell) for cell in cells[:N_TARGETS]], path)
    facts = [
        compared("images", len(made), N_TARGETS),
        compared("mean hit rate", float(made["hit_rate"].mean()), form=".4f"),
        compared("mean false alarm rate", float(made["false_alarm_rate"].mean()), form=".4f"),
    ]
    more = len(cells) - N_TARGETS
    notes = [f"left out, after the targets: {counted(more, 'entry', 'entries')}"] if more > 0 else []
    return Scored(made, None, facts, notes, lambda: _pictures(pixels))


def _rates(entries: list[Any], path: Path) -> pd.DataFrame:
    """Hit rates and false-alarm rates of structures of counts."""
    try:
        names = [str(np.ravel(entry.filepath)[0]) for entry in entries]
        counts = {key: np.array([float(np.ravel(getattr(entry, key))[0]) for entry in entries]) for key in COUNTS}
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} lacks filepath or counts of answers ({error}): it is not the authors' file"
        ) from error
    shown, new = counts["hits"] + counts["misses"], counts["false_alarms"] + counts["correct_rejections"]
    if not (shown > 0).all():
        raise ValueError(f"{path} has no answers to {names[int(np.argmin(shown))]}: take the authors' file as it is")
    made = pd.DataFrame({"image": [_name(place) for place in range(len(names))], "hit_rate": counts["hits"] / shown})
    made["false_alarm_rate"] = np.divide(counts["false_alarms"], new, out=np.full(len(names), np.nan), where=new > 0)
    return made.assign(original=[name.replace("\\", "/").rpartition("/")[2] for name in names])


def _entry(cell: object) -> object:
    """Take the structure out of its cell."""
    while isinstance(cell, np.ndarray):
        cell = cell.ravel()[0]
    return cell


def _name(place: int) -> str:
    return f"target_{place + 1:04d}.png"


def _count(path: Path) -> int:
    """Count the images; their file may be of either kind of MATLAB's."""
    if h5py.is_hdf5(path):
        with opened_hdf5(path) as file:
            return int(dataset(file, "img", None, 3, None, None).shape[0])
    return int(_loaded(path).shape[3])


def _loaded(path: Path) -> NDArray[np.uint8]:
    """Read the images [row, column, colour, image], 450 MB."""
    found = np.asarray(load_mat(path, "img")["img"])
    if found.ndim != 4 or found.shape[2] != 3 or found.dtype != np.uint8:
        raise ValueError(
            f"img in {path} is {found.dtype} of the shape {found.shape}, and not (256, 256, 3, n) of uint8"
        )
    return found


def _pictures(path: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    if not h5py.is_hdf5(path):
        found = _loaded(path)
        yield from ((_name(place), np.ascontiguousarray(found[..., place])) for place in range(N_TARGETS))
        return
    with opened_hdf5(path) as file:
        stored = dataset(file, "img", None, 3, None, None)  # MATLAB's order, reversed
        yield from (
            (_name(place), np.ascontiguousarray(stored[place].transpose(2, 1, 0))) for place in range(N_TARGETS)
        )


RECIPE = Recipe(
    name="isola2011",
    about="hit rates of 2,222 photographs; the images are written beside the table",
    gives="scores",
    needs=(f"Data/Experiment data/{_TARGETS}", f"Data/Image data/{_IMAGES}"),
    host=UNKNOWN,
    licence=UNKNOWN,
    size=UNKNOWN,
    paper="Isola, Xiao, Torralba & Oliva (2011), CVPR, doi 10.1109/CVPR.2011.5995721",
    cites=("isola2011",),
    make=read,
)
