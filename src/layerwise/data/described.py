"""Own recordings in files of their own kind, told by a short description.

The description is YAML; paths in it are relative to its folder::

    responses: betas.npz                            # .npz, .npy, .h5 or .csv
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
have a column `repetition`. A table of responses (.csv) has such a row, and a column for each neuroid.
"""

import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from layerwise.data.messages import did_you_mean, list_problems
from layerwise.data.presentations import arrange, properties_of, property_of
from layerwise.data.recordings import leaves_folder
from layerwise.data.tables import as_values, read_text_table
from layerwise.files import reraise_memory
from layerwise.interfaces import Recordings, StimulusSet

Dimension = Literal["repetition", "stimulus", "presentation", "neuroid"]
ALLOWED = ({"stimulus", "neuroid"}, {"repetition", "stimulus", "neuroid"}, {"presentation", "neuroid"})


class Description(BaseModel):
    """Where own recordings lie, and how they are stored; see this module's head."""

    model_config = ConfigDict(extra="forbid")

    responses: Path
    dimensions: tuple[Dimension, ...]
    stimuli: Path
    neuroids: Path
    images: Path
    array: str | None = None
    missing: tuple[float, ...] = ()
    units: str = ""
    source: str = ""
    visual_degrees: float | None = Field(None, gt=0)


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
    folder = path.parent
    stimuli = read_text_table(folder / description.stimuli, "table of stimuli", "stimulus")
    neuroids = read_text_table(folder / description.neuroids, "table of neuroids", "neuroid")
    names = _column(neuroids, "neuroid", folder / description.neuroids)
    responses = _read_responses(folder / description.responses, description, names)
    rows = responses.reshape(-1, responses.shape[-1])
    _check_sizes(description, folder, responses.shape, len(stimuli), len(names))
    cube, properties, images = _arrange(description, folder, stimuli, rows)
    columns, varying = properties
    regions = _column(neuroids, "region", folder / description.neuroids)
    animals = _column(neuroids, "animal", folder / description.neuroids) if "animal" in neuroids.columns else []
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(list_problems(twice, f"ids in {folder / description.neuroids} are given to several neuroids"))
    recordings = Recordings(
        cube, images.ids, tuple(names), tuple(regions), columns, description.units, tuple(animals), varying
    )
    return Described(recordings, images, description.source, description.visual_degrees)


def _read_description(path: Path) -> Description:
    if not path.is_file():
        raise ValueError(f"no description {path}: check its path")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Description.model_validate(content if isinstance(content, dict) else {})
    except ValidationError as error:
        problems = [_explain(found["loc"], found["type"], found["msg"]) for found in error.errors()]
        raise ValueError(list_problems(problems, f"problems with the description {path}")) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML in UTF-8 ({error}): see `layerwise data import --help`") from error


def _explain(place: tuple[int | str, ...], kind: str, message: str) -> str:
    key = str(place[0])
    if kind == "extra_forbidden":
        return f"there is no key {key!r}: {did_you_mean(key, Description.model_fields)}"
    return f"{key!r} is needed" if kind == "missing" else f"{key}: {message}"


def _read_responses(path: Path, description: Description, names: list[str]) -> NDArray[np.float64]:
    """Read the responses [repetition, stimulus, neuroid] or [presentation, neuroid], with NaN for missing ones."""
    dimensions = description.dimensions
    if set(dimensions) not in ALLOWED or len(set(dimensions)) < len(dimensions):
        raise ValueError(
            f"the dimensions are {list(dimensions)}: they must be stimulus and neuroid, with or without repetition, or "
            "presentation and neuroid, each once, in the order of the array"
        )
    if not path.is_file():
        raise ValueError(f"no file of responses {path}: check its path in the description")
    array = _read_csv(path, names) if path.suffix.lower() == ".csv" else _read_array(path, description.array)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"the responses in {path} are of type {array.dtype}, and must be numbers")
    if array.ndim != len(dimensions):
        raise ValueError(
            f"the responses in {path} have the shape {array.shape}, and {len(dimensions)} dimensions are named"
        )
    order = [
        dimensions.index(name) for name in ("repetition", "presentation", "stimulus", "neuroid") if name in dimensions
    ]
    values = array.transpose(order).astype(np.float64)
    values[np.isin(values, description.missing)] = np.nan
    if np.isinf(values).any():
        raise ValueError(f"{np.isinf(values).sum()} responses in {path} are infinite: mark missing ones as NaN")
    return values


def _read_csv(path: Path, names: list[str]) -> NDArray[np.float64]:
    table = read_text_table(path, "table of responses", "presentation")
    absent = [name for name in names if name not in table.columns]
    if absent:
        raise ValueError(list_problems(absent, f"neuroids have no column in {path}"))
    texts = table[names].apply(lambda column: column.str.strip().replace({"": "nan", "NA": "nan"}))
    values = texts.apply(pd.to_numeric, errors="coerce")
    wrong = np.argwhere(values.isna().to_numpy() & (texts.apply(lambda column: column.str.lower()) != "nan").to_numpy())
    problems = [
        f"line {table.index[row] + 2}, column {names[column]!r}: {texts.iat[row, column]!r} is not a number"
        for row, column in wrong.tolist()
    ]
    if problems:
        raise ValueError(list_problems(problems, f"problems with {path}"))
    return np.asarray(values, dtype=np.float64)


def _read_array(path: Path, name: str | None) -> NDArray[np.generic]:
    try:
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return np.asarray(archive[_choose(name, list(archive.files), path)])
        if path.suffix.lower() in (".h5", ".hdf5", ".nc", ".mat"):
            with h5py.File(path, "r", locking=False) as file:
                known = [key for key, item in file.items() if isinstance(item, h5py.Dataset)]
                return np.asarray(file[name if name is not None and name in file else _choose(name, known, path)][()])
    except (OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        reraise_memory(error, f"reading {path}")
        raise ValueError(f"{path} is truncated, or not what its ending says ({error}): copy it again") from error
    except ValueError as error:
        advice = ": save an array of numbers, not of objects" if "pickle" in str(error) else ""
        raise ValueError(f"{path}: {error}{advice}") from error
    raise ValueError(f"responses are read from .npz, .npy, .h5 or .csv, and {path.name} is none: convert it")


def _choose(name: str | None, known: list[str], path: Path) -> str:
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
                f"the responses are of {size} {what}, and {folder / file} has {rows} rows: they must be as many, in "
                "the same order; check `dimensions`"
            )


def _column(table: pd.DataFrame, name: str, path: Path) -> list[str]:
    if name not in table.columns:
        raise ValueError(
            f"{path} has no column {name!r}: {did_you_mean(name, [str(known) for known in table.columns])}"
        )
    texts = [str(text).strip() for text in table[name]]
    empty = [f"line {line + 2}" for line, text in zip(table.index, texts, strict=True) if not text]
    if empty:
        raise ValueError(list_problems(empty, f"places in the column {name!r} of {path} are empty"))
    return texts


def _arrange(
    description: Description, folder: Path, table: pd.DataFrame, rows: NDArray[np.float64]
) -> tuple[NDArray[np.floating], tuple[dict[str, NDArray[np.generic]], dict[str, str]], StimulusSet]:
    path = folder / description.stimuli
    ids = np.array(_column(table, "stimulus", path))
    images = np.array(_column(table, "image", path))
    repeated = [name for name, count in Counter(ids.tolist()).items() if count > 1]
    if repeated and "presentation" not in description.dimensions:
        raise ValueError(list_problems(repeated, f"stimuli have several rows in {path}"))
    given = as_values(table["repetition"]) if "repetition" in table.columns else None
    n_repetitions = len(rows) // len(ids)
    repetitions = np.repeat(np.arange(n_repetitions), len(ids)) if n_repetitions > 1 else given
    everywhere = np.tile(ids, n_repetitions)
    cube, stimuli = arrange(rows, everywhere, repetitions)
    names = [str(name) for name in table.columns if name not in ("stimulus", "image", "repetition")]
    properties = properties_of({name: as_values(table[name].str.strip()) for name in names}, ids)
    files = property_of("image", images, ids).tolist()
    found = StimulusSet(path.stem, stimuli, tuple(folder / description.images / file for file in files))
    _check_images(files, found, path)
    return cube, properties, found


def _check_images(names: list[str], images: StimulusSet, path: Path) -> None:
    problems = [
        f"{stimulus}: {file} {'lies outside its folder' if leaves_folder(name) else 'is not there'}"
        for stimulus, name, file in zip(images.ids, names, images.paths, strict=True)
        if leaves_folder(name) or not file.is_file()
    ]
    if problems:
        raise ValueError(list_problems(problems, f"images of {path} cannot be used"))
