"""A user's own recordings, in files that a short description explains.

The description is YAML; paths in it are relative to its folder::

    responses: betas.npz                            # .npz, .npy, .h5, .mat or .csv
    array: betas                                    # its name in the file, where there are several
    dimensions: [repetition, neuroid, stimulus]     # in the array's order; without repetitions, leave them out
    missing: [255]                                  # numbers that mark missing trials; NaN always does
    stimuli: stimuli.csv                            # stimulus, image, and any property: a row for each stimulus
    neuroids: neuroids.csv                          # neuroid, region, maybe animal: a row for each neuroid
    images: images                                  # folder
    units: percent signal change
    source: who measured it, and where
    visual_degrees: 8

With the dimension `presentation` instead of stimulus and repetition, `stimuli` has a row for each presentation, and may
have a column `repetition`. A table of responses (.csv) has such a row, and a column for each neuroid; its rows are
matched by the columns that `stimuli` has too (stimulus, repetition, ...), and by their order where there are none. What
an HDF5 file itself says of missing and scaled numbers is heeded. Arrays of MATLAB have their dimensions as in MATLAB.
"""

import logging
import struct
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Annotated, Any, Literal

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from layerwise.data.folders import find_files, is_there
from layerwise.data.matching import check_order, match_rows
from layerwise.data.matlab import in_written_order, names_in, read_matlab
from layerwise.data.missing import decode, fill_of, is_code
from layerwise.data.presentations import arrange, properties_of, property_of
from layerwise.data.problems import did_you_mean, list_problems
from layerwise.data.recordings import leaves_folder
from layerwise.data.tables import as_values, read_text_table
from layerwise.files import reraise_memory, try_hdf5
from layerwise.files.documents import read_yaml
from layerwise.files.hdf5 import reraise_filter
from layerwise.files.mistaken import check_is_data
from layerwise.interfaces import Recordings, StimulusSet, counted

_MOST_TEXT = 10**8  # bytes of an array that may be ids
# What NumPy, Python's zip archives and h5py raise of broken files; a NumPy header is divided by Python's own tokenizer.
_BROKEN = (
    *(OSError, EOFError, LookupError, ArithmeticError, TypeError, RuntimeError, SyntaxError, TokenError, struct.error),
    *(zipfile.BadZipFile, zlib.error),
)
_log = logging.getLogger(__name__)

Dimension = Literal["repetition", "stimulus", "presentation", "neuroid"]
_HDF5 = (".h5", ".hdf5", ".nc", ".mat")
ALLOWED = ({"stimulus", "neuroid"}, {"repetition", "stimulus", "neuroid"}, {"presentation", "neuroid"})


def _number(given: Any) -> Any:
    if isinstance(given, bool):
        raise ValueError("true and false (as yes, no, on and off, which YAML reads so) are no numbers")
    return given


def _code(given: Any) -> Any:
    """Keep whole numbers whole; a word such as `no` is the number 0 to YAML, and would blank all zeros."""
    if isinstance(given, bool):
        raise ValueError(f"a missing response is marked by a number, not by {given}")
    return float(given) if isinstance(given, str) else given


class Description(BaseModel):
    """Where own recordings lie, and how they are stored; see this module's head."""

    model_config = ConfigDict(extra="forbid")

    responses: Path
    dimensions: tuple[Dimension, ...]
    stimuli: Path
    neuroids: Path
    images: Path
    array: str | None = None
    missing: tuple[Annotated[int | float, BeforeValidator(_code)], ...] = ()
    units: str = ""
    source: str = ""
    visual_degrees: Annotated[float | None, BeforeValidator(_number)] = Field(None, gt=0, le=360, allow_inf_nan=False)


@dataclass(frozen=True)
class ReadArray:
    """An array as it is stored, the same with NaN and scaled as its file says, and texts that lie beside it."""

    stored: NDArray[np.generic]
    values: NDArray[np.generic]
    labels: dict[str, list[str]]


@dataclass(frozen=True)
class Described:
    """Own recordings as read: what `write_recordings` takes."""

    recordings: Recordings
    images: StimulusSet
    source: str
    visual_degrees: float | None


def read_described(path: str | Path) -> Described:
    """Read own recordings by their description.

    Parameters
    ----------
    path : path
        The description.

    Raises
    ------
    ValueError
        The description has unknown or missing keys; a file cannot be read; an array has other dimensions, sizes or
        types than described; ids are missing, repeated or contradict each other; a stimulus has no image file.
    """
    path = Path(path)
    description = _read_description(path)
    try:
        return _read_parts(description, path.parent)
    except (ValueError, OSError) as error:  # a path or an array that it names may be what is wrong
        raise ValueError(f"{path}: {error}") from error


def _read_parts(description: Description, folder: Path) -> Described:
    stimuli = read_text_table(folder / description.stimuli, "table of stimuli", "stimulus")
    neuroids = read_text_table(folder / description.neuroids, "table of neuroids", "neuroid")
    names = _column(neuroids, "neuroid", folder / description.neuroids)
    responses = _read_responses(folder, description, stimuli, names)
    rows = responses.reshape(-1, responses.shape[-1])
    _check_sizes(description, folder, responses.shape, len(stimuli), len(names))
    cube, properties, images = _arrange(description, folder, stimuli, rows)
    columns, varying = properties
    regions = _column(neuroids, "region", folder / description.neuroids)
    animals = _column(neuroids, "animal", folder / description.neuroids) if "animal" in neuroids.columns else []
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(
            list_problems(twice, "id is", "ids are", f"given to several neuroids in {folder / description.neuroids}")
        )
    recordings = Recordings(
        cube, images.ids, tuple(names), tuple(regions), columns, description.units, tuple(animals), varying
    )
    return Described(recordings, images, description.source, description.visual_degrees)


def _read_description(path: Path) -> Description:
    if not path.is_file():
        raise ValueError(f"no description {path}: check its path")
    content = read_yaml(path)
    try:
        return Description.model_validate(content if isinstance(content, dict) else {})
    except ValidationError as error:
        problems = [_explain(found["loc"], found["type"], found["msg"]) for found in error.errors()]
        raise ValueError(list_problems(problems, "problem", "problems", f"with the description {path}")) from error


def _explain(place: tuple[int | str, ...], kind: str, message: str) -> str:
    key = str(place[0])
    if kind == "extra_forbidden":
        return f"there is no key {key!r}: {did_you_mean(key, Description.model_fields)}"
    return f"{key!r} is needed" if kind == "missing" else f"{key}: {message}"


def _read_responses(
    folder: Path, description: Description, stimuli: pd.DataFrame, names: list[str]
) -> NDArray[np.float64]:
    """Read the responses [repetition, stimulus, neuroid] or [presentation, neuroid], with NaN for missing ones."""
    path, dimensions = folder / description.responses, description.dimensions
    if set(dimensions) not in ALLOWED or len(set(dimensions)) < len(dimensions):
        raise ValueError(
            f"the dimensions are {list(dimensions)}: they must be stimulus and neuroid, with or without repetition, or "
            "presentation and neuroid, each once, in the order of the array"
        )
    if not path.is_file():
        raise ValueError(f"no file of responses {path}: check its path in the description")
    read = _read_any(path, description, stimuli, names, folder / description.stimuli)
    if read.stored.dtype.kind not in "fiub":
        raise ValueError(f"the responses in {path} are of type {read.stored.dtype}, and must be numbers")
    if read.stored.ndim != len(dimensions):
        raise ValueError(
            f"the responses in {path} have the shape {read.stored.shape}, and {len(dimensions)} dimensions are named"
        )
    for column in ("stimulus", "image"):
        check_order(read.labels, _texts(stimuli, column), path, folder / description.stimuli)
    check_order(read.labels, names, path, folder / description.neuroids)
    order = [
        dimensions.index(name) for name in ("repetition", "presentation", "stimulus", "neuroid") if name in dimensions
    ]
    values = _blank(read, description.missing, path).transpose(order)
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise ValueError(
            f"{counted(infinite, 'response is', 'responses are')} infinite in {path}: mark missing ones as NaN"
        )
    return values


def _blank(read: ReadArray, codes: tuple[float, ...], path: Path) -> NDArray[np.float64]:
    values = read.values.astype(np.float64)
    for code in codes:
        found = is_code(read.stored, [code])
        _log.info("missing: %s marks %d responses in %s", code, found.sum(), path)
        values[found] = np.nan
    return values


def _read_any(path: Path, description: Description, stimuli: pd.DataFrame, names: list[str], table: Path) -> ReadArray:
    if path.suffix.lower() != ".csv":
        return read_array(path, description.array)
    if description.dimensions[-1] != "neuroid":
        raise ValueError(
            f"the dimensions are {list(description.dimensions)}, and {path} has a column for each neuroid: put neuroid "
            "last"
        )
    return _read_csv(path, names, stimuli, table)


def _texts(table: pd.DataFrame, name: str) -> list[str]:
    return [str(text).strip() for text in table[name]] if name in table.columns else []


def _read_csv(path: Path, names: list[str], stimuli: pd.DataFrame, described: Path) -> ReadArray:
    table = read_text_table(path, "table of responses", "presentation")
    absent = [name for name in names if name not in table.columns]
    if absent:
        raise ValueError(list_problems(absent, "neuroid has", "neuroids have", f"no column in {path}"))
    others = table.drop(columns=names)
    rows = match_rows(others, stimuli, path, described)
    unshared = [str(name) for name in others.columns if name not in stimuli.columns]
    labels = {name: _texts(others.iloc[rows], name) for name in unshared}
    values = _numbers(table[names], path)[rows]
    return ReadArray(values, values, labels)


def _numbers(table: pd.DataFrame, path: Path) -> NDArray[np.float64]:
    texts = table.apply(lambda column: column.str.strip().replace({"": "nan", "NA": "nan"}))
    values = texts.apply(pd.to_numeric, errors="coerce")
    wrong = np.argwhere(values.isna().to_numpy() & (texts.apply(lambda column: column.str.lower()) != "nan").to_numpy())
    problems = [
        f"line {table.index[row] + 2}, column {table.columns[column]!r}: {texts.iat[row, column]!r} is not a number"
        for row, column in wrong.tolist()
    ]
    if problems:
        raise ValueError(list_problems(problems, "problem", "problems", f"with {path}"))
    return np.asarray(values, dtype=np.float64)


def read_array(path: Path, name: str | None) -> ReadArray:
    """Read an array of numbers from a file of NumPy, HDF5, or MATLAB of any version.

    Parameters
    ----------
    path : Path
        .npy, .npz, .h5, .hdf5, .nc or .mat.
    name : str or None
        Its name in the file, where there are several.

    Raises
    ------
    ValueError
        There is no such array, or the file is none of these, or broken.
    """
    if path.suffix.lower() in (".npy", *_HDF5):  # .npz is an archive
        check_is_data(path, "array", "download or export it again")
    if path.suffix.lower() in _HDF5 and (path.suffix.lower() != ".mat" or h5py.is_hdf5(path)):
        try_hdf5(path)
    try:
        if path.suffix.lower() == ".npy":
            array = np.asarray(np.load(path, allow_pickle=False))
            return ReadArray(array, array, {})
        if path.suffix.lower() == ".npz":
            return _read_npz(path, name)
        if path.suffix.lower() == ".mat" and not h5py.is_hdf5(path):
            array = read_matlab(path, _choose(name, names_in(path), path))
            return ReadArray(array, array, {})
        if path.suffix.lower() in _HDF5:
            return _read_hdf5(path, name)
    except _BROKEN as error:
        reraise_memory(error, f"reading {path}")
        reraise_filter(error, path)
        raise ValueError(f"{path} is truncated, or not what its ending says ({error}): copy it again") from error
    except ValueError as error:
        if "pickle" in str(error):  # numpy's own words advise to load it all the same
            raise ValueError(
                f"{path} holds Python objects, which could run any code and are not read, or is no file of arrays: "
                "save an array of numbers, not of objects"
            ) from error
        raise ValueError(f"{path}: {error}") from error
    raise ValueError(
        f"arrays are read from .npz, .npy, .h5 or .mat (responses from .csv too), and {path.name} is none: convert it"
    )


def _read_npz(path: Path, name: str | None) -> ReadArray:
    with np.load(path, allow_pickle=False) as archive:
        array = np.asarray(archive[_choose(name, list(archive.files), path)])
        members = {key: _small_member(archive, key) for key in archive.files}
    labels = {key: member.tolist() for key, member in members.items() if member.dtype.kind == "U" and member.ndim == 1}
    return ReadArray(array, array, labels)


def _small_member(archive: Any, key: str) -> NDArray[Any]:
    try:
        return np.asarray(archive[key] if archive.zip.getinfo(f"{key}.npy").file_size < _MOST_TEXT else [])
    except (ValueError, KeyError):  # objects, which only a pickle holds; or no array
        return np.empty(0)


def _read_hdf5(path: Path, name: str | None) -> ReadArray:
    with h5py.File(path, "r", locking=False) as file:
        known = [key for key, item in file.items() if isinstance(item, h5py.Dataset) and not _is_cell(item)]
        inner = name is not None and name in file and isinstance(file[name], h5py.Dataset)
        dataset = file[name if inner else _choose(name, known, path)]
        stored = in_written_order(dataset, path)
        values = decode(stored, dict(dataset.attrs), f"the array {dataset.name}", fill_of(dataset))
        beside = {key: item for key, item in dataset.parent.items() if isinstance(item, h5py.Dataset)}
        texts = {key: item for key, item in beside.items() if h5py.check_string_dtype(item.dtype) and item.ndim == 1}
        return ReadArray(stored, values, {key: item.asstr()[:].tolist() for key, item in texts.items()})


def _is_cell(item: h5py.Dataset) -> bool:
    """Return whether a dataset holds references, as MATLAB's cell arrays do, and no numbers."""
    return h5py.check_ref_dtype(item.dtype) is not None


def _choose(name: str | None, known: list[str], path: Path) -> str:
    if not known:
        raise ValueError("there is no array of numbers in it")
    if name is None and len(known) == 1:
        return known[0]
    if name is None:
        raise ValueError(f"there are {len(known)} arrays ({', '.join(known)}): name one with `array`")
    if name not in known:
        raise ValueError(f"there is no array {name!r}: {did_you_mean(name, known)}")
    return name


def _check_sizes(
    description: Description, folder: Path, shape: tuple[int, ...], n_stimuli: int, n_neuroids: int
) -> None:
    for size, rows, file, what in (
        (shape[-2], n_stimuli, description.stimuli, "stimuli or presentations"),
        (shape[-1], n_neuroids, description.neuroids, "neuroids"),
    ):
        if size != rows:
            raise ValueError(
                f"the responses in {folder / description.responses} are of {size} {what}, and {folder / file} has "
                f"{rows} rows: they must be as many, in the same order; check `dimensions`"
            )


def _column(table: pd.DataFrame, name: str, path: Path) -> list[str]:
    if name not in table.columns:
        raise ValueError(
            f"{path} has no column {name!r}: {did_you_mean(name, [str(known) for known in table.columns])}"
        )
    texts = [str(text).strip() for text in table[name]]
    empty = [f"line {line + 2}" for line, text in zip(table.index, texts, strict=True) if not text]
    if empty:
        raise ValueError(list_problems(empty, "place is", "places are", f"empty in the column {name!r} of {path}"))
    return texts


def _arrange(
    description: Description, folder: Path, table: pd.DataFrame, rows: NDArray[np.float64]
) -> tuple[NDArray[np.floating], tuple[dict[str, NDArray[np.generic]], dict[str, str]], StimulusSet]:
    path = folder / description.stimuli
    ids = np.array(_column(table, "stimulus", path))
    images = np.array(_column(table, "image", path))
    repeated = [name for name, count in Counter(ids.tolist()).items() if count > 1]
    if repeated and "presentation" not in description.dimensions:
        raise ValueError(list_problems(repeated, "stimulus has", "stimuli have", f"several rows in {path}"))
    given = as_values(table["repetition"]) if "repetition" in table.columns else None
    n_repetitions = len(rows) // len(ids)
    repetitions = np.repeat(np.arange(n_repetitions), len(ids)) if n_repetitions > 1 else given
    everywhere = np.tile(ids, n_repetitions)
    cube, stimuli = arrange(rows, everywhere, repetitions)
    names = [str(name) for name in table.columns if name not in ("stimulus", "image", "repetition")]
    properties = properties_of({name: as_values(table[name].str.strip()) for name in names}, ids)
    files = property_of("image", images, ids).tolist()
    there = find_files(folder / description.images, files)
    paths = tuple(there.get(file, folder / description.images / file) for file in files)
    found = StimulusSet(path.stem, stimuli, paths)
    _check_images(files, found, path)
    return cube, properties, found


def _check_images(names: list[str], images: StimulusSet, path: Path) -> None:
    problems = [
        f"{stimulus}: {file} {'lies outside its folder' if leaves_folder(name) else 'is not there'}"
        for stimulus, name, file in zip(images.ids, names, images.paths, strict=True)
        if leaves_folder(name) or not is_there(file)
    ]
    if problems:
        raise ValueError(list_problems(problems, "image", "images", f"of {path} cannot be used"))
