"""Scores that lie in an array, as a table of scores: what a study takes is a CSV."""

from pathlib import Path

import numpy as np
import pandas as pd

from layerwise.data.described import read_array
from layerwise.data.matlab import read_texts


def read_scored(path: Path, array: str | None, names: str | None, names_file: Path | None) -> pd.DataFrame:
    """Read a vector of scores, or a matrix of those of several raters, with the images that they belong to.

    Parameters
    ----------
    path : Path
        .mat (of any version), .npy, .npz or .h5.
    array : str or None
        Name of the array, where there are several.
    names : str or None
        Name of the cell array of the images' file names, in the same .mat.
    names_file : Path or None
        Text file of the names instead, a line each, in the order of the scores.

    Returns
    -------
    DataFrame
        Columns image and score; or image and rater1, rater2, ... of a matrix [image, rater].

    Raises
    ------
    ValueError
        Something cannot be read, or there are not as many names as scores.
    """
    if not path.is_file():
        raise ValueError(f"there is no {path}: check its path")
    values = np.asarray(read_array(path, array).values)
    values = values.squeeze() if values.ndim > 1 and 1 in values.shape else values
    if values.dtype.kind not in "fiub" or values.ndim not in (1, 2):
        raise ValueError(
            f"the array in {path} is of type {values.dtype} and shape {values.shape}: scores are a vector of numbers, "
            "or a matrix [image, rater]"
        )
    images = _names(path, names, names_file)
    if len(images) != len(values):
        raise ValueError(f"there are {len(images)} names of images, and {len(values)} scores in {path}: name each once")
    if values.ndim == 1:
        return pd.DataFrame({"image": images, "score": values})
    return pd.DataFrame({"image": images} | {f"rater{place}": column for place, column in enumerate(values.T, 1)})


def _names(path: Path, names: str | None, names_file: Path | None) -> list[str]:
    if (names is None) == (names_file is None):
        raise ValueError("say how the images are called, in the order of the scores: give --names or --names-file")
    if names_file is not None:
        if not names_file.is_file():
            raise ValueError(f"there is no {names_file}: check its path")
        return [line.strip() for line in names_file.read_text("utf-8-sig").splitlines() if line.strip()]
    if path.suffix.lower() != ".mat":
        raise ValueError(f"names are read from .mat alone, and {path.name} is none: give --names-file")
    return read_texts(path, names or "")
