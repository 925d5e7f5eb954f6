"""Files as authors publish them: found, told apart from what a failed download leaves, and read by slices."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.io
from numpy.typing import NDArray

from layerwise.data.folders import find_files
from layerwise.data.problems import did_you_mean
from layerwise.data.tables import read_text_table
from layerwise.files import reraise_memory, try_hdf5
from layerwise.files.hdf5 import reraise_filter
from layerwise.files.mistaken import check_is_data
from layerwise.interfaces import agreeing

AT_ONCE = 2**26  # bytes of a slice
_ADVICE = "lay the files as their authors publish them (`layerwise data recipe --list` names them)"
_OLD = b"MATLAB 5.0 MAT-file"


def find_file(folder: Path, *names: str) -> Path:
    """Find a file in the user's folder under one of its names, and see that it holds data.

    Raises
    ------
    ValueError
        The folder or the file is not there, or it is a web page, a pointer, an archive, or empty.
    """
    if not folder.is_dir():
        raise ValueError(f"no folder {folder}: give the one in which the files lie with --from")
    for path in (folder / name for name in names):
        if path.is_symlink() and not path.exists():
            raise ValueError(f"{path} is a link to what is not here: get its content (`git annex get`)")
        if path.is_file():
            check_is_data(path)
            return path
    raise ValueError(f"{folder / names[0]} is not there: {_ADVICE}")


@contextmanager
def opened_hdf5(path: Path, *names: str) -> Iterator[h5py.File]:
    """Open an HDF5 file, such as MATLAB's of version 7.3; what breaks while it is read is told as damage.

    Parameters
    ----------
    path : Path
        The file.
    *names : str
        Variables at its top that are small enough to be read whole by another process first.

    Raises
    ------
    ValueError
        It is of another kind, or damaged.
    """
    if not h5py.is_hdf5(path):
        kind = "a MAT file of version 7 or older" if _is_old_mat(path) else "of another kind"
        raise ValueError(f"{path} is {kind}, and the authors' is HDF5 (MATLAB's version 7.3): take their file as it is")
    try_hdf5(path, names)
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except (OSError, RuntimeError, LookupError, UnicodeError, TypeError) as error:
        reraise_memory(error, f"reading {path}")
        reraise_filter(error, path)
        raise ValueError(f"{path} is damaged, or not the authors' file ({error}): download it again") from error


def load_mat(path: Path, *names: str) -> dict[str, Any]:
    """Read variables of a MAT file of version 7 or older; structures become objects.

    Raises
    ------
    ValueError
        It is of version 7.3, of another kind, or damaged; or lacks a variable, whatever the case of its letters.
    """
    if h5py.is_hdf5(path):
        raise ValueError(
            f"{path} is HDF5 (MATLAB's version 7.3), and the authors' is a MAT file of version 7 or older: take their "
            "file as it is"
        )
    try:
        there = {name.lower(): name for name, _, _ in scipy.io.whosmat(path)}
        found = {name: there[name.lower()] for name in names if name.lower() in there}
        loaded = scipy.io.loadmat(path, variable_names=list(found.values()), struct_as_record=False)
    except Exception as error:  # SciPy's reader raises nearly anything on broken files
        reraise_memory(error, f"reading {path}")
        raise ValueError(f"{path} is damaged, or no MAT file ({error}): download it again") from error
    for name in names:
        if name not in found:
            raise ValueError(
                f"{path} has no {name!r}, so it is cut, or not the authors' file: {did_you_mean(name, list(there))}"
            )
    return {name: loaded[stored] for name, stored in found.items()}


def dataset(file: h5py.File, name: str, *shape: int | None) -> h5py.Dataset:
    """Return a dataset that has a shape; None stands for any length.

    Raises
    ------
    ValueError
        It is not there, or has another shape.
    """
    item = file.get(name)
    if not isinstance(item, h5py.Dataset):
        raise ValueError(
            f"{file.filename} has no {name!r}, so it is not the authors' file: {did_you_mean(name, list(file))}"
        )
    wanted = ", ".join("any" if length is None else str(length) for length in shape)
    fits = len(item.shape) == len(shape) and all(b in (None, a) for a, b in zip(item.shape, shape, strict=True))
    if not fits:
        raise ValueError(
            f"{name!r} in {file.filename} has the shape {item.shape} and not ({wanted}): its layout is another one "
            "than this recipe knows, so take the file as the authors publish it"
        )
    return item


def slices(source: h5py.Dataset) -> Iterator[slice]:
    """Part the first axis so that no slice takes more than `AT_ONCE`, and each is made of whole chunks if it can be."""
    row = max(1, source.dtype.itemsize * int(np.prod(source.shape[1:])))
    step = max(1, AT_ONCE // row)
    chunk = source.chunks[0] if source.chunks else 1
    step = step // chunk * chunk or step
    for start in range(0, source.shape[0], step):
        yield slice(start, min(start + step, source.shape[0]))


def read_rows(source: h5py.Dataset, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Read some rows [row, column], ascending, by slices: a file of 17 GB never comes into memory."""
    found = np.empty((len(rows), source.shape[1]), np.float32)
    for part in slices(source):
        inside = np.flatnonzero((rows >= part.start) & (rows < part.stop))
        if len(inside):
            low, high = rows[inside[0]], rows[inside[-1]] + 1
            found[inside] = source[low:high][rows[inside] - low]
    return found


def read_csv(path: Path, row: str, columns: Sequence[str]) -> pd.DataFrame:
    """Read a table of text whose columns are found by name, whatever their case.

    Raises
    ------
    ValueError
        It is no CSV, or lacks a column.
    """
    table = read_text_table(path, "table", row)
    names = {str(name).strip().lower(): name for name in table.columns}
    for name in columns:
        if name.lower() not in names:
            raise ValueError(
                f"{path} has no column {name!r}, so it is not the authors' file: {did_you_mean(name, names)}"
            )
    renamed = {names[name.lower()]: name for name in columns}
    return table.rename(columns=renamed)


def numbers(table: pd.DataFrame, name: str, path: Path) -> NDArray[np.float64]:
    """Return a column as numbers; empty cells are NaN.

    Raises
    ------
    ValueError
        A cell holds something else.
    """
    texts = table[name].str.strip()
    values = pd.to_numeric(texts.where(texts != "", "nan"), errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero(np.isnan(values) & ~texts.str.lower().isin(["", "nan", "na"]).to_numpy())
    if len(wrong):
        line, text = table.index[wrong[0]] + 2, texts.iloc[wrong[0]]
        raise ValueError(
            f"line {line} of {path} has {text!r} as {name!r}, and no number: take the authors' file as it is"
        )
    return values


def find_images(
    folder: Path, given: Path | None, usual: Sequence[str], names: Sequence[str]
) -> tuple[Path, Mapping[str, Path]]:
    """Find the images of a data set.

    Parameters
    ----------
    folder : Path
        The user's folder.
    given : Path, optional
        Folder of the images that the user names.
    usual : sequence of str
        Folders below it, or below the one that is given, in which they lie as published.
    names : sequence of str
        Images, relative to one of these.

    Returns
    -------
    Path
        Their folder.
    mapping of str to Path
        The file of each.

    Raises
    ------
    ValueError
        There is no such folder, or an image is not in it.
    """
    places = [given, *(given / name for name in usual)] if given else [folder / name for name in usual]
    there = [place for place in places if place.is_dir()]
    if not there:
        raise ValueError(f"no folder of images {places[0]}: unpack them there, or name their folder with --images")
    founds = {place: find_files(place, names) for place in there}
    best = max(there, key=lambda place: len(founds[place]))
    missing = [name for name in names if name not in founds[best]]
    if missing:
        raise ValueError(
            f"{len(missing):,} of {len(names):,} images {agreeing(len(missing), 'is', 'are')} not in {best} (first: "
            f"{missing[0]}): unpack them all there, or name their folder with --images"
        )
    return best, founds[best]


def check_unique(names: Collection[str], what: str) -> None:
    """Refuse names that stand twice.

    Raises
    ------
    ValueError
        One does.
    """
    twice = pd.Series(list(names))[lambda all_names: all_names.duplicated()]
    if len(twice):
        raise ValueError(f"{what} names {twice.iloc[0]!r} twice: take the authors' file as it is")


def _is_old_mat(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(len(_OLD)) == _OLD
