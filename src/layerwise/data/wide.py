"""Tables as most people have them: a row an image, and a column for each score or each neuroid."""

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.data.folders import find_files
from layerwise.data.listed import IMAGE_COLUMNS, SCORE_COLUMNS, choose_column, with_usual_name
from layerwise.data.presentations import arrange
from layerwise.data.problems import list_problems
from layerwise.data.tables import read_text_table
from layerwise.interfaces import Recordings, StimulusSet

REPETITION = "repetition"
_log = logging.getLogger(__name__)


def read_wide(
    path: str | Path, folder: str | Path, region: str, image_column: str | None = None
) -> tuple[Recordings, StimulusSet]:
    """Read a CSV of responses: a row for each presentation of an image, and a column of numbers for each neuroid.

    Parameters
    ----------
    path : path
        The table; several rows of one image are its repetitions, numbered by a column `repetition` or by their order.
    folder : path
        Folder of the images that it names.
    region : str
        Name of the region of all neuroids.
    image_column : str, optional
        Column of the file names; default: the one that has a usual name, or whose cells are all images in the folder.

    Returns
    -------
    Recordings
        Cells that are empty or NaN are missing.
    StimulusSet

    Raises
    ------
    ValueError
        The table cannot be read, no column or several could name the images, images are not in the folder, no column
        is of numbers, or all of its numbers are missing.
    """
    path, folder = Path(path), Path(folder)
    table = read_text_table(path, "table of responses", "presentation")
    named = find_image_column(table, folder, path, image_column)
    beside = table.drop(columns=[named, *([REPETITION] if REPETITION in table else [])])
    numeric = numeric_columns(beside)
    texts = [str(name) for name in beside.columns if name not in numeric]
    if texts:
        _log.info("%s: the columns %s are no numbers, and are left out", path, ", ".join(texts))
    if not numeric:
        raise ValueError(f"{path} has no column of numbers beside {named!r}: give a column for each neuroid")
    images = np.array(table[named].str.strip(), dtype=np.str_)
    found = find_files(folder, images.tolist())
    lacking = sorted(set(images.tolist()) - found.keys())
    if lacking:
        raise ValueError(list_problems(lacking, "image is", "images are", f"named in {path} and not in {folder}"))
    values = table[numeric].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    if np.isnan(values).all():
        raise ValueError(f"all responses in {path} are missing")
    repetitions = np.array(table[REPETITION].str.strip(), dtype=np.str_) if REPETITION in table else None
    cube, ids = arrange(values, images, repetitions)
    recordings = Recordings(cube, ids, tuple(numeric), (region,) * len(numeric))
    return recordings, StimulusSet(path.stem, ids, tuple(found[name] for name in ids))


def find_image_column(table: pd.DataFrame, folder: Path, path: Path, given: str | None = None) -> str:
    """Find the column of file names: the given one, that with a usual name, or the only one of images in the folder.

    Raises
    ------
    ValueError
        There is none, or there are several.
    """
    columns = [str(name) for name in table.columns]
    if given is None and not with_usual_name(columns, IMAGE_COLUMNS):
        named = [name for name in columns if _names_images(table[name], folder)]
        if len(named) == 1:
            return named[0]
    return choose_column(columns, given, IMAGE_COLUMNS, "image", path)


def find_score_column(table: pd.DataFrame, named: str, path: Path, given: str | None = None) -> str:
    """Find the column of scores: the given one, that with a usual name, or the only one of numbers.

    Parameters
    ----------
    table : DataFrame
        Texts.
    named : str
        The column of file names.
    path : Path
        Its file, for messages.
    given : str, optional
        What the user says.

    Raises
    ------
    ValueError
        There is none, or there are several.
    """
    columns = [str(name) for name in table.columns if name != named]
    if given is None and not with_usual_name(columns, SCORE_COLUMNS):
        numeric = numeric_columns(table[columns])
        if len(numeric) == 1:
            return numeric[0]
        if numeric:
            raise ValueError(
                f"{path} has {len(numeric)} columns of numbers ({', '.join(numeric)}): say which is scored, with "
                "--score-column"
            )
        raise ValueError(f"{path} has no column of numbers beside {named!r}: the scores must be numbers")
    return choose_column(columns, given, SCORE_COLUMNS, "score", path)


def numeric_columns(table: pd.DataFrame) -> list[str]:
    """List the columns that hold numbers alone; empty cells and NaN do not count, a column of them alone is none."""
    return [str(name) for name in table.columns if _is_numeric(table[name])]


def _is_numeric(texts: pd.Series) -> bool:
    cells = texts.str.strip()
    filled = cells[~cells.str.lower().isin(("", "nan", "na"))]
    values: NDArray[np.float64] = pd.to_numeric(filled, errors="coerce").to_numpy(np.float64)
    return len(filled) > 0 and bool(np.isfinite(values).all())


def _names_images(texts: pd.Series, folder: Path) -> bool:
    names: Sequence[str] = [str(PurePosixPath(text.strip())) for text in texts if text.strip()]
    return len(names) > 0 and find_files(folder, names).keys() == set(names)
